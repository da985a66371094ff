/* cache_input.c: see cache_input.h. */
#include "workers/cache/cache_input.h"

#include "common/log.h"
#include "workers/cache/cache_node.h"

#define INPUT_STEP ((size_t)1 << 20) /* that one who goes on is taken to need */

size_t cache_input_max(const struct cache_node *n)
{
    size_t share = n->options.memory_max / 8;
    return share > CACHE_INPUT_LEAST ? share : CACHE_INPUT_LEAST;
}

/* ---- who waits ---- */

static void input_leave(struct cache_client *c)
{
    struct cache_input *in = &c->node->input;
    struct cache_input_part *p = &c->input;
    if (!p->waits)
        return;
    *(p->prev != NULL ? &p->prev->input.next : &in->first) = p->next;
    *(p->next != NULL ? &p->next->input.prev : &in->last) = p->prev;
    p->next = p->prev = NULL;
    p->waits = false;
}

/* Whoever waited before has its old place: nearly always the last one. */
static void input_wait(struct cache_client *c)
{
    struct cache_input *in = &c->node->input;
    struct cache_input_part *p = &c->input;
    struct cache_client *before = in->last;
    if (before == NULL)
        in->one_ms = uv_now(c->node->loop);
    if (p->ticket == 0)
        p->ticket = ++in->tickets;
    while (before != NULL && before->input.ticket > p->ticket)
        before = before->input.prev;
    p->prev = before;
    p->next = before != NULL ? before->input.next : in->first;
    *(p->prev != NULL ? &p->prev->input.next : &in->first) = c;
    *(p->next != NULL ? &p->next->input.prev : &in->last) = c;
    p->waits = true;
}

static void input_is_one(struct cache_client *c)
{
    c->node->input.one = c;
    c->node->input.one_ms = uv_now(c->node->loop);
}

/* As many as there is room for go on, and always one: it may be that the others send nothing more. */
static void input_go_on(struct cache_node *n)
{
    struct cache_input *in = &n->input;
    size_t max = cache_input_max(n), room = in->bytes < max ? max - in->bytes : 0;
    while (in->first != NULL && (room > 0 || in->one == NULL)) {
        struct cache_client *c = in->first;
        input_leave(c);
        if (room == 0)
            input_is_one(c);
        room -= room < INPUT_STEP ? room : INPUT_STEP;
        cache_turn_more(c);
    }
}

/* ---- who reads ---- */

bool cache_input_may(struct cache_client *c, size_t more)
{
    struct cache_input *in = &c->node->input;
    if (c->in.len + more <= CACHE_INPUT_SMALL || more <= c->in.cap - c->in.len || in->one == c)
        return true;
    if (c->input.waits)
        return false;
    if (in->bytes < cache_input_max(c->node))
        return true;
    if (in->one == NULL)
        input_is_one(c);
    else
        input_wait(c);
    return in->one == c;
}

void cache_input_count(struct cache_client *c, size_t bytes)
{
    struct cache_input *in = &c->node->input;
    size_t before = c->input.bytes, counts = bytes > CACHE_INPUT_SMALL ? bytes : 0;
    in->bytes += counts - before;
    c->input.bytes = counts;
    if (counts < before)
        input_go_on(c->node);
}

void cache_input_rests(struct cache_client *c)
{
    if (c->node->input.one != c)
        return;
    c->node->input.one = NULL;
    input_go_on(c->node);
}

void cache_input_passed(struct cache_client *c)
{
    c->input.ticket = 0;
    cache_input_rests(c);
}

void cache_input_forget(struct cache_client *c)
{
    input_leave(c);
    cache_input_count(c, 0);
    cache_input_passed(c);
}

/* ---- who is too slow ---- */

void cache_input_tick(struct cache_node *n)
{
    char address[CACHE_CLIENT_ADDRESS_SIZE];
    struct cache_client *c = n->input.one;
    if (n->input.first == NULL || c == NULL ||
        uv_now(n->loop) < n->input.one_ms + CACHE_INPUT_SLOW_MS)
        return;
    cache_client_address(c, false, address);
    log_warn("client-slow",
             "client=%s reason=\"its command was not whole within %d s, while others waited for "
             "memory for theirs: it is ended\"",
             log_quote_text(address), CACHE_INPUT_SLOW_MS / 1000);
    n->counts.dropped++;
    cache_turn_end(c, true);
}
