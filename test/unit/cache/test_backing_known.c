/* test_backing_known.c: what is known of objects in S3, bounded (backing_known.h). */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/backing/backing_known.h"

#include <check.h>
#include <stdio.h>

START_TEST(learns_and_forgets)
{
    struct backing_known *k = backing_known_new(4);
    ck_assert_ptr_null(backing_known_find(k, "a"));
    backing_known_learn(k, "a", "\"1\"", 5, 100);
    const struct backing_fact *fact = backing_known_find(k, "a");
    ck_assert_str_eq(fact->etag, "\"1\"");
    ck_assert_uint_eq(fact->version, 5);
    ck_assert_uint_eq(fact->learned_ms, 100);
    backing_known_learn(k, "a", "\"0\"", 4, 200); /* overtaken */
    ck_assert_str_eq(backing_known_find(k, "a")->etag, "\"1\"");
    backing_known_forget(k, "a");
    ck_assert_ptr_null(backing_known_find(k, "a"));
    backing_known_forget(k, "a");
    char etag[200] = "";
    memset(etag, 'x', sizeof etag - 1);
    backing_known_learn(k, "a", etag, 5, 100); /* too long: not known */
    ck_assert_str_eq(backing_known_find(k, "a")->etag, "");
    backing_known_free(k);
}
END_TEST

START_TEST(doubts)
{
    struct backing_known *k = backing_known_new(4);
    backing_known_learn(k, "a", "1", 5, 100);
    ck_assert_uint_eq(backing_known_doubted(k, "a", NULL, 100), 0);
    backing_known_doubt(k, "a", "1", 160);
    ck_assert_str_eq(backing_known_find(k, "a")->etag, "");
    backing_known_learn(k, "a", "2", 6, 110);
    backing_known_doubt(k, "a", "", 170);
    backing_known_forget(k, "a");
    ck_assert_str_eq(backing_known_find(k, "a")->etag, "");
    ck_assert_uint_eq(backing_known_doubted(k, "a", "1", 159), 160);
    ck_assert_uint_eq(backing_known_doubted(k, "a", "1", 160), 0);
    ck_assert_uint_eq(backing_known_doubted(k, "a", "2", 0), 0);
    ck_assert_uint_eq(backing_known_doubted(k, "a", "", 0), 170);
    ck_assert_uint_eq(backing_known_doubted(k, "a", NULL, 160), 170);
    backing_known_doubt(k, "a", "1", 180); /* the same, longer */
    for (int i = 0; i < 3; i++) {
        char etag[2] = {(char)('x' + i), '\0'};
        backing_known_doubt(k, "a", etag, 200 + (uint64_t)i);
    }
    ck_assert_uint_eq(backing_known_doubted(k, "a", "", 0), 0); /* what ended first had to go */
    ck_assert_uint_eq(backing_known_doubted(k, "a", "1", 0), 180);
    ck_assert_uint_eq(backing_known_doubted(k, "a", "z", 0), 202);
    backing_known_learn(k, "a", "0", 3, 120); /* what was forgotten holds nobody back */
    ck_assert_str_eq(backing_known_find(k, "a")->etag, "0");
    backing_known_free(k);
}
END_TEST

START_TEST(the_oldest_goes)
{
    struct backing_known *k = backing_known_new(3);
    char name[8];
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%d", i);
        backing_known_learn(k, name, "e", 1, 0);
    }
    backing_known_find(k, "0");
    backing_known_learn(k, "3", "e", 1, 0);
    ck_assert_ptr_null(backing_known_find(k, "1"));
    ck_assert_ptr_nonnull(backing_known_find(k, "0"));
    ck_assert_ptr_nonnull(backing_known_find(k, "2"));
    backing_known_free(k);
}
END_TEST

/* Beside an array; also while memory is short now and then. */
START_TEST(many)
{
    static uint64_t versions[300];
    size_t before = short_memory_bytes();
    struct backing_known *k = backing_known_new(100);
    for (int round = 0; round < 100000; round++) {
        char name[16], etag[32];
        uint32_t i = cache_random(300);
        snprintf(name, sizeof name, "object/%u", i);
        const struct backing_fact *fact = backing_known_find(k, name);
        if (fact != NULL && fact->etag[0] != '\0') {
            snprintf(etag, sizeof etag, "%llu", (unsigned long long)versions[i]);
            MUST(fact->version == versions[i] && strcmp(fact->etag, etag) == 0);
        }
        if (cache_random(10) == 0)
            backing_known_forget(k, name);
        short_memory_fail(cache_random(20) == 0, false);
        snprintf(etag, sizeof etag, "%d", round + 1);
        versions[i] = (uint64_t)round + 1;
        backing_known_learn(k, name, etag, versions[i], 0);
        short_memory_fail(0, false);
        fact = backing_known_find(k, name);
        MUST(fact == NULL || fact->version == versions[i]);
    }
    MUST(short_memory_bytes() - before < 100 * 400 + 4096);
    backing_known_free(k);
    MUST(short_memory_is(before, 0));
}
END_TEST

SUITE_MAIN("backing_known", learns_and_forgets, doubts, the_oldest_goes, many)
