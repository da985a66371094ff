/*
 * cache_manager_beat.c: a manager's beats, and what it hears with them: leases, nodes, managers, the master. See
 * cache_manager_private.h.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"

#include <errno.h>
#include <stdlib.h>

static void manager_send_lease(struct manager *m, struct worker_peer *peer,
                               const struct manager_node *n, uint64_t redis_us)
{
    struct message_ring_lease message = {
        .incarnation = n->who.incarnation,
        .mark = n->who.mark,
        .until_us = (uint64_t)cache_manager_until_us(m->beat_at_us, m->lease_ms),
        .at_us = (uint64_t)m->beat_at_us,
        .redis_us = redis_us};
    struct buffer *out = worker_compose(m->w);
    message_ring_lease_pack(out, &message);
    worker_must_send(m->w, peer, out);
}

/* The joined node that a beat was for; NULL: it is gone, or has joined anew since. */
static struct manager_node *manager_holder(struct manager *m, const struct cache_ring_holder *who,
                                           struct worker_peer **peer)
{
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;) {
        struct manager_node *n = p->user;
        if (n == NULL || n->state != MANAGER_JOINED || n->who.incarnation != who->incarnation ||
            n->who.mark != who->mark)
            continue;
        *peer = p;
        return n;
    }
    return NULL;
}

static void manager_take_pulses(struct manager *m, const enum cache_ring_pulse *pulses,
                                uint64_t redis_us)
{
    for (size_t i = 0; i < m->beat_count; i++) {
        struct worker_peer *peer = NULL;
        struct manager_node *n = manager_holder(m, &m->beat_nodes[i], &peer);
        if (n == NULL)
            continue;
        if (pulses[i] == CACHE_RING_BEATS)
            manager_send_lease(m, peer, n, redis_us);
        else
            n->state = MANAGER_WAITS;
    }
}

static void manager_copy_node(struct manager_known *to, const struct cache_ring_node *from)
{
    *to = (struct manager_known){.who = from->who, .lost = from->lost};
    slice_copy(from->name, to->name, sizeof to->name);
    slice_copy(from->host, to->host, sizeof to->host);
    slice_copy(from->platoon, to->platoon, sizeof to->platoon);
    slice_copy(from->address, to->address, sizeof to->address);
}

/* What this manager has found out of one that is lost, by its loss. */
static void manager_copy_loss(const struct manager *m, struct manager_known *to)
{
    to->lost_ms = clock_mono_ms();
    for (size_t i = 0; i < m->known_count; i++) {
        const struct manager_known *k = &m->known[i];
        if (k->lost && k->who.incarnation == to->who.incarnation && k->who.mark == to->who.mark) {
            to->lost_ms = k->lost_ms;
            to->holds = k->holds;
        }
    }
}

/* 0, -ENOMEM, or -EBADMSG: what was known stays. */
static int manager_take_nodes(struct manager *m, struct cache_ring_list list)
{
    struct cache_ring_node node;
    struct manager_known *known = calloc((size_t)list.left + 1, sizeof *known);
    size_t count = 0;
    if (known == NULL)
        return -ENOMEM;
    while (cache_ring_next_node(&list, &node)) {
        manager_copy_node(&known[count], &node);
        if (node.lost)
            manager_copy_loss(m, &known[count]);
        count++;
    }
    if (!cache_ring_list_ok(&list)) {
        free(known);
        return -EBADMSG;
    }
    free(m->known);
    m->known = known;
    m->known_count = count;
    return 0;
}

static int manager_take_managers(struct manager *m, struct cache_ring_list list)
{
    struct slice manager, host;
    struct manager_other *others = calloc((size_t)list.left + 1, sizeof *others);
    size_t count = 0;
    if (others == NULL)
        return -ENOMEM;
    while (cache_ring_next_manager(&list, &manager, &host)) {
        slice_copy(manager, others[count].manager, sizeof others[count].manager);
        slice_copy(host, others[count++].host, sizeof others[0].host);
    }
    if (!cache_ring_list_ok(&list)) {
        free(others);
        return -EBADMSG;
    }
    free(m->others);
    m->others = others;
    m->other_count = count;
    return 0;
}

static void manager_send_nodes(struct manager *m)
{
    struct buffer list = BUFFER_EMPTY;
    pack_array(&list, (uint32_t)m->known_count);
    for (size_t i = 0; i < m->known_count; i++) {
        const struct manager_known *k = &m->known[i];
        pack_array(&list, 4);
        pack_u64(&list, k->who.incarnation);
        pack_text(&list, k->name);
        pack_text(&list, k->address);
        pack_u64(&list, k->lost);
    }
    if (!buffer_ok(&list))
        m->gen = 0; /* with the next beat */
    struct message_ring_nodes message = {.gen = m->gen, .nodes = buffer_slice(&list)};
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;) {
        struct manager_node *n = p->user;
        if (!buffer_ok(&list) || n == NULL || n->state != MANAGER_JOINED)
            continue;
        struct buffer *out = worker_compose(m->w);
        message_ring_nodes_pack(out, &message);
        worker_must_send(m->w, p, out);
    }
    buffer_fini(&list);
}

void manager_forget_node(struct manager *m, uint64_t incarnation)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->known_count; i++)
        if (m->known[i].who.incarnation != incarnation)
            m->known[kept++] = m->known[i];
    bool was = kept < m->known_count;
    m->known_count = kept;
    if (was)
        manager_send_nodes(m);
}

/* 0, or as those. */
static int manager_take_beats(struct manager *m, struct cache_ring_list list, bool closed)
{
    struct slice who;
    uint64_t beats;
    int rc = 0;
    cache_watch_begin(&m->watch, clock_boot_us(), closed);
    while (rc == 0 && cache_ring_next_beat(&list, &who, &beats))
        rc = cache_watch_see(&m->watch, who, beats);
    cache_watch_end(&m->watch);
    return rc != 0 ? rc : cache_ring_list_ok(&list) ? 0 : -EBADMSG;
}

static void manager_take_master(struct manager *m, struct slice master)
{
    bool was = m->is_master;
    slice_copy(master, m->master, sizeof m->master);
    m->is_master = slice_is(master, m->identity);
    if (m->is_master && !was)
        manager_free_cells(m); /* whoever was it before may not have come to an end */
}

static void manager_take_beaten(struct manager *m, const struct cache_ring_beaten *b,
                                const enum cache_ring_pulse *pulses)
{
    m->closed_ms = b->closed_ms;
    int rc = manager_take_beats(m, b->beats, b->closed_ms > 0);
    bool moved = b->gen != m->beat_gen;
    if (rc == 0 && moved)
        rc = manager_take_nodes(m, b->nodes);
    if (rc == 0 && moved)
        rc = manager_take_managers(m, b->managers);
    if (rc == -EBADMSG || rc == -EINVAL) {
        manager_is_garbled(m, CACHE_RING_BEAT);
        return;
    }
    manager_take_pulses(m, pulses, b->redis_us);
    if (rc != 0) { /* memory is short: leases go on, and all else waits for the next beat */
        cache_watch_anew(&m->watch);
        return;
    }
    m->gen = b->gen;
    if (moved)
        manager_send_nodes(m);
    manager_take_master(m, b->master);
    manager_join_all(m);
    manager_duties(m);
}

static void manager_take_beat(struct manager *m, struct slice bytes)
{
    struct cache_ring_answer a;
    struct cache_ring_beaten b;
    enum cache_ring_pulse pulses[MANAGER_NODES_MAX];
    if (!cache_ring_read_beaten(bytes, &a, &b, pulses, m->beat_count)) {
        manager_is_garbled(m, CACHE_RING_BEAT);
        return;
    }
    if (a.status == CACHE_RING_OK) {
        manager_take_beaten(m, &b, pulses);
        return;
    }
    /* There is no ring, or none any more: who was in it makes it anew. */
    for (size_t i = 0; i < m->beat_count; i++)
        pulses[i] = CACHE_RING_JOIN_AGAIN;
    manager_take_pulses(m, pulses, 0);
    manager_join_all(m);
}

static void manager_on_beaten(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct slice bytes;
    bool again = m->beats_again;
    m->beating = m->beats_again = false;
    if (!manager_bytes(m, CACHE_RING_BEAT, reply, &bytes))
        return;
    manager_take_beat(m, bytes);
    if (again)
        manager_beat(m);
}

/* One that joined while a beat was under way would have no lease until the next one is due. */
void manager_beat(struct manager *m)
{
    m->beats_again = m->beating;
    if (m->beating || m->draining || m->run[0] == '\0')
        return;
    m->beat_count = 0;
    for (struct worker_peer *p = NULL; (p = worker_peer_next(m->w, p)) != NULL;) {
        const struct manager_node *n = p->user;
        if (n != NULL && n->state == MANAGER_JOINED && m->beat_count < MANAGER_NODES_MAX)
            m->beat_nodes[m->beat_count++] = n->who;
    }
    m->beat_at_us = clock_boot_us();
    m->beat_gen = m->gen;
    int rc = cache_ring_beat(&m->call, manager_run(m), slice_of(m->identity), slice_of(m->host),
                             m->beat_gen, m->beat_nodes, m->beat_count);
    m->beating = manager_send(m, rc, manager_on_beaten, m) == 0;
}
