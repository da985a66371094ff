/* test_queue_waits.c: how long what was handed out had waited (workers/queue/queue_waits.h). */
#include "test/unit/suite.h"
#include "workers/queue/queue_waits.h"

#define NOW 1000000

static struct queue_waits waits;

START_TEST(test_parts)
{
    waits = (struct queue_waits){.slice = 0};
    ck_assert_uint_eq(queue_waits_part(&waits, NOW, 50), 0);
    for (uint64_t i = 1; i <= 1000; i++)
        queue_waits_add(&waits, NOW, i);
    uint64_t p50 = queue_waits_part(&waits, NOW, 50), p99 = queue_waits_part(&waits, NOW, 99);
    ck_assert(p50 >= 500 && p50 <= 563);
    ck_assert(p99 >= 990 && p99 <= 1115);
}
END_TEST

START_TEST(test_ends)
{
    waits = (struct queue_waits){.slice = 0};
    queue_waits_add(&waits, NOW, 0);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW, 99), 0);
    queue_waits_add(&waits, NOW, UINT64_MAX);
    ck_assert_uint_gt(queue_waits_part(&waits, NOW, 99), 86400000);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW, 50), 0);
}
END_TEST

/* What is older than a minute is forgotten, slice by slice, and also after a long silence. */
START_TEST(test_a_minute)
{
    waits = (struct queue_waits){.slice = 0};
    queue_waits_add(&waits, NOW, 5);
    queue_waits_add(&waits, NOW + 30000, 7);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW + 59000, 50), 5);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW + 75000, 50), 7);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW + 110000, 50), 0);
    queue_waits_add(&waits, NOW + 110000, 9);
    ck_assert_uint_eq(queue_waits_part(&waits, NOW + 1000000000, 50), 0);
}
END_TEST

SUITE_MAIN("queue_waits", test_parts, test_ends, test_a_minute)
