/*
 * cache_manager_copy.c: second copies of what nodes have written (copies = 2): kept, and dropped. See
 * cache_manager_private.h.
 *
 * Each request is one call of a script, and has one answer while the manager lives. Nothing is tried again from here: a
 * node does, with what is newest by then.
 */
#include "workers/cache/manager/cache_manager_private.h"

#include "proto/cache/cache_ring_record.h"

#include <stdlib.h>

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
    struct manager_copying *v = result == 0 ? calloc(1, sizeof *v) : NULL;
    if (v != NULL) {
        *v = (struct manager_copying){
            .m = m, .generation = from->generation, .token = token, .script = script};
        slice_copy(slice_of(from->name), v->name, sizeof v->name);
        if (manager_send(m, manager_call_copies(m, from->user, script, copies, count),
                         manager_on_copied, v) == 0)
            return true;
        free(v);
    }
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
