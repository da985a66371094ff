/* test_cache_rates.c: how much a second, how much at most, which errors (workers/cache/cache_rates.h). */
#include "test/unit/cache/node_fixture.h"

#include "test/unit/suite.h"

static struct cache_rates rates;

static void set_up(void)
{
    rates = (struct cache_rates){0};
}

static void error(const char *text)
{
    cache_rates_error(&rates, text, strlen(text));
}

/* By their first word, in its order. */
START_TEST(errors_by_their_word)
{
    error("TRYAGAIN the store is away\r\n");
    error("ERR syntax error\r\n");
    error("WRONGTYPE\r\n");
    error("ERR no such key\r\n");
    ck_assert_uint_eq(rates.error_count, 3);
    ck_assert_str_eq(rates.errors[0].word, "ERR");
    ck_assert_uint_eq(rates.errors[0].count, 2);
    ck_assert_str_eq(rates.errors[1].word, "TRYAGAIN");
    ck_assert_str_eq(rates.errors[2].word, "WRONGTYPE");
    ck_assert_uint_eq(rates.errors[2].count, 1);
}
END_TEST

/* What is no word of Redis' is none, and there are no more than so many. */
START_TEST(errors_are_bounded)
{
    error("");
    error(" x");
    error("AWORDTHATISMUCHTOOLONG x");
    ck_assert_uint_eq(rates.error_count, 0);
    for (int i = 0; i < 2 * CACHE_RATES_ERRORS; i++) {
        char text[16];
        snprintf(text, sizeof text, "E%02d x", 99 - i);
        error(text);
    }
    ck_assert_uint_eq(rates.error_count, CACHE_RATES_ERRORS);
    for (int i = 1; i < CACHE_RATES_ERRORS; i++)
        ck_assert_int_lt(strcmp(rates.errors[i - 1].word, rates.errors[i].word), 0);
}
END_TEST

/* The first tick has nothing to compare with; between two it is what came, by the time that passed. */
START_TEST(a_second_is_a_second)
{
    node_set_up();
    node.counts.commands = 1000;
    cache_rates_tick(&node);
    ck_assert_uint_eq(node.rates.ops, 0);
    node.rates.at_ms -= 2000; /* two seconds ago */
    node.counts.commands += 4000;
    node.counts.in_bytes += 20000;
    node.counts.out_bytes += 2000;
    cache_rates_tick(&node);
    ck_assert_uint_gt(node.rates.ops, 1000);
    ck_assert_uint_le(node.rates.ops, 2000);
    ck_assert_uint_gt(node.rates.in_bytes, 5000);
    ck_assert_uint_le(node.rates.in_bytes, 10000);
    ck_assert_uint_le(node.rates.out_bytes, 1000);
    ck_assert_uint_ge(cache_rates_peak(&node), cache_db_bytes(node.db));
    node.rates.peak = cache_db_bytes(node.db) + 1;
    cache_rates_tick(&node);
    ck_assert_uint_eq(cache_rates_peak(&node), cache_db_bytes(node.db) + 1);
    node_tear_down();
}
END_TEST

SUITE_MAIN_WITH("cache_rates", set_up, NULL, errors_by_their_word, errors_are_bounded,
                a_second_is_a_second)
