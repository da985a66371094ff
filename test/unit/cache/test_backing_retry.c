/* test_backing_retry.c: when the store is asked again, and when no more (backing_retry.h). */
#include "test/unit/suite.h"
#include "workers/cache/backing/backing_retry.h"

#include <check.h>

START_TEST(doubles_up_to_the_longest)
{
    static const uint64_t steps[] = {100, 200, 400, 800, 1600, 3000, 3000};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (uint32_t random = 0; random < 10000; random++) {
            uint64_t pause = backing_retry_pause(i + 1, 0, 3000, random);
            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
        }
        ck_assert_uint_eq(least, steps[i] / 2);
        ck_assert_uint_eq(most, steps[i]);
    }
    ck_assert_uint_le(backing_retry_pause(UINT32_MAX, 0, 3000, UINT32_MAX), 3000);
    ck_assert_uint_le(backing_retry_pause(UINT32_MAX, 0, UINT64_MAX, UINT32_MAX), UINT64_C(100)
                                                                                      << 32);
    ck_assert_uint_eq(backing_retry_pause(3, 0, 0, 7), 0);
    ck_assert_uint_le(backing_retry_pause(0, 0, 3000, 1), 100);
}
END_TEST

START_TEST(waits_as_asked)
{
    ck_assert_uint_ge(backing_retry_pause(1, 5000, 3000, 0), 5000);
    ck_assert_uint_gt(backing_retry_pause(1, 5000, 3000, 77),
                      backing_retry_pause(1, 5000, 3000, 3));
    ck_assert_uint_le(backing_retry_pause(1, UINT64_MAX, 3000, 0), 30 * 1000 + 3000);
}
END_TEST

START_TEST(dead_letters)
{
    ck_assert(backing_retry_is_dead(BACKING_REFUSED, 1, 0));
    ck_assert(!backing_retry_is_dead(BACKING_AWAY, 1000, 0)); /* the store is away for all */
    ck_assert(!backing_retry_is_dead(BACKING_AWAY, BACKING_DEAD_FAILURES - 1, 1000));
    ck_assert(backing_retry_is_dead(BACKING_AWAY, BACKING_DEAD_FAILURES, BACKING_DEAD_OTHERS));
    ck_assert(!backing_retry_is_dead(BACKING_FORBIDDEN, 9, BACKING_DEAD_OTHERS - 1));
    ck_assert(backing_retry_is_dead(BACKING_FORBIDDEN, 9, BACKING_DEAD_OTHERS));
    ck_assert(!backing_retry_is_dead(BACKING_DONE, 1000, 1000));
}
END_TEST

SUITE_MAIN("backing_retry", doubles_up_to_the_longest, waits_as_asked, dead_letters)
