/* test_get_hash_policy.c: which transfer the next frame goes to (workers/drain/get_hash_policy.h). */
#include "test/unit/suite.h"
#include "workers/drain/get_hash_policy.h"

#include <stdint.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

START_TEST(the_least_loaded)
{
    static const size_t loads[] = {300, 100, 200};
    ck_assert_int_eq(get_hash_choose(loads, COUNT(loads), 50, 1000), 1);
    ck_assert_int_eq(get_hash_choose(loads, COUNT(loads), 0, 1000), 1);
    static const size_t equal[] = {5, 5, 5};
    ck_assert_int_eq(get_hash_choose(equal, COUNT(equal), 1, 10), 0);
}
END_TEST

START_TEST(the_window_bounds)
{
    static const size_t loads[] = {900, 950};
    ck_assert_int_eq(get_hash_choose(loads, COUNT(loads), 100, 1000), 0);
    ck_assert_int_eq(get_hash_choose(loads, COUNT(loads), 101, 1000), -1);
    ck_assert_int_eq(get_hash_choose(loads, COUNT(loads), 100, 999), -1);
}
END_TEST

START_TEST(nobody_there)
{
    ck_assert_int_eq(get_hash_choose(NULL, 0, 1, 1000), -1);
}
END_TEST

/* Larger than the window: only to one that has nothing, else it could never go. */
START_TEST(a_frame_above_the_window)
{
    static const size_t busy[] = {1, 1}, idle[] = {1, 0};
    ck_assert_int_eq(get_hash_choose(busy, COUNT(busy), 5000, 1000), -1);
    ck_assert_int_eq(get_hash_choose(idle, COUNT(idle), 5000, 1000), 1);
    ck_assert_int_eq(get_hash_choose(idle, COUNT(idle), SIZE_MAX, 1000), 1);
    static const size_t over[] = {SIZE_MAX};
    ck_assert_int_eq(get_hash_choose(over, COUNT(over), SIZE_MAX, SIZE_MAX), -1);
}
END_TEST

SUITE_MAIN("get_hash_policy", the_least_loaded, the_window_bounds, nobody_there,
           a_frame_above_the_window)
