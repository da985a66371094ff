/*
 * cache_manager_empty.c: the master strikes out lost nodes that have no cell. See cache_manager_private.h.
 *
 * A node that is killed before it has noted who it is, as when its disk is full, comes back as another: what it was
 * would be lost for ever, and people would be asked to forget what holds nothing. One that has a cell is kept: what is
 * in its log is nowhere else. While it is lost it gets none, and should it come back meanwhile it has another mark, and
 * forget changes nothing. With copies = 2 nobody is struck out here: who takes copies over (cache_manager_rescue.c)
 * does that, with cells and without, as soon as there are none.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>

/* It is lost for so long that people have seen it, and not known to have a cell. */
static struct manager_known *manager_next_empty(struct manager *m)
{
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < m->known_count; i++) {
        struct manager_known *k = &m->known[i];
        if (k->lost && !k->holds && now - k->lost_ms >= cache_manager_empty_ms(m->lease_ms))
            return k;
    }
    return NULL;
}

/* The one that is looked at, unless it is another by now. */
static struct manager_known *manager_empty(struct manager *m)
{
    struct manager_known *k = manager_next_empty(m);
    bool same = k != NULL && k->who.incarnation == m->empty.who.incarnation &&
                k->who.mark == m->empty.who.mark;
    return same ? k : NULL;
}

static void manager_on_emptied(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct slice bytes;
    struct manager_known *k = manager_empty(m);
    m->on_duty = false;
    if (!manager_bytes(m, CACHE_RING_FORGET, reply, &bytes))
        return;
    if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(m, CACHE_RING_FORGET);
    } else if (k != NULL && a.status == CACHE_RING_COPIED) {
        k->holds = true; /* second copies, which somebody has to store */
    } else if (k != NULL && a.status == CACHE_RING_OK) {
        log_info("ring-node-empty", "node=%s host=%s platoon=%s incarnation=%" PRIu64, k->name,
                 k->host, k->platoon, k->who.incarnation);
        manager_forget_node(m, k->who.incarnation);
        manager_duties(m);
    }
}

static void manager_on_looked(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct cache_ring_page page;
    struct slice bytes;
    struct manager_known *k = manager_empty(m);
    m->on_duty = false;
    if (!manager_bytes(m, CACHE_RING_SWEEP, reply, &bytes))
        return;
    if (!cache_ring_read_swept(bytes, &a, &page)) {
        manager_is_garbled(m, CACHE_RING_SWEEP);
    } else if (k != NULL && a.status == CACHE_RING_OK) {
        k->holds = page.list.left > 0;
        m->empty.bucket = page.bucket;
        memcpy(m->empty.cursor, page.cursor, sizeof m->empty.cursor);
        manager_duties(m);
    }
}

bool manager_strike_empty(struct manager *m)
{
    const struct manager_known *k = m->copies < 2 ? manager_next_empty(m) : NULL;
    if (k == NULL)
        return false;
    if (manager_empty(m) == NULL) {
        m->empty.who = k->who;
        m->empty.bucket = 0;
        snprintf(m->empty.cursor, sizeof m->empty.cursor, "0");
    }
    if (m->empty.bucket >= CACHE_RING_BUCKETS)
        return manager_send(m, cache_ring_forget(&m->call, manager_run(m), &k->who, false),
                            manager_on_emptied, m) == 0;
    return manager_send(m,
                        cache_ring_sweep(&m->call, manager_run(m), k->who.incarnation,
                                         m->empty.bucket, slice_of(m->empty.cursor)),
                        manager_on_looked, m) == 0;
}
