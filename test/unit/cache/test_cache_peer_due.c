/* test_cache_peer_due.c: the heap of deadlines, beside a list that is looked through. */
#include "test/unit/short_memory.h"

#include "test/unit/suite.h"
#include "workers/cache/peer/cache_peer_due.h"

#define DUES 300

static struct cache_peer_dues dues;
static struct cache_peer_due all[DUES];

static void tear_down(void)
{
    cache_peer_dues_fini(&dues);
}

static uint64_t earliest(size_t *count)
{
    uint64_t at = UINT64_MAX;
    *count = 0;
    for (size_t i = 0; i < DUES; i++)
        if (all[i].place > 0) {
            ++*count;
            at = all[i].at < at ? all[i].at : at;
        }
    return at;
}

START_TEST(test_any_order)
{
    srand(7);
    for (int step = 0; step < 50000; step++) {
        struct cache_peer_due *due = &all[rand() % DUES];
        size_t count;
        if (rand() % 3 == 0) {
            cache_peer_dues_remove(&dues, due);
            ck_assert_uint_eq(due->place, 0);
        } else {
            ck_assert(due->place > 0 || cache_peer_dues_reserve(&dues));
            cache_peer_dues_put(&dues, due, (uint64_t)(rand() % 1000));
        }
        uint64_t at = earliest(&count);
        struct cache_peer_due *first = cache_peer_dues_first(&dues);
        ck_assert_uint_eq(count, dues.count);
        ck_assert(count > 0 ? first->at == at : first == NULL);
    }
    for (uint64_t last = 0; cache_peer_dues_first(&dues) != NULL;) {
        struct cache_peer_due *first = cache_peer_dues_first(&dues);
        ck_assert_uint_ge(first->at, last);
        last = first->at;
        cache_peer_dues_remove(&dues, first);
    }
}
END_TEST

START_TEST(test_memory_short)
{
    size_t got = 0;
    short_memory_fail(2, true);
    for (; got < DUES && cache_peer_dues_reserve(&dues); got++)
        cache_peer_dues_put(&dues, &all[got], DUES - got);
    short_memory_fail(0, false);
    ck_assert(got > 0 && got < DUES);
    ck_assert_uint_eq(dues.count, got);
    ck_assert_ptr_eq(cache_peer_dues_first(&dues), &all[got - 1]);
    ck_assert(cache_peer_dues_reserve(&dues));
}
END_TEST

SUITE_MAIN_WITH("cache_peer_due", NULL, tear_down, test_any_order, test_memory_short)
