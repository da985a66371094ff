/*
 * get_hash.c: the get-hash worker: takes claims, reads their hashes, hands the records to a transfer,
 * acknowledges what is durable.
 *
 * Holds nothing that is not in the ledger too. Bounded by `get_hash.claims` (credit to get-set) and `get_hash.window`
 * (bytes on the way to the store): when the store is slow, no credit is given, and claims stay in Redis.
 */
#include "workers/drain/get_hash.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>

/* How long a stop waits for records that are at a transfer already, before their claims are given back. */
#define GET_HASH_DRAIN_MS 2000

/* And how long, then, for Redis to take them back; what it does not take is an orphan, which the watcher finds. */
#define GET_HASH_GIVE_BACK_MS 1500

/* What we have told one get-set (peer->user). */
struct get_hash_credit {
    uint64_t received; /* CLAIMs from it */
};

/* ---- credit ---- */

static void get_hash_grant(struct get_hash *g, struct worker_peer *get_set)
{
    const struct get_hash_credit *credit = get_set->user;
    if (worker_stopping(g->w))
        return;
    size_t room = g->claim_count < g->claims_max ? g->claims_max - g->claim_count : 0;
    struct message_credit m = {.claims_total = credit->received + room};
    struct buffer *out = worker_compose(g->w);
    message_credit_pack(out, &m);
    worker_must_send(g->w, get_set, out);
}

/* To every get-set: the one that had the room until now may be gone, and its successor waits for it. */
static void get_hash_grant_all(struct get_hash *g)
{
    for (struct worker_peer *p = worker_peer_next(g->w, NULL); p != NULL;
         p = worker_peer_next(g->w, p))
        if (strcmp(p->type, "get-set") == 0)
            get_hash_grant(g, p);
}

static void get_hash_tell_done(struct get_hash *g, const struct get_hash_claim *c)
{
    struct worker_peer *from = worker_peer_find(g->w, c->from);
    if (from == NULL || from->generation != c->from_generation)
        return;
    struct message_done m = {
        .id = slice_of(c->id), .stored = c->stored, .dead = c->dead, .given_back = c->given_back};
    struct buffer *out = worker_compose(g->w);
    message_done_pack(out, &m);
    worker_must_send(g->w, from, out);
}

void get_hash_claim_over(struct get_hash *g, struct get_hash_claim *c)
{
    struct get_hash_claim **at = &g->claims;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    g->claim_count--;
    get_hash_tell_done(g, c);
    get_hash_grant_all(g);
    if (worker_stopping(g->w) && g->claims == NULL)
        worker_finished(g->w);
}

/* Calls fn for every claim; fn may free the one it gets, and none else. */
static void get_hash_each(struct get_hash *g, void (*fn)(struct get_hash_claim *c))
{
    struct get_hash_claim *next;
    for (struct get_hash_claim *c = g->claims; c != NULL; c = next) {
        next = c->next;
        fn(c);
    }
}

/* ---- messages ---- */

static bool get_hash_on_claim(struct get_hash *g, struct worker_peer *from, struct unpack *u)
{
    struct message_claim m;
    struct get_hash_credit *credit = from->user;
    if (credit == NULL || !message_claim_unpack(u, &m))
        return false;
    credit->received++;
    if (worker_stopping(g->w))
        return true; /* the ledger has it, as ours: it is an orphan when we are gone */
    struct get_hash_claim *c = get_hash_claim_new(g, &m, from);
    if (c != NULL) {
        c->next = g->claims;
        g->claims = c;
        g->claim_count++;
        get_hash_claim_go(c);
        return true;
    }
    worker_exit(g->w, CONTRACT_EXIT_TEMPORARY,
                "claim %s: malformed members, or no memory; starting afresh", log_quote(m.id));
}

static bool get_hash_on_message(struct worker *w, void *state, struct worker_peer *from,
                                uint64_t type, struct unpack *u)
{
    (void)w;
    struct get_hash *g = state;
    struct message_stored stored;
    switch (type) {
    case MESSAGE_CLAIM:
        return get_hash_on_claim(g, from, u);
    case MESSAGE_STORED:
        if (!message_stored_unpack(u, &stored) || !get_hash_frames_stored(g, &stored)) {
            /* The rest of its frame is not read: more answers may be in it, which nobody gives again. */
            get_hash_frames_down(g, from, GET_HASH_UNREADABLE);
            return false;
        }
        get_hash_each(g, get_hash_claim_go); /* the window has room again */
        return true;
    }
    return false;
}

static void get_hash_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    struct get_hash *g = state;
    if (strcmp(peer->type, "get-set") == 0) {
        peer->user = worker_must_alloc(w, sizeof(struct get_hash_credit));
        get_hash_grant(g, peer);
    } else if (strcmp(peer->type, "transfer") == 0) {
        get_hash_frames_pump(g);
    }
}

static void get_hash_on_down(struct worker *w, void *state, struct worker_peer *peer,
                             struct slice reason)
{
    (void)w;
    (void)reason;
    struct get_hash *g = state;
    if (strcmp(peer->type, "transfer") == 0)
        get_hash_frames_down(g, peer, "the transfer that had its records died");
}

/* ---- leases ---- */

static void get_hash_on_renewed(struct redis_conn *conn, const redisReply *reply, void *ctx)
{
    (void)conn;
    struct get_hash *g = ctx;
    char why[384] = "";
    if (drain_reply_is_error(reply) && reply != NULL)
        drain_ledger_explain(reply, why, sizeof why);
    get_hash_note(g, GET_HASH_PHASES, why);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return; /* the next round tries again; the lease has two more */
    for (size_t i = 0; i < reply->elements; i++) {
        struct slice id = drain_reply_text(reply, i);
        struct get_hash_claim *c = g->claims;
        while (c != NULL && !slice_is(id, c->id))
            c = c->next;
        if (c == NULL)
            continue;
        log_warn("claim-lost", "id=%s cause=\"it was handed to somebody else\"", c->id);
        get_hash_claim_lost(c);
        get_hash_claim_go(c);
    }
}

static void get_hash_renew(uv_timer_t *timer)
{
    struct get_hash *g = timer->data;
    struct drain_ledger *l = &g->ledger;
    if (g->claims == NULL || drain_ledger_begin(l, 2 + g->claim_count) != 0)
        return;
    drain_ledger_add(l, slice_of(l->identity));
    drain_ledger_add_u64(l, g->lease_ms);
    for (const struct get_hash_claim *c = g->claims; c != NULL; c = c->next)
        drain_ledger_add(l, slice_of(c->id));
    drain_ledger_send(l, LEDGER_RENEW, get_hash_on_renewed, g);
}

/* ---- life ---- */

static void get_hash_on_redis(struct worker *w, void *state)
{
    (void)w;
    struct get_hash *g = state;
    get_hash_each(g, get_hash_claim_retry);
    g->told = false;
}

static const struct redis_link_events get_hash_redis_events = {.on_ready = get_hash_on_redis};

static int get_hash_init(struct worker *w, void *state)
{
    struct get_hash *g = state;
    g->w = w;
    g->lease_ms = worker_setting_u64(w, "drain.lease");
    g->missing_retry_ms = worker_setting_u64(w, "drain.missing_retry");
    g->claims_max = (size_t)worker_setting_u64(w, "drain.get_hash.claims");
    g->window = (size_t)worker_setting_u64(w, "drain.get_hash.window");
    g->record_max = (size_t)worker_setting_u64(w, "drain.record_max");
    g->reply_max = (size_t)worker_setting_u64(w, "redis.reply_max");
    uv_timer_init(worker_loop(w), &g->renew_timer);
    uv_timer_init(worker_loop(w), &g->drain_timer);
    g->renew_timer.data = g;
    g->drain_timer.data = g;
    uv_timer_start(&g->renew_timer, get_hash_renew, g->lease_ms / 3, g->lease_ms / 3);
    return drain_ledger_open(&g->ledger, w, state, &get_hash_redis_events);
}

static void get_hash_on_tick(struct worker *w, void *state)
{
    struct get_hash *g = state;
    drain_ledger_count(&g->ledger);
    get_hash_frames_pump(g);
    if (clock_mono_ms() >= g->retry_at)
        get_hash_each(g, get_hash_claim_retry);
    else
        get_hash_each(g, get_hash_claim_go);
    const char *error = get_hash_error(g);
    worker_gauge(w, COUNTER_IN_FLIGHT, g->claim_count);
    if (g->claim_count == 0)
        worker_doing(w, "idle");
    else
        worker_doing(w, "%zu claims, %zu KB on the way to the store", g->claim_count,
                     g->bytes / 1024);
    if (!redis_conn_ready(g->ledger.conn) && !get_hash_is_unread(g, error))
        return; /* the connection names its own trouble */
    if (get_hash_frames_wait(g) && g->bytes < g->window)
        worker_trouble(w, "no transfer worker takes records: see platoonctl status transfer");
    else
        worker_trouble(w, "%s", error);
}

static void get_hash_give_back(struct get_hash_claim *c)
{
    get_hash_claim_release(c, "", false);
    get_hash_claim_go(c);
}

/* What is still being read goes back at once; what is at a transfer is waited for. */
static void get_hash_give_back_unread(struct get_hash_claim *c)
{
    bool all_sent = c->phase == GET_HASH_FETCH && c->next_item == c->count && c->asked_items == 0;
    if (!all_sent)
        get_hash_give_back(c);
}

static void get_hash_on_give_back_over(uv_timer_t *timer)
{
    struct get_hash *g = timer->data;
    log_warn("claims-left", "count=%zu cause=%s", g->claim_count,
             log_quote_text(get_hash_error(g)));
    worker_finished(g->w);
}

static void get_hash_on_drain_over(uv_timer_t *timer)
{
    struct get_hash *g = timer->data;
    uv_timer_start(timer, get_hash_on_give_back_over, GET_HASH_GIVE_BACK_MS, 0);
    get_hash_each(g, get_hash_give_back);
}

static void get_hash_drain(struct worker *w, void *state)
{
    struct get_hash *g = state;
    if (g->claims == NULL) {
        worker_finished(w);
        return;
    }
    uv_timer_start(&g->drain_timer, get_hash_on_drain_over, GET_HASH_DRAIN_MS, 0);
    get_hash_each(g, get_hash_give_back_unread);
}

static void get_hash_fini(struct worker *w, void *state)
{
    (void)w;
    struct get_hash *g = state;
    drain_ledger_close(&g->ledger);
    while (g->claims != NULL)
        get_hash_claim_forget(g->claims);
    uv_close((uv_handle_t *)&g->renew_timer, NULL);
    uv_close((uv_handle_t *)&g->drain_timer, NULL);
}

const struct worker_ops worker_ops = {
    .type = "get-hash",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct get_hash),
    .init = get_hash_init,
    .on_up = get_hash_on_up,
    .on_down = get_hash_on_down,
    .on_message = get_hash_on_message,
    .on_tick = get_hash_on_tick,
    .drain = get_hash_drain,
    .fini = get_hash_fini,
};
