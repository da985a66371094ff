/*
 * cache_manager_master.c: what one manager does for the whole ring. See cache_manager_private.h.
 *
 * Who is master says Redis, and two at a time do no harm: each call says what its caller saw, and the script compares.
 * One call is under way at a time; what a beat finds to be due comes after it.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>

/* The beats of somebody that have stood still for so long; NULL: they have not, or nobody knows. */
static const struct cache_watched *manager_dead(const struct manager *m, const char *who,
                                                int64_t limit_us)
{
    const struct cache_watched *one = cache_watch_find(&m->watch, slice_of(who));
    return one != NULL && cache_watch_still_us(&m->watch, one) >= limit_us ? one : NULL;
}

/* ---- lost nodes ---- */

/* The first live node whose beats have stood still long enough. */
static struct manager_known *manager_next_lost(struct manager *m,
                                               const struct cache_watched **watched)
{
    char who[24];
    for (size_t i = 0; i < m->known_count; i++) {
        struct manager_known *k = &m->known[i];
        snprintf(who, sizeof who, "%" PRIu64, k->who.incarnation);
        *watched = k->lost ? NULL : manager_dead(m, who, cache_manager_grace_us(m->lease_ms));
        if (*watched != NULL)
            return k;
    }
    return NULL;
}

static void manager_on_lost_node(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct slice bytes;
    const struct cache_watched *watched;
    m->on_duty = false;
    if (!manager_bytes(m, CACHE_RING_LOST, reply, &bytes))
        return;
    if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(m, CACHE_RING_LOST);
        return;
    }
    m->is_master = m->is_master && a.status != CACHE_RING_SLAVE;
    struct manager_known *k = manager_next_lost(m, &watched);
    if (a.status != CACHE_RING_OK || k == NULL || k->who.incarnation != m->duty_incarnation)
        return; /* what is so now, the next beat says */
    k->lost = true;
    k->lost_ms = clock_mono_ms();
    k->who.mark = a.value;
    log_warn("ring-node-lost", "node=%s host=%s platoon=%s incarnation=%" PRIu64, k->name, k->host,
             k->platoon, k->who.incarnation);
    manager_duties(m); /* its copies are stored at once */
}

static bool manager_lose(struct manager *m)
{
    const struct cache_watched *watched;
    const struct manager_known *k = manager_next_lost(m, &watched);
    if (k == NULL)
        return false;
    m->duty_incarnation = k->who.incarnation;
    int rc = cache_ring_lost(&m->call, manager_run(m), slice_of(m->identity), k->who.incarnation,
                             watched->beats);
    return manager_send(m, rc, manager_on_lost_node, m) == 0;
}

/* ---- dead managers ---- */

static void manager_on_done(struct manager *m, enum cache_ring_script script,
                            const redisReply *reply)
{
    struct cache_ring_answer a;
    struct slice bytes;
    m->on_duty = false;
    if (manager_bytes(m, script, reply, &bytes) && !cache_ring_read(bytes, &a))
        manager_is_garbled(m, script);
}

static void manager_on_retired(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    manager_on_done(ctx, CACHE_RING_RETIRE, reply); /* the next beat shows who is left */
}

static bool manager_retire_dead(struct manager *m)
{
    for (size_t i = 0; i < m->other_count; i++) {
        const char *who = m->others[i].manager;
        const struct cache_watched *watched =
            strcmp(who, m->identity) == 0
                ? NULL
                : manager_dead(m, who, cache_manager_retire_us(m->lease_ms));
        if (watched == NULL)
            continue;
        int rc = cache_ring_retire(&m->call, manager_run(m), slice_of(who), &watched->beats);
        return manager_send(m, rc, manager_on_retired, m) == 0;
    }
    return false;
}

/* ---- cells of those who are struck out ---- */

void manager_free_cells(struct manager *m)
{
    m->free_bucket = 0;
    snprintf(m->free_cursor, sizeof m->free_cursor, "0");
}

static void manager_on_freed(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct cache_ring_page page;
    struct slice bytes;
    m->on_duty = false;
    if (!manager_bytes(m, CACHE_RING_FREE, reply, &bytes))
        return;
    if (!cache_ring_read_freed(bytes, &a, &page)) {
        manager_is_garbled(m, CACHE_RING_FREE);
    } else if (a.status == CACHE_RING_OK) {
        m->free_bucket = page.bucket;
        memcpy(m->free_cursor, page.cursor, sizeof m->free_cursor);
        manager_duties(m);
    }
}

static bool manager_free_page(struct manager *m)
{
    if (m->free_bucket >= CACHE_RING_BUCKETS)
        return false;
    int rc = cache_ring_free(&m->call, manager_run(m), m->free_bucket, slice_of(m->free_cursor));
    return manager_send(m, rc, manager_on_freed, m) == 0;
}

/* ---- what is due ---- */

void manager_duties(struct manager *m)
{
    if (!m->is_master || m->closed_ms > 0 || m->draining)
        return;
    manager_rescue(m);
    if (m->on_duty)
        return;
    m->on_duty = manager_lose(m) || manager_fail_over(m) || manager_retire_dead(m) ||
                 manager_free_page(m) || manager_strike_empty(m);
}
