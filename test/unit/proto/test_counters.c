/* test_counters.c: names of counters (proto/counters.h). */
#include "proto/counters.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(names_are_found_again)
{
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        ck_assert_int_eq(counter_find(name, strlen(name)), i);
        ck_assert_int_eq(counter_find(name, strlen(name) - 1), COUNTER_COUNT);
    }
    ck_assert_int_eq(counter_find("", 0), COUNTER_COUNT);
    ck_assert_int_eq(counter_find("requests", 8), COUNTER_COUNT);
}
END_TEST

/* Prometheus' conventions: what only grows ends in _total, letters are small. */
START_TEST(conventions)
{
    for (int i = 0; i < COUNTER_PLAIN; i++) {
        const char *name = counter_name((enum counter)i);
        size_t len = strlen(name);
        bool total = len > 6 && strcmp(name + len - 6, "_total") == 0;
        ck_assert_msg(total == counter_is_monotonic((enum counter)i), "%s", name);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), len);
        ck_assert(name[0] >= 'a' && name[0] <= 'z');
    }
}
END_TEST

/* Cells stand one behind the other, by their bounds, and have the histogram's name. */
START_TEST(cells_of_histograms)
{
    enum counter first;
    const char *name, *help;
    size_t count = 0;
    for (; counter_histogram(count, &first, &name, &help); count++) {
        char cell[128];
        ck_assert_int_ge(first, COUNTER_PLAIN);
        for (int b = 0; b < HISTOGRAM_BOUNDS; b++) {
            snprintf(cell, sizeof cell, "%s_bucket{le=\"%s\"}", name, histogram_bounds[b].le);
            ck_assert_str_eq(counter_name(first + (unsigned)b), cell);
            ck_assert(counter_is_monotonic(first + (unsigned)b));
            ck_assert(b == 0 || histogram_bounds[b].ms > histogram_bounds[b - 1].ms);
            ck_assert(strtod(histogram_bounds[b].le, NULL) * 1000 ==
                      (double)histogram_bounds[b].ms);
        }
        size_t len = strlen(name);
        ck_assert_str_eq(name + len - strlen("_seconds"), "_seconds");
        ck_assert_uint_gt(strlen(help), 10);
    }
    ck_assert_uint_eq(count * HISTOGRAM_CELLS, COUNTER_COUNT - COUNTER_PLAIN);
}
END_TEST

/* A sentence, with a remedy behind its last colon; only of gauges, which can end. */
START_TEST(warnings)
{
    int count = 0;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *warning = counter_warning((enum counter)i);
        if (warning == NULL)
            continue;
        count++;
        ck_assert(!counter_is_monotonic((enum counter)i));
        ck_assert_ptr_nonnull(strchr(warning, ':'));
        ck_assert_uint_lt(strlen(warning), 300);
    }
    ck_assert_int_gt(count, 0);
}
END_TEST

SUITE_MAIN("counters", names_are_found_again, conventions, cells_of_histograms, warnings)
