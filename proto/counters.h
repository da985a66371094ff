/*
 * counters.h: every number a worker reports in its beats, one line each.
 *
 * X(NAME, "name", KIND, "help")
 *   COUNTER  only grows within an incarnation; the master shows rates from it
 *   GAUGE    the state of the moment
 * Names follow Prometheus' conventions without the `platoon_` prefix, so that an exporter only has to print them.
 */
#ifndef PROTO_COUNTERS_H
#define PROTO_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
#define COUNTER_LIST(X)                                                                            \
    X(MESSAGES_IN, "messages_in_total", COUNTER, "messages received through the mailbox")          \
    X(MESSAGES_OUT, "messages_out_total", COUNTER, "messages sent to mailboxes")                   \
    X(MESSAGES_STALE, "messages_stale_total", COUNTER, "messages of an older generation, dropped") \
    X(MESSAGES_REJECTED, "messages_rejected_total", COUNTER, "frames or messages that could not be read") \
    X(REQUESTS, "requests_total", COUNTER, "control requests answered")                            \
    X(REDIS_COMMANDS, "redis_commands_total", COUNTER, "commands sent to Redis")                   \
    X(REDIS_ERRORS, "redis_errors_total", COUNTER, "error replies from Redis")                     \
    X(REDIS_RECONNECTS, "redis_reconnects_total", COUNTER, "connections to Redis lost and tried again") \
    X(CLAIMS, "claims_total", COUNTER, "claims made or handed out again")                          \
    X(REDELIVERED, "redelivered_total", COUNTER, "claims handed out again")                        \
    X(CLAIMED_MEMBERS, "claimed_members_total", COUNTER, "members claimed")                        \
    X(FETCHED, "fetched_total", COUNTER, "hashes fetched")                                         \
    X(STORED, "stored_total", COUNTER, "records made durable")                                     \
    X(DEAD, "dead_total", COUNTER, "members sent to the dead letters")                             \
    X(BATCHES, "batches_total", COUNTER, "store transactions committed")                           \
    X(STORE_ERRORS, "store_errors_total", COUNTER, "store transactions that failed and are tried again") \
    X(BYTES, "bytes_total", COUNTER, "bytes of records handled")                                   \
    X(IN_FLIGHT, "in_flight", GAUGE, "claims or records taken and not yet settled")                \
    X(PENDING, "pending", GAUGE, "members waiting in the set")                                     \
    X(MAILBOX_DEPTH, "mailbox_depth", GAUGE, "most frames found waiting in the mailbox at once, in the last second") \
    X(MAILBOX_WAIT, "mailbox_wait", GAUGE, "longest that a frame has waited in the mailbox, in the last second, in milliseconds")
/* clang-format on */

enum counter {
#define X(NAME, name, kind, help) COUNTER_##NAME,
    COUNTER_LIST(X)
#undef X
        COUNTER_COUNT
};

/* "messages_in_total" and so on. */
const char *counter_name(enum counter counter);

/* True for a COUNTER, false for a GAUGE. */
bool counter_is_monotonic(enum counter counter);

/* Finds a counter by name; COUNTER_COUNT when there is none. */
enum counter counter_find(const char *name, size_t len);

#endif
