/* test_pack.c: msgpack out and in (common/pack.h, common/unpack.h), held against msgpack-c's own reader. */
#include "common/pack.h"
#include "common/unpack.h"
#include "test/unit/suite.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value each ---- */

START_TEST(whole_numbers)
{
    static const uint64_t numbers[] = {
        0,         1,          127,     128,        255,
        256,       65535,      65536,   UINT32_MAX, UINT32_MAX + UINT64_C(1),
        INT64_MAX, UINT64_MAX, 1u << 31};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct buffer b = BUFFER_EMPTY;
        pack_u64(&b, numbers[i]);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert_int_eq(unpack_peek(&u), UNPACK_UINT);
        ck_assert(unpack_u64(&u) == numbers[i] && unpack_end(&u));
        u = unpack_start(buffer_slice(&b));
        int64_t back = unpack_i64(&u);
        ck_assert_int_eq(unpack_ok(&u), numbers[i] <= INT64_MAX);
        ck_assert(!unpack_ok(&u) || (uint64_t)back == numbers[i]);
        buffer_fini(&b);
    }
    static const int64_t negatives[] = {
        -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, INT32_MIN - INT64_C(1), INT64_MIN};
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++) {
        struct buffer b = BUFFER_EMPTY;
        pack_i64(&b, negatives[i]);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert_int_eq(unpack_peek(&u), UNPACK_INT);
        ck_assert(unpack_i64(&u) == negatives[i] && unpack_end(&u));
        u = unpack_start(buffer_slice(&b));
        ck_assert_uint_eq(unpack_u64(&u), 0);
        ck_assert(!unpack_ok(&u));
        buffer_fini(&b);
    }
}
END_TEST

START_TEST(signed_forms_of_positive_numbers)
{
    /* 0xd0..d3 may hold a number that is not negative. */
    struct unpack u = unpack_start(slice_make("\xd1\x01\x00", 3));
    ck_assert_uint_eq(unpack_u64(&u), 256);
    ck_assert(unpack_end(&u));
    u = unpack_start(slice_make("\xd3\xff\xff\xff\xff\xff\xff\xff\xff", 9));
    ck_assert_int_eq(unpack_i64(&u), -1);
}
END_TEST

START_TEST(doubles)
{
    static const double numbers[] = {0.0, -0.5, 1e300, -1e-300, 3.0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct buffer b = BUFFER_EMPTY;
        pack_double(&b, numbers[i]);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert(unpack_double(&u) == numbers[i] && unpack_end(&u));
        buffer_fini(&b);
    }
    struct unpack u = unpack_start(slice_make("\xca\x3f\x00\x00\x00", 5));
    ck_assert(unpack_double(&u) == 0.5);
    u = unpack_start(slice_make("\xfe", 1));
    ck_assert(unpack_double(&u) == -2.0); /* whole numbers too */
    u = unpack_start(slice_make("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9));
    ck_assert(isnan(unpack_double(&u)));
}
END_TEST

START_TEST(runs_of_every_length)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 70000};
    char *bytes = calloc(1, 70000);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct slice s = slice_make(bytes, lengths[i]);
        struct buffer b = BUFFER_EMPTY;
        pack_str(&b, s);
        pack_bin(&b, s);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert_int_eq(unpack_peek(&u), UNPACK_STR);
        ck_assert(slice_equal(unpack_str(&u), s));
        ck_assert_int_eq(unpack_peek(&u), UNPACK_BIN);
        ck_assert(slice_equal(unpack_bin(&u), s));
        ck_assert(unpack_end(&u));
        u = unpack_start(buffer_slice(&b));
        unpack_bytes(&u);
        ck_assert(slice_equal(unpack_bytes(&u), s) && unpack_end(&u));
        u = unpack_start(buffer_slice(&b));
        unpack_bin(&u); /* a str is no bin */
        ck_assert(!unpack_ok(&u));
        buffer_fini(&b);
    }
    free(bytes);
}
END_TEST

START_TEST(containers_of_every_length)
{
    static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct buffer b = BUFFER_EMPTY;
        pack_array(&b, counts[i]);
        for (uint32_t k = 0; k < counts[i]; k++)
            pack_nil(&b);
        pack_map(&b, counts[i]);
        for (uint32_t k = 0; k < 2 * counts[i]; k++)
            pack_bool(&b, k % 2 == 0);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert_uint_eq(unpack_array(&u), counts[i]);
        for (uint32_t k = 0; k < counts[i]; k++)
            unpack_nil(&u);
        ck_assert_uint_eq(unpack_map(&u), counts[i]);
        for (uint32_t k = 0; k < 2 * counts[i]; k++)
            ck_assert_int_eq(unpack_bool(&u), k % 2 == 0);
        ck_assert(unpack_end(&u));
        u = unpack_start(buffer_slice(&b));
        unpack_raw(&u);
        unpack_raw(&u);
        ck_assert(unpack_end(&u));
        buffer_fini(&b);
    }
}
END_TEST

START_TEST(raw_is_handed_on)
{
    struct buffer inner = BUFFER_EMPTY, outer = BUFFER_EMPTY;
    pack_array(&inner, 2);
    pack_text(&inner, "x");
    pack_u64(&inner, 7);
    pack_raw(&outer, buffer_slice(&inner));
    pack_raw(&outer, slice_of("")); /* nil */
    struct unpack u = unpack_start(buffer_slice(&outer));
    ck_assert(slice_equal(unpack_raw(&u), buffer_slice(&inner)));
    ck_assert_int_eq(unpack_peek(&u), UNPACK_NIL);
    unpack_nil(&u);
    ck_assert(unpack_end(&u));
    buffer_fini(&inner);
    buffer_fini(&outer);
}
END_TEST

/* ---- what is wrong ---- */

START_TEST(errors_are_sticky)
{
    struct unpack u = unpack_start(slice_make("\xa1x\x07", 3));
    ck_assert_uint_eq(unpack_u64(&u), 0); /* a str is no number */
    ck_assert(!unpack_ok(&u));
    ck_assert_int_eq(unpack_peek(&u), UNPACK_INVALID);
    ck_assert_uint_eq(unpack_str(&u).len, 0);
    ck_assert_uint_eq(unpack_array(&u), 0);
    ck_assert(!unpack_more(&u) && !unpack_end(&u));
}
END_TEST

START_TEST(lies_about_lengths)
{
    static const struct {
        const char *bytes;
        size_t len;
    } lies[] = {
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\xff\xff\xff\xff", 5},
        {"\xdc\xff\xff", 3},
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\xc9\xff\xff\xff\xff\x01", 6},
        {"\x92\x01", 2},
        {"\x81\x01", 2},
        {"\xa2x", 2},
        {"\xc4\x02x", 3},
        {"\xd8", 1},
        {"\xc1", 1},
        {"", 0},
        {"\xcf\x01", 2},
        {"\xcb\x01", 2},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char *exact = malloc(lies[i].len + (lies[i].len == 0));
        memcpy(exact, lies[i].bytes, lies[i].len);
        struct unpack u = unpack_start(slice_make(exact, lies[i].len));
        ck_assert_uint_eq(unpack_raw(&u).len, 0);
        ck_assert_msg(!unpack_ok(&u), "case %zu", i);
        free(exact);
    }
}
END_TEST

START_TEST(depth_is_bounded)
{
    char nested[100];
    memset(nested, '\x91', sizeof nested);
    for (size_t depth = 1; depth < sizeof nested; depth++) {
        nested[depth] = '\x01';
        struct unpack u = unpack_start(slice_make(nested, depth + 1));
        unpack_raw(&u);
        ck_assert_msg(unpack_end(&u) == (depth <= UNPACK_DEPTH_MAX), "depth %zu", depth);
        nested[depth] = '\x91';
    }
}
END_TEST

/* ---- against msgpack-c ---- */

static void pack_random(struct buffer *b, int depth)
{
    char bytes[300] = {0};
    uint32_t n = (uint32_t)(rand() % 4);
    switch (rand() % (depth < 4 ? 9 : 7)) {
    case 0:
        pack_nil(b);
        break;
    case 1:
        pack_bool(b, rand() % 2);
        break;
    case 2:
        pack_u64(b, (uint64_t)rand() << (rand() % 33));
        break;
    case 3:
        pack_i64(b, -(int64_t)((uint64_t)rand() << (rand() % 32)));
        break;
    case 4:
        pack_double(b, rand() / 3.0);
        break;
    case 5:
        pack_str(b, slice_make(bytes, (size_t)rand() % sizeof bytes));
        break;
    case 6:
        pack_bin(b, slice_make(bytes, (size_t)rand() % sizeof bytes));
        break;
    case 7:
        pack_array(b, n);
        for (uint32_t i = 0; i < n; i++)
            pack_random(b, depth + 1);
        break;
    case 8:
        pack_map(b, n);
        for (uint32_t i = 0; i < 2 * n; i++)
            pack_random(b, depth + 1);
        break;
    }
}

static bool msgpack_reads(const char *bytes, size_t len, size_t *used)
{
    msgpack_unpacked result;
    msgpack_unpacked_init(&result);
    *used = 0;
    msgpack_unpack_return rc = msgpack_unpack_next(&result, bytes, len, used);
    msgpack_unpacked_destroy(&result);
    return rc == MSGPACK_UNPACK_SUCCESS;
}

START_TEST(what_we_write_others_read)
{
    srand(5);
    for (int round = 0; round < 5000; round++) {
        struct buffer b = BUFFER_EMPTY;
        pack_random(&b, 0);
        size_t used;
        ck_assert(msgpack_reads(b.data, b.len, &used));
        ck_assert_uint_eq(used, b.len);
        struct unpack u = unpack_start(buffer_slice(&b));
        ck_assert_uint_eq(unpack_raw(&u).len, b.len);
        for (size_t len = 0; len < b.len && len < 64;
             len++) { /* cut anywhere: an error, and no byte beyond */
            char *exact = malloc(len + (len == 0));
            memcpy(exact, b.data, len);
            u = unpack_start(slice_make(exact, len));
            unpack_raw(&u);
            ck_assert(!unpack_ok(&u));
            free(exact);
        }
        buffer_fini(&b);
    }
}
END_TEST

/* Bytes changed at random: where we accept, msgpack-c reads the same number of bytes. */
START_TEST(what_we_take_others_take)
{
    srand(6);
    for (int round = 0; round < 50000; round++) {
        struct buffer b = BUFFER_EMPTY;
        pack_random(&b, 1);
        for (int k = rand() % 3; k >= 0 && b.len > 0; k--)
            b.data[(size_t)rand() % b.len] = (char)rand();
        char *exact = malloc(b.len);
        memcpy(exact, b.data, b.len);
        struct unpack u = unpack_start(slice_make(exact, b.len));
        struct slice value = unpack_raw(&u);
        size_t used;
        if (unpack_ok(&u))
            ck_assert(msgpack_reads(exact, b.len, &used) && used == value.len);
        free(exact);
        buffer_fini(&b);
    }
}
END_TEST

SUITE_MAIN("pack", whole_numbers, signed_forms_of_positive_numbers, doubles, runs_of_every_length,
           containers_of_every_length, raw_is_handed_on, errors_are_sticky, lies_about_lengths,
           depth_is_bounded, what_we_write_others_read, what_we_take_others_take)
