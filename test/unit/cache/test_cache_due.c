/* test_cache_due.c: lists of handles beside plain arrays, with memory that fails (workers/cache/memory/cache_due.h). */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/memory/cache_due.h"

#define HANDLES 3000

static struct {
    enum cache_due_list list;
    int64_t mark;
    uint64_t turn; /* when it came to its list's end */
} model[HANDLES + 1];
static size_t count;

static void expect_equal(const struct cache_due *d)
{
    size_t seen = 0;
    for (enum cache_due_list list = CACHE_DUE_WAITING; list < CACHE_DUE_LISTS; list++) {
        int64_t mark, found;
        uint64_t turn = 0;
        size_t of_list = 0;
        for (uint32_t h = cache_due_first(d, list, &mark); h != 0; h = cache_due_next(d, h)) {
            MUST(model[h].list == list && model[h].turn > turn);
            MUST(cache_due_find(d, h, &found) == list && found == model[h].mark);
            MUST(of_list++ > 0 || found == mark);
            turn = model[h].turn;
        }
        MUST(of_list == cache_due_count(d, list));
        seen += of_list;
    }
    MUST(seen == count && d->count == count);
}

static void step(struct cache_due *d, uint64_t turn, uint32_t handles)
{
    uint32_t h = 1 + cache_random(handles);
    if (cache_random(3) == 0) {
        cache_due_remove(d, h);
        count -= model[h].list != CACHE_DUE_NONE;
        model[h].list = CACHE_DUE_NONE;
        return;
    }
    if (!cache_due_reserve(d))
        return;
    count += model[h].list == CACHE_DUE_NONE;
    model[h].list = CACHE_DUE_WAITING + cache_random(CACHE_DUE_LISTS - CACHE_DUE_WAITING);
    model[h].mark = (int64_t)cache_random(1000);
    model[h].turn = turn;
    cache_due_put(d, h, model[h].list, model[h].mark);
}

START_TEST(lists_are_lists)
{
    struct cache_due d = CACHE_DUE_EMPTY;
    size_t memory = short_memory_bytes();
    expect_equal(&d);
    cache_due_remove(&d, 1);
    for (uint64_t turn = 1; turn < 60000; turn++) {
        if (turn % 50 == 0)
            short_memory_fail(1 + cache_random(3), cache_random(2) == 0);
        step(&d, turn, HANDLES);
        short_memory_fail(0, false);
        if (turn % 500 == 0)
            expect_equal(&d);
    }
    MUST(short_memory_is(memory, d.bytes));
    size_t full = d.bytes;
    for (uint32_t h = 1; h <= HANDLES; h++) {
        cache_due_remove(&d, h);
        count -= model[h].list != CACHE_DUE_NONE;
        model[h].list = CACHE_DUE_NONE;
        if (h % 100 == 0)
            expect_equal(&d);
    }
    MUST(d.bytes < full / 8); /* what a burst took is given back */
    cache_due_fini(&d);
    MUST(short_memory_is(memory, 0));
}
END_TEST

SUITE_MAIN("cache_due", lists_are_lists)
