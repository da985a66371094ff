/* test_cache_cell_list.c: lists of handles beside plain arrays, with memory that fails, and chunks that come and go. */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/ring/cache_cell_list.h"

#define CHUNK CACHE_CELL_LIST_CHUNK

static size_t at_start;
static struct cache_cell_list l;

static void set_up(void)
{
    at_start = short_memory_bytes();
    l = CACHE_CELL_LIST_EMPTY;
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    MUST(short_memory_is(at_start, l.bytes));
    cache_cell_list_fini(&l);
    MUST(short_memory_is(at_start, 0));
}

START_TEST(the_first_stays_until_it_goes)
{
    uint32_t first = 0;
    ck_assert(cache_cell_list_add(&l, &first, 7));
    ck_assert_uint_eq(first, 7);
    ck_assert(cache_cell_list_add(&l, &first, 3));
    ck_assert(cache_cell_list_add(&l, &first, 5));
    ck_assert_uint_eq(first, 7);
    ck_assert_uint_eq(cache_cell_list_next(&l, 7), 5);
    ck_assert_uint_eq(cache_cell_list_next(&l, 5), 3);
    ck_assert_uint_eq(cache_cell_list_next(&l, 3), 0);
    cache_cell_list_remove(&l, &first, 7);
    ck_assert_uint_eq(first, 5);
    cache_cell_list_remove(&l, &first, 3);
    ck_assert_uint_eq(cache_cell_list_next(&l, 5), 0);
    cache_cell_list_remove(&l, &first, 5);
    ck_assert_uint_eq(first, 0);
}
END_TEST

START_TEST(one_that_is_in_a_list_stays_where_it_is)
{
    uint32_t first = 0, other = 0;
    ck_assert(!cache_cell_list_has(&l, 0));
    ck_assert(!cache_cell_list_has(&l, UINT32_MAX));
    cache_cell_list_add(&l, &first, 7);
    cache_cell_list_add(&l, &first, 3);
    ck_assert(!cache_cell_list_has(&l, 0));
    ck_assert(!cache_cell_list_has(&l, 4));
    ck_assert(cache_cell_list_has(&l, 3));
    ck_assert(cache_cell_list_add(&l, &first, 7));
    ck_assert(cache_cell_list_add(&l, &first, 3));
    ck_assert(cache_cell_list_add(&l, &other, 3));
    ck_assert_uint_eq(other, 0);
    ck_assert_uint_eq(first, 7);
    ck_assert_uint_eq(cache_cell_list_next(&l, 7), 3);
    ck_assert_uint_eq(cache_cell_list_next(&l, 3), 0);
}
END_TEST

START_TEST(any_handle_can_be_linked)
{
    static const uint32_t handles[] = {1, CHUNK - 1, CHUNK, 1000 * CHUNK + 5, UINT32_MAX};
    uint32_t first = 0, seen = 0;
    for (size_t i = 0; i < 5; i++)
        ck_assert(cache_cell_list_add(&l, &first, handles[i]));
    for (uint32_t h = first; h != 0; h = cache_cell_list_next(&l, h))
        seen++;
    ck_assert_uint_eq(seen, 5);
    for (size_t i = 0; i < 5; i++)
        cache_cell_list_remove(&l, &first, handles[i]);
    ck_assert_uint_eq(first, 0);
}
END_TEST

/* ---- beside arrays ---- */

#define LISTS   50
#define HANDLES (3 * CHUNK)

static uint32_t firsts[LISTS], list_of[HANDLES]; /* 0: in none; else its list's number from 1 on */

static void expect_lists(void)
{
    size_t linked = 0, found = 0;
    for (uint32_t h = 0; h < HANDLES; h++) {
        MUST(cache_cell_list_has(&l, h) == (list_of[h] != 0));
        linked += list_of[h] != 0;
    }
    for (uint32_t i = 0; i < LISTS; i++)
        for (uint32_t h = firsts[i]; h != 0; h = cache_cell_list_next(&l, h), found++)
            MUST(list_of[h] == i + 1 && found < linked);
    MUST(found == linked);
    MUST(short_memory_is(at_start, l.bytes));
}

/* `adds`: of a hundred steps, how many link what is in no list. */
static void steps(unsigned count, uint32_t adds)
{
    for (unsigned turn = 1; turn <= count; turn++) {
        uint32_t h = 1 + cache_random(HANDLES - 1), list = cache_random(LISTS);
        uint32_t first = firsts[list];
        short_memory_fail(turn % 3 == 0 ? 1 + cache_random(2) : 0, true);
        if (list_of[h] != 0) {
            cache_cell_list_remove(&l, &firsts[list_of[h] - 1], h);
            list_of[h] = 0;
        } else if (cache_random(100) < adds) {
            if (cache_cell_list_add(&l, &firsts[list], h))
                list_of[h] = list + 1;
            else
                MUST(turn % 3 == 0 && firsts[list] == first && !cache_cell_list_has(&l, h));
            MUST(first == 0 || firsts[list] == first);
        }
        short_memory_fail(0, false);
        if (turn % 5000 == 0)
            expect_lists();
    }
}

START_TEST(they_are_what_arrays_would_be)
{
    memset(firsts, 0, sizeof firsts);
    memset(list_of, 0, sizeof list_of);
    steps(100000, 100);
    steps(100000, 5);
    steps(100000, 100);
    for (uint32_t h = 1; h < HANDLES; h++)
        if (list_of[h] != 0)
            cache_cell_list_remove(&l, &firsts[list_of[h] - 1], h);
    for (uint32_t i = 0; i < LISTS; i++)
        MUST(firsts[i] == 0);
}
END_TEST

/* ---- memory ---- */

START_TEST(a_chunk_goes_with_its_last_link)
{
    uint32_t first = 0;
    for (uint32_t h = 1; h < 64 * CHUNK; h++)
        MUST(cache_cell_list_add(&l, &first, h));
    size_t full = l.bytes;
    ck_assert_uint_le(full, 64 * CHUNK * 8 + 64 * 64);
    for (uint32_t h = 1; h < 64 * CHUNK; h++)
        cache_cell_list_remove(&l, &first, h);
    ck_assert_uint_le(l.bytes, full / 32);
    MUST(short_memory_is(at_start, l.bytes));
    size_t few = l.bytes; /* the spare one: none is made for what comes and goes */
    short_memory_fail(1, true);
    for (uint32_t h = 1; h < 64 * CHUNK; h += CHUNK) {
        MUST(cache_cell_list_add(&l, &first, h));
        cache_cell_list_remove(&l, &first, h);
    }
    short_memory_fail(0, false);
    ck_assert_uint_eq(l.bytes, few);
}
END_TEST

START_TEST(without_memory_nothing_changes)
{
    uint32_t first = 0;
    for (long n = 1; n <= 2; n++) {
        short_memory_fail(n, false);
        MUST(!cache_cell_list_add(&l, &first, 5));
        short_memory_fail(0, false);
        MUST(first == 0 && !cache_cell_list_has(&l, 5));
    }
    MUST(cache_cell_list_add(&l, &first, 5));
    for (long n = 1; n <= 2; n++) {
        short_memory_fail(n, false);
        MUST(!cache_cell_list_add(&l, &first, 100 * CHUNK));
        short_memory_fail(0, false);
        MUST(first == 5 && cache_cell_list_next(&l, 5) == 0);
    }
    MUST(cache_cell_list_add(&l, &first, 100 * CHUNK));
}
END_TEST

SUITE_MAIN_WITH("cache_cell_list", set_up, tear_down, the_first_stays_until_it_goes,
                one_that_is_in_a_list_stays_where_it_is, any_handle_can_be_linked,
                they_are_what_arrays_would_be, a_chunk_goes_with_its_last_link,
                without_memory_nothing_changes)
