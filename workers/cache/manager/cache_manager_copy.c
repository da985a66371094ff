/*
 * cache_manager_copy.c: second copies of what nodes have written (copies = 2): kept, dropped, and
 * told. See cache_manager_private.h.
 *
 * Each request is one call of a script, and has one answer while the manager lives. Nothing is tried again from here: a
 * node does, with what is newest by then.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "proto/cache/cache_ring_record.h"

#include <stdlib.h>

#define MANAGER_PART_SIZE ((size_t)2 << 20) /* of copies in one message, or one copy */

/* A request that is not answered. */
struct manager_copying {
    struct manager *m;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    uint64_t token;
    enum cache_ring_script script;
};

static void manager_send_copied(struct manager *m, struct worker_peer *peer, uint64_t token,
                                uint64_t result, const char *why)
{
    struct message_ring_copied message = {.token = token, .result = result, .why = slice_of(why)};
    struct buffer *out = worker_compose(m->w);
    message_ring_copied_pack(out, &message);
    worker_must_send(m->w, peer, out);
}

static struct manager_copying *manager_copying(struct manager *m, const struct worker_peer *from,
                                               enum cache_ring_script script, uint64_t token)
{
    struct manager_copying *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    *v = (struct manager_copying){
        .m = m, .generation = from->generation, .token = token, .script = script};
    slice_copy(slice_of(from->name), v->name, sizeof v->name);
    return v;
}

/* Why Redis has not done it: what it said, or what is wrong with the connection. */
static const char *manager_copy_why(const struct manager *m, enum cache_ring_script script)
{
    if (m->look.info.evicts)
        return "this Redis gives up keys when its memory is full: set its maxmemory-policy to "
               "noeviction";
    return m->errors[script][0] != '\0' ? m->errors[script] : redis_conn_trouble(m->link.conn);
}

static void manager_on_copied(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_copying *v = ctx;
    struct manager *m = v->m;
    struct cache_ring_answer a;
    struct slice bytes;
    struct worker_peer *peer;
    bool there = manager_find(m, v->name, v->generation, &peer) != NULL;
    bool told = manager_bytes(m, v->script, reply, &bytes);
    bool read = told && cache_ring_read(bytes, &a);
    if (told && !read)
        manager_is_garbled(m, v->script);
    if (there)
        manager_send_copied(m, peer, v->token, read ? a.status : MANAGER_AWAY,
                            read ? "" : manager_copy_why(m, v->script));
    free(v);
}

/* How many there are; 0: it is no list, or too long a one. */
static size_t manager_read_copies(struct slice list, bool records,
                                  struct cache_ring_copy copies[CACHE_RING_CALL_MAX])
{
    size_t count = 0;
    struct cache_ring_object object;
    while (count < CACHE_RING_CALL_MAX && cache_ring_take_copy(&list, &copies[count])) {
        bool good = records ? cache_ring_read_record(copies[count].record, &object)
                            : copies[count].record.len == 0;
        if (!good || copies[count].version == 0)
            return 0;
        count++;
    }
    return list.len == 0 ? count : 0;
}

static int manager_call_copies(struct manager *m, const struct manager_node *n,
                               enum cache_ring_script script, const struct cache_ring_copy *copies,
                               size_t count)
{
    if (script == CACHE_RING_COPY)
        return cache_ring_copy(&m->call, manager_run(m), &n->who, copies, count);
    return cache_ring_drop(&m->call, manager_run(m), &n->who, copies, count);
}

/* False: it is malformed. */
static bool manager_copies(struct manager *m, struct worker_peer *from,
                           enum cache_ring_script script, uint64_t token, uint64_t mark,
                           struct slice list)
{
    struct cache_ring_copy copies[CACHE_RING_CALL_MAX];
    size_t count = manager_read_copies(list, script == CACHE_RING_COPY, copies);
    uint64_t result = manager_obstacle(m, from->user, mark);
    if (count == 0)
        return false;
    struct manager_copying *v = result == 0 ? manager_copying(m, from, script, token) : NULL;
    if (v != NULL && manager_send(m, manager_call_copies(m, from->user, script, copies, count),
                                  manager_on_copied, v) == 0)
        return true;
    free(v);
    manager_send_copied(m, from, token, result != 0 ? result : MANAGER_AWAY,
                        manager_copy_why(m, script));
    return true;
}

bool manager_on_copy(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_copy message;
    return message_ring_copy_unpack(u, &message) &&
           manager_copies(m, from, CACHE_RING_COPY, message.token, message.mark, message.copies);
}

bool manager_on_drop(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_drop message;
    return message_ring_drop_unpack(u, &message) &&
           manager_copies(m, from, CACHE_RING_DROP, message.token, message.mark, message.copies);
}

/* ---- what is there ---- */

static void manager_send_fetched(struct manager *m, struct worker_peer *peer,
                                 const struct message_ring_fetched *message)
{
    struct buffer *out = worker_compose(m->w);
    message_ring_fetched_pack(out, message);
    worker_must_send(m->w, peer, out);
}

static void manager_refuse_fetch(struct manager *m, struct worker_peer *peer, uint64_t token,
                                 uint64_t result)
{
    struct message_ring_fetched message = {
        .token = token, .result = result, .cursor = slice_of("0"), .copies = slice_of("")};
    manager_send_fetched(m, peer, &message);
}

/* A page of large objects is more than a frame may have. */
static void manager_send_part(const struct manager_copying *v, struct worker_peer *peer,
                              struct buffer *copies)
{
    struct message_ring_fetched message = {
        .token = v->token, .cursor = slice_of(""), .copies = buffer_slice(copies)};
    if (!buffer_ok(copies))
        return; /* of that the last one speaks */
    manager_send_fetched(v->m, peer, &message);
    buffer_clear(copies);
}

static void manager_send_copies(const struct manager_copying *v, struct worker_peer *peer,
                                struct cache_ring_page *page)
{
    struct buffer copies = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    while (cache_ring_next_copy(&page->list, &copy)) {
        if (copies.len > 0 && copies.len + copy.key.len + copy.record.len > MANAGER_PART_SIZE)
            manager_send_part(v, peer, &copies);
        cache_ring_put_same(&copies, &copy);
    }
    bool good = cache_ring_list_ok(&page->list);
    if (!good)
        manager_is_garbled(v->m, v->script);
    struct message_ring_fetched message = {
        .token = v->token, .cursor = slice_of(page->cursor), .copies = buffer_slice(&copies)};
    if (good && buffer_ok(&copies))
        manager_send_fetched(v->m, peer, &message);
    else
        manager_refuse_fetch(v->m, peer, v->token, MANAGER_AWAY);
    buffer_fini(&copies);
}

static void manager_take_page(const struct manager_copying *v, struct worker_peer *peer,
                              struct slice bytes)
{
    const struct manager_node *n = peer->user;
    struct cache_ring_answer a;
    struct cache_ring_page page;
    uint64_t mark;
    bool lost;
    if (!cache_ring_read_copies(bytes, &a, &mark, &lost, &page)) {
        manager_is_garbled(v->m, v->script);
        manager_refuse_fetch(v->m, peer, v->token, MANAGER_AWAY);
    } else if (a.status != CACHE_RING_OK || lost || mark != n->who.mark) {
        manager_refuse_fetch(v->m, peer, v->token, CACHE_RING_MUST_JOIN);
    } else {
        manager_send_copies(v, peer, &page);
    }
}

static void manager_on_page(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct manager_copying *v = ctx;
    struct slice bytes;
    struct worker_peer *peer;
    bool there = manager_find(v->m, v->name, v->generation, &peer) != NULL;
    bool told = manager_bytes(v->m, v->script, reply, &bytes);
    if (there && told)
        manager_take_page(v, peer, bytes);
    else if (there)
        manager_refuse_fetch(v->m, peer, v->token, MANAGER_AWAY);
    free(v);
}

bool manager_on_fetch(struct manager *m, struct worker_peer *from, struct unpack *u)
{
    struct message_ring_fetch message;
    char cursor[CACHE_RING_CURSOR_SIZE];
    if (!message_ring_fetch_unpack(u, &message) || message.cursor.len == 0 ||
        !slice_copy(message.cursor, cursor, sizeof cursor))
        return false;
    const struct manager_node *n = from->user;
    uint64_t result = manager_obstacle(m, n, message.mark);
    struct manager_copying *v =
        result == 0 ? manager_copying(m, from, CACHE_RING_COPIES, message.token) : NULL;
    if (v != NULL &&
        manager_send(
            m, cache_ring_copies(&m->call, manager_run(m), n->who.incarnation, slice_of(cursor)),
            manager_on_page, v) == 0)
        return true;
    free(v);
    manager_refuse_fetch(m, from, message.token, result != 0 ? result : MANAGER_AWAY);
    return true;
}
