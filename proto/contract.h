/*
 * contract.h: everything the master and a worker process must agree on, and why.
 *
 * Read by the master and by the worker skeleton; ARCHITECTURE, Master and worker, in code. The messages of the link
 * are in link.h.
 *
 * Life of a worker, seen from both sides:
 *
 *     master                                   worker
 *     posix_spawn libexec/platoon/<type>  -->  reads the CONTRACT_ENV_* names, opens fd 3
 *                                         <--  HELLO (link version, type, pid, generation)
 *     CONFIG (settings)                   -->  init
 *                                         <--  BEAT, when anything keeps it from its work: the master
 *                                              is to know before READY, not up to a second later
 *                                         <--  READY (address of the mailbox, or none)
 *     UP / DOWN of peers                  -->
 *                                         <--  BEAT, from the real loop: once a second with news,
 *                                              every 3 s without
 *     STOP (deadline)                     -->  refuses new work, finishes what is in flight
 *                                         <--  BYE (reason), then exit 0
 *
 * EOF on the link means the other side is dead: the worker drains and exits within
 * CONTRACT_ORPHAN_MS, the master reaps.
 */
#ifndef PROTO_CONTRACT_H
#define PROTO_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A worker of another version is refused at HELLO with both numbers in the message, and so is an upgrade
 * (proto/upgrade_state.h). So it changes only when an older build can meet the change: master and worker may be of
 * different builds after an upgrade, and a worker made with an older libplatoon is. A message that only a new worker
 * says or asks for, and only a new master answers, needs no other version.
 */
#define CONTRACT_LINK_VERSION 3

/* The link's file descriptor in the worker. 0, 1, 2 keep their usual meaning; 3 is the first free one. */
#define CONTRACT_LINK_FD 3

/* What a worker must know before CONFIG: to say who it is, and to fail readably when it is started by hand. */
#define CONTRACT_ENV_NAME       "PLATOON_NAME" /* path in the tree, "redis/visits/get-hash.2" */
#define CONTRACT_ENV_GENERATION "PLATOON_GENERATION" /* decimal, > 0 */
#define CONTRACT_ENV_LOG_LEVEL  "PLATOON_LOG_LEVEL"  /* error, warn, info, debug */

/*
 * Instead of all of these: the program is to be a seed (seed_order.h). Its value is room for them, so that a worker
 * that it forks has them in its environment where the kernel shows it.
 */
#define CONTRACT_ENV_SEED  "PLATOON_SEED"
#define CONTRACT_SEED_ROOM 192

/*
 * Right before it in the environment, one after the other, for ld.so(8): else each of a thousand workers binds the same
 * functions anew, and the kernel notes in each where it runs (rseq), both in a page of its own. Its workers do not have
 * them.
 */
#define CONTRACT_SEED_BIND "LD_BIND_NOW=1"
#define CONTRACT_SEED_RSEQ "GLIBC_TUNABLES=glibc.pthread.rseq=0"

/*
 * With the path behind it, the arguments of a worker program of ours that is to become one of the user's own
 * (`worker = true`), with a user or group, once it has taken these on. It is sent CONFIG at once, reads that one frame,
 * and becomes the worker, which begins as every other does.
 */
#define CONTRACT_ENTER "--enter"

/*
 * The setting in CONFIG by which a worker knows that its master understands PROVES (link.h): an older one would end it
 * for that.
 */
#define CONTRACT_PROOFS "platoon.proofs"

/*
 * The setting in CONFIG that says for how many milliseconds a worker may be silent while nothing happens to it: two
 * thirds of hang_timeout, at most CONTRACT_REST_MAX_MS, and so much less than hang_timeout that a beat which is late by
 * CONTRACT_REST_SPARE_MS is in time. Without it, from an older master: CONTRACT_QUIET_BEATS beats.
 */
#define CONTRACT_REST          "platoon.rest"
#define CONTRACT_REST_MAX_MS   20000
#define CONTRACT_REST_SPARE_MS 2000

/* The name of a setting that comes several at a time: its list, the number of its item from 0, what of it. */
#define CONTRACT_ITEM      "%s.%zu.%s"
#define CONTRACT_ITEM_SIZE 64

/* What the program of a temporary child is told. */
#define CONTRACT_ENV_OWNER    "PLATOON_OWNER"
#define CONTRACT_ENV_ARGUMENT "PLATOON_ARGUMENT"

/* Longest worker name, NUL included; also bounds the mailbox path. */
#define CONTRACT_NAME_MAX 64

/* Longest link frame. A one-off Redis reply must fit; larger ones are refused with a message, never cut. */
#define CONTRACT_FRAME_MAX (16u * 1024 * 1024)

/* Most bytes that may wait for a peer on the link that does not read; then it counts as hung. */
#define CONTRACT_QUEUE_MAX (64u * 1024 * 1024)

/* Longest argument of a temporary child. */
#define CONTRACT_ARGUMENT_MAX 4096

/* With nothing new, every so many-th beat is sent. The silence stays below the least hang_timeout by 2 s. */
#define CONTRACT_QUIET_BEATS 3

/* Milliseconds. */
#define CONTRACT_BEAT_MS  1000  /* a worker's beat, when there is something new to say */
#define CONTRACT_HELLO_MS 5000  /* spawn to HELLO */
#define CONTRACT_READY_MS 30000 /* spawn to READY unless the type says more */
#define CONTRACT_HANG_MS                                                                           \
    30000 /* silence after which a READY worker gets SIGABRT (fsync on a slow disk takes seconds) */
#define CONTRACT_ABORT_MS 2000  /* SIGABRT to SIGKILL */
#define CONTRACT_STOP_MS  10000 /* STOP to SIGTERM */
#define CONTRACT_TERM_MS  2000  /* SIGTERM to SIGKILL of the process group */
#define CONTRACT_ORPHAN_MS                                                                         \
    3000 /* EOF on the link to the worker's own end; master and all are gone within 5 s */

/*
 * Exit codes. Every worker ends with one of these or by a signal; anything else counts as a crash.
 *   EXIT(NAME, code, "meaning")
 */
/* clang-format off */
#define CONTRACT_EXIT_LIST(X)                                                                      \
    X(DONE, 0, "finished on purpose")                                                              \
    X(TEMPORARY, 1, "temporary failure, restart")                                                  \
    X(SHORT, 75, "this machine is short of something: no fault of its own, try again")              \
    X(CONFIG, 78, "configuration error, a restart cannot help")                                    \
    X(INCONSISTENT, 101, "found its own state inconsistent, restart")
/* clang-format on */

enum contract_exit {
#define X(NAME, code, meaning) CONTRACT_EXIT_##NAME = code,
    CONTRACT_EXIT_LIST(X)
#undef X
};

/*
 * Is that errno a shortage of this machine's (descriptors, processes, memory, room), which nobody is to blame for who
 * only wanted to begin, or to go on? Who ends for it ends with CONTRACT_EXIT_SHORT: that uses up nobody's intensity,
 * and before READY it counts for nothing at all.
 */
bool contract_is_shortage(int error);

/*
 * What helps against it, as a remedy for people; "" when it is none. Of ENOSPC where no file is written: epoll says it.
 */
const char *contract_shortage_remedy(int error);

/* The same where something was to be written at `path`: may be that disk is full. `text` is room for the answer. */
const char *contract_shortage_remedy_at(int error, const char *path, char *text, size_t size);

/* What helps who cannot write the file at `path` for this errno. */
const char *contract_file_remedy(int error, const char *path, char *text, size_t size);

/* How a worker ends that could not begin for this errno: CONTRACT_EXIT_SHORT or CONTRACT_EXIT_TEMPORARY. */
int contract_exit_for(int error);

/* Meaning of a worker's exit code, for obituaries; "crashed" when the contract does not know it. */
const char *contract_exit_meaning(int code);

/* "redis,visits,get-hash.2" for "redis/visits/get-hash.2"; its mailbox is RUNTIME_DIR/mbox/<that>.<generation>. */
void contract_mailbox_id(const char *name, char id[CONTRACT_NAME_MAX]);

#endif
