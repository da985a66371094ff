/*
 * get_set.c: the get-set worker: claims batches of members and hands each to a get-hash that has credit.
 *
 * Holds nothing that is not in the ledger too. Three credits bound it: WORK (the watcher has seen work), CREDIT (a
 * get-hash has room) and claims_max (all claims in flight). A claim whose answer was lost is found again by `recover`.
 */
#include "workers/drain/drain_ledger.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GET_SET_SCRIPTS_MAX  4   /* claim scripts under way at once */
#define GET_SET_PAUSE_MS     200 /* after an error; doubles up to */
#define GET_SET_PAUSE_MAX_MS 2000
#define GET_SET_DRAW_MS      20 /* between draws from the set that are in vain */
#define GET_SET_DRAWS        6  /* times the whole set: one of 400 members is never drawn */
#define GET_SET_LOST_MAX     3 /* claims in a row that could not be handed on: no accident any more */
#define GET_SET_FULL_MS      5000 /* how long a full Redis is believed to be full */
#define GET_SET_FULL_BATCH   50   /* small claims then: the ledger needs memory too */

/* One get-hash (peer->user): its credit. */
struct get_set_target {
    uint64_t granted;
    uint64_t sent;     /* CLAIMs */
    uint64_t reserved; /* claim scripts under way for it */
};

struct get_set_claim {
    struct get_set_claim *next;
    char id[LEDGER_ID_SIZE];
    char target[CONTRACT_NAME_MAX];
    uint64_t generation;
    bool suspect;
};

struct get_set {
    struct worker *w;
    struct drain_ledger ledger;
    struct get_set_claim *claims;
    uint64_t in_flight;
    uint64_t scripts;       /* claim scripts under way */
    uint64_t bold_scripts;  /* of them, those that may bring a suspect */
    uint64_t granted, made; /* WORK */
    uint64_t pending;
    uint64_t draws;    /* in vain, in a row */
    uint64_t searched; /* members of the set when they were last drawn for soon */
    bool idle;
    bool recover; /* some claim's answer was lost, or could not be handed on */
    bool recovering;
    unsigned lost; /* claims in a row that could not be handed on */
    bool paused;
    uint64_t pause_ms;   /* the last one; 0: the last script went well */
    uint64_t full_until; /* clock_mono_ms; 0: not full */
    uv_timer_t pause_timer;
    uint64_t batch, lease_ms, max_attempts, claims_max, missing_retry_ms;
    char error[384];
};

/* A claim script under way. */
struct get_set_call {
    struct get_set *g;
    char target[CONTRACT_NAME_MAX];
    uint64_t generation;
    bool bold;
    bool full;
};

static void get_set_go(struct get_set *g);

/* ---- who gets the next claim ---- */

static uint64_t get_set_room(const struct worker_peer *p)
{
    const struct get_set_target *t = p->user;
    if (strcmp(p->type, "get-hash") != 0 || t->sent + t->reserved >= t->granted)
        return 0;
    return t->granted - t->sent - t->reserved;
}

static struct worker_peer *get_set_choose(struct get_set *g)
{
    struct worker_peer *best = NULL;
    for (struct worker_peer *p = worker_peer_next(g->w, NULL); p != NULL;
         p = worker_peer_next(g->w, p))
        if (get_set_room(p) > (best != NULL ? get_set_room(best) : 0))
            best = p;
    return best;
}

static struct worker_peer *get_set_live(struct get_set *g, const char *name, uint64_t generation)
{
    struct worker_peer *p = worker_peer_find(g->w, name);
    return p != NULL && p->generation == generation ? p : NULL;
}

/* ---- the table of claims handed out ---- */

static void get_set_forget(struct get_set *g, struct get_set_claim **at)
{
    struct get_set_claim *c = *at;
    *at = c->next;
    g->in_flight--;
    free(c);
}

static struct get_set_claim **get_set_find(struct get_set *g, struct slice id)
{
    struct get_set_claim **at = &g->claims;
    while (*at != NULL && !slice_is(id, (*at)->id))
        at = &(*at)->next;
    return at;
}

static bool get_set_has_suspect(const struct get_set *g)
{
    for (const struct get_set_claim *c = g->claims; c != NULL; c = c->next)
        if (c->suspect)
            return true;
    return g->bold_scripts > 0;
}

/* ---- telling the watcher ---- */

static void get_set_report(struct get_set *g)
{
    struct message_claimed m = {
        .claims_total = g->made, .pending = g->pending, .in_flight = g->in_flight, .idle = g->idle};
    for (struct worker_peer *p = worker_peer_next(g->w, NULL); p != NULL;
         p = worker_peer_next(g->w, p)) {
        if (strcmp(p->type, "watcher") != 0)
            continue;
        struct buffer *out = worker_compose(g->w);
        message_claimed_pack(out, &m);
        worker_must_send(g->w, p, out);
    }
}

/* ---- errors ---- */

static void get_set_on_pause_over(uv_timer_t *timer)
{
    struct get_set *g = timer->data;
    g->paused = false;
    g->idle = false;
    get_set_go(g);
}

static void get_set_tell(struct get_set *g)
{
    worker_trouble(g->w, "set %.*s: %s", (int)g->ledger.set.len, g->ledger.set.ptr, g->error);
}

static void get_set_sleep(struct get_set *g, uint64_t ms)
{
    get_set_tell(g);
    g->pause_ms = ms < GET_SET_PAUSE_MAX_MS ? ms : GET_SET_PAUSE_MAX_MS;
    g->paused = true;
    uv_timer_start(&g->pause_timer, get_set_on_pause_over, g->pause_ms, 0);
}

static void get_set_wait(struct get_set *g)
{
    get_set_sleep(g, g->pause_ms == 0 ? GET_SET_PAUSE_MS : g->pause_ms * 2);
}

/*
 * Redis lets us have none of those that were drawn, which are in the set again. In a large set others wait beside them,
 * and only luck finds these: so it is drawn again soon, until nearly all have had their turn, and then as seldom as
 * whatever is refused is tried. Members that come begin the search anew, when it has rested. (That what is refused
 * leaves the set for the ledger was rejected: all of a set may be refused, and somebody has to look at it there too.)
 */
static void get_set_in_vain(struct get_set *g, struct slice refusal)
{
    redis_error_explain(refusal.ptr, refusal.len, g->error, sizeof g->error);
    if (g->pending > g->searched && g->pause_ms == GET_SET_PAUSE_MAX_MS)
        g->draws = 0;
    if (++g->draws > g->pending / g->batch * GET_SET_DRAWS) {
        get_set_wait(g);
        return;
    }
    g->searched = g->pending;
    get_set_sleep(g, GET_SET_DRAW_MS);
}

static void get_set_pause(struct get_set *g, const redisReply *reply)
{
    drain_ledger_explain(reply, g->error, sizeof g->error);
    if (reply != NULL && redis_error_says(reply->str, reply->len, "OOM "))
        g->full_until = clock_mono_ms() + GET_SET_FULL_MS;
    get_set_wait(g);
}

/* `refusal`: members that Redis does not let us have, when the script has gone on without them. */
static void get_set_well(struct get_set *g, struct slice refusal)
{
    g->pause_ms = 0;
    if (refusal.len > 0) {
        redis_error_explain(refusal.ptr, refusal.len, g->error, sizeof g->error);
        get_set_tell(g);
        return;
    }
    if (g->error[0] == '\0')
        return;
    g->error[0] = '\0';
    worker_trouble(g->w, "%s", "");
}

/* ---- a claim ---- */

/* It is in the ledger as ours, and nobody has it: `recover` makes it due. Once is an accident. */
static void get_set_lost(struct get_set *g, const struct get_set_call *call, struct slice id,
                         int rc)
{
    g->recover = true;
    if (++g->lost < GET_SET_LOST_MAX)
        return;
    snprintf(
        g->error, sizeof g->error,
        "claim %s could not be handed to %s, %u times in a row: %s; it stays in the ledger and "
        "is tried again: see platoonctl status %s",
        log_quote(id), call->target, g->lost, uv_strerror(rc), call->target);
    get_set_wait(g);
}

static void get_set_hand_out(struct get_set *g, const struct get_set_call *call,
                             const redisReply *reply)
{
    struct slice id = drain_reply_text(reply, 1);
    struct worker_peer *to = get_set_live(g, call->target, call->generation);
    struct get_set_claim **known = get_set_find(g, id);
    if (*known != NULL)
        get_set_forget(
            g,
            known); /* its lease ran out, or its get-hash gave it back: this is the newer hand-out */
    struct get_set_claim *c = calloc(1, sizeof *c);
    bool again = drain_reply_int(reply, 5) == 1;
    g->made++;
    worker_count(g->w, COUNTER_CLAIMS, 1);
    worker_count(g->w, COUNTER_REDELIVERED, again);
    worker_count(g->w, COUNTER_CLAIMED_MEMBERS, again ? 0 : (uint64_t)drain_reply_int(reply, 3));
    bool fault = FAULT_POINT("get-set.after-claim", slice_of(""));
    struct message_claim m = {.id = id,
                              .attempt = (uint64_t)drain_reply_int(reply, 2),
                              .members = drain_reply_text(reply, 4)};
    struct buffer *out = worker_compose(g->w);
    message_claim_pack(out, &m);
    int rc = c == NULL || fault ? -ENOMEM : to == NULL ? -ENOTCONN : 0;
    if (rc == 0)
        rc = slice_copy(id, c->id, sizeof c->id) ? worker_send(g->w, to, out) : -EBADMSG;
    if (rc != 0) {
        free(c);
        get_set_lost(g, call, id, rc);
        return;
    }
    if (g->lost >= GET_SET_LOST_MAX)
        get_set_well(g, drain_reply_text(reply, 7));
    g->lost = 0;
    memcpy(c->target, call->target, sizeof c->target);
    c->generation = call->generation;
    c->suspect = drain_reply_int(reply, 6) == 1;
    c->next = g->claims;
    g->claims = c;
    g->in_flight++;
    ((struct get_set_target *)to->user)->sent++;
}

static void get_set_on_claim(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_set_call *call = ctx;
    struct get_set *g = call->g;
    struct worker_peer *to = get_set_live(g, call->target, call->generation);
    g->scripts--;
    g->bold_scripts -= call->bold;
    if (to != NULL)
        ((struct get_set_target *)to->user)->reserved--;
    if (reply == NULL) {
        g->recover = true; /* it may have run */
    } else if (reply->type != REDIS_REPLY_ARRAY) {
        g->recover |= reply->len >= strlen(REDIS_CONN_TOO_LARGE) &&
                      memcmp(reply->str, REDIS_CONN_TOO_LARGE, strlen(REDIS_CONN_TOO_LARGE)) == 0;
        get_set_pause(g, reply);
    } else {
        bool found = reply->elements > 2;
        uint64_t left = (uint64_t)drain_reply_int(reply, 0);
        struct slice refusal = drain_reply_text(reply, found ? 7 : 1);
        bool in_vain = !found && refusal.len > 0;
        if (!in_vain)
            g->draws = 0;
        g->pending = left;
        if (in_vain)
            get_set_in_vain(g, refusal);
        else if (!call->full && g->lost < GET_SET_LOST_MAX)
            get_set_well(g, refusal);
        worker_gauge(g->w, COUNTER_PENDING, g->pending);
        if (found)
            get_set_hand_out(g, call, reply);
        else
            g->idle = g->pending == 0; /* those it took had no hash: they wait in the ledger */
        get_set_report(g);
    }
    free(call);
    if (worker_stopping(g->w) && g->scripts == 0)
        worker_finished(g->w);
    else
        get_set_go(g);
}

static bool get_set_claim(struct get_set *g, struct worker_peer *to)
{
    struct drain_ledger *l = &g->ledger;
    char owner[REDIS_IDENTITY_SIZE];
    struct get_set_call *call = calloc(1, sizeof *call);
    bool good =
        call != NULL && drain_ledger_begin(l, 10) == 0 &&
        redis_identity(owner, worker_setting_text(g->w, "platoon.instance"),
                       worker_setting_text(g->w, "platoon.boot"), to->name, to->generation) == 0;
    if (!good) {
        free(call);
        return false;
    }
    call->g = g;
    call->generation = to->generation;
    call->bold = !get_set_has_suspect(g);
    call->full = g->full_until > clock_mono_ms();
    memcpy(call->target, to->name, sizeof call->target);
    drain_ledger_add_u64(l, call->full && g->batch > GET_SET_FULL_BATCH ? GET_SET_FULL_BATCH
                                                                        : g->batch);
    drain_ledger_add_u64(l, g->lease_ms);
    drain_ledger_add(l, slice_of(owner));
    drain_ledger_add(l, slice_of(l->identity));
    drain_ledger_add(l, slice_of(worker_setting_text(g->w, "drain.consume")));
    drain_ledger_add_u64(l, g->max_attempts);
    drain_ledger_add_u64(l, call->bold ? 0 : 1);
    drain_ledger_add_u64(l, call->full ? 1 : 0);
    drain_ledger_add_u64(l, g->missing_retry_ms);
    drain_ledger_add(l, slice_of(l->store));
    if (drain_ledger_send(l, LEDGER_CLAIM, get_set_on_claim, call) != 0) {
        free(call);
        return false;
    }
    g->scripts++;
    g->bold_scripts += call->bold;
    ((struct get_set_target *)to->user)->reserved++;
    return true;
}

/* ---- lost answers ---- */

static void get_set_on_recovered(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_set *g = ctx;
    g->recovering = false;
    bool refused = reply != NULL && reply->type != REDIS_REPLY_INTEGER;
    if (refused)
        get_set_pause(g, reply);
    if (reply == NULL || refused)
        g->recover = true;
    else if (reply->integer > 0)
        log_info("claims-recovered", "count=%lld", reply->integer);
    g->idle = false;
    if (!g->recover)
        get_set_go(g);
}

/* Only with no claim script under way: else one that is just being made would look lost. */
static void get_set_recover(struct get_set *g)
{
    struct drain_ledger *l = &g->ledger;
    if (g->scripts > 0 || drain_ledger_begin(l, 1 + g->in_flight) != 0)
        return;
    drain_ledger_add(l, slice_of(l->identity));
    for (const struct get_set_claim *c = g->claims; c != NULL; c = c->next)
        drain_ledger_add(l, slice_of(c->id));
    if (drain_ledger_send(l, LEDGER_RECOVER, get_set_on_recovered, g) != 0)
        return;
    g->recover = false;
    g->recovering = true;
}

static void get_set_go(struct get_set *g)
{
    if (g->recover && !g->recovering && !g->paused)
        get_set_recover(g);
    while (!g->recover && !g->recovering && !g->paused && !g->idle && !worker_stopping(g->w)) {
        struct worker_peer *to = get_set_choose(g);
        /* After an error one script asks whether it is over, not four. */
        uint64_t scripts_max = g->pause_ms == 0 ? GET_SET_SCRIPTS_MAX : 1;
        /* What was refused is asked again whatever was granted: for an empty set nothing more is. */
        bool granted = g->made + g->scripts < g->granted || g->error[0] != '\0';
        bool may = granted && g->scripts < scripts_max && g->in_flight + g->scripts < g->claims_max;
        if (to == NULL || !may || !get_set_claim(g, to))
            return;
    }
}

/* ---- messages ---- */

static bool get_set_on_message(struct worker *w, void *state, struct worker_peer *from,
                               uint64_t type, struct unpack *u)
{
    (void)w;
    struct get_set *g = state;
    struct message_work work;
    struct message_credit credit;
    struct message_done done;
    switch (type) {
    case MESSAGE_WORK:
        if (!message_work_unpack(u, &work))
            return false;
        g->granted = work.claims_total;
        g->idle = false;
        break;
    case MESSAGE_CREDIT:
        if (from->user == NULL || !message_credit_unpack(u, &credit))
            return false;
        ((struct get_set_target *)from->user)->granted = credit.claims_total;
        break;
    case MESSAGE_DONE:
        if (!message_done_unpack(u, &done))
            return false;
        struct get_set_claim **at = get_set_find(g, done.id);
        if (*at != NULL && strcmp((*at)->target, from->name) == 0) {
            if ((*at)->suspect || done.given_back)
                g->idle = false;
            get_set_forget(g, at);
        }
        worker_count(g->w, COUNTER_STORED, done.stored);
        worker_count(g->w, COUNTER_DEAD, done.dead);
        break;
    default:
        return false;
    }
    get_set_go(g);
    return true;
}

static void get_set_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct get_set *g = state;
    if (strcmp(peer->type, "get-hash") == 0)
        peer->user = worker_must_alloc(w, sizeof(struct get_set_target));
    if (strcmp(peer->type, "watcher") == 0) {
        g->made = 0;
        g->granted = 0;
    }
}

static void get_set_on_down(struct worker *w, void *state, struct worker_peer *peer,
                            struct slice reason)
{
    (void)w;
    (void)reason;
    struct get_set *g = state;
    if (strcmp(peer->type, "get-hash") != 0)
        return;
    /* What it held comes back through the watcher's `orphans`. */
    for (struct get_set_claim **at = &g->claims; *at != NULL;) {
        if (strcmp((*at)->target, peer->name) == 0)
            get_set_forget(g, at);
        else
            at = &(*at)->next;
    }
    get_set_go(g);
}

/* ---- life ---- */

static void get_set_on_redis(struct worker *w, void *state)
{
    (void)w;
    struct get_set *g = state;
    g->idle = false;
    if (g->error[0] != '\0') /* a new connection alone has not ended it */
        get_set_tell(g);
    get_set_go(g);
}

static const struct redis_link_events get_set_redis_events = {.on_ready = get_set_on_redis};

static int get_set_init(struct worker *w, void *state)
{
    struct get_set *g = state;
    g->w = w;
    g->batch = worker_setting_u64(w, "drain.batch");
    g->lease_ms = worker_setting_u64(w, "drain.lease");
    g->max_attempts = worker_setting_u64(w, "drain.max_attempts");
    g->claims_max = worker_setting_u64(w, "drain.claims_max");
    g->missing_retry_ms = worker_setting_u64(w, "drain.missing_retry");
    uv_timer_init(worker_loop(w), &g->pause_timer);
    g->pause_timer.data = g;
    return drain_ledger_open(&g->ledger, w, state, &get_set_redis_events);
}

static void get_set_on_tick(struct worker *w, void *state)
{
    struct get_set *g = state;
    drain_ledger_count(&g->ledger);
    worker_gauge(w, COUNTER_IN_FLIGHT, g->in_flight);
    if (g->in_flight == 0)
        worker_doing(w, "idle");
    else
        worker_doing(w, "%" PRIu64 " claims in flight", g->in_flight);
    if (g->error[0] != '\0')
        g->idle =
            false; /* an empty set must not keep an old trouble in the tree: try once a second */
    get_set_go(g);
}

static void get_set_drain(struct worker *w, void *state)
{
    const struct get_set *g = state;
    if (g->scripts == 0)
        worker_finished(w);
}

static void get_set_fini(struct worker *w, void *state)
{
    (void)w;
    struct get_set *g = state;
    drain_ledger_close(&g->ledger);
    while (g->claims != NULL)
        get_set_forget(g, &g->claims);
    uv_close((uv_handle_t *)&g->pause_timer, NULL);
}

const struct worker_ops worker_ops = {
    .type = "get-set",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct get_set),
    .init = get_set_init,
    .on_up = get_set_on_up,
    .on_down = get_set_on_down,
    .on_message = get_set_on_message,
    .on_tick = get_set_on_tick,
    .drain = get_set_drain,
    .fini = get_set_fini,
};
