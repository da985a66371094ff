/* test_cache_trouble.c: one cause of trouble is one warning, whatever object it comes with. */
#include "test/unit/suite.h"
#include "workers/cache/cache_trouble.h"

#define STORED "nothing is stored: "
#define FULL   ": No space left on device: make room on its file system"

static struct cache_trouble trouble;

static void set_up(void)
{
    trouble = (struct cache_trouble){0};
}

static const char *tell(const char *why, uint64_t now_ms)
{
    return cache_trouble_of(&trouble, STORED, why, now_ms);
}

START_TEST(another_object)
{
    ck_assert_str_eq(tell("/store/aa/one" FULL, 1000), STORED "/store/aa/one" FULL);
    ck_assert_str_eq(tell("/store/bb/two" FULL, 2000), STORED "/store/aa/one" FULL);
    ck_assert_str_eq(tell("/store/bb/two" FULL, 61001), STORED "/store/bb/two" FULL);
}
END_TEST

START_TEST(another_time)
{
    ck_assert_str_eq(tell("S3: no answer for 2800 ms", 0), STORED "S3: no answer for 2800 ms");
    ck_assert_str_eq(tell("S3: no answer for 3000 ms", 1), STORED "S3: no answer for 2800 ms");
}
END_TEST

START_TEST(another_cause)
{
    ck_assert_str_eq(tell("S3 says 500", 0), STORED "S3 says 500");
    ck_assert_str_eq(tell("S3 says 403", 1000), STORED "S3 says 403");
    ck_assert_str_eq(tell("S3 says 500", 2000), STORED "S3 says 403"); /* to and fro */
    ck_assert_str_eq(tell("S3 says 500 too", 3000), STORED "S3 says 500 too");
    ck_assert_str_eq(cache_trouble_of(&trouble, "nothing is loaded: ", "S3 says 500", 4000),
                     "nothing is loaded: S3 says 500");
}
END_TEST

/* When it was over it is another one. */
START_TEST(over_and_back)
{
    ck_assert_str_eq(tell("S3 says 500", 0), STORED "S3 says 500");
    ck_assert_str_eq(tell("", 1000), "");
    ck_assert_str_eq(tell("S3 says 500", 2000), STORED "S3 says 500");
}
END_TEST

/* More causes than are remembered. */
START_TEST(many_causes)
{
    char why[32];
    for (unsigned i = 0; i < 3 * CACHE_TROUBLE_CAUSES; i++) {
        snprintf(why, sizeof why, "cause %u", i);
        ck_assert_str_eq(tell(why, i) + sizeof STORED - 1, why);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_trouble", set_up, NULL, another_object, another_time, another_cause,
                over_and_back, many_causes)
