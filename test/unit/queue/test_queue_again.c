/* test_queue_again.c: when a message comes that has to wait, and whose turn is looked at before it. */
#include "test/unit/queue/queue_fixture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEASE 60000
#define MANY  64
#define MIN   10000
#define MAX   35000

static void all_are_due(void)
{
    static const char due[] =
        "for _, id in ipairs(redis.call('ZRANGE', KEYS[1] .. 'platoon:q:later', 0, -1)) do "
        "redis.call('ZADD', KEYS[1] .. 'platoon:q:later', 1, id) end";
    const struct slice words[] = {slice_of("EVAL"), slice_of(due), slice_of("1"),
                                  slice_of(queue.space)};
    queue_command(4, words);
}

/* All fail at once: each waits for a part of `longest`, and they do not come back together. */
static void fail_all(long long longest)
{
    struct slice words[3 + MANY] = {slice_of("q"), slice_of("-1"), slice_of("why")};
    int late = 0;
    ck_assert_uint_eq(queue_pull("q", MANY, LEASE), MANY);
    for (int i = 0; i < MANY; i++)
        words[3 + i] = slice_of(pulled[i].receipt);
    long long before = queue_now();
    ck_assert_int_eq(queue_int(queue_call_words(QUEUE_SCRIPT_QUEUE_AGAIN, 3 + MANY, words)), MANY);
    long long after = queue_now();
    queue_redis("ZRANGE @Nplatoon:q:later 0 -1 WITHSCORES");
    /* Whose pause is 0 waits in its list. */
    ck_assert_uint_le(queue.reply->elements, 2 * MANY);
    for (size_t i = 1; i < queue.reply->elements; i += 2) {
        long long at = atoll(queue.reply->element[i]->str);
        ck_assert_int_ge(at, before);
        ck_assert_int_le(at, after + longest);
        late += at > before + longest / 2;
    }
    ck_assert(late > 0 && late < MANY);
    queue_check("q");
    all_are_due();
}

START_TEST(a_pause_is_any_part_of_what_doubles)
{
    ck_assert_int_eq(q_int(REGISTER, "q", "", "0", "100", "10000", "35000", "1000"), 1);
    for (int i = 0; i < MANY; i++)
        queue_deliver("t", "a", "x");
    fail_all(MIN);
    fail_all(2 * MIN);
    fail_all(MAX);
    fail_all(MAX);
}
END_TEST

START_TEST(what_is_delayed_is_not_what_waits_longest)
{
    queue_register("q", "");
    q_text(DELIVER, "t", "a", "x", "60000");
    struct queue_status s = queue_status_of("q");
    ck_assert(s.delayed == 1 && s.waiting == 0 && s.oldest_ms == -1);
    queue_deliver("t", "a", "y");
    ck_assert_int_ge(queue_status_of("q").oldest_ms, 0);
}
END_TEST

/* Nobody has so little that it is seen from afar: only the next sixteen are compared. */
START_TEST(sixteen_turns_are_looked_at)
{
    char facet[8];
    queue_register("q", "");
    for (int i = 0; i < 32; i++) {
        snprintf(facet, sizeof facet, "f%d", i % 16);
        queue_deliver("t", facet, facet);
    }
    ck_assert_uint_eq(queue_pull("q", 16, LEASE), 16);
    queue_deliver("t", "new", "new");
    ck_assert_str_eq(queue_bodies("q", 1, LEASE), "f0");
    ck_assert_str_eq(queue_bodies("q", 1, LEASE), "new");
    ck_assert_str_eq(queue_bodies("q", 1, LEASE), "f1");
    queue_check("q");
}
END_TEST

/* Of each of 32 that are handed out one LRANGE is its message; the others are of turns, 32 at a time. */
static long turns_read(void)
{
    queue_redis("CONFIG RESETSTAT");
    ck_assert_uint_eq(queue_pull("q", 32, LEASE), 32);
    const char *at = strstr(queue_redis("INFO commandstats"), "cmdstat_lrange:calls=");
    ck_assert_ptr_nonnull(at);
    return atol(at + strlen("cmdstat_lrange:calls=")) - 32;
}

/* Whose share is nothing goes at once; whose is not is compared with those behind it, which must be read for that. */
START_TEST(nothing_is_looked_at_behind_who_has_less_than_its_weight)
{
    char facet[8];
    queue_register("q", "");
    for (int i = 0; i < 3 * 64; i++) {
        snprintf(facet, sizeof facet, "f%d", i % 64);
        queue_deliver("t", facet, "x");
    }
    ck_assert_int_eq(turns_read(), 1);
    ck_assert_int_eq(turns_read(), 1);
    ck_assert_int_eq(turns_read(), 2); /* each has one in flight now */
    queue_check("q");
}
END_TEST

QUEUE_SUITE("queue_again", a_pause_is_any_part_of_what_doubles,
            what_is_delayed_is_not_what_waits_longest, sixteen_turns_are_looked_at,
            nothing_is_looked_at_behind_who_has_less_than_its_weight)
