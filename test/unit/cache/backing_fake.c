/* backing_fake.c: see backing_fake.h. */
#include "test/unit/cache/backing_fake.h"

#include <check.h>
#include <errno.h>

struct fake_backing fake;

static int fake_call(enum fake_kind kind, struct slice key, struct slice value,
                     const struct backing_meta *meta, backing_answer_fn fn, void *ctx,
                     struct backing_call **call)
{
    size_t i = 0;
    if (fake.short_of_memory)
        return -ENOMEM;
    while (i < FAKE_CALLS && fake.calls[i].used)
        i++;
    if (i == FAKE_CALLS) /* an assertion that holds allocates, and memory may be short here */
        ck_abort_msg("more than %d calls wait", FAKE_CALLS);
    fake.calls[i] =
        (struct fake_call){.kind = kind, .value = value, .fn = fn, .ctx = ctx, .used = true};
    if (meta != NULL)
        fake.calls[i].meta = *meta;
    if (!slice_copy(key, fake.calls[i].key, sizeof fake.calls[i].key))
        ck_abort_msg("a key is too long");
    fake.made[kind]++;
    *call = (struct backing_call *)&fake.calls[i];
    return 0;
}

static int fake_check(struct backing *b, uint64_t timeout_ms, backing_answer_fn fn, void *ctx,
                      struct backing_call **call)
{
    (void)b;
    (void)timeout_ms;
    return fake_call(FAKE_CHECK, slice_of(""), slice_of(""), NULL, fn, ctx, call);
}

static int fake_put(struct backing *b, struct slice key, struct slice value,
                    const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **call)
{
    (void)b;
    (void)timeout_ms;
    return fake_call(FAKE_PUT, key, value, meta, fn, ctx, call);
}

static int fake_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **call)
{
    (void)b;
    (void)timeout_ms;
    return fake_call(FAKE_GET, key, slice_of(""), NULL, fn, ctx, call);
}

static int fake_erase(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                      backing_answer_fn fn, void *ctx, struct backing_call **call)
{
    struct backing_meta meta = {.version = version};
    (void)b;
    (void)timeout_ms;
    return fake_call(FAKE_ERASE, key, slice_of(""), &meta, fn, ctx, call);
}

static void fake_cancel(struct backing_call *call)
{
    struct fake_call *c = (struct fake_call *)call;
    ck_assert(c->used);
    c->used = false;
    fake.cancelled++;
}

static void fake_free(struct backing *b)
{
    (void)b;
}

void fake_set_up(void)
{
    static const struct backing_ops ops = {.check = fake_check,
                                           .put = fake_put,
                                           .get = fake_get,
                                           .erase = fake_erase,
                                           .cancel = fake_cancel,
                                           .free = fake_free};
    fake = (struct fake_backing){.head = {.ops = &ops}};
}

struct fake_call *fake_find(enum fake_kind kind, const char *key)
{
    for (size_t i = 0; i < FAKE_CALLS; i++)
        if (fake.calls[i].used && fake.calls[i].kind == kind && strcmp(fake.calls[i].key, key) == 0)
            return &fake.calls[i];
    return NULL;
}

size_t fake_waiting(enum fake_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_CALLS; i++)
        count += fake.calls[i].used && fake.calls[i].kind == kind;
    return count;
}

void fake_answer(struct fake_call *call, const struct backing_answer *answer)
{
    struct fake_call copy;
    ck_assert_ptr_nonnull(call);
    copy = *call;
    call->used = false;
    copy.fn(answer, copy.ctx);
}

void fake_have_until(const char *key, const char *value, uint64_t version, int64_t expiry_ms)
{
    struct backing_answer answer = {.result = BACKING_DONE,
                                    .meta = {.version = version, .expiry_ms = expiry_ms},
                                    .value = slice_of(value),
                                    .why = ""};
    fake_answer(fake_find(FAKE_GET, key), &answer);
}

void fake_have(const char *key, const char *value, uint64_t version)
{
    fake_have_until(key, value, version, BACKING_NEVER);
}

void fake_absent(const char *key, uint64_t version)
{
    struct backing_answer answer = {.result = BACKING_ABSENT,
                                    .meta = {.version = version, .expiry_ms = BACKING_NEVER},
                                    .why = ""};
    fake_answer(fake_find(FAKE_GET, key), &answer);
}

void fake_fail(const char *key, enum backing_result result, const char *why)
{
    struct backing_answer answer = {.result = result, .why = why};
    fake_answer(fake_find(FAKE_GET, key), &answer);
}

void fake_stored(const char *key)
{
    struct fake_call *call = fake_find(FAKE_PUT, key);
    ck_assert_ptr_nonnull(call);
    struct backing_answer answer = {.result = BACKING_DONE, .meta = call->meta, .why = ""};
    fake_answer(call, &answer);
}
