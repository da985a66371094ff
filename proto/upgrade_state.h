/*
 * upgrade_state.h: what one master hands to the next when it execs its new binary: PROTOCOL.md, Upgrade in place.
 *
 * Runs in the master. Pure. Codec by proto/schema.h; a reader refuses another UPGRADE_VERSION, so the old master knows
 * before it is gone. File descriptors are numbers that stay open across exec; 0 stands for none where a worker may lack
 * one, the number plus 1 else.
 */
#ifndef MASTER_UPGRADE_STATE_H
#define MASTER_UPGRADE_STATE_H

#include "proto/contract.h"
#include "proto/message.h"
#include "proto/schema.h"

/*
 * Changes with every change below, except that one may come to tell more by a record that stands behind all others, and
 * only where there is something to tell: a state of an older build has none, and is read.
 */
#define UPGRADE_STATE_VERSION 1

/*
 * What both masters must agree on, in one number: the records below, and what workers of the old build, which keep
 * running, say to the new master and to workers of the new build. One number and not three, because older builds
 * compare one; 1003 is theirs, of link version 3 and message version 3, from which the messages' are counted for that
 * reason.
 */
#define UPGRADE_VERSION                                                                            \
    (1000000 * (MESSAGE_VERSION - 3) + 1000 * UPGRADE_STATE_VERSION + CONTRACT_LINK_VERSION)

_Static_assert(MESSAGE_VERSION >= 3 && UPGRADE_STATE_VERSION < 1000 && CONTRACT_LINK_VERSION < 1000,
               "two versions would share one number");

/* X(number, NAME, name, "what it is") */
/* clang-format off */
#define UPGRADE_LIST(X)                                                                            \
    X(1, MASTER, master, "the master itself; first of all")                                        \
    X(2, BRANCH, branch, "a branch")                                                               \
    X(3, WORKER, worker, "a worker, and its process")                                              \
    X(4, ENDS, ends, "how a worker has ended, when not all of it is 0; behind all others")

#define UPGRADE_FIELDS_MASTER(F)                                                                   \
    F(u64, version, "UPGRADE_VERSION of who wrote it")                                             \
    F(str, text, "PLATOON_VERSION, for people")                                                    \
    F(str, instance, "identity of the installation")                                               \
    F(u64, boot, "number of the start")                                                            \
    F(u64, started_ms, "clock_mono_ms")                                                            \
    F(u64, upgrades, "how many there were, this one included")                                     \
    F(u64, lock_fd, "of runtime_dir")                                                              \
    F(u64, listener_fd, "of the control socket")                                                   \
    F(u64, request_id, "last one used for a request to a worker")                                  \
    F(u64, children, "newest generation that a temporary child was given")                         \
    F(u64, nodes, "branches and workers that follow")                                              \
    F(u64, last_line, "number of the newest of `lines`")                                           \
    F(raw, lines, "what `logs` shows: array of [time ms, level, worker, line]")                    \
    F(u64, last_event, "number of the newest of `events`")                                         \
    F(raw, events, "what `watch` shows: array of maps (events.h)")

#define UPGRADE_FIELDS_BRANCH(F)                                                                   \
    F(str, name, "path in the tree")                                                               \
    F(u64, wanted, "1: up")                                                                        \
    F(u64, restarts, "")                                                                           \
    F(u64, failures, "")                                                                           \
    F(u64, state_since_ms, "")                                                                     \
    F(u64, next_start_ms, "")

#define UPGRADE_FIELDS_WORKER(F)                                                                   \
    F(str, name, "path in the tree")                                                               \
    F(str, type, "worker type")                                                                    \
    F(bin, settings, "what it was told: a difference means a restart")                             \
    F(u64, state, "name's place in NODE_STATE_LIST")                                               \
    F(u64, wanted, "1: up")                                                                        \
    F(u64, finished, "")                                                                           \
    F(u64, was_ready, "")                                                                          \
    F(u64, ready_at_ms, "")                                                                        \
    F(u64, generation, "")                                                                         \
    F(u64, restarts, "")                                                                           \
    F(u64, failures, "")                                                                           \
    F(u64, state_since_ms, "")                                                                     \
    F(u64, started_ms, "")                                                                         \
    F(u64, next_start_ms, "")                                                                      \
    F(str, address, "of its mailbox")                                                              \
    F(bin, last_exit, "")                                                                          \
    F(bin, doing, "")                                                                              \
    F(bin, trouble, "")                                                                            \
    F(u64, log_level, "read by nobody; on the wire because 06119dc has it")                        \
    F(str, owner, "of a temporary child; empty: it is none")                                       \
    F(str, program, "title of a child's section")                                                  \
    F(bin, argument, "a child was told")                                                           \
    F(u64, pid, "0: no process; what follows is its")                                              \
    F(u64, pidfd, "plus 1")                                                                        \
    F(u64, link_fd, "plus 1; 0: it has ended")                                                     \
    F(u64, output_fd, "plus 1; 0: none")                                                           \
    F(u64, told_level, "log level it was last told")                                               \
    F(u64, greeted, "1: has said HELLO; 2: has not, and was sent CONFIG")                           \
    F(u64, waiting_for, "enum process_deadline")                                                   \
    F(u64, deadline_ms, "")                                                                        \
    F(bin, said, "reason of its BYE")                                                              \
    F(raw, monitors, "array of str")                                                               \
    F(bin, link_in, "bytes of a frame that has not come whole")                                    \
    F(bin, output_in, "bytes of a line that has not come whole")                                   \
    F(raw, lines, "array of bin: its last lines")

#define UPGRADE_FIELDS_ENDS(F)                                                                     \
    F(str, name, "path in the tree")                                                               \
    F(u64, deaths, "in a row")                                                                     \
    F(u64, unstable, "1: so many that it counts as not ready")                                     \
    F(u64, ended, "1: and is not restarted")                                                       \
    F(u64, is_short, "1: it waits for room on the machine")
/* clang-format on */

enum upgrade_type {
#define X(number, NAME, name, doc) UPGRADE_##NAME = number,
    UPGRADE_LIST(X)
#undef X
};

/* Unpackers read one record at the cursor and move it on. */
#define X(number, NAME, name, doc)                                                                 \
    struct upgrade_##name {                                                                        \
        UPGRADE_FIELDS_##NAME(SCHEMA_MEMBER)                                                       \
    };                                                                                             \
    void upgrade_##name##_pack(struct buffer *out, const struct upgrade_##name *m);                \
    bool upgrade_##name##_unpack(struct unpack *u, struct upgrade_##name *m);
UPGRADE_LIST(X)
#undef X

#endif
