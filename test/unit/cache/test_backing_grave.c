/* test_backing_grave.c: tombstones in order, when they are due, and no more of them than are allowed. */
#include "test/unit/suite.h"
#include "workers/cache/backing/backing_grave.h"

#include <stdlib.h>

static void takes(struct backing_grave *g, uint64_t now, const char *key, uint64_t version)
{
    struct backing_tomb *t = backing_grave_take(g, now);
    ck_assert_ptr_nonnull(t);
    ck_assert(slice_is(backing_tomb_key(t), key));
    ck_assert_uint_eq(t->version, version);
    free(t);
}

START_TEST(in_order_when_due)
{
    struct backing_grave g = {.count_max = 10, .bytes_max = 10000};
    ck_assert_ptr_null(backing_grave_take(&g, UINT64_MAX));
    backing_grave_add(&g, slice_of("a"), 1, 100);
    backing_grave_add(&g, slice_of(""), 2, 100);
    backing_grave_add(&g, slice_of("c"), 3, 101);
    ck_assert_ptr_null(backing_grave_take(&g, 99));
    takes(&g, 100, "a", 1);
    takes(&g, 100, "", 2);
    ck_assert_ptr_null(backing_grave_take(&g, 100));
    takes(&g, 200, "c", 3);
    ck_assert_uint_eq(g.count, 0);
    ck_assert_uint_eq(g.bytes, 0);
    backing_grave_add(&g, slice_of("d"), 4, 300); /* after it was empty */
    takes(&g, 300, "d", 4);
    backing_grave_fini(&g);
}
END_TEST

START_TEST(bounded)
{
    struct backing_grave g = {.count_max = 3, .bytes_max = 1000};
    static const char large[1000];
    for (uint64_t i = 0; i < 5; i++)
        backing_grave_add(&g, slice_of("k"), i, i);
    ck_assert_uint_eq(g.count, 3);
    takes(&g, 10, "k", 0); /* those that came first */
    backing_grave_add(&g, slice_make(large, sizeof large), 9, 10);
    ck_assert_uint_eq(g.count, 2);
    backing_grave_fini(&g);
    ck_assert_uint_eq(g.count, 0);
}
END_TEST

SUITE_MAIN("backing_grave", in_order_when_due, bounded)
