/*
 * watcher.c: the watcher worker: notices that the set has members, and keeps the ledger's clock.
 *
 * There is no blocking command for sets, so it polls: SCARD every poll_min while there is work and for a moment
 * after (what comes then is durable in some 12 ms), then twice as long each time up to poll_max. A keyspace event is
 * a hint to look now, never more: events are lost while we are not connected, and somebody may switch them off; but
 * as long as they come, four times poll_max is soon enough. An idle drain costs Redis one SCARD per poll_max and one
 * status script (some seven reads) every five seconds: with poll_max = 500ms that is about 3.5 commands a second,
 * and with events about 2.
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
#define WATCHER_EVENTS_STRETCH                                                                     \
    4 /* times poll_max, between looks at an empty set when events come */
#define WATCHER_REFUSED_MS     2000 /* between looks that Redis refuses */
#define WATCHER_STATUS_MS      250  /* between looks at the ledger while there are claims */
#define WATCHER_STATUS_IDLE_MS 5000
#define WATCHER_LOOK_MEMBERS   500 /* looked for by one script: some two milliseconds of Redis */
#define WATCHER_LOOK_MS        20 /* between such scripts while the set has members: those go first */
#define WATCHER_STUCK_MS       1000
#define WATCHER_ORPHANS_MS     2000 /* the level-triggered check behind the DOWNs */

/* Of the ledger, never there: a memory of what was taken in the first seconds of 1970 (lib.lua, taken_key). */
#define WATCHER_SPARE_KEY "taken:0"

#define WATCHER_MISSING_SIZE 512 /* as long as a trouble is told */

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

/* A reply that is no answer. Of NULL the connection's trouble speaks. */
static void watcher_note_error(struct watcher *t, enum watcher_ask ask, const redisReply *reply)
{
    if (reply == NULL)
        return;
    if (ask == WATCHER_SCARD)
        drain_ledger_explain_command(reply, "SCARD", t->ledger.set, t->errors[ask],
                                     sizeof t->errors[ask]);
    else
        drain_ledger_explain(reply, t->errors[ask], sizeof t->errors[ask]);
}

static const char *watcher_error(const struct watcher *t)
{
    for (size_t i = 0; i < WATCHER_ASKS; i++)
        if (t->errors[i][0] != '\0')
            return t->errors[i];
    return "";
}

/* ---- the set ---- */

static void watcher_ask_status(uv_timer_t *timer);

/* A look that is under way may have been asked before there was anything to see: then the next one is soon. */
static void watcher_ask_soon(struct watcher *t)
{
    t->soon = true;
    if (!t->asking && uv_timer_get_due_in(&t->status_timer) > WATCHER_STATUS_MS)
        uv_timer_start(&t->status_timer, watcher_ask_status, WATCHER_STATUS_MS, 0);
}

void watcher_on_poll_timer(uv_timer_t *timer)
{
    watcher_poll(timer->data);
}

static void watcher_poll_again(struct watcher *t, bool found)
{
    uint64_t most = t->poll_max_ms * (t->events_come ? WATCHER_EVENTS_STRETCH : 1);
    if (found && t->in_flight > 0)
        t->poll_ms = WATCHER_BUSY_MS;
    else if (clock_mono_ms() - t->found_at_ms < WATCHER_EAGER_MS)
        t->poll_ms = t->poll_min_ms;
    else
        t->poll_ms = t->poll_ms * 2 < most ? t->poll_ms * 2 : most;
    uv_timer_start(&t->poll_timer, watcher_on_poll_timer, t->poll_ms, 0);
}

/*
 * Members are found: in a set that was empty, or although get-set has claimed some since the last time. The same
 * members found again are no news: while get-set is refused its claims there is nothing to be quick for.
 */
static bool watcher_is_news(struct watcher *t)
{
    bool news = t->pending == 0 || t->made != t->made_when_found;
    t->made_when_found = t->made;
    return news;
}

static void watcher_on_members(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->polling = false;
    bool found = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0;
    if (found && watcher_is_news(t))
        t->found_at_ms = clock_mono_ms();
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        t->errors[WATCHER_SCARD][0] = '\0';
        t->pending = (uint64_t)reply->integer;
    } else {
        watcher_note_error(t, WATCHER_SCARD, reply);
    }
    if (found && t->poll_ms >= t->poll_max_ms)
        t->events_come = t->event;
    t->event = false;
    if (found) {
        watcher_grant(t);
        /* What is claimed may all be without a hash: nobody but the ledger tells of that. */
        watcher_ask_soon(t);
    }
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
        watcher_note_error(t, WATCHER_ORPHANS, reply);
        if (reply == NULL)
            t->orphans_at_ms = 0; /* again with the next look at the ledger */
        return;
    }
    t->errors[WATCHER_ORPHANS][0] = '\0';
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

/* ---- members that wait for their hashes ---- */

static void watcher_look(uv_timer_t *timer);

static void watcher_look_in(struct watcher *t, int64_t due_ms, uint64_t least_ms)
{
    if (t->looking || due_ms < 0)
        return;
    uint64_t in = (uint64_t)due_ms > least_ms ? (uint64_t)due_ms : least_ms;
    uv_timer_start(&t->look_timer, watcher_look, in, 0);
}

static void watcher_on_looked(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->looking = false;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        watcher_note_error(t, WATCHER_LOOK, reply);
        return; /* again when the next look at the ledger tells of them */
    }
    struct slice refusal = drain_reply_text(reply, 3);
    t->errors[WATCHER_LOOK][0] = '\0';
    if (refusal.len > 0)
        redis_error_explain(refusal.ptr, refusal.len, t->errors[WATCHER_LOOK],
                            sizeof t->errors[WATCHER_LOOK]);
    if (drain_reply_int(reply, 1) > 0)
        watcher_grant(t);
    watcher_look_in(t, drain_reply_int(reply, 2), t->pending > 0 ? WATCHER_LOOK_MS : 0);
}

static void watcher_look(uv_timer_t *timer)
{
    struct watcher *t = timer->data;
    struct drain_ledger *l = &t->ledger;
    if (t->looking || worker_stopping(t->w) || drain_ledger_begin(l, 3) != 0)
        return;
    drain_ledger_add_u64(l, t->max_attempts);
    drain_ledger_add_u64(l, t->missing_retry_ms);
    drain_ledger_add_u64(l, WATCHER_LOOK_MEMBERS);
    if (drain_ledger_send(l, LEDGER_LOOK, watcher_on_looked, t) == 0)
        t->looking = true;
}

/* ---- the ledger ---- */

bool watcher_read_status(struct watcher_status *s, const redisReply *reply)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < 10)
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
        .waits_ms = drain_reply_int(reply, 9),
        .unsigned_yet = drain_reply_int(reply, 11) != 0,
    };
    slice_copy(drain_reply_text(reply, 8), s->wrong_type, sizeof s->wrong_type);
    struct slice foreign = drain_reply_text(reply, 10);
    if (foreign.len > 0)
        redis_error_explain(foreign.ptr, foreign.len, s->foreign, sizeof s->foreign);
    return true;
}

static void watcher_take_rate(struct watcher *t)
{
    uint64_t now = clock_mono_ms();
    if (t->before_at_ms != 0 && now > t->before_at_ms && t->status.stored >= t->stored_before)
        t->rate = (double)(t->status.stored - t->stored_before) * 1000.0 /
                  (double)(now - t->before_at_ms);
    t->stored_before = t->status.stored;
    t->before_at_ms = now;
}

static void watcher_know(struct watcher *t);

static void watcher_on_signed(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->signing = false;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_INTEGER)
        t->errors[WATCHER_SIGN][0] = '\0';
    else
        watcher_note_error(t, WATCHER_SIGN, reply);
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0) /* another was faster: who? */
        uv_timer_start(&t->status_timer, watcher_ask_status, 0, 0);
    else
        watcher_know(t);
}

/* consume, store, instance: what a ledger is signed with. */
static bool watcher_send_owner(struct watcher *t, enum ledger_script script, redis_reply_fn fn)
{
    struct drain_ledger *l = &t->ledger;
    if (drain_ledger_begin(l, 3) != 0)
        return false;
    drain_ledger_add(l, slice_of(worker_setting_text(t->w, "drain.consume")));
    drain_ledger_add(l, slice_of(l->store));
    drain_ledger_add(l, slice_of(worker_setting_text(t->w, "platoon.instance")));
    return drain_ledger_send(l, script, fn, t) == 0;
}

/* What was refused is asked again with the next look at the ledger; what claim has signed meanwhile is signed. */
static void watcher_sign(struct watcher *t)
{
    if (!t->status.unsigned_yet)
        t->errors[WATCHER_SIGN][0] = '\0';
    else if (!t->signing)
        t->signing = watcher_send_owner(t, LEDGER_SIGN, watcher_on_signed);
}

static void watcher_on_status(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct watcher *t = ctx;
    t->asking = false;
    uint64_t again = t->soon ? WATCHER_STATUS_MS : WATCHER_STATUS_IDLE_MS;
    if (watcher_read_status(&t->status, reply)) {
        t->status_at_ms = clock_mono_ms();
        t->errors[WATCHER_STATUS][0] = '\0';
        watcher_take_rate(t);
        watcher_sign(t);
        if (t->status.pending > 0) /* claimed a moment later, and perhaps all without a hash */
            again = WATCHER_STATUS_MS;
        if (t->status.claims > 0) {
            again = WATCHER_STATUS_MS;
            if (t->status.due_ms == 0)
                watcher_grant(t);
            if (!uv_is_active((uv_handle_t *)&t->look_timer))
                watcher_look_in(t, t->status.waits_ms,
                                t->errors[WATCHER_LOOK][0] != '\0' ? WATCHER_REFUSED_MS : 0);
        }
        if (t->status.claims == 0)
            t->errors[WATCHER_LOOK][0] = '\0'; /* nobody waits */
        /* What was refused is asked again also when there are no claims: else its trouble would stay. */
        if ((t->status.claims > 0 || t->errors[WATCHER_ORPHANS][0] != '\0') &&
            clock_mono_ms() - t->orphans_at_ms > WATCHER_ORPHANS_MS)
            watcher_orphans(t);
    } else {
        watcher_note_error(t, WATCHER_STATUS, reply);
    }
    uv_timer_start(&t->status_timer, watcher_ask_status, again, 0);
    if (reply != NULL && !t->signing)
        watcher_know(t);
}

static void watcher_ask_status(uv_timer_t *timer)
{
    struct watcher *t = timer->data;
    if (t->asking || worker_stopping(t->w))
        return;
    t->asking = watcher_send_owner(t, LEDGER_STATUS, watcher_on_status);
    t->soon = t->soon && !t->asking;
    if (!t->asking)
        uv_timer_start(timer, watcher_ask_status, WATCHER_STATUS_IDLE_MS, 0);
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
    if (m.in_flight > 0 && t->in_flight == 0) /* there is something to look at again */
        watcher_ask_soon(t);
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
    t->known = false;
    redis_look_at(&t->look, &t->ledger.link);
    redis_rights_ask(&t->rights);
    t->subscribe_soon = true;
    watcher_poll(t);
    watcher_orphans(t);
    uv_timer_start(&t->status_timer, watcher_ask_status, 0, 0);
}

static const struct redis_right watcher_rights[] = {DRAIN_RIGHTS(REDIS_RIGHT)};

static void watcher_on_redis_lost(struct worker *w, void *state, const char *why)
{
    redis_look_lost(&((struct watcher *)state)->look, w, why);
}

static const struct redis_link_events watcher_redis_events = {
    .on_ready = watcher_on_redis, .on_lost = watcher_on_redis_lost, .asks = true};

static int watcher_init(struct worker *w, void *state)
{
    struct watcher *t = state;
    t->w = w;
    t->poll_min_ms = worker_setting_u64(w, "drain.poll_min");
    t->poll_max_ms = worker_setting_u64(w, "drain.poll_max");
    t->lease_ms = worker_setting_u64(w, "drain.lease");
    t->claims_max = worker_setting_u64(w, "drain.claims_max");
    t->max_attempts = worker_setting_u64(w, "drain.max_attempts");
    t->missing_retry_ms = worker_setting_u64(w, "drain.missing_retry");
    t->horizon_ms = t->lease_ms + t->missing_retry_ms;
    t->poll_ms = t->poll_min_ms;
    uv_timer_init(worker_loop(w), &t->poll_timer);
    uv_timer_init(worker_loop(w), &t->status_timer);
    uv_timer_init(worker_loop(w), &t->look_timer);
    t->poll_timer.data = t;
    t->status_timer.data = t;
    t->look_timer.data = t;
    watcher_subscribe(t);
    int code = drain_ledger_open(&t->ledger, w, state, &watcher_redis_events);
    redis_rights_init(&t->rights, &t->ledger.link, watcher_rights,
                      sizeof watcher_rights / sizeof watcher_rights[0], t->ledger.prefix,
                      WATCHER_SPARE_KEY, t->ledger.set);
    return code;
}

/* There are members, and nobody claims them. */
static bool watcher_is_stuck(const struct watcher *t)
{
    return t->pending > 0 && t->in_flight == 0 &&
           clock_mono_ms() - t->found_at_ms > WATCHER_STUCK_MS;
}

/* What is wrong, worst first. */
static void watcher_tell(struct watcher *t)
{
    struct worker *w = t->w;
    const struct watcher_status *s = &t->status;
    char missing[WATCHER_MISSING_SIZE];
    if (redis_rights_text(&t->rights, missing, sizeof missing)[0] != '\0')
        worker_trouble(w, "%s", missing);
    else if (watcher_error(t)[0] != '\0')
        worker_trouble(w, "set %s: %s", worker_setting_text(w, "drain.set"), watcher_error(t));
    else if (t->look.info.replica) /* which could not be seen at connecting: ROLE is refused */
        worker_trouble(w, "this Redis is a replica, which takes no writes: point the url at the "
                          "primary, or wait for the fail-over");
    else if (s->foreign[0] != '\0')
        worker_trouble(w, "%s", s->foreign);
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

/*
 * Rights, set and orphans were asked before the status of the ledger, and answers come in that order; only the
 * signature may follow.
 */
static void watcher_know(struct watcher *t)
{
    /* One that is about to end, after an error that only a new one can cure, says why with its end. */
    if (t->known || !redis_conn_ready(t->ledger.conn))
        return;
    t->known = true;
    watcher_tell(t);
    redis_link_settle(&t->ledger.link);
}

static void watcher_on_tick(struct worker *w, void *state)
{
    struct watcher *t = state;
    const struct watcher_status *s = &t->status;
    drain_ledger_count(&t->ledger);
    redis_look_tick(&t->look);
    redis_rights_tick(&t->rights, watcher_error(t)[0] != '\0' || watcher_is_stuck(t));
    watcher_look_at_events(t);
    worker_gauge(w, COUNTER_PENDING, t->pending);
    worker_gauge(w, COUNTER_IN_FLIGHT, s->claims);
    if (t->pending == 0 && s->claims == 0 && s->dead == 0)
        worker_doing(w, "idle");
    else
        worker_doing(w, "%" PRIu64 " pending, %.0f/s, %" PRIu64 " dead letters", t->pending,
                     t->rate, s->dead);
    if (t->known &&
        redis_conn_ready(t->ledger.conn)) /* else the connection names its own trouble */
        watcher_tell(t);
}

static bool watcher_late(struct worker *w, void *state, char *why, size_t size)
{
    const struct watcher *t = state;
    (void)w;
    return redis_link_late(&t->ledger.link, why, size);
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
    uv_close((uv_handle_t *)&t->look_timer, NULL);
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
    .late = watcher_late,
    .on_tick = watcher_on_tick,
    .fini = watcher_fini,
};
