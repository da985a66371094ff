/* test_cache_trim.c: holes in memory are given back (workers/cache/memory/cache_trim.h). */
#include "common/process_usage.h"
#include "test/unit/suite.h"
#include "workers/cache/memory/cache_trim.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT 4096
#define SIZE  ((size_t)32 << 10)

static inline size_t resident(void) /* inline: the sanitizer's build does not use it */
{
    struct process_usage usage = {0};
    process_usage_read(getpid(), false, &usage);
    return (size_t)usage.rss_bytes;
}

/* Of 128 MB every other piece is freed: 64 MB are in use. */
START_TEST(holes_are_given_back)
{
#ifndef __SANITIZE_ADDRESS__ /* its allocator has no such call */
    static void *pieces[COUNT];
    struct cache_trim trim = {0};
    size_t used = COUNT * SIZE / 2;
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = malloc(SIZE);
        ck_assert_ptr_nonnull(pieces[i]);
        memset(pieces[i], 1, SIZE);
    }
    ck_assert(!cache_trim(&trim, 2 * used)); /* all is in use */
    for (size_t i = 0; i < COUNT; i += 2)
        free(pieces[i]);
    size_t before = resident();
    ck_assert_uint_gt(before, 2 * used);
    ck_assert(cache_trim(&trim, used));
    ck_assert_uint_lt(resident(), before - used / 2);
    ck_assert(!cache_trim(&trim, used));
    cache_trim(&trim, 0); /* in use, but not known to be: once in vain, and no more */
    ck_assert(!cache_trim(&trim, 0));
    size_t changed = 0;
    for (size_t i = 1; i < COUNT; i += 2) {
        for (size_t at = 0; at < SIZE; at++)
            changed += ((char *)pieces[i])[at] != 1;
        free(pieces[i]);
    }
    ck_assert_uint_eq(changed, 0);
#endif
}
END_TEST

SUITE_MAIN("cache_trim", holes_are_given_back)
