/* cache_ring_script.c: names and arguments of the ring's scripts. See cache_ring_script.h. */
#include "proto/cache/cache_ring_script.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Most arguments of a call that has no list of cells, nodes or copies: join's. */
#define RING_FIXED_MAX 13

const char *cache_ring_script_text(enum cache_ring_script script)
{
    static const char *const texts[CACHE_RING_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [CACHE_##NAME] = redis_script_##name,
        CACHE_SCRIPTS(X)
#undef X
    };
    return texts[script];
}

const char *cache_ring_script_name(enum cache_ring_script script)
{
    static const char *const names[CACHE_RING_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [CACHE_##NAME] = #name,
        CACHE_SCRIPTS(X)
#undef X
    };
    return names[script];
}

int cache_ring_prefix(char prefix[CACHE_RING_PREFIX_SIZE], const char *cache)
{
    char text[CACHE_RING_PREFIX_SIZE];
    int len = snprintf(text, sizeof text, "platoon:{cache:%s}:", cache);
    if (len < 0 || (size_t)len >= sizeof text)
        return -ENAMETOOLONG;
    memcpy(prefix, text, (size_t)len + 1);
    return 0;
}

void cache_ring_call_fini(struct cache_ring_call *c)
{
    free(c->args);
    free(c->room);
    *c = (struct cache_ring_call){0};
}

/* Begins a call of at most RING_FIXED_MAX arguments and `count` times `each`. Nothing moves until the next one. */
static int ring_begin(struct cache_ring_call *c, enum cache_ring_script script, struct slice run,
                      size_t count, size_t each)
{
    c->count = 0;
    c->script = script;
    if (count > CACHE_RING_CALL_MAX)
        return -E2BIG;
    size_t need = RING_FIXED_MAX + count * each;
    if (need > c->cap) {
        cache_ring_call_fini(c);
        c->script = script;
        c->args = calloc(need, sizeof *c->args);
        c->room = calloc(need, sizeof *c->room);
        if (c->args == NULL || c->room == NULL) {
            cache_ring_call_fini(c);
            return -ENOMEM;
        }
        c->cap = need;
    }
    c->args[c->count++] = run;
    return 0;
}

static void ring_add(struct cache_ring_call *c, struct slice arg)
{
    assert(c->count < c->cap);
    c->args[c->count++] = arg;
}

static void ring_add_number(struct cache_ring_call *c, uint64_t number)
{
    assert(c->count < c->cap);
    char *text = c->room[c->count];
    int len = snprintf(text, sizeof c->room[0], "%" PRIu64, number);
    ring_add(c, slice_make(text, (size_t)len));
}

/* The highest byte first: its first 12 bits say which bucket. */
static void ring_add_cell(struct cache_ring_call *c, uint64_t cell)
{
    assert(c->count < c->cap);
    char *bytes = c->room[c->count];
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(cell >> (56 - 8 * i));
    ring_add(c, slice_make(bytes, 8));
}

static void ring_add_holder(struct cache_ring_call *c, const struct cache_ring_holder *who)
{
    ring_add_number(c, who->incarnation);
    ring_add_number(c, who->mark);
}

int cache_ring_join(struct cache_ring_call *c, struct slice run, const struct cache_ring_member *m)
{
    int rc = ring_begin(c, CACHE_RING_JOIN, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add(c, m->seed);
    ring_add(c, m->store);
    ring_add_number(c, m->file);
    ring_add_number(c, m->copies);
    ring_add_number(c, m->lease_ms);
    ring_add(c, m->name);
    ring_add(c, m->host);
    ring_add(c, m->platoon);
    ring_add(c, m->address);
    ring_add(c, m->token);
    ring_add_holder(c, &m->last);
    return 0;
}

int cache_ring_beat(struct cache_ring_call *c, struct slice run, struct slice manager,
                    struct slice host, uint64_t gen, const struct cache_ring_holder *nodes,
                    size_t count)
{
    int rc = ring_begin(c, CACHE_RING_BEAT, run, count, 2);
    if (rc != 0)
        return rc;
    ring_add(c, manager);
    ring_add(c, host);
    ring_add_number(c, gen);
    for (size_t i = 0; i < count; i++)
        ring_add_holder(c, &nodes[i]);
    return 0;
}

int cache_ring_claim(struct cache_ring_call *c, struct slice run,
                     const struct cache_ring_holder *who, const uint64_t *cells, size_t count)
{
    int rc = ring_begin(c, CACHE_RING_CLAIM, run, count, 1);
    if (rc != 0)
        return rc;
    ring_add_holder(c, who);
    for (size_t i = 0; i < count; i++)
        ring_add_cell(c, cells[i]);
    return 0;
}

static int ring_numbered(struct cache_ring_call *c, enum cache_ring_script script, struct slice run,
                         const struct cache_ring_holder *who, const struct cache_ring_held *cells,
                         size_t count)
{
    int rc = ring_begin(c, script, run, count, 2);
    if (rc != 0)
        return rc;
    ring_add_holder(c, who);
    for (size_t i = 0; i < count; i++) {
        ring_add_cell(c, cells[i].cell);
        ring_add_number(c, cells[i].number);
    }
    return 0;
}

int cache_ring_held(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_held *cells,
                    size_t count)
{
    return ring_numbered(c, CACHE_RING_HELD, run, who, cells, count);
}

int cache_ring_release(struct cache_ring_call *c, struct slice run,
                       const struct cache_ring_holder *who, const struct cache_ring_held *cells,
                       size_t count)
{
    return ring_numbered(c, CACHE_RING_RELEASE, run, who, cells, count);
}

int cache_ring_look(struct cache_ring_call *c, struct slice run, const uint64_t *cells,
                    size_t count)
{
    int rc = ring_begin(c, CACHE_RING_LOOK, run, count, 1);
    for (size_t i = 0; rc == 0 && i < count; i++)
        ring_add_cell(c, cells[i]);
    return rc;
}

int cache_ring_lost(struct cache_ring_call *c, struct slice run, struct slice manager,
                    uint64_t incarnation, uint64_t beats)
{
    int rc = ring_begin(c, CACHE_RING_LOST, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add(c, manager);
    ring_add_number(c, incarnation);
    ring_add_number(c, beats);
    return 0;
}

int cache_ring_forget(struct cache_ring_call *c, struct slice run,
                      const struct cache_ring_holder *lost, bool even)
{
    int rc = ring_begin(c, CACHE_RING_FORGET, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add_holder(c, lost);
    ring_add_number(c, even);
    return 0;
}

int cache_ring_leave(struct cache_ring_call *c, struct slice run,
                     const struct cache_ring_holder *who)
{
    int rc = ring_begin(c, CACHE_RING_LEAVE, run, 0, 0);
    if (rc == 0)
        ring_add_holder(c, who);
    return rc;
}

int cache_ring_retire(struct cache_ring_call *c, struct slice run, struct slice manager,
                      const uint64_t *beats)
{
    int rc = ring_begin(c, CACHE_RING_RETIRE, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add(c, manager);
    if (beats != NULL)
        ring_add_number(c, *beats);
    else
        ring_add(c, slice_of(""));
    return 0;
}

int cache_ring_sweep(struct cache_ring_call *c, struct slice run, uint64_t incarnation,
                     uint64_t bucket, struct slice cursor)
{
    int rc = ring_begin(c, CACHE_RING_SWEEP, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add_number(c, incarnation);
    ring_add_number(c, bucket);
    ring_add(c, cursor);
    return 0;
}

int cache_ring_free(struct cache_ring_call *c, struct slice run, uint64_t bucket,
                    struct slice cursor)
{
    int rc = ring_begin(c, CACHE_RING_FREE, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add_number(c, bucket);
    ring_add(c, cursor);
    return 0;
}

int cache_ring_copy(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_copy *copies,
                    size_t count)
{
    int rc = ring_begin(c, CACHE_RING_COPY, run, count, 3);
    if (rc != 0)
        return rc;
    ring_add_holder(c, who);
    for (size_t i = 0; i < count; i++) {
        ring_add(c, copies[i].key);
        ring_add_number(c, copies[i].version);
        ring_add(c, copies[i].record);
    }
    return 0;
}

int cache_ring_copies(struct cache_ring_call *c, struct slice run, uint64_t incarnation,
                      struct slice cursor)
{
    int rc = ring_begin(c, CACHE_RING_COPIES, run, 0, 0);
    if (rc != 0)
        return rc;
    ring_add_number(c, incarnation);
    ring_add(c, cursor);
    return 0;
}

int cache_ring_drop(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_copy *copies,
                    size_t count)
{
    int rc = ring_begin(c, CACHE_RING_DROP, run, count, 2);
    if (rc != 0)
        return rc;
    ring_add_holder(c, who);
    for (size_t i = 0; i < count; i++) {
        ring_add(c, copies[i].key);
        ring_add_number(c, copies[i].version);
    }
    return 0;
}
