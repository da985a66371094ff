/* backing_fixture.c: see backing_fixture.h. */
#include "test/unit/cache/backing_fixture.h"

#include <inttypes.h>

#define BACKING_TEST_MS 10000

void backing_on_got(const struct backing_answer *answer, void *ctx)
{
    struct backing_got *got = ctx;
    got->calls++;
    got->result = answer->result;
    got->meta = answer->meta;
    got->value_len = answer->value.len;
    slice_copy(answer->value, got->value, sizeof got->value);
    slice_copy(slice_of(answer->why), got->why, sizeof got->why);
    got->retry_after_ms = answer->retry_after_ms;
}

void backing_wait(uv_loop_t *loop, struct backing_got *got)
{
    while (got->calls == 0)
        uv_run(loop, UV_RUN_ONCE);
    ck_assert_uint_eq(got->calls, 1);
}

struct backing_got backing_check(uv_loop_t *loop, struct backing *b)
{
    struct backing_got got = {0};
    ck_assert_int_eq(b->ops->check(b, BACKING_TEST_MS, backing_on_got, &got, &got.call), 0);
    backing_wait(loop, &got);
    return got;
}

static struct backing_got backing_put_meta(uv_loop_t *loop, struct backing *b, const char *key,
                                           const char *value, struct backing_meta meta)
{
    struct backing_got got = {0};
    ck_assert_int_eq(b->ops->put(b, slice_of(key), slice_of(value), &meta, BACKING_TEST_MS,
                                 backing_on_got, &got, &got.call),
                     0);
    backing_wait(loop, &got);
    return got;
}

struct backing_got backing_put(uv_loop_t *loop, struct backing *b, const char *key,
                               const char *value, uint64_t version)
{
    struct backing_meta meta = {.version = version, .expiry_ms = 1700000000000, .form = 2};
    return backing_put_meta(loop, b, key, value, meta);
}

struct backing_got backing_delete(uv_loop_t *loop, struct backing *b, const char *key,
                                  uint64_t version)
{
    struct backing_meta meta = {.version = version, .expiry_ms = BACKING_NEVER, .deleted = true};
    return backing_put_meta(loop, b, key, "", meta);
}

struct backing_got backing_get(uv_loop_t *loop, struct backing *b, const char *key)
{
    struct backing_got got = {0};
    ck_assert_int_eq(
        b->ops->get(b, slice_of(key), BACKING_TEST_MS, backing_on_got, &got, &got.call), 0);
    backing_wait(loop, &got);
    return got;
}

struct backing_got backing_erase(uv_loop_t *loop, struct backing *b, const char *key,
                                 uint64_t version)
{
    struct backing_got got = {0};
    ck_assert_int_eq(
        b->ops->erase(b, slice_of(key), version, BACKING_TEST_MS, backing_on_got, &got, &got.call),
        0);
    backing_wait(loop, &got);
    return got;
}

const char *backing_value(uint64_t version, char value[BACKING_GOT_VALUE])
{
    size_t len = 1 + version % (BACKING_GOT_VALUE - 40);
    snprintf(value, BACKING_GOT_VALUE, "%0*" PRIu64, (int)len, version);
    return value;
}

void backing_end(uv_loop_t *loop, struct backing *b)
{
    b->ops->free(b);
    uv_run(loop, UV_RUN_DEFAULT);
}
