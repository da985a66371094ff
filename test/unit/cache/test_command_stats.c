/* test_command_stats.c: how often commands were called, failed and were rejected, and how long they took. */
#include "workers/cache/command/command_stats.h"

#include "common/clock.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t take_ns; /* that a command takes, at least */

static void says_ok(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    for (uint64_t end = clock_mono_ns() + take_ns; clock_mono_ns() < end;)
        continue;
    resp_status(&c->reply, "OK");
}

static void says_error(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_error(&c->reply, "ERR no");
}

#define ENTRY(text, flag, key, fn)                                                                 \
    {                                                                                              \
        .name = text, .name_len = sizeof text - 1, .arity = 1, .flags = flag, .first = key,        \
        .run = fn                                                                                  \
    }

static const struct cache_command list[] = {ENTRY("fast", COMMAND_FAST, 1, says_ok),
                                            ENTRY("slow", 0, 0, says_ok),
                                            ENTRY("wrong", COMMAND_FAST, 0, says_error)};
static const struct cache_command subs[] = {ENTRY("fast|sub", COMMAND_SUB, 0, says_ok)};
static const struct command_table table = {.list = list, .count = 3, .subs = subs, .sub_count = 1};

static struct cache_node node;
static struct cache_client client;
static struct buffer out;

static void set_up(void)
{
    take_ns = 0;
    node = (struct cache_node){.stats = command_stats_new(&table)};
    client = (struct cache_client){.node = &node, .reply = {.version = 2}};
    ck_assert_ptr_nonnull(node.stats);
}

static void tear_down(void)
{
    command_stats_free(node.stats);
    buffer_fini(&client.reply.out);
    buffer_fini(&out);
}

static void call(const struct cache_command *command, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        buffer_clear(&client.reply.out);
        command_call(&client, command, NULL, 0);
    }
}

static const char *shown(void (*section)(const struct cache_node *, struct buffer *))
{
    buffer_clear(&out);
    section(&node, &out);
    const char *text = buffer_text(&out);
    return text != NULL ? text : "";
}

START_TEST(what_was_never_called_is_not_told)
{
    ck_assert_str_eq(shown(command_stats_calls), "");
    ck_assert_str_eq(shown(command_stats_latencies), "");
}
END_TEST

START_TEST(calls_failures_and_refusals)
{
    call(&list[2], 3);
    command_stats_reject(&client, &list[0]);
    call(&subs[0], 1);
    const char *text = shown(command_stats_calls);
    ck_assert_ptr_nonnull(strstr(
        text,
        "cmdstat_fast:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "cmdstat_wrong:calls=3,"));
    ck_assert_ptr_nonnull(strstr(text, ",rejected_calls=0,failed_calls=3\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "cmdstat_fast|sub:calls=1,"));
    ck_assert_ptr_null(strstr(text, "slow"));
    text = shown(command_stats_latencies);
    ck_assert_ptr_null(strstr(text, "usec_fast:"));
    ck_assert_ptr_nonnull(strstr(text, "latency_percentiles_usec_fast|sub:p50="));
}
END_TEST

static uint64_t usec(const char *name)
{
    char line[64];
    uint64_t calls, us;
    snprintf(line, sizeof line, "cmdstat_%s:", name);
    const char *at = strstr(shown(command_stats_calls), line);
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at + strlen(line), "calls=%" SCNu64 ",usec=%" SCNu64 ",", &calls, &us),
                     2);
    return us;
}

/* Those that were not timed are counted with those that were: each took so long, at least. */
START_TEST(one_of_many_stands_for_the_others)
{
    take_ns = 20000;
    call(&list[0], 320);
    ck_assert_uint_ge(usec("fast"), 320 * 20);
    call(&list[1], 40);
    ck_assert_uint_ge(usec("slow"), 40 * 20);
}
END_TEST

START_TEST(percentiles)
{
    double p50, p99, p999;
    take_ns = 50000;
    call(&list[1], 20);
    take_ns = 3000000;
    call(&list[1], 10);
    const char *at = strstr(shown(command_stats_latencies), "usec_slow:");
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(sscanf(at, "usec_slow:p50=%lf,p99=%lf,p99.9=%lf\r\n", &p50, &p99, &p999), 3);
    ck_assert(p50 >= 50 && p50 <= p99 && p99 >= 3000 && p999 >= p99);
}
END_TEST

/* More than a second is a second. */
START_TEST(the_longest)
{
    take_ns = 1100000000;
    call(&list[1], 1);
    ck_assert_ptr_nonnull(strstr(shown(command_stats_latencies),
                                 "usec_slow:p50=1002438.655,p99=1002438.655,p99.9=1002438.655"));
    ck_assert_uint_ge(usec("slow"), 1100000);
}
END_TEST

START_TEST(without_any)
{
    struct command_stats *s = node.stats;
    node.stats = NULL;
    call(&list[0], 1);
    command_stats_reject(&client, &list[0]);
    ck_assert_str_eq(buffer_text(&client.reply.out), "+OK\r\n");
    ck_assert_str_eq(shown(command_stats_calls), "");
    ck_assert_str_eq(shown(command_stats_latencies), "");
    node.stats = s;
}
END_TEST

SUITE_MAIN_WITH("command_stats", set_up, tear_down, what_was_never_called_is_not_told,
                calls_failures_and_refusals, one_of_many_stands_for_the_others, percentiles,
                the_longest, without_any)
