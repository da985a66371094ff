/*
 * cache_manager_failover.c: the master gives up lost nodes whose time is over (when_lost = backing): their cells are
 * free, and their objects what the store has. See cache_manager_private.h.
 *
 * It is what a person says with `cache forget`, and costs the same: what only such a node's log has is stored when it
 * is back, or is a dead letter where somebody has written since. So it is for who would rather have an old object than
 * none. Not with copies = 2: what was acknowledged is there then, and cache_manager_rescue.c has it stored, which a
 * time that is over must not throw away. For how long one has been lost counts from when this manager saw it: another
 * master, which may have seen it later, waits longer, never shorter.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>

static struct manager_known *manager_next_over(struct manager *m)
{
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < m->known_count; i++)
        if (m->known[i].lost && now - m->known[i].lost_ms >= m->failover_ms)
            return &m->known[i];
    return NULL;
}

static void manager_on_failed_over(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct slice bytes;
    struct manager_known *k = manager_next_over(m);
    m->on_duty = false;
    if (!manager_bytes(m, CACHE_RING_FORGET, reply, &bytes))
        return;
    if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(m, CACHE_RING_FORGET);
    } else if (k != NULL && k->who.incarnation == m->duty_incarnation &&
               a.status == CACHE_RING_OK) {
        log_warn("ring-node-given-up",
                 "node=%s host=%s platoon=%s incarnation=%" PRIu64 " lost_ms=%" PRIu64, k->name,
                 k->host, k->platoon, k->who.incarnation, clock_mono_ms() - k->lost_ms);
        manager_forget_node(m, k->who.incarnation);
        manager_free_cells(m);
        manager_duties(m);
    } /* else it has come back meanwhile, or the ring is closed: the next beat says */
}

bool manager_fail_over(struct manager *m)
{
    const struct manager_known *k = m->gives_up && m->copies < 2 ? manager_next_over(m) : NULL;
    if (k == NULL)
        return false;
    m->duty_incarnation = k->who.incarnation;
    return manager_send(m, cache_ring_forget(&m->call, manager_run(m), &k->who, false),
                        manager_on_failed_over, m) == 0;
}
