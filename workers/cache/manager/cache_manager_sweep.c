/*
 * cache_manager_sweep.c: which cells a node has in Redis, page by page, for one that comes back. See
 * cache_manager_private.h.
 *
 * The node asks for each page, so that it has taken one before the next comes; nothing is remembered here between two.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "proto/cache/cache_ring_cells.h"

#include <errno.h>
#include <stdlib.h>

/* A page that a node waits for. */
struct manager_sweep {
    struct manager *m;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
    char cursor[CACHE_RING_CURSOR_SIZE];
};

static void manager_send_swept(struct manager *m, struct worker_peer *peer,
                               const struct message_ring_swept *message)
{
    struct buffer *out = worker_compose(m->w);
    message_ring_swept_pack(out, message);
    worker_must_send(m->w, peer, out);
}

static void manager_refuse_sweep(struct manager *m, struct worker_peer *peer, uint64_t token,
                                 uint64_t result)
{
    struct message_ring_swept message = {
        .token = token, .result = result, .cursor = slice_of(""), .cells = slice_of("")};
    manager_send_swept(m, peer, &message);
}

/* False: it is no page, or memory is short. */
static bool manager_send_page(const struct manager_sweep *s, struct worker_peer *peer,
                              struct cache_ring_page *page)
{
    struct buffer cells = BUFFER_EMPTY;
    struct cache_ring_held held;
    while (cache_ring_next_cell(&page->list, &held))
        cache_ring_put_held(&cells, &held);
    bool good = cache_ring_list_ok(&page->list);
    if (!good)
        manager_is_garbled(s->m, CACHE_RING_SWEEP);
    good = good && buffer_ok(&cells);
    struct message_ring_swept message = {.token = s->token,
                                         .bucket = page->bucket,
                                         .cursor = slice_of(page->cursor),
                                         .cells = buffer_slice(&cells)};
    if (good)
        manager_send_swept(s->m, peer, &message);
    buffer_fini(&cells);
    return good;
}

static void manager_take_swept(const struct manager_sweep *s, struct worker_peer *peer,
                               struct slice bytes)
{
    struct cache_ring_answer a;
    struct cache_ring_page page;
    if (!cache_ring_read_swept(bytes, &a, &page)) {
        manager_is_garbled(s->m, CACHE_RING_SWEEP);
        manager_refuse_sweep(s->m, peer, s->token, MANAGER_AWAY);
    } else if (a.status != CACHE_RING_OK) {
        manager_refuse_sweep(s->m, peer, s->token, a.status);
    } else if (!manager_send_page(s, peer, &page)) {
        manager_refuse_sweep(s->m, peer, s->token, MANAGER_AWAY);
    }
}

static void manager_on_swept(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_sweep *s = ctx;
    struct slice bytes;
    struct worker_peer *peer;
    bool there = manager_find(s->m, s->name, s->generation, &peer) != NULL;
    bool told = manager_bytes(s->m, CACHE_RING_SWEEP, reply, &bytes);
    if (there && told)
        manager_take_swept(s, peer, bytes);
    else if (there)
        manager_refuse_sweep(s->m, peer, s->token, MANAGER_AWAY);
    free(s);
}

static int manager_send_sweep(struct manager *m, struct worker_peer *from,
                              const struct message_ring_sweep *message)
{
    const struct manager_node *n = from->user;
    struct manager_sweep *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    *s = (struct manager_sweep){.m = m, .generation = from->generation, .token = message->token};
    slice_copy(slice_of(from->name), s->name, sizeof s->name);
    slice_copy(message->cursor, s->cursor, sizeof s->cursor);
    int rc = manager_send(m,
                          cache_ring_sweep(&m->call, manager_run(m), n->who.incarnation,
                                           message->bucket, slice_of(s->cursor)),
                          manager_on_swept, s);
    if (rc != 0)
        free(s);
    return rc;
}

bool manager_on_sweep(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_sweep message;
    if (!message_ring_sweep_unpack(u, &message) || message.bucket >= CACHE_RING_BUCKETS ||
        message.cursor.len == 0 || message.cursor.len >= CACHE_RING_CURSOR_SIZE)
        return false;
    const struct manager_node *n = from->user;
    if (m->run[0] == '\0')
        manager_refuse_sweep(m, from, message.token, MANAGER_AWAY);
    else if (n == NULL || n->state != MANAGER_JOINED || n->who.mark != message.mark)
        manager_refuse_sweep(m, from, message.token, CACHE_RING_MUST_JOIN);
    else {
        manager_flush(m, from); /* what it gave back before is not among them */
        if (manager_send_sweep(m, from, &message) != 0)
            manager_refuse_sweep(m, from, message.token, MANAGER_AWAY);
    }
    return true;
}
