/*
 * link.h: the messages on a worker's link (fd 3), both directions. See contract.h for when each is sent.
 *
 * One frame (common/stream.h) holds one message. Codec by schema.h; version CONTRACT_LINK_VERSION.
 */
#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include "proto/schema.h"

/* X(number, NAME, name, "direction: what it says"). Numbers are never reused. */
/* clang-format off */
#define LINK_LIST(X)                                                                               \
    X(1, HELLO, hello, "worker to master: who I am")                                               \
    X(2, CONFIG, config, "master to worker: your settings")                                        \
    X(3, READY, ready, "worker to master: I can take work")                                        \
    X(4, BEAT, beat, "worker to master: I am alive, and what I do")                 \
    X(5, STOP, stop, "master to worker: finish what is in flight and exit")                        \
    X(6, BYE, bye, "worker to master: I am about to exit on purpose")                              \
    X(7, UP, up, "master to worker: a peer is ready")                                              \
    X(8, DOWN, down, "master to worker: a peer's incarnation is gone")                             \
    X(9, MONITOR, monitor, "worker to master: tell me about this worker too")                      \
    X(10, REQUEST, request, "master to worker: a control client asks you something")               \
    X(11, REPLY, reply, "worker to master: the answer to a REQUEST")                               \
    X(12, LOOK, look, "worker to master: show me the tree")                                        \
    X(13, TREE, tree, "master to worker: the tree as it is now")                                   \
    X(14, CHILD, child, "worker to master: start a temporary child of mine")                       \
    X(15, STARTED, started, "master to worker: what became of a CHILD")                            \
    X(16, END, end, "worker to master: stop that child of mine")                                   \
    X(17, BLAME, blame, "worker to master: the frames of this custom worker cannot be believed")   \
    X(18, PROVES, proves, "worker to master: I prove to others who I am, and others shall to me")  \
    X(19, PEER, peer, "master to worker that PROVES: UP of a peer that does so too")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_HELLO(F)                                                                       \
    F(u64, version, "CONTRACT_LINK_VERSION of the worker's build")                                 \
    F(str, type, "its worker type")                                                                \
    F(u64, pid, "its pid, for the log")                                                            \
    F(u64, generation, "the generation it was given; another one is refused")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_CONFIG(F)                                                                      \
    F(raw, settings, "map of text to text: every key of the sections that concern this worker")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_READY(F)                                                                       \
    F(str, address, "nanomsg address of its mailbox; empty when it has none")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_BEAT(F)                                                                        \
    F(raw, counters, "map of counter name (proto/counters.h) to value since this incarnation's start") \
    F(str, doing, "one short phrase for the tree: what it does now")                               \
    F(str, trouble, "empty, or the one thing that keeps it from its work, with the remedy")
/* clang-format on */

#define LINK_FIELDS_STOP(F) F(u64, deadline_ms, "milliseconds until SIGTERM")

#define LINK_FIELDS_BYE(F) F(str, reason, "why it goes")

/* clang-format off */
#define LINK_FIELDS_UP(F)                                                                          \
    F(str, name, "path in the tree")                                                               \
    F(str, type, "worker type")                                                                    \
    F(u64, generation, "its incarnation")                                                          \
    F(str, address, "nanomsg address of its mailbox; empty when it has none")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_DOWN(F)                                                                        \
    F(str, name, "path in the tree")                                                               \
    F(u64, generation, "the incarnation that is gone")                                             \
    F(str, reason, "obituary in a few words; \"unknown name\" in answer to a MONITOR of nobody")    \
    F(u64, orderly, "1 when it ended on purpose: exit 0")
/* clang-format on */

#define LINK_FIELDS_MONITOR(F) F(str, name, "path in the tree")

/* clang-format off */
#define LINK_FIELDS_REQUEST(F)                                                                     \
    F(u64, id, "names the answer; of the master's making")                                         \
    F(u64, deadline_ms, "milliseconds left until the client gives up")                             \
    F(str, verb, "what is asked, in the words of the worker type")                                 \
    F(raw, args, "array of bin: the arguments")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_REPLY(F)                                                                       \
    F(u64, id, "of the REQUEST")                                                                   \
    F(u64, status, "exit code for the tool (control.h): 0 is success")                             \
    F(raw, body, "the answer; on failure a str that says what went wrong and what helps")
/* clang-format on */

#define LINK_FIELDS_LOOK(F) F(u64, id, "names the answer; of the worker's making")

/* clang-format off */
#define LINK_FIELDS_TREE(F)                                                                        \
    F(u64, id, "of the LOOK")                                                                      \
    F(u64, uptime_ms, "of the master")                                                             \
    F(raw, node, "the root with its children (PROTOCOL.md, Control socket)")                             \
    F(raw, problems, "array of str: what is wrong, one line each; none: all is ready")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_CHILD(F)                                                                       \
    F(u64, id, "names the answer; of the worker's making")                                         \
    F(str, program, "title of a program section that the worker's own names in may_start")         \
    F(bin, argument, "what the child is told; no NUL in it, at most CONTRACT_ARGUMENT_MAX bytes")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_STARTED(F)                                                                     \
    F(u64, id, "of the CHILD")                                                                     \
    F(str, name, "its path in the tree; UP follows when it is READY, DOWN in any case")            \
    F(u64, generation, "of its one incarnation; 0: there is none")                                 \
    F(str, error, "why not, when there is none")
/* clang-format on */

/* clang-format off */
#define LINK_FIELDS_BLAME(F)                                                                       \
    F(str, name, "path in the tree")                                                               \
    F(u64, generation, "the incarnation that sent them")                                           \
    F(str, reason, "what was wrong with them")
/* clang-format on */

#define LINK_FIELDS_PROVES(F)                                                                      \
    F(bin, key, "PROOF_KEY_SIZE random bytes: what others prove it with (common/proof.h)")

/* clang-format off */
#define LINK_FIELDS_PEER(F)                                                                        \
    F(str, name, "path in the tree")                                                               \
    F(str, type, "worker type")                                                                    \
    F(u64, generation, "its incarnation")                                                          \
    F(str, address, "nanomsg address of its mailbox; empty when it has none")                      \
    F(u64, proof, "what proves to it who you are; its own frames prove it to you")
/* clang-format on */

#define LINK_FIELDS_END(F) F(str, name, "path in the tree, as STARTED told it")

enum link_type {
#define X(number, NAME, name, doc) LINK_##NAME = number,
    LINK_LIST(X)
#undef X
};

#define X(number, NAME, name, doc)                                                                 \
    struct link_##name {                                                                           \
        LINK_FIELDS_##NAME(SCHEMA_MEMBER)                                                          \
    };                                                                                             \
    void link_##name##_pack(struct buffer *out, const struct link_##name *m);                      \
    bool link_##name##_unpack(struct slice frame, struct link_##name *m);
LINK_LIST(X)
#undef X

/* "HELLO" and so on; "?" for a number that is none. */
const char *link_type_name(uint64_t type);

/* The type of the message in a frame; 0 when it is no message. */
uint64_t link_frame_type(struct slice frame);

#endif
