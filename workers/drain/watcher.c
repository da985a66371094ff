/*
 * watcher.c: the watcher worker: notices that the set has members, and keeps the ledger's clock.
 *
 * There is no blocking command for sets, so it polls: SCARD every poll_min while there is work and for a moment after (what comes
 * then is durable in some 12 ms), then twice as long each time up to poll_max. A
 * keyspace event is a hint to look now, never more: events are lost while we are not connected, and somebody may switch them off; but as long as
 * they come, four times poll_max is soon enough. An idle drain costs Redis one SCARD per poll_max and one status script (some seven
 * reads) every five seconds: with poll_max = 500ms that is about 3.5 commands a second, and with events about 2.
 */
#include "workers/drain/watcher.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WATCHER_BUSY_MS 100 /* between looks while get-set works already */
#define WATCHER_EAGER_MS                                                                           \
    300 /* after members were found, looks stay poll_min apart for so long: more follow soon */
#define WATCHER_EVENTS_MS 5 /* between looks that events ask for */
#define WATCHER_EVENTS_STRETCH                                                                     \
    4 /* times poll_max, between looks at an empty set when events come */
#define WATCHER_STATUS_MS      250 /* between looks at the ledger while there are claims */
#define WATCHER_STATUS_IDLE_MS 5000
#define WATCHER_ORPHANS_MS     2000 /* the level-triggered check behind the DOWNs */

/* ---- waking get-set ---- */

static void watcher_grant(struct watcher *t)
{
    struct message_work m = {.claims_total = t->made + t->claims_max, .pending = t->pending};
    for (struct worker_peer *p = worker_peer_next(t->w, NULL); p != NULL;
         p = worker_peer_next(t->w, p)) {
        if (strcmp(p->type, "get-set") != 0)
            continue;
        struct buffer *out = worker_compose(t->w);
        message_work_pack(out, &m);
        worker_must_send(t->w, p, out);
    }
}

static void watcher_note_error(struct watcher *t, const redisReply *reply)
{
    if (reply != NULL)
        drain_ledger_explain(reply, t->error, sizeof t->error);
}

/* ---- the set ---- */

static void watcher_on_poll_timer(uv_timer_t *timer)
{
    watcher_poll(timer->data);
}

static void watcher_poll_again(struct watcher *t, bool found)
{
    uint64_t most = t->poll_max_ms * (t->events_come ? WATCHER_EVENTS_STRETCH : 1);
    if (found)
        t->found_at_ms = clock_mono_ms();
    if (found && t->in_flight > 0)
        t->poll_ms = WATCHER_BUSY_MS;
    else if (clock_mono_ms() - t->found_at_ms < WATCHER_EAGER_MS)
        t->poll_ms = t->poll_min_ms;
    else
        t->poll_ms = t->poll_ms * 2 < most ? t->poll_ms * 2 : most;
    uv_timer_start(&t->poll_timer, watcher_on_poll_timer, t->poll_ms, 0);
}

static void watcher_on_members(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->polling = false;
    bool found = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        t->error[0] = '\0';
        t->pending = (uint64_t)reply->integer;
    } else {
        watcher_note_error(t, reply);
    }
    if (found && t->poll_ms >= t->poll_max_ms)
        t->events_come = t->event;
    t->event = false;
    if (found)
        watcher_grant(t);
    watcher_poll_again(t, found);
}

void watcher_poll(struct watcher *t)
{
    struct drain_ledger *l = &t->ledger;
    if (t->polling || worker_stopping(t->w))
        return;
    if (drain_ledger_begin(l, 2) != 0) {
        watcher_poll_again(t, false);
        return;
    }
    drain_ledger_add(l, slice_of("SCARD"));
    drain_ledger_add(l, l->set);
    t->polled_at_ms = clock_mono_ms();
    if (drain_ledger_command(l, watcher_on_members, t) == 0)
        t->polling = true;
    else
        watcher_poll_again(t, false); /* not connected: on_ready polls at once */
}

/* ---- orphans ---- */

static struct watcher_name *watcher_find_name(struct watcher *t, const char *name)
{
    for (size_t i = 0; i < t->name_count; i++)
        if (strcmp(t->names[i].name, name) == 0)
            return &t->names[i];
    if (t->name_count == WATCHER_NAMES_MAX)
        return NULL; /* the lease finds what it held */
    struct watcher_name *n = &t->names[t->name_count++];
    *n = (struct watcher_name){0};
    slice_copy(slice_of(name), n->name, sizeof n->name);
    return n;
}

static void watcher_on_orphans(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        watcher_note_error(t, reply);
        t->orphans_at_ms = 0; /* again with the next look at the ledger */
        return;
    }
    int64_t due = drain_reply_int(reply, 0);
    for (size_t i = 1; i < reply->elements;
         i++) /* a name we have never heard of: UP, or "unknown name", follows */
        worker_monitor(t->w, drain_reply_text(reply, i));
    if (due == 0)
        return;
    log_info("claims-orphaned", "count=%" PRId64, due);
    watcher_grant(t);
}

static void watcher_orphans(struct watcher *t)
{
    struct drain_ledger *l = &t->ledger;
    if (FAULT_POINT("watcher.before-orphans", slice_of("")) ||
        drain_ledger_begin(l, 3 + 3 * t->name_count) != 0)
        return;
    drain_ledger_add(l, slice_of(worker_setting_text(t->w, "platoon.instance")));
    drain_ledger_add(l, slice_of(worker_setting_text(t->w, "platoon.boot")));
    drain_ledger_add_u64(l, t->horizon_ms);
    for (size_t i = 0; i < t->name_count; i++) {
        drain_ledger_add(l, slice_of(t->names[i].name));
        drain_ledger_add_u64(l, t->names[i].generation);
        drain_ledger_add_u64(l, t->names[i].alive ? 1 : 0);
    }
    if (drain_ledger_send(l, LEDGER_ORPHANS, watcher_on_orphans, t) == 0)
        t->orphans_at_ms = clock_mono_ms();
}

/* ---- the ledger ---- */

bool watcher_read_status(struct watcher_status *s, const redisReply *reply)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < 9)
        return false;
    *s = (struct watcher_status){
        .pending = (uint64_t)drain_reply_int(reply, 0),
        .claimed = (uint64_t)drain_reply_int(reply, 1),
        .stored = (uint64_t)drain_reply_int(reply, 2),
        .redelivered = (uint64_t)drain_reply_int(reply, 3),
        .dead = (uint64_t)drain_reply_int(reply, 4),
        .oldest_ms = (uint64_t)drain_reply_int(reply, 5),
        .claims = (uint64_t)drain_reply_int(reply, 6),
        .due_ms = drain_reply_int(reply, 7),
    };
    slice_copy(drain_reply_text(reply, 8), s->wrong_type, sizeof s->wrong_type);
    return true;
}

static void watcher_ask_status(uv_timer_t *timer);

static void watcher_take_rate(struct watcher *t)
{
    uint64_t now = clock_mono_ms();
    if (t->before_at_ms != 0 && now > t->before_at_ms && t->status.stored >= t->stored_before)
        t->rate = (double)(t->status.stored - t->stored_before) * 1000.0 /
                  (double)(now - t->before_at_ms);
    t->stored_before = t->status.stored;
    t->before_at_ms = now;
}

static void watcher_on_status(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->asking = false;
    uint64_t again = WATCHER_STATUS_IDLE_MS;
    if (watcher_read_status(&t->status, reply)) {
        t->status_at_ms = clock_mono_ms();
        watcher_take_rate(t);
        if (t->status.claims > 0) {
            again = WATCHER_STATUS_MS;
            if (t->status.due_ms == 0)
                watcher_grant(t);
            if (clock_mono_ms() - t->orphans_at_ms > WATCHER_ORPHANS_MS)
                watcher_orphans(t);
        }
    } else {
        watcher_note_error(t, reply);
    }
    uv_timer_start(&t->status_timer, watcher_ask_status, again, 0);
}

static void watcher_ask_status(uv_timer_t *timer)
{
    struct watcher *t = timer->data;
    if (t->asking || worker_stopping(t->w))
        return;
    if (drain_ledger_begin(&t->ledger, 1) == 0 &&
        drain_ledger_send(&t->ledger, LEDGER_STATUS, watcher_on_status, t) == 0)
        t->asking = true;
    else
        uv_timer_start(timer, watcher_ask_status, WATCHER_STATUS_IDLE_MS, 0);
}

/* ---- keyspace events ---- */

static void watcher_on_event(struct redis_conn *c, struct slice channel, struct slice payload,
                             void *ctx)
{
    (void)c;
    (void)channel;
    struct watcher *t = ctx;
    if (!slice_is(payload, "sadd"))
        return;
    t->event = true;
    /* A busy application names thousands of members a second: one look every few milliseconds sees them all. */
    uint64_t since = clock_mono_ms() - t->polled_at_ms;
    if (since >= WATCHER_EVENTS_MS)
        watcher_poll(t);
    else
        uv_timer_start(&t->poll_timer, watcher_on_poll_timer, WATCHER_EVENTS_MS - since, 0);
}

static void watcher_on_events_lost(struct redis_conn *c, const char *why, void *ctx)
{
    (void)c;
    struct watcher *t = ctx;
    t->events_come = false;
    log_debug("events-lost", "why=%s",
              log_quote_text(why)); /* the other connection's trouble names the cause */
}

static const struct redis_conn_events watcher_events = {.on_message = watcher_on_event,
                                                        .on_lost = watcher_on_events_lost};

/* Without it the drain works all the same, a little later. */
static void watcher_subscribe(struct watcher *t)
{
    char why[256];
    redis_settings_read(t->w, &t->events_options);
    int n = snprintf(t->channel, sizeof t->channel, "__keyspace@%d__:%s",
                     t->events_options.database, worker_setting_text(t->w, "drain.set"));
    if (n < 0 || (size_t)n >= sizeof t->channel)
        return;
    t->events =
        redis_conn_new(worker_loop(t->w), &t->events_options, &watcher_events, t, why, sizeof why);
    if (t->events != NULL)
        redis_conn_subscribe(t->events, t->channel);
}

/* ---- peers, messages ---- */

static void watcher_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    struct watcher *t = state;
    struct watcher_name *n = watcher_find_name(t, peer->name);
    if (n != NULL)
        *n = (struct watcher_name){.generation = peer->generation, .alive = true};
    if (n != NULL)
        memcpy(n->name, peer->name, sizeof n->name);
    if (strcmp(peer->type, "get-set") == 0) {
        t->made = 0;
        t->in_flight = 0;
        watcher_grant(t);
    }
    watcher_orphans(t);
}

static void watcher_on_down(struct worker *w, void *state, struct worker_peer *peer,
                            struct slice reason)
{
    (void)w;
    (void)reason;
    struct watcher *t = state;
    struct watcher_name *n = watcher_find_name(t, peer->name);
    if (n != NULL && peer->generation >= n->generation) {
        n->generation = peer->generation;
        n->alive = false;
    }
    /* Of a name that does not exist any more no generation will come. */
    if (n != NULL && peer->generation == 0)
        n->generation = UINT32_MAX;
    watcher_orphans(t);
}

static bool watcher_on_message(struct worker *w, void *state, struct worker_peer *from,
                               uint64_t type, struct unpack *u)
{
    (void)w;
    (void)from;
    struct watcher *t = state;
    struct message_claimed m;
    if (type != MESSAGE_CLAIMED || !message_claimed_unpack(u, &m))
        return false;
    bool topped_up = m.claims_total - t->made >= t->claims_max / 2 && !m.idle;
    if (m.in_flight > 0 && t->in_flight == 0 &&
        !t->asking) /* there is something to look at again */
        uv_timer_start(&t->status_timer, watcher_ask_status, WATCHER_STATUS_MS, 0);
    /* It has emptied the set: what comes next is for us to see, and soon. */
    if (m.idle && t->poll_ms > t->poll_min_ms && t->found_at_ms != 0 &&
        clock_mono_ms() - t->found_at_ms < WATCHER_EAGER_MS && !t->polling) {
        t->poll_ms = t->poll_min_ms;
        uv_timer_start(&t->poll_timer, watcher_on_poll_timer, t->poll_ms, 0);
    }
    t->pending = m.pending;
    t->in_flight = m.in_flight;
    if (topped_up || (m.pending > 0 && m.idle)) {
        t->made = m.claims_total;
        watcher_grant(t);
    }
    t->made = m.claims_total;
    return true;
}

/* ---- life ---- */

static void watcher_on_redis(struct worker *w, void *state)
{
    (void)w;
    struct watcher *t = state;
    t->poll_ms = t->poll_min_ms;
    watcher_poll(t);
    watcher_orphans(t);
    uv_timer_start(&t->status_timer, watcher_ask_status, 0, 0);
}

static const struct redis_link_events watcher_redis_events = {.on_ready = watcher_on_redis};

static int watcher_init(struct worker *w, void *state)
{
    struct watcher *t = state;
    t->w = w;
    t->poll_min_ms = worker_setting_u64(w, "drain.poll_min");
    t->poll_max_ms = worker_setting_u64(w, "drain.poll_max");
    t->lease_ms = worker_setting_u64(w, "drain.lease");
    t->claims_max = worker_setting_u64(w, "drain.claims_max");
    t->horizon_ms = t->lease_ms + worker_setting_u64(w, "drain.missing_retry");
    t->poll_ms = t->poll_min_ms;
    uv_timer_init(worker_loop(w), &t->poll_timer);
    uv_timer_init(worker_loop(w), &t->status_timer);
    t->poll_timer.data = t;
    t->status_timer.data = t;
    watcher_subscribe(t);
    return drain_ledger_open(&t->ledger, w, state, &watcher_redis_events);
}

static void watcher_on_tick(struct worker *w, void *state)
{
    struct watcher *t = state;
    const struct watcher_status *s = &t->status;
    drain_ledger_count(&t->ledger);
    worker_gauge(w, COUNTER_PENDING, t->pending);
    worker_gauge(w, COUNTER_IN_FLIGHT, s->claims);
    if (t->pending == 0 && s->claims == 0 && s->dead == 0)
        worker_doing(w, "idle");
    else
        worker_doing(w, "%" PRIu64 " pending, %.0f/s, %" PRIu64 " dead letters", t->pending,
                     t->rate, s->dead);
    if (!redis_conn_ready(t->ledger.conn))
        return; /* the connection names its own trouble */
    if (t->error[0] != '\0')
        worker_trouble(w, "set %s: %s", worker_setting_text(w, "drain.set"), t->error);
    else if (s->wrong_type[0] != '\0')
        worker_trouble(w, "the key %s holds a %s, not a set: delete or rename it",
                       worker_setting_text(w, "drain.set"), s->wrong_type);
    else if (s->claims > 0 && s->oldest_ms > 2 * t->lease_ms)
        worker_trouble(w,
                       "the oldest claim is %" PRIu64
                       " s old: see platoonctl drain status and the transfer's trouble",
                       s->oldest_ms / 1000);
    else
        worker_trouble(w, "%s", "");
}

static void watcher_fini(struct worker *w, void *state)
{
    (void)w;
    struct watcher *t = state;
    drain_ledger_close(&t->ledger);
    redis_conn_free(t->events);
    redis_options_fini(&t->events_options);
    uv_close((uv_handle_t *)&t->poll_timer, NULL);
    uv_close((uv_handle_t *)&t->status_timer, NULL);
}

const struct worker_ops worker_ops = {
    .type = "watcher",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct watcher),
    .init = watcher_init,
    .on_up = watcher_on_up,
    .on_down = watcher_on_down,
    .on_message = watcher_on_message,
    .on_request = watcher_on_request,
    .on_tick = watcher_on_tick,
    .fini = watcher_fini,
};
