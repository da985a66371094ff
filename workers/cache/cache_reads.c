/* cache_reads.c: see cache_reads.h. */
#include "workers/cache/cache_reads.h"

#include "common/clock.h"
#include "common/siphash.h"
#include "workers/cache/cache_load.h"
#include "workers/cache/cache_reads_answer.h"

#include <stdlib.h>

#define READS_PART 8 /* of the node's memory for copies, at most */

/*
 * A quarter of that stays when memory is full, as long as an object can go in its place: a full node is the usual one,
 * and on it copies would be gone before a command of several keys has found them all.
 */
#define READS_KEPT_PART 4

#define READS_DROPPED 1024

struct cache_reads {
    struct cache_reads_options options;
    struct cache_copies *copies;
    struct cache_loads *loads;
    size_t bytes_max;
    size_t charged; /* bytes that cache_db knows of */
    /*
     * When a key of that hash was written last, counted in drops. A few of them share a place: then a copy is not kept
     * that could be, no more. Rejected: a list of what is being asked for, through which each write would go.
     */
    uint64_t drops, dropped[READS_DROPPED];
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    bool asks; /* an owner was ever asked for a copy */
    /* What has just come and is no copy, for it is too large. */
    bool passes;
    struct buffer passing_key, passing_value;
    struct cache_copy passing;
};

static struct cache_db *reads_db(const struct cache_reads *r)
{
    return r->options.node->db;
}

/* ---- memory ---- */

static void reads_charge(struct cache_reads *r)
{
    size_t bytes = cache_copies_bytes(r->copies) + r->passing_key.cap + r->passing_value.cap;
    cache_db_charge(reads_db(r), (ptrdiff_t)bytes - (ptrdiff_t)r->charged);
    r->charged = bytes;
}

static void reads_shrink(void *ctx, size_t bytes, bool all)
{
    struct cache_reads *r = ctx;
    size_t held = cache_copies_bytes(r->copies), kept = all ? 0 : r->bytes_max / READS_KEPT_PART;
    if (held > kept)
        cache_copies_shrink(r->copies, bytes < held - kept ? bytes : held - kept);
    reads_charge(r);
}

/* ---- what passes ---- */

static void reads_pass_end(struct cache_reads *r)
{
    buffer_fini(&r->passing_key);
    buffer_fini(&r->passing_value);
    r->passes = false;
}

static bool reads_pass(struct cache_reads *r, struct slice key, const struct cache_copy *copy)
{
    reads_pass_end(r);
    buffer_append_slice(&r->passing_key, key);
    buffer_append_slice(&r->passing_value, copy->value);
    r->passes = buffer_ok(&r->passing_key) && buffer_ok(&r->passing_value);
    if (!r->passes)
        reads_pass_end(r);
    r->passing = *copy;
    r->passing.value = buffer_slice(&r->passing_value);
    return r->passes;
}

void cache_reads_turn(struct cache_reads *r)
{
    if (!r->passes)
        return;
    reads_pass_end(r);
    reads_charge(r);
}

/* ---- looking ---- */

static const struct cache_copy *reads_copy(struct cache_reads *r, struct slice key)
{
    const struct cache_copy *copy = cache_copies_find(r->copies, key, cache_db_now_ms(reads_db(r)));
    if (copy == NULL && r->passes && slice_equal(buffer_slice(&r->passing_key), key))
        copy = &r->passing;
    reads_charge(r); /* one that has expired is gone */
    return copy;
}

bool cache_reads_owns(const struct cache_reads *r, struct slice key)
{
    return r->options.owns(r->options.ctx, key);
}

bool cache_reads_knows(struct cache_reads *r, struct slice key)
{
    return cache_db_knows(reads_db(r), key) ||
           (!cache_reads_owns(r, key) && reads_copy(r, key) != NULL);
}

bool cache_reads_is_fresh(struct cache_reads *r, struct slice key, uint64_t ms)
{
    const struct cache_copy *copy = reads_copy(r, key);
    return copy != NULL && cache_copy_is_fresh(copy, clock_mono_ms(), ms);
}

bool cache_reads_find(struct cache_reads *r, struct slice key, enum cache_consistency how,
                      struct slice *value, enum cache_form *form)
{
    if (how == CACHE_EVENTUAL && cache_db_knows(reads_db(r), key)) {
        const struct cache_object *o = cache_db_read(reads_db(r), key);
        *value = o != NULL ? cache_object_value(o) : slice_of("");
        if (form != NULL)
            *form = o != NULL ? (enum cache_form)o->form : CACHE_FORM_BYTES;
        return o != NULL;
    }
    const struct cache_copy *copy = reads_copy(r, key);
    bool found = copy != NULL && !copy->absent;
    cache_db_count_read(reads_db(r), found);
    *value = found ? copy->value : slice_of("");
    if (form != NULL)
        *form = found ? (enum cache_form)copy->form : CACHE_FORM_BYTES;
    return found;
}

/* ---- keeping ---- */

/* What this node has by now is no copy any more: it may have written it since. */
static bool reads_keep(struct cache_reads *r, struct slice key, const struct cache_copy *copy)
{
    bool kept = cache_reads_owns(r, key) || cache_copies_put(r->copies, key, copy);
    reads_charge(r);
    return kept;
}

static bool reads_has(void *ctx, struct slice key)
{
    struct cache_reads *r = ctx;
    return reads_copy(r, key) != NULL;
}

/* What the store has answered. One whose time is over is none. */
static enum cache_fault reads_learn(void *ctx, struct slice key, const struct backing_answer *a)
{
    struct cache_reads *r = ctx;
    struct cache_copy copy = {.absent = true, .version = a->meta.version, .expiry_ms = CACHE_NEVER};
    if (a->result == BACKING_DONE && !a->meta.deleted &&
        a->meta.expiry_ms > cache_db_now_ms(reads_db(r)))
        copy = (struct cache_copy){.value = a->value,
                                   .form = a->meta.form & 3,
                                   .version = a->meta.version,
                                   .expiry_ms = a->meta.expiry_ms};
    bool kept = reads_keep(r, key, &copy) || reads_pass(r, key, &copy);
    reads_charge(r);
    return kept ? CACHE_OK : CACHE_FAULT_MEMORY;
}

static uint64_t *reads_dropped(struct cache_reads *r, struct slice key)
{
    return &r->dropped[siphash(key, r->hash_key) % READS_DROPPED];
}

struct cache_reads_when cache_reads_ask(struct cache_reads *r)
{
    r->asks = true;
    return (struct cache_reads_when){.ms = clock_mono_ms(), .drops = r->drops};
}

bool cache_reads_take(struct cache_reads *r, struct slice key, struct slice answer,
                      struct cache_reads_when asked, struct resp_reply *reply,
                      enum cache_form *form)
{
    struct cache_copy copy;
    if (!cache_reads_answer(answer, &copy))
        return false;
    copy.confirmed_ms = asked.ms;
    if (form != NULL)
        *form = (enum cache_form)copy.form;
    if (copy.absent)
        resp_nil(reply);
    else
        resp_bulk(reply, copy.value);
    if (*reads_dropped(r, key) <= asked.drops)
        reads_keep(r, key, &copy);
    return true;
}

void cache_reads_ahead(struct cache_reads *r, struct slice key)
{
    if (!cache_reads_knows(r, key))
        cache_load_ahead(r->loads, key);
}

/* ---- dropping ---- */

bool cache_reads_are_none(const struct cache_reads *r)
{
    return !r->asks && cache_copies_count(r->copies) == 0 && !r->passes &&
           cache_loads_count(r->loads) == 0;
}

void cache_reads_drop(struct cache_reads *r, struct slice key)
{
    if (cache_reads_are_none(r))
        return;
    *reads_dropped(r, key) = ++r->drops;
    if (r->passes && slice_equal(buffer_slice(&r->passing_key), key))
        reads_pass_end(r);
    cache_copies_drop(r->copies, key);
    cache_load_overtake(r->loads, key);
    reads_charge(r);
}

/* ---- life ---- */

struct cache_loads *cache_reads_loads(const struct cache_reads *r)
{
    return r->loads;
}

size_t cache_reads_count(const struct cache_reads *r)
{
    return cache_copies_count(r->copies);
}

static void reads_on_answer(void *ctx)
{
    struct cache_reads *r = ctx;
    r->options.on_answer(r->options.ctx);
}

static struct cache_loads *reads_loads_new(struct cache_reads *r)
{
    static const struct cache_load_place place = {.knows = reads_has, .learn = reads_learn};
    const struct cache_reads_options *o = &r->options;
    struct cache_load_options loads = {.place = &place,
                                       .backing = o->backing,
                                       .loop = o->node->loop,
                                       .hash_key = o->hash_key,
                                       .parallel = o->parallel,
                                       .timeout_ms = o->timeout_ms,
                                       .retry_max_ms = o->retry_max_ms,
                                       .who = o->node->options.name,
                                       .on_answer = reads_on_answer,
                                       .ctx = r};
    return cache_loads_new(&loads);
}

struct cache_reads *cache_reads_new(const struct cache_reads_options *options)
{
    struct cache_reads *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->options = *options;
    memcpy(r->hash_key, options->hash_key, sizeof r->hash_key);
    r->bytes_max = options->node->options.memory_max / READS_PART;
    r->copies = cache_copies_new(r->bytes_max, options->hash_key);
    r->loads = r->copies != NULL ? reads_loads_new(r) : NULL;
    if (r->loads == NULL) {
        cache_copies_free(r->copies);
        free(r);
        return NULL;
    }
    cache_db_spare(reads_db(r), reads_shrink, r);
    reads_charge(r);
    return r;
}

void cache_reads_free(struct cache_reads *r)
{
    if (r == NULL)
        return;
    cache_db_spare(reads_db(r), NULL, NULL);
    cache_db_charge(reads_db(r), -(ptrdiff_t)r->charged);
    cache_loads_free(r->loads);
    cache_copies_free(r->copies);
    reads_pass_end(r);
    free(r);
}
