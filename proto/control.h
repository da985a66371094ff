/*
 * control.h: what the tool and the master say on RUNTIME_DIR/control.sock; verbs, exit codes, grammar, help.
 *
 * Frames as in common/stream.h. The client sends REQUESTs; for each the master sends one or more ANSWERs with its id,
 * the last of which has more = 0. Verbs that only workers understand travel in an `ask`, which the master hands to the
 * first ready worker of a type (and of a drain) without understanding it: so a new worker type brings its verbs
 * without touching the master.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include "proto/schema.h"

/* A client of another version is answered with an error that names both, and closed. */
#define CONTROL_VERSION 1

#define CONTROL_SOCKET_NAME "control.sock"
#define CONTROL_FRAME_MAX   (16u * 1024 * 1024) /* answers: a one-off Redis reply must fit */
#define CONTROL_REQUEST_MAX (1u * 1024 * 1024)  /* requests: what the master accepts */
#define CONTROL_QUEUE_MAX   (32u * 1024 * 1024) /* a client that has not read this much is dropped */
#define CONTROL_CLIENTS_MAX 64
#define CONTROL_TIMEOUT_MS  5000 /* default of --timeout */

/* X(NAME, code, "meaning"): exit codes of the tool and `status` of an answer. LSB's where LSB has one. */
/* clang-format off */
#define CONTROL_STATUS_LIST(X)                                                                     \
    X(OK, 0, "done")                                                                               \
    X(ERROR, 1, "the request failed")                                                              \
    X(USAGE, 2, "wrong arguments")                                                                 \
    X(NOT_READY, 3, "`status`: something is wrong, as its answer says")                             \
    X(DENIED, 4, "not permitted")                                                                  \
    X(NO_NAME, 5, "no such name")                                                                  \
    X(NOT_RUNNING, 7, "the master is not running")                                                 \
    X(TRYAGAIN, 75, "not now (TRYAGAIN): the same may go later; `cache get`: the object could not be read")  \
    X(CONFIG, 78, "the configuration has errors")                                                  \
    X(TIMEOUT, 124, "timed out")
/* clang-format on */

enum control_status {
#define X(NAME, code, meaning) CONTROL_##NAME = code,
    CONTROL_STATUS_LIST(X)
#undef X
};

/* X(number, NAME, name, "direction: what it says") */
/* clang-format off */
#define CONTROL_LIST(X)                                                                            \
    X(1, REQUEST, request, "tool to master")                                                       \
    X(2, ANSWER, answer, "master to tool")
/* clang-format on */

enum control_message {
#define X(number, NAME, name, doc) CONTROL_MESSAGE_##NAME = number,
    CONTROL_LIST(X)
#undef X
};

/* clang-format off */
#define CONTROL_FIELDS_REQUEST(F)                                                                  \
    F(u64, version, "CONTROL_VERSION of the client's build")                                       \
    F(u64, id, "of the client's making")                                                           \
    F(u64, deadline_ms, "milliseconds after which the client gives up")                            \
    F(str, verb, "one of CONTROL_VERB_LIST's master verbs")                                        \
    F(raw, args, "array of bin")
/* clang-format on */

/* clang-format off */
#define CONTROL_FIELDS_ANSWER(F)                                                                   \
    F(u64, id, "of the REQUEST")                                                                   \
    F(u64, status, "exit code for the tool")                                                       \
    F(u64, more, "1 when further answers to this request follow")                                  \
    F(raw, body, "the answer; on failure a str that says what went wrong and what helps")
/* clang-format on */

#define X(number, NAME, name, doc)                                                                 \
    struct control_##name {                                                                        \
        CONTROL_FIELDS_##NAME(SCHEMA_MEMBER)                                                       \
    };                                                                                             \
    void control_##name##_pack(struct buffer *out, const struct control_##name *m);                \
    bool control_##name##_unpack(struct slice frame, struct control_##name *m);
CONTROL_LIST(X)
#undef X

/*
 * Verbs the master answers itself. X(NAME, "verb", "arguments", "answer")
 *   Names of workers and branches are paths; a branch stands for everything below it.
 */
/* clang-format off */
#define CONTROL_MASTER_VERB_LIST(X)                                                                \
    X(TREE, "tree", "", "map: the root node with its children (PROTOCOL.md, Control socket)")                \
    X(STATUS, "status", "[NAME]", "map: the node, without NAME the root, with `ready` and `problems`") \
    X(START, "start", "NAME", "map {name}, when every worker below NAME is ready")                 \
    X(STOP, "stop", "NAME", "map {name}, when every worker below NAME is stopped")                 \
    X(RESTART, "restart", "NAME", "map {name}, when every worker below NAME is ready again")       \
    X(RELOAD, "reload", "[dry-run]", \
      "map {applied, changes: [[start|stop|restart|update, name, why]...]}, when they have come about; with dry-run " \
      "at once, and nothing changes") \
    X(SCALE, "scale", "POOL COUNT [dry-run]", \
      "as reload: the pool has another number of workers until the next reload") \
    X(LEVEL, "level", "NAME LEVEL", "map {name, level}: workers at or below NAME log so much, until the next reload") \
    X(UPGRADE, "upgrade", "", \
      "map {version, upgrades}, when the new binary has agreed; the exec follows, and ends this connection") \
    X(ASK, "ask", "TYPE SECTION VERB [ARG...]", "whatever the worker answers; SECTION may be empty") \
    X(SEND, "send", "NAME JSON", "whatever the worker answers")                                    \
    X(WAIT, "wait", "[NAME] ready|stopped", "map {name, ready}, when NAME, else the tree, is so")  \
    X(TRACE, "trace", "NAME AFTER SAMPLE BYTES", \
      "whatever the worker answers: map {last, lost, headers: [[time ms, in|out, peer, type, bytes, payload]...]}") \
    X(SIGNAL, "signal", "NAME NUMBER", "map {name, pid}: the worker's program was sent the signal") \
    X(CRASHES, "crashes", "NAME", \
      "map {reports: [{name, generation, time_ms, cause, file}...], newest: its text, when NAME is given}") \
    X(LOGS, "logs", "NAME LIMIT [AFTER]", \
      "map {last, lines: [[time ms, level, worker, line]...]}; with AFTER it waits for newer ones, until the " \
      "deadline") \
    X(EVENTS, "events", "NAME LIMIT [AFTER]", \
      "map {last, lost, events: [{time_ms, name, from, to, event, generation, cause}...]}; with AFTER as logs") \
    X(SHUTDOWN, "shutdown", "", "map {}, when every worker is stopped; the master exits then")     \
    X(VERSION, "version", "", "map {version, control_version, pid, uptime_ms, upgrades}")
/* clang-format on */

/* Meaning of a status; "unknown status" when there is none. */
const char *control_status_meaning(uint64_t status);

#endif
