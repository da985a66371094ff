/* test_cache_ring_cells.c: cells and owners come out as they went in, and what is none is refused. */
#include "proto/cache/cache_ring_cells.h"
#include "test/unit/suite.h"

static const uint64_t numbers[] = {0, 1, 255, 256, UINT64_C(0x0123456789abcdef), UINT64_MAX};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

START_TEST(the_highest_byte_is_first)
{
    struct buffer out = BUFFER_EMPTY;
    cache_ring_put_cell(&out, UINT64_C(0x0123456789abcdef));
    ck_assert(slice_is(buffer_slice(&out), "\x01\x23\x45\x67\x89\xab\xcd\xef"));
    buffer_fini(&out);
}
END_TEST

START_TEST(what_is_held)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < NUMBERS; i++) {
        struct cache_ring_held held = {.cell = numbers[i], .number = numbers[NUMBERS - 1 - i]};
        cache_ring_put_held(&out, &held);
    }
    ck_assert_uint_eq(out.len, NUMBERS * CACHE_RING_HELD_SIZE);
    for (size_t i = 0; i < NUMBERS; i++) {
        const char *at = out.data + i * CACHE_RING_HELD_SIZE;
        ck_assert_uint_eq(cache_ring_get_number(at), numbers[i]);
        ck_assert_uint_eq(cache_ring_get_number(at + CACHE_RING_CELL_SIZE),
                          numbers[NUMBERS - 1 - i]);
    }
    buffer_fini(&out);
}
END_TEST

START_TEST(owners)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < NUMBERS; i++) {
        struct cache_ring_owner owner = {.state = (enum cache_ring_state)(i % 4),
                                         .value = numbers[i]};
        cache_ring_put_owner(&out, &owner);
    }
    struct slice all = buffer_slice(&out);
    struct cache_ring_owner owner;
    for (size_t i = 0; i < NUMBERS; i++) {
        ck_assert(cache_ring_get_owner(all, i, &owner));
        ck_assert_int_eq((int)owner.state, (int)(i % 4));
        ck_assert_uint_eq(owner.value, numbers[i]);
    }
    ck_assert(!cache_ring_get_owner(all, NUMBERS, &owner));
    ck_assert(!cache_ring_get_owner(all, SIZE_MAX, &owner));
    all.len--; /* cut: the last one is none */
    ck_assert(!cache_ring_get_owner(all, NUMBERS - 1, &owner));
    ck_assert(cache_ring_get_owner(all, NUMBERS - 2, &owner));
    out.data[0] = 4;
    ck_assert(!cache_ring_get_owner(all, 0, &owner));
    out.data[0] = (char)0xff;
    ck_assert(!cache_ring_get_owner(all, 0, &owner));
    buffer_fini(&out);
}
END_TEST

SUITE_MAIN("cache_ring_cells", the_highest_byte_is_first, what_is_held, owners)
