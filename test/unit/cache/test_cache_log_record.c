/* test_cache_log_record.c: a record as bytes, and what is none (workers/cache/log/cache_log_record.h). */
#include "workers/cache/log/cache_log_record.h"
#include "test/unit/suite.h"

#include <stdlib.h>

#define SEED 0x1234u

static char bytes[4096];

static size_t write_one(const struct cache_log_record *r, bool last)
{
    memset(bytes, 0x55, sizeof bytes);
    cache_log_record_write(bytes, r, SEED);
    cache_log_record_seal(bytes, SEED, last);
    return cache_log_size(r);
}

static const struct cache_log_record some = {.kind = CACHE_LOG_SET,
                                             .key = {"key", 3},
                                             .value = {"some value", 10},
                                             .version = 0x123456789abcdef0u,
                                             .expiry_ms = 1700000000000,
                                             .form = 2,
                                             .dirty = true};

START_TEST(all_kinds_come_back)
{
    const int64_t expiries[] = {INT64_MAX, 0, -1, INT64_MIN, 1700000000000};
    const struct slice values[] = {slice_of(""), slice_of("x"), slice_make("\0\r\n\xff", 4)};
    for (unsigned i = 0; i < 4 * 4 * 2 * 2 * 5 * 3; i++) {
        struct cache_log_record r = {.kind = i % 5,
                                     .form = i / 4 % 4,
                                     .dirty = i / 16 % 2,
                                     .behind = i / 20 % 2,
                                     .blind = i / 40 % 2,
                                     .adopted = i / 80 % 2,
                                     .key = slice_of(i % 7 == 0 ? "" : "a key"),
                                     .version = i % 3 == 0 ? UINT64_MAX : i,
                                     .expiry_ms = expiries[i / 64 % 5],
                                     .value = values[i / 320 % 3]};
        bool last = i / 32 % 2 == 1;
        size_t size = write_one(&r, last);
        struct cache_log_seen s;
        ck_assert_int_eq(cache_log_record_read(bytes, size, SEED, &s), CACHE_LOG_WHOLE);
        ck_assert_uint_eq(s.size, size);
        ck_assert_uint_eq(cache_log_record_written(bytes), size);
        ck_assert_int_eq(s.last, last);
        ck_assert_int_eq(s.record.kind, r.kind);
        ck_assert_uint_eq(s.record.form, r.form);
        ck_assert_int_eq(s.record.dirty, r.dirty);
        ck_assert_int_eq(s.record.behind, r.behind);
        ck_assert_int_eq(s.record.blind, r.blind);
        ck_assert_int_eq(s.record.adopted, r.adopted);
        ck_assert_uint_eq(s.record.version, r.version);
        ck_assert_int_eq(s.record.expiry_ms, r.expiry_ms);
        ck_assert(slice_equal(s.record.key, r.key) && slice_equal(s.record.value, r.value));
    }
}
END_TEST

/* A head that is whole says how much is needed; until then, how much for that. */
START_TEST(a_part_is_short)
{
    size_t size = write_one(&some, true);
    for (size_t len = 0; len < size; len++) {
        char *part = malloc(len > 0 ? len : 1);
        memcpy(part, bytes, len);
        struct cache_log_seen s;
        ck_assert_int_eq(cache_log_record_read(part, len, SEED, &s), CACHE_LOG_SHORT);
        ck_assert_uint_eq(s.size, len < CACHE_LOG_HEAD_MIN   ? CACHE_LOG_HEAD_MIN
                                  : len < CACHE_LOG_HEAD_MAX ? CACHE_LOG_HEAD_MAX
                                                             : size);
        free(part);
    }
}
END_TEST

START_TEST(each_bit_counts)
{
    size_t size = write_one(&some, false);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct cache_log_seen s;
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        ck_assert_int_eq(cache_log_record_read(bytes, sizeof bytes, SEED, &s), CACHE_LOG_BAD);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}
END_TEST

/* A record of another place is none here; moved, it is. */
START_TEST(it_belongs_to_its_place)
{
    struct cache_log_seen s;
    size_t size = write_one(&some, true);
    ck_assert_int_eq(cache_log_record_read(bytes, size, SEED + 1, &s), CACHE_LOG_BAD);
    cache_log_record_replace(bytes, SEED + 1);
    ck_assert_int_eq(cache_log_record_read(bytes, size, SEED + 1, &s), CACHE_LOG_WHOLE);
    ck_assert(!s.last && slice_is(s.record.value, "some value"));
}
END_TEST

/* A length is not believed before the head is: no garbage asks for megabytes. */
START_TEST(garbage_is_bad_at_once)
{
    srand(1);
    for (int i = 0; i < 200000; i++) {
        struct cache_log_seen s;
        for (size_t at = 0; at < CACHE_LOG_HEAD_MAX; at++)
            bytes[at] = (char)(i == 0 ? 0 : i == 1 ? 0xff : rand() >> 7);
        ck_assert_int_eq(cache_log_record_read(bytes, CACHE_LOG_HEAD_MAX, SEED, &s), CACHE_LOG_BAD);
    }
}
END_TEST

START_TEST(what_is_too_long_does_not_fit)
{
    struct cache_log_record r = some;
    ck_assert(cache_log_record_fits(&r));
    r.value.len = CACHE_LOG_LENGTH_MAX;
    ck_assert(cache_log_record_fits(&r));
    r.value.len++;
    ck_assert(!cache_log_record_fits(&r));
    r = some;
    r.key.len = CACHE_LOG_LENGTH_MAX + 1;
    ck_assert(!cache_log_record_fits(&r));
}
END_TEST

SUITE_MAIN("cache_log_record", all_kinds_come_back, a_part_is_short, each_bit_counts,
           it_belongs_to_its_place, garbage_is_bad_at_once, what_is_too_long_does_not_fit)
