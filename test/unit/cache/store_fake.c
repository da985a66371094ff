/* store_fake.c: see store_fake.h. */
#include "test/unit/cache/store_fake.h"

#include <errno.h>
#include <stdlib.h>

static int fake_put(struct backing *b, struct slice key, struct slice value,
                    const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **call)
{
    struct store_fake *s = (struct store_fake *)(void *)b;
    struct backing_call *c = s->short_of_memory ? NULL : calloc(1, sizeof *c);
    (void)timeout_ms;
    if (c == NULL)
        return -ENOMEM;
    if (key.len > STORE_BYTES || value.len > STORE_BYTES)
        ck_abort_msg("longer than the fake's objects");
    *c = (struct backing_call){.store = s, .fn = fn, .ctx = ctx};
    c->put.key_len = key.len;
    c->put.value_len = value.len;
    c->put.meta = *meta;
    memcpy(c->put.key, key.ptr, key.len);
    memcpy(c->put.value, value.ptr, value.len);
    struct backing_call **end = &s->calls;
    while (*end != NULL)
        end = &(*end)->next;
    *end = c;
    *call = c;
    s->started++;
    return 0;
}

static int fake_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **call)
{
    struct store_fake *s = (struct store_fake *)(void *)b;
    int rc = fake_put(b, key, slice_of(""), &(struct backing_meta){0}, timeout_ms, fn, ctx, call);
    s->started -= rc == 0;
    return rc;
}

static void fake_pull(struct backing_call *c)
{
    struct backing_call **link = &c->store->calls;
    while (*link != c)
        link = &(*link)->next;
    *link = c->next;
    c->next = NULL;
}

static void fake_cancel(struct backing_call *c)
{
    fake_pull(c);
    free(c);
}

static const struct backing_ops fake_ops = {
    .put = fake_put, .get = fake_get, .cancel = fake_cancel};

void store_fake_init(struct store_fake *s)
{
    *s = (struct store_fake){.backing = {.ops = &fake_ops}};
}

void store_fake_fini(struct store_fake *s)
{
    while (s->calls != NULL)
        fake_cancel(s->calls);
    while (store_fake_arrive(s))
        ;
}

size_t store_fake_count(const struct store_fake *s)
{
    size_t count = 0;
    for (const struct backing_call *c = s->calls; c != NULL; c = c->next)
        count++;
    return count;
}

struct backing_call *store_fake_call(const struct store_fake *s, const char *key)
{
    struct backing_call *c = s->calls;
    while (c != NULL && !slice_is(slice_make(c->put.key, c->put.key_len), key))
        c = c->next;
    return c;
}

const struct store_object *store_fake_find(const struct store_fake *s, struct slice key)
{
    for (size_t i = 0; i < s->object_count; i++)
        if (slice_equal(slice_make(s->objects[i].key, s->objects[i].key_len), key))
            return &s->objects[i];
    return NULL;
}

enum backing_result store_fake_do(struct store_fake *s, const struct store_object *put,
                                  uint64_t *version)
{
    struct store_object *o =
        (struct store_object *)(uintptr_t)store_fake_find(s, slice_make(put->key, put->key_len));
    if (put->meta.version == 0)
        return BACKING_DONE;
    if (o == NULL && s->object_count == STORE_OBJECTS)
        ck_abort_msg("more objects than the fake has room for");
    if (o == NULL)
        o = &s->objects[s->object_count++];
    else if (o->meta.version > put->meta.version) {
        if (version != NULL)
            *version = o->meta.version;
        return BACKING_NEWER;
    }
    *o = *put;
    return BACKING_DONE;
}

static void fake_answer(struct backing_call *c, enum backing_result result, uint64_t version)
{
    struct backing_answer answer = {
        .result = result,
        .meta = {.version = version},
        .why = result == BACKING_DONE || result == BACKING_NEWER ? "" : "the fake says so"};
    c->fn(&answer, c->ctx);
}

void store_fake_take(struct backing_call *call)
{
    uint64_t version = 0;
    fake_pull(call);
    enum backing_result result = store_fake_do(call->store, &call->put, &version);
    fake_answer(call, result, version);
    free(call);
}

void store_fake_take_all(struct store_fake *s)
{
    while (s->calls != NULL)
        store_fake_take(s->calls);
}

void store_fake_answer(struct backing_call *call, enum backing_result result, bool late)
{
    fake_pull(call);
    fake_answer(call, result, 0);
    if (!late) {
        free(call);
        return;
    }
    call->next = call->store->late;
    call->store->late = call;
}

bool store_fake_arrive(struct store_fake *s)
{
    struct backing_call **link = &s->late;
    if (*link == NULL)
        return false;
    while ((*link)->next != NULL)
        link = &(*link)->next;
    struct backing_call *oldest = *link;
    *link = NULL;
    store_fake_do(s, &oldest->put, NULL);
    free(oldest);
    return true;
}
