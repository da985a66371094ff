/*
 * cache_turn_list.c: what a turn keeps for its end: who has something to write, who to execute, whose buffers, which
 * replies are of writes. Below clients, who say it; cache_turn.c, above them, acts on it.
 */
#include "workers/cache/cache_turn.h"

#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"

#include <stdlib.h>
#include <time.h>

#define TURN_SPARE_MAX CACHE_READ_SIZE /* bytes of a buffer that is kept */

/* ---- lists ---- */

void cache_turn_ready(struct cache_client *c)
{
    struct cache_turn *t = &c->node->turn;
    if (c->ready)
        return;
    c->ready = true;
    c->next_ready = t->ready;
    t->ready = c;
}

void cache_turn_more(struct cache_client *c)
{
    struct cache_turn *t = &c->node->turn;
    if (c->more)
        return;
    c->more = true;
    c->next_more = t->more;
    t->more = c;
}

bool cache_turn_is_full(const struct cache_turn *t)
{
    const struct cache_log *log = t->node->log;
    return log != NULL && !t->failed &&
           cache_log_added(log) - cache_log_written(log) > CACHE_TURN_LOG;
}

static void turn_unlink_ready(struct cache_turn *t, struct cache_client *c)
{
    struct cache_client **at = &t->ready;
    while (*at != c)
        at = &(*at)->next_ready;
    *at = c->next_ready;
}

static void turn_unlink_more(struct cache_turn *t, struct cache_client *c)
{
    struct cache_client **at = &t->more;
    while (*at != c)
        at = &(*at)->next_more;
    *at = c->next_more;
}

static void turn_unlink_syncing(struct cache_turn *t, struct cache_client *c)
{
    struct cache_client **at = &t->syncing;
    while (*at != c)
        at = &(*at)->next_syncing;
    *at = c->next_syncing;
}

void cache_turn_remove(struct cache_client *c)
{
    struct cache_turn *t = &c->node->turn;
    if (c->ready)
        turn_unlink_ready(t, c);
    if (c->more)
        turn_unlink_more(t, c);
    if (c->syncing)
        turn_unlink_syncing(t, c);
    c->ready = c->more = c->syncing = false;
    for (size_t i = 0; i < t->write_count; i++)
        if (t->writes[i].client == c)
            t->writes[i].client = NULL;
}

void cache_turn_end(struct cache_client *c, bool now)
{
    c->closing = true;
    c->gone = c->gone || now;
    cache_turn_ready(c);
}

/* ---- buffers ---- */

void cache_turn_lend(struct cache_turn *t, struct buffer *b)
{
    if (b->data == NULL && !b->failed && t->spare_count > 0)
        *b = t->spares[--t->spare_count];
}

void cache_turn_return(struct cache_turn *t, struct buffer *b)
{
    if (b->data != NULL && b->cap <= TURN_SPARE_MAX && t->spare_count < CACHE_TURN_SPARES) {
        buffer_clear(b);
        t->spares[t->spare_count++] = *b;
        *b = BUFFER_EMPTY;
    } else {
        buffer_fini(b);
    }
}

/* ---- who is no client ---- */

void cache_turn_answer(struct cache_turn *t, struct cache_turn_answer *a)
{
    a->next = NULL;
    a->at_ms = a->at_ms != 0 ? a->at_ms : uv_now(t->node->loop);
    if (t->answers == NULL)
        t->answers = a;
    else
        t->last_answer->next = a;
    t->last_answer = a;
    t->answer_count++;
}

/* ---- a turn ---- */

void cache_turn_begin(struct cache_turn *t)
{
    struct timespec now;
    if (t->began)
        return;
    t->began = true;
    clock_gettime(CLOCK_REALTIME, &now);
    cache_db_begin(t->node->db, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000,
                   uv_now(t->node->loop));
    if (t->node->member != NULL)
        cache_db_version_clock(t->node->db, cache_member_version(t->node->member));
}

/* Without memory for the note the client ends: nobody could take its acknowledgement back. */
void cache_turn_wrote(struct cache_client *c, size_t from, uint64_t end, uint64_t copy)
{
    struct cache_turn *t = &c->node->turn;
    c->log_end = end != 0 ? end : c->log_end;
    c->copy = copy > c->copy ? copy : c->copy;
    if (t->write_count == t->write_capacity) {
        size_t capacity = t->write_capacity > 0 ? 2 * t->write_capacity : 256;
        struct cache_turn_write *grown = realloc(t->writes, capacity * sizeof *grown);
        if (grown == NULL) {
            cache_turn_end(c, true);
            return;
        }
        t->writes = grown;
        t->write_capacity = capacity;
    }
    t->writes[t->write_count++] = (struct cache_turn_write){.client = c,
                                                            .from = from,
                                                            .to = c->reply.out.len,
                                                            .end = end,
                                                            .copy = copy,
                                                            .at_ms = uv_now(c->node->loop)};
}
