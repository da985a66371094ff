/*
 * command_platoon.c: what a cache node is asked that Redis is not: PLATOON.GET, PLATOON.COPY, PLATOON.SET,
 * PLATOON.DUMP, PLATOON.DIRTY.
 *
 * Runs in a cache node. One node has all objects, so that all ways of reading are one; its words are checked all the
 * same, for a program that is right here must be right in a ring.
 */
#include "workers/cache/cache_form.h"
#include "workers/cache/cache_hold.h"
#include "workers/cache/cache_need.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_consistency.h"
#include "workers/cache/command/command_list.h"

void command_platoon_get(struct cache_client *c, const struct slice *words, size_t count)
{
    enum cache_consistency consistency;
    uint64_t ms;
    const char *wrong = command_consistency_read(words + 2, count - 2, &consistency, &ms);
    if (wrong != NULL)
        resp_error(&c->reply, "%s", wrong);
    else
        command_get(c, words, 2);
}

/* What another node needs to keep a copy (cache_reads.h), in one step: so that it never outlives its object. */
void command_platoon_copy(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    const struct cache_object *o = cache_db_read(c->node->db, words[1]);
    int64_t expiry_ms = o != NULL ? cache_object_expiry(o) : CACHE_NEVER;
    resp_array(&c->reply, 4);
    if (o != NULL)
        resp_bulk(&c->reply, cache_object_value(o));
    else
        resp_nil(&c->reply);
    resp_i64(&c->reply, expiry_ms == CACHE_NEVER ? -1 : expiry_ms);
    resp_i64(&c->reply, o != NULL ? (int64_t)o->version : 0);
    resp_i64(&c->reply, o != NULL ? o->form : 0);
}

/* What another node was called to set in a form that SET has no word for. */
void command_platoon_set(struct cache_client *c, const struct slice *words, size_t count)
{
    enum cache_form form;
    (void)count;
    if (!cache_form_find(words[3], &form))
        resp_error(&c->reply, "ERR syntax error");
    else if (command_fault(c, cache_db_set(c->node->db, words[1], words[2], CACHE_NEVER, form)))
        resp_status(&c->reply, "OK");
}

/* Milliseconds; false: the error is written. */
static bool command_wait_ms(struct cache_client *c, const struct slice *words, size_t count,
                            int64_t *ms)
{
    bool right = count == 2 || (count == 4 && command_is(words[2], "wait"));
    if (!right)
        resp_error(&c->reply, "ERR syntax error");
    else if (count == 4 && (!command_read_i64(words[3], ms) || *ms < 0))
        resp_error(&c->reply, "ERR timeout is negative or not an integer");
    else
        return true;
    return false;
}

void command_platoon_dump(struct cache_client *c, const struct slice *words, size_t count)
{
    int64_t ms = 0;
    if (!command_wait_ms(c, words, count, &ms))
        return;
    bool dirty = cache_need_ask(c->node, words[1]);
    if (dirty && count == 4)
        cache_hold_stored(c, c->last, words, count, (uint64_t)ms);
    else
        resp_i64(&c->reply, dirty);
}

/* How old the oldest is; nil: nothing is dirty. */
void command_platoon_dirty(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    struct cache_dirt dirt = cache_db_dirt(c->node->db);
    int64_t age = cache_db_now_ms(c->node->db) - dirt.oldest_ms;
    resp_array(&c->reply, 3);
    resp_i64(&c->reply, (int64_t)dirt.keys);
    resp_i64(&c->reply, (int64_t)dirt.bytes);
    if (dirt.oldest_ms == 0)
        resp_nil(&c->reply);
    else
        resp_i64(&c->reply, age > 0 ? age : 0);
}
