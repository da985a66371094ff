/*
 * cache_manager_rescue.c: the master takes over what a lost node has left (copies = 2): its second copies are stored,
 * then it is struck out, and its cells are free. See cache_manager_private.h.
 *
 * A page of copies at a time: each is put on condition, and what the store has then, or has a newer version of, is
 * dropped in Redis. All that is known of how far it is stands there: another master goes on with what is left, and two
 * at a time do no harm. Whoever comes back meanwhile has another mark, and nothing of it is dropped, or freed. What the
 * store does not take stays where it is, with the node's cells, and is tried again with pauses: it is nowhere else.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "proto/cache/cache_ring_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RESCUE_PAUSE_MS 100u

/* A copy on its way to the store. */
struct manager_put {
    struct manager_put *next, *before;
    struct manager *m;
    struct backing_call *call;
    uint64_t version;
    size_t key_len;
    char bytes[]; /* key, value */
};

static void rescue_look(struct manager *m);

/* ---- its end ---- */

static void rescue_end(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    r->running = false;
    buffer_clear(&r->drops);
    r->dropped = 0;
}

/* Tried again, with longer pauses, when others that are lost have had their turn. */
static void rescue_fail(struct manager *m, const char *why)
{
    struct manager_rescue *r = &m->rescue;
    uint64_t max = worker_setting_u64(m->w, "store.retry_max");
    uint64_t pause = (uint64_t)RESCUE_PAUSE_MS << (r->failures < 16 ? r->failures : 16);
    r->failures++;
    r->again_ms = clock_mono_ms() + (pause < max ? pause : max);
    if (r->kept > 0)
        snprintf(r->trouble, sizeof r->trouble,
                 "%s of host %s is lost, and %zu objects that it wrote are not stored: %s", r->node,
                 r->host, r->kept, why);
    else
        snprintf(r->trouble, sizeof r->trouble,
                 "%s of host %s is lost, and what it wrote is not stored: %s", r->node, r->host,
                 why);
    rescue_end(m);
}

/* It is back, or somebody else has done it. */
static void rescue_is_over(struct manager *m)
{
    m->rescue.failures = 0;
    m->rescue.trouble[0] = '\0';
    rescue_end(m);
}

/* What Redis has not answered, or not taken. */
static void rescue_unheard(struct manager *m, enum cache_ring_script script)
{
    rescue_fail(m, m->errors[script][0] != '\0' ? m->errors[script]
                                                : redis_conn_trouble(m->link.conn));
}

/* Sends m->call, which was built with `rc`. */
static void rescue_call(struct manager *m, int rc, redis_reply_fn fn)
{
    if (!m->is_master || m->draining)
        rescue_is_over(m);
    else if (manager_send(m, rc, fn, m) != 0)
        rescue_unheard(m, m->call.script);
}

/* False: there is no answer, and it has failed. */
static bool rescue_bytes(struct manager *m, enum cache_ring_script script, const redisReply *reply,
                         struct slice *bytes)
{
    bool told = m->rescue.running && manager_bytes(m, script, reply, bytes);
    if (m->rescue.running && !told)
        rescue_unheard(m, script);
    return told;
}

/* ---- struck out ---- */

static void rescue_on_forgotten(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct manager_rescue *r = &m->rescue;
    struct cache_ring_answer a;
    struct slice bytes;
    if (!rescue_bytes(m, CACHE_RING_FORGET, reply, &bytes))
        return;
    if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(m, CACHE_RING_FORGET);
        rescue_unheard(m, CACHE_RING_FORGET);
    } else if (a.status == CACHE_RING_COPIED || a.status == CACHE_RING_CLOSED) {
        rescue_fail(m, "there are some copies more, or Redis is another: it goes on");
    } else {
        if (a.status == CACHE_RING_OK) {
            log_info("ring-node-rescued", "node=%s host=%s incarnation=%" PRIu64 " copies=%" PRIu64,
                     r->node, r->host, r->who.incarnation, r->stored);
            manager_forget_node(m, r->who.incarnation);
            manager_free_cells(m);
        }
        rescue_is_over(m);
        manager_beat(m);
    }
}

/* All pages have been seen. */
static void rescue_strike(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    r->refused_of = r->kept > 0 && r->kept == r->refused ? r->who.incarnation : 0;
    if (r->kept > 0)
        rescue_fail(m, r->why);
    else
        rescue_call(m, cache_ring_forget(&m->call, manager_run(m), &r->who, false),
                    rescue_on_forgotten);
}

/* ---- dropping ---- */

static void rescue_drop(struct manager *m);

static void rescue_on_dropped(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct cache_ring_answer a;
    struct slice bytes;
    if (!rescue_bytes(m, CACHE_RING_DROP, reply, &bytes))
        return;
    if (!cache_ring_read(bytes, &a)) {
        manager_is_garbled(m, CACHE_RING_DROP);
        rescue_unheard(m, CACHE_RING_DROP);
    } else if (a.status != CACHE_RING_OK) {
        rescue_is_over(m);
    } else {
        rescue_drop(m);
    }
}

/* Some of what the store has; then the next page. */
static void rescue_drop(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    struct cache_ring_copy copies[CACHE_RING_CALL_MAX];
    struct slice list = buffer_slice(&r->drops);
    size_t count = 0;
    list = slice_make(list.ptr + r->dropped, list.len - r->dropped);
    while (count < CACHE_RING_CALL_MAX && cache_ring_take_copy(&list, &copies[count]))
        count++;
    if (count > 0) {
        r->dropped = r->drops.len - list.len;
        rescue_call(m, cache_ring_drop(&m->call, manager_run(m), &r->who, copies, count),
                    rescue_on_dropped);
        return;
    }
    buffer_clear(&r->drops);
    r->dropped = 0;
    if (r->more)
        rescue_look(m);
    else
        rescue_strike(m);
}

/* ---- storing ---- */

static void rescue_keep(struct manager_rescue *r, struct slice key, const char *why)
{
    int len = (int)(key.len < 64 ? key.len : 64);
    if (r->kept++ == 0)
        snprintf(r->why, sizeof r->why, "%s (%s)", why,
                 log_quote(slice_make(key.ptr, (size_t)len)));
}

static void rescue_unlink(struct manager_rescue *r, struct manager_put *p)
{
    *(p->before != NULL ? &p->before->next : &r->puts) = p->next;
    if (p->next != NULL)
        p->next->before = p->before;
    r->put_count--;
}

/* An older version never goes over a newer: whoever has put that has seen this one, or was given the cell after it. */
static void rescue_on_put(const struct backing_answer *answer, void *ctx)
{
    struct manager_put *p = ctx;
    struct manager *m = p->m;
    struct manager_rescue *r = &m->rescue;
    struct slice key = slice_make(p->bytes, p->key_len);
    rescue_unlink(r, p);
    if (answer->result == BACKING_DONE || answer->result == BACKING_NEWER) {
        cache_ring_put_drop(&r->drops, key, p->version);
        r->stored += answer->result == BACKING_DONE;
        if (answer->result == BACKING_NEWER)
            log_info("copy-superseded", "key=%s version=%" PRIu64 " stored=%" PRIu64,
                     log_quote(key), p->version, answer->meta.version);
    } else {
        r->refused += answer->result == BACKING_REFUSED;
        rescue_keep(r, key, answer->why);
    }
    free(p);
    if (r->put_count > 0 || r->reading)
        return;
    if (buffer_ok(&r->drops))
        rescue_drop(m);
    else
        rescue_fail(m, "out of memory");
}

/* False: memory is short. */
static bool rescue_put(struct manager *m, const struct cache_ring_copy *copy,
                       const struct cache_ring_object *object)
{
    struct manager_rescue *r = &m->rescue;
    struct manager_put *p = malloc(sizeof *p + copy->key.len + object->value.len + 1);
    struct backing_meta meta = {.version = copy->version,
                                .expiry_ms = object->expiry_ms,
                                .form = object->form,
                                .deleted = object->deleted};
    if (p == NULL)
        return false;
    *p = (struct manager_put){
        .next = r->puts, .m = m, .version = copy->version, .key_len = copy->key.len};
    memcpy(p->bytes, copy->key.ptr, copy->key.len);
    memcpy(p->bytes + p->key_len, object->value.ptr, object->value.len);
    if (m->backing->ops->put(
            m->backing, copy->key, slice_make(p->bytes + p->key_len, object->value.len), &meta,
            worker_setting_u64(m->w, "store.timeout"), rescue_on_put, p, &p->call) != 0) {
        free(p);
        return false;
    }
    if (r->puts != NULL)
        r->puts->before = p;
    r->puts = p;
    r->put_count++;
    return true;
}

static void rescue_store(struct manager *m, struct cache_ring_list list)
{
    struct manager_rescue *r = &m->rescue;
    struct cache_ring_copy copy;
    struct cache_ring_object object;
    r->reading = true;
    while (cache_ring_next_copy(&list, &copy))
        if (!cache_ring_read_record(copy.record, &object))
            rescue_keep(r, copy.key, "Redis has a copy that no node of platoon's has made");
        else if (!rescue_put(m, &copy, &object))
            rescue_keep(r, copy.key, "out of memory");
    r->reading = false;
    if (!cache_ring_list_ok(&list))
        rescue_keep(r, slice_of(""), "Redis has given an answer that is no list of copies");
    if (r->put_count == 0)
        rescue_drop(m);
}

/* ---- a page ---- */

static void rescue_on_page(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager *m = ctx;
    struct manager_rescue *r = &m->rescue;
    struct cache_ring_answer a;
    struct cache_ring_page page;
    struct slice bytes;
    uint64_t mark;
    bool lost;
    if (!rescue_bytes(m, CACHE_RING_COPIES, reply, &bytes))
        return;
    if (!cache_ring_read_copies(bytes, &a, &mark, &lost, &page)) {
        manager_is_garbled(m, CACHE_RING_COPIES);
        rescue_unheard(m, CACHE_RING_COPIES);
    } else if (a.status != CACHE_RING_OK || !lost || mark != r->who.mark) {
        rescue_is_over(m);
    } else {
        memcpy(r->cursor, page.cursor, sizeof r->cursor);
        r->more = page.more;
        rescue_store(m, page.list);
    }
}

static void rescue_look(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    rescue_call(
        m, cache_ring_copies(&m->call, manager_run(m), r->who.incarnation, slice_of(r->cursor)),
        rescue_on_page);
}

/* The lost node that comes behind the one that was tried last. */
static const struct manager_known *rescue_next(const struct manager *m)
{
    const struct manager_known *first = NULL, *next = NULL;
    for (size_t i = 0; i < m->known_count; i++) {
        const struct manager_known *k = &m->known[i];
        if (!k->lost)
            continue;
        if (first == NULL || k->who.incarnation < first->who.incarnation)
            first = k;
        if (k->who.incarnation > m->rescue.who.incarnation &&
            (next == NULL || k->who.incarnation < next->who.incarnation))
            next = k;
    }
    return next != NULL ? next : first;
}

void manager_rescue(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    const struct manager_known *k = rescue_next(m);
    if (k == NULL && !r->running)
        rescue_is_over(m);
    if (m->copies < 2 || r->running || k == NULL || clock_mono_ms() < r->again_ms)
        return;
    r->running = true;
    r->who = k->who;
    r->kept = r->refused = 0;
    r->stored = 0;
    r->more = true;
    slice_copy(slice_of(k->name), r->node, sizeof r->node);
    slice_copy(slice_of(k->host), r->host, sizeof r->host);
    snprintf(r->cursor, sizeof r->cursor, "0");
    rescue_look(m);
}

void manager_rescue_close(struct manager *m)
{
    struct manager_rescue *r = &m->rescue;
    r->running = false;
    while (r->puts != NULL) {
        struct manager_put *p = r->puts;
        m->backing->ops->cancel(p->call);
        rescue_unlink(r, p);
        free(p);
    }
    buffer_fini(&r->drops);
    if (m->backing != NULL)
        m->backing->ops->free(m->backing);
    m->backing = NULL;
}
