/*
 * watcher.h: what the files of the watcher worker share.
 *
 * watcher.c          polls, wakes get-set, returns orphaned claims, has what waits for its hash looked at
 * watcher_events.c   the channel that tells of new members
 * watcher_verbs.c    drain-status and the dead letters, for the tool
 */
#ifndef WORKERS_WATCHER_H
#define WORKERS_WATCHER_H

#include "workers/drain/drain_ledger.h"
#include "workers/redis/redis_look.h"
#include "workers/redis/redis_rights.h"

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
    int64_t waits_ms; /* until members without a hash are looked at again; -1: there are none */
    char wrong_type[16];
    char foreign[1024]; /* whose ledger it is, when it is not ours */
    bool unsigned_yet;  /* nobody's, or ours as it was before */
};

/* What it asks of Redis. */
enum watcher_ask {
    WATCHER_SCARD,
    WATCHER_STATUS,
    WATCHER_LOOK,
    WATCHER_ORPHANS,
    WATCHER_SIGN,
    WATCHER_ASKS
};

struct watcher {
    struct worker *w;
    struct drain_ledger ledger;
    struct redis_look look;
    struct redis_rights rights;
    struct redis_conn *events; /* subscribed to the set's key; NULL without */
    struct redis_options events_options;
    char channel[512];
    uv_timer_t poll_timer;
    uv_timer_t status_timer;
    uv_timer_t look_timer;
    uint64_t poll_min_ms, poll_max_ms, poll_ms;
    uint64_t horizon_ms; /* no claim is due later than this from now */
    uint64_t lease_ms, claims_max;
    uint64_t max_attempts, missing_retry_ms;
    bool polling, asking, looking, signing; /* a reply is awaited */
    bool soon;  /* since the ledger was last asked for, something has come that it will know of */
    bool known; /* what was asked first on this connection has been answered */
    bool event; /* one came since the last look */
    bool events_come; /* what was found after an idle while was announced: so the next will be */
    uint64_t polled_at_ms, found_at_ms;
    uint64_t subscribe_at_ms;          /* when it last asked for a channel that is refused */
    bool subscribe_soon;               /* the server may be another: it is asked at once */
    uint64_t made, in_flight, pending; /* get-set's word */
    uint64_t made_when_found;
    struct watcher_status status;
    uint64_t status_at_ms, stored_before, before_at_ms;
    double rate;
    struct watcher_name names[WATCHER_NAMES_MAX];
    size_t name_count;
    uint64_t orphans_at_ms;
    char errors[WATCHER_ASKS][512]; /* the last error reply to each; "" when it went well */
};

/* Reads the status script's answer. False when it is an error. */
bool watcher_read_status(struct watcher_status *s, const redisReply *reply);

/* Looks at the set now; and as a timer's callback. */
void watcher_poll(struct watcher *t);
void watcher_on_poll_timer(uv_timer_t *timer);

/* Connects for events, in init. Without it the drain works all the same, a little later. */
void watcher_subscribe(struct watcher *t);

/*
 * On each tick. Where the channel is refused it stays one silent connection, on which it is asked for again: seldom,
 * and at once when another right has come back or the other connection is a new one. That the drain polls is a warning
 * then, no trouble.
 */
void watcher_look_at_events(struct watcher *t);

void watcher_on_request(struct worker *w, void *state, const struct link_request *request);

#endif
