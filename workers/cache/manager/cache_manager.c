/*
 * cache_manager.c: the worker type cache-manager: stands between a cache's nodes and Redis.
 *
 * Where a cache has `redis`, one for all of its nodes in this platoon. It joins the ring for them, beats for them
 * every fifth of a lease, tells each until when it may serve (RING_LEASE), and has Redis say whose a cell is. One
 * manager of a ring is its master, and does what is done for all. It knows no objects, and keeps nothing that a node
 * does not tell it again: killed, it comes back, and nodes join in their incarnations; until then their leases run
 * on, or out.
 *
 * Without Redis it is READY, with that as its trouble: nodes serve what they have as long as their leases run. A ring
 * that must not be joined as it is configured ends it (78).
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the ring, never there. */
#define MANAGER_SPARE_KEY "copies:0"

#define MANAGER_ERROR_MS 10000u /* for so long people are told of a call that was refused once */
#define MANAGER_DRAIN_MS 2000u  /* for Redis to hear that it ends; else others find out */

/* ---- nodes ---- */

static void manager_on_up(struct worker *w, void *state, struct worker_peer *peer)
{
    (void)w;
    struct manager *m = state;
    if (m->backing != NULL)
        cache_far_on_up(m->backing, peer);
}

static void manager_on_down(struct worker *w, void *state, struct worker_peer *peer,
                            struct slice reason)
{
    (void)w;
    struct manager *m = state;
    if (m->backing != NULL)
        cache_far_on_down(m->backing, peer, reason);
    if (peer->user != NULL)
        manager_drop_batch(peer->user); /* its beats stand still from now on, until it comes back */
}

static bool manager_on_join(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_join message;
    if (!message_ring_join_unpack(u, &message) || message.seed.len != CACHE_RING_SEED_SIZE ||
        message.address.len >= MANAGER_ADDRESS_SIZE)
        return false;
    if (from->user == NULL)
        from->user = worker_must_alloc(m->w, sizeof(struct manager_node));
    struct manager_node *n = from->user;
    manager_flush(m, from);
    n->state = MANAGER_WAITS;
    n->joins++; /* the answer to an earlier one is none */
    n->who = (struct cache_ring_holder){.incarnation = message.incarnation, .mark = message.mark};
    memcpy(n->seed, message.seed.ptr, sizeof n->seed);
    slice_copy(message.address, n->address, sizeof n->address);
    manager_join_all(m);
    return true;
}

static bool manager_on_leave(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_leave message;
    const struct manager_node *n = from->user;
    if (!message_ring_leave_unpack(u, &message) || n == NULL)
        return false;
    if (n->state == MANAGER_JOINED && n->who.mark == message.mark) {
        manager_leave(m, from);
        return true;
    }
    manager_send_left(m, from, m->run[0] == '\0' ? MANAGER_AWAY : CACHE_RING_MUST_JOIN);
    return true;
}

static bool manager_on_message(struct worker *w, void *state, struct worker_peer *from,
                               uint64_t type, struct unpack *u)
{
    (void)w;
    struct manager *m = state;
    if (m->backing != NULL && cache_far_on_message(m->backing, from, type, u))
        return true;
    if (strcmp(from->type, MANAGER_NODE_TYPE) != 0)
        return false;
    switch (type) {
    case MESSAGE_RING_JOIN:
        return manager_on_join(m, from, u);
    case MESSAGE_RING_CLAIM:
        return manager_on_claim(m, from, u);
    case MESSAGE_RING_HELD:
        return manager_on_held(m, from, u);
    case MESSAGE_RING_RELEASE:
        return manager_on_release(m, from, u);
    case MESSAGE_RING_COPY:
        return manager_on_copy(m, from, u);
    case MESSAGE_RING_DROP:
        return manager_on_drop(m, from, u);
    case MESSAGE_RING_FETCH:
        return manager_on_fetch(m, from, u);
    case MESSAGE_RING_SWEEP:
        return manager_on_sweep(m, from, u);
    case MESSAGE_RING_LOOK:
        return manager_on_look(m, from, u);
    case MESSAGE_RING_CELLS:
        return manager_on_cells(from, u);
    case MESSAGE_RING_LEAVE:
        return manager_on_leave(m, from, u);
    default:
        return false;
    }
}

/* ---- life ---- */

static void manager_on_beat_due(uv_timer_t *timer)
{
    struct manager *m = timer->data;
    manager_join_all(m);
    manager_beat(m);
}

/* A name for the store that no other has, and that says to people which it is. */
static void manager_name_store(struct manager *m)
{
    struct worker *w = m->w;
    bool s3 = strcmp(worker_setting_text(w, "store.type"), "s3") == 0;
    const char *place = worker_setting_text(w, s3 ? "store.url" : "store.path");
    size_t size = strlen(place) + sizeof "file ";
    m->store = worker_must_alloc(w, size);
    snprintf(m->store, size, "%s %s", s3 ? "s3" : "file", place);
}

static void manager_name(struct manager *m)
{
    size_t size = sizeof m->host;
    struct worker *w = m->w;
    if (uv_os_gethostname(m->host, &size) != 0)
        snprintf(m->host, sizeof m->host, "unknown");
    if (cache_ring_prefix(m->prefix, worker_setting_text(w, "cache.name")) != 0 ||
        redis_identity(m->identity, worker_setting_text(w, "platoon.instance"),
                       worker_setting_text(w, "platoon.boot"), worker_name(w),
                       worker_generation(w)) != 0)
        worker_exit(w, CONTRACT_EXIT_CONFIG,
                    "the names of platoon and cache are too long for Redis' keys: shorten them");
}

/* What a lost node has left is stored by this platoon's backing workers. */
static void manager_open_store(struct manager *m)
{
    char workers[CONTRACT_NAME_MAX];
    struct cache_far_options options = {
        .workers = workers, .parallel = worker_setting_u64(m->w, "cache.backing.parallel")};
    if (m->copies < 2)
        return;
    snprintf(workers, sizeof workers, "cache/%s/backing", worker_setting_text(m->w, "cache.name"));
    m->backing = cache_far_new(m->w, &options);
    if (m->backing == NULL)
        worker_exit(m->w, CONTRACT_EXIT_SHORT, "out of memory");
}

static void manager_open_timer(struct manager *m, uv_timer_t *timer)
{
    uv_timer_init(worker_loop(m->w), timer);
    timer->data = m;
}

static const struct redis_right manager_rights[] = {CACHE_RIGHTS(REDIS_RIGHT)};

static const struct redis_link_events manager_redis_events = {
    .on_ready = manager_on_ready, .on_lost = manager_on_lost, .asks = true};

static int manager_init(struct worker *w, void *state)
{
    struct manager *m = state;
    m->w = w;
    m->lease_ms = worker_setting_u64(w, "cache.lease");
    m->copies = worker_setting_u64(w, "cache.copies");
    m->gives_up = strcmp(worker_setting_text(w, "cache.when_lost"), "backing") == 0;
    m->failover_ms = worker_setting_u64(w, "cache.failover_wait");
    manager_name_store(m);
    manager_name(m);
    manager_open_store(m);
    manager_open_timer(m, &m->beat_timer);
    manager_open_timer(m, &m->turn_timer);
    manager_open_timer(m, &m->drain_timer);
    cache_watch_init(&m->watch, m->lease_ms);
    int code = redis_link_open(&m->link, w, state, REDIS_LINK_PRIMARY, &manager_redis_events);
    for (int i = 0; code == 0 && i < CACHE_RING_SCRIPT_COUNT; i++) {
        m->scripts[i] =
            redis_conn_add_script(m->link.conn, cache_ring_script_text((enum cache_ring_script)i));
        if (m->scripts[i] < 0)
            worker_exit(w, CONTRACT_EXIT_SHORT, "out of memory");
    }
    redis_rights_init(&m->rights, &m->link, manager_rights,
                      sizeof manager_rights / sizeof manager_rights[0], m->prefix,
                      MANAGER_SPARE_KEY, slice_of(""));
    uint64_t beat_ms = cache_manager_beat_ms(m->lease_ms);
    uv_timer_start(&m->beat_timer, manager_on_beat_due, beat_ms, beat_ms);
    return code;
}

/*
 * What Redis has refused is over when it was not refused again for a while: nobody may ask for it any more. What
 * goes on is refused with each beat.
 */
static void manager_age_errors(struct manager *m)
{
    uint64_t now = clock_mono_ms(), keep = 2 * cache_manager_beat_ms(m->lease_ms);
    keep = keep > MANAGER_ERROR_MS ? keep : MANAGER_ERROR_MS;
    for (size_t i = 0; i < CACHE_RING_SCRIPT_COUNT; i++)
        if (m->rights.given || now - m->error_ms[i] > keep)
            m->errors[i][0] = '\0';
    m->rights.given = false;
}

static const char *manager_error(const struct manager *m)
{
    for (size_t i = 0; i < CACHE_RING_SCRIPT_COUNT; i++)
        if (m->errors[i][0] != '\0')
            return m->errors[i];
    return "";
}

/*
 * A beat has not been answered for so long that the lease it asks for would be over. Of a connection that is found to
 * be lost the link speaks, but that may take longer.
 */
static bool manager_is_unheard(const struct manager *m)
{
    return m->beating && clock_boot_us() >= cache_manager_until_us(m->beat_at_us, m->lease_ms);
}

/* What is wrong, worst first. Of a connection that is none the link speaks. */
static void manager_tell(struct manager *m)
{
    char missing[512];
    struct worker *w = m->w;
    if (redis_rights_text(&m->rights, missing, sizeof missing)[0] != '\0')
        worker_trouble(w, "%s", missing);
    else if (manager_is_unheard(m))
        worker_trouble(w, "this Redis gives no answer, and the leases of the nodes are over: see "
                          "whether it hangs, or what is between it and here");
    else if (m->trouble[0] != '\0')
        worker_trouble(w, "%s", m->trouble);
    else if (manager_error(m)[0] != '\0')
        worker_trouble(w, "ring %s: %s", m->prefix, manager_error(m));
    else if (m->look.info.replica)
        worker_trouble(w, "this Redis is a replica, which takes no writes: point the url at the "
                          "primary, or wait for the fail-over");
    else if (m->look.info.evicts)
        worker_trouble(w,
                       "this Redis gives up keys when its memory is full, and then two nodes may "
                       "have one object: set its maxmemory-policy to noeviction");
    else if (m->is_master && m->rescue.trouble[0] != '\0')
        worker_trouble(w, "%s", m->rescue.trouble);
    else
        worker_trouble(w, "%s", "");
}

static void manager_on_tick(struct worker *w, void *state)
{
    struct manager *m = state;
    size_t lost = 0;
    redis_link_tick(&m->link);
    redis_look_tick(&m->look);
    manager_age_errors(m);
    redis_rights_tick(&m->rights, manager_error(m)[0] != '\0');
    if (redis_conn_ready(m->link.conn) && m->trouble[0] != '\0' && m->run[0] == '\0')
        manager_ask_run(m);
    for (size_t i = 0; i < m->known_count; i++)
        lost += m->known[i].lost;
    if (m->closed_ms > 0)
        worker_doing(w, "%zu nodes, %zu lost; closed for %" PRIu64 " ms", m->known_count, lost,
                     m->closed_ms);
    else
        worker_doing(w, "%zu nodes, %zu lost%s", m->known_count, lost,
                     m->is_master ? "; master" : "");
    if (redis_conn_ready(m->link.conn) && m->link.settled)
        manager_tell(m);
}

/* ---- the end ---- */

static void manager_on_retired_itself(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    (void)reply; /* whether or not: its beats stand still, and another master strikes it out */
    struct manager *m = ctx;
    if (uv_is_active((uv_handle_t *)&m->drain_timer)) {
        uv_timer_stop(&m->drain_timer);
        worker_finished(m->w);
    }
}

static void manager_on_drain_over(uv_timer_t *timer)
{
    worker_finished(((struct manager *)timer->data)->w);
}

/* Nodes are stopped before it (TYPES), and have left, or have not. */
static void manager_drain(struct worker *w, void *state)
{
    struct manager *m = state;
    m->draining = true;
    uv_timer_stop(&m->beat_timer);
    int rc = cache_ring_retire(&m->call, manager_run(m), slice_of(m->identity), NULL);
    if (manager_send(m, rc, manager_on_retired_itself, m) == 0)
        uv_timer_start(&m->drain_timer, manager_on_drain_over, MANAGER_DRAIN_MS, 0);
    else
        worker_finished(w);
}

static void manager_fini(struct worker *w, void *state)
{
    struct manager *m = state;
    if (m->w == NULL)
        return;
    uv_timer_stop(&m->drain_timer);
    redis_link_close(&m->link);
    manager_rescue_close(m);
    for (struct worker_peer *p = NULL; (p = worker_peer_next(w, p)) != NULL;)
        if (p->user != NULL)
            manager_drop_batch(p->user);
    cache_ring_call_fini(&m->call);
    cache_watch_fini(&m->watch);
    free(m->known);
    free(m->others);
    free(m->store);
    uv_close((uv_handle_t *)&m->beat_timer, NULL);
    uv_close((uv_handle_t *)&m->turn_timer, NULL);
    uv_close((uv_handle_t *)&m->drain_timer, NULL);
}

const struct worker_ops worker_ops = {
    .type = "cache-manager",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct manager),
    .init = manager_init,
    .on_up = manager_on_up,
    .on_down = manager_on_down,
    .on_message = manager_on_message,
    .on_request = manager_on_request,
    .on_tick = manager_on_tick,
    .drain = manager_drain,
    .fini = manager_fini,
};
