/* test_cache_handles.c: a handle names one object as long as it is taken, and chunks come and go with them. */
#include "workers/cache/memory/cache_handles.h"
#include "test/unit/cache/cache_property.h"

#define MANY (5 * CACHE_HANDLES_CHUNK)

static uint32_t taken[MANY];
static uint64_t things[MANY]; /* what is named: only where they stand matters */
static size_t ends;

static void on_end(void *object)
{
    (void)object;
    ends++;
}

/* Bytes of everything but what the suite has of its own. */
static size_t at_start;

static void set_up(void)
{
    at_start = short_memory_bytes();
}

static void take(struct cache_handles *h, size_t i)
{
    taken[i] = cache_handles_take(h, &things[i]);
    MUST(taken[i] != 0);
}

START_TEST(each_names_its_own)
{
    struct cache_handles h = CACHE_HANDLES_EMPTY;
    for (unsigned step = 0; step < 20 * MANY; step++) {
        size_t i = cache_random(MANY);
        if (taken[i] == 0) {
            take(&h, i);
        } else {
            MUST(cache_handles_at(&h, taken[i]) == &things[i]);
            cache_handles_give(&h, taken[i]);
            taken[i] = 0;
        }
    }
    size_t alive = 0;
    for (size_t i = 0; i < MANY; i++) {
        if (taken[i] != 0)
            MUST(cache_handles_at(&h, taken[i]) == &things[i]);
        alive += taken[i] != 0;
    }
    MUST(short_memory_is(at_start, h.bytes));
    cache_handles_fini(&h, on_end);
    MUST(ends == alive);
    MUST(short_memory_is(at_start, 0));
}
END_TEST

START_TEST(moved)
{
    struct cache_handles h = CACHE_HANDLES_EMPTY;
    take(&h, 0);
    take(&h, 1);
    cache_handles_move(&h, taken[0], &things[2]);
    MUST(cache_handles_at(&h, taken[0]) == &things[2]);
    MUST(cache_handles_at(&h, taken[1]) == &things[1]);
    cache_handles_fini(&h, on_end);
}
END_TEST

/* Half of all go, wherever they are; then others come for those that stayed: the high chunks drain. */
START_TEST(the_lowest_are_used_first)
{
    struct cache_handles h = CACHE_HANDLES_EMPTY;
    for (size_t i = 0; i < MANY; i++)
        take(&h, i);
    size_t full = h.bytes;
    for (size_t i = 0; i < MANY; i += 2)
        cache_handles_give(&h, taken[i]);
    for (size_t i = MANY - 1; i < MANY; i -= 2) {
        cache_handles_give(&h, taken[i]);
        take(&h, i);
    }
    for (size_t i = 1; i < MANY; i += 2)
        MUST(taken[i] < MANY * 3 / 5);
    MUST(h.bytes < full * 4 / 5);
    for (size_t i = 1; i < MANY; i += 2)
        cache_handles_give(&h, taken[i]);
    MUST(h.bytes < full / 2);
    cache_handles_fini(&h, on_end);
    MUST(ends == 0);
}
END_TEST

/* One more, one less, at a chunk's end. */
START_TEST(a_chunk_is_not_made_again_and_again)
{
    struct cache_handles h = CACHE_HANDLES_EMPTY;
    for (size_t i = 0; i < CACHE_HANDLES_CHUNK - 1; i++)
        take(&h, i);
    take(&h, MANY - 1);
    cache_handles_give(&h, taken[MANY - 1]);
    short_memory_fail(1, true);
    for (int i = 0; i < 10; i++) {
        take(&h, MANY - 1);
        cache_handles_give(&h, taken[MANY - 1]);
    }
    short_memory_fail(0, false);
    cache_handles_fini(&h, on_end);
}
END_TEST

/* More chunks than one word of the bitmap, and than the first entries, has room for. */
START_TEST(more_chunks_than_a_word_has_bits)
{
    struct cache_handles h = CACHE_HANDLES_EMPTY;
    uint32_t last = 0;
    for (unsigned i = 0; i < 70 * CACHE_HANDLES_CHUNK; i++) {
        uint32_t handle = cache_handles_take(&h, &things[i % MANY]);
        MUST(handle == last + 1);
        last = handle;
    }
    for (unsigned i = 1; i <= last; i++)
        MUST(cache_handles_at(&h, i) == &things[(i - 1) % MANY]);
    cache_handles_give(&h, 5);
    cache_handles_give(&h, 66 * CACHE_HANDLES_CHUNK);
    MUST(cache_handles_take(&h, &things[0]) == 5);
    MUST(cache_handles_take(&h, &things[0]) == 66 * CACHE_HANDLES_CHUNK);
    cache_handles_fini(&h, on_end);
}
END_TEST

START_TEST(without_memory_there_is_none)
{
    for (long n = 1; n <= 3; n++) {
        struct cache_handles h = CACHE_HANDLES_EMPTY;
        short_memory_fail(n, false);
        MUST(cache_handles_take(&h, &things[0]) == 0);
        short_memory_fail(0, false);
        take(&h, 0);
        MUST(cache_handles_at(&h, taken[0]) == &things[0]);
        MUST(short_memory_is(at_start, h.bytes));
        cache_handles_fini(&h, on_end);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_handles", set_up, NULL, each_names_its_own, moved, the_lowest_are_used_first,
                a_chunk_is_not_made_again_and_again, more_chunks_than_a_word_has_bits,
                without_memory_there_is_none)
