/* test_spares.c: pieces of memory that are used again (common/spares.h). */
#include "test/unit/short_memory.h"

#include "common/spares.h"
#include "test/unit/suite.h"

START_TEST(the_last_given_is_the_next)
{
    struct spares s = SPARES(24, 10);
    char *a = spares_take(&s), *b = spares_take(&s);
    ck_assert(a != NULL && b != NULL && a != b);
    memset(a, 'a', 24);
    memset(b, 'b', 24);
    spares_give(&s, a);
    spares_give(&s, b);
    spares_give(&s, NULL);
    ck_assert_uint_eq(s.count, 2);
    ck_assert_ptr_eq(spares_take(&s), b);
    ck_assert_ptr_eq(spares_take(&s), a);
    ck_assert_uint_eq(s.count, 0);
    char *c = spares_take(&s);
    ck_assert(c != NULL && c != a && c != b);
    spares_give(&s, a);
    spares_give(&s, b);
    spares_give(&s, c);
    spares_fini(&s);
    ck_assert_uint_eq(s.count, 0);
}
END_TEST

START_TEST(no_more_than_the_bound_is_kept)
{
    struct spares s = SPARES(sizeof(void *), 3);
    void *pieces[8];
    size_t before = short_memory_bytes();
    for (size_t i = 0; i < 8; i++)
        ck_assert_ptr_nonnull(pieces[i] = spares_take(&s));
    for (size_t i = 0; i < 8; i++)
        spares_give(&s, pieces[i]);
    ck_assert_uint_eq(s.count, 3);
    spares_fini(&s);
    ck_assert(short_memory_is(before, 0));
}
END_TEST

START_TEST(memory_is_short)
{
    struct spares s = SPARES(100, 10);
    void *kept = spares_take(&s);
    spares_give(&s, kept);
    short_memory_fail(1, true);
    void *first = spares_take(&s), *second = spares_take(&s);
    short_memory_fail(0, false);
    ck_assert_ptr_eq(first, kept);
    ck_assert_ptr_null(second);
    spares_give(&s, first);
    spares_fini(&s);
}
END_TEST

SUITE_MAIN("spares", the_last_given_is_the_next, no_more_than_the_bound_is_kept, memory_is_short)
