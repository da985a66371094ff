/*
 * watcher.h: what the files of the watcher worker share.
 *
 * watcher.c          polls, wakes get-set, returns orphaned claims
 * watcher_verbs.c    drain-status and the dead letters, for the tool
 */
#ifndef WORKERS_WATCHER_H
#define WORKERS_WATCHER_H

#include "workers/drain/drain_ledger.h"

#define WATCHER_NAMES_MAX 1024

/* The newest incarnation of a name we have heard of. */
struct watcher_name {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    bool alive;
};

/* The last answer of the status script. */
struct watcher_status {
    uint64_t pending, claimed, stored, redelivered, dead, oldest_ms, claims;
    int64_t due_ms;
    char wrong_type[16];
};

struct watcher {
    struct worker *w;
    struct drain_ledger ledger;
    struct redis_conn *events; /* subscribed to the set's key; NULL without */
    struct redis_options events_options;
    char channel[512];
    uv_timer_t poll_timer;
    uv_timer_t status_timer;
    uint64_t poll_min_ms, poll_max_ms, poll_ms;
    uint64_t horizon_ms; /* no claim is due later than this from now */
    uint64_t lease_ms, claims_max;
    bool polling, asking; /* a reply is awaited */
    bool event;           /* one came since the last look */
    bool events_come; /* what was found after an idle while was announced: so the next will be */
    uint64_t polled_at_ms, found_at_ms;
    uint64_t made, in_flight, pending; /* get-set's word */
    struct watcher_status status;
    uint64_t status_at_ms, stored_before, before_at_ms;
    double rate;
    struct watcher_name names[WATCHER_NAMES_MAX];
    size_t name_count;
    uint64_t orphans_at_ms;
    char error[384];
};

/* Reads the status script's answer. False when it is an error. */
bool watcher_read_status(struct watcher_status *s, const redisReply *reply);

/* Looks at the set now. */
void watcher_poll(struct watcher *t);

void watcher_on_request(struct worker *w, void *state, const struct link_request *request);

#endif
