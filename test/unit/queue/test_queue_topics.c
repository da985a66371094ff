/*
 * test_queue_topics.c: which queues want a topic is known without a walk through all patterns where there are many
 * queues, for as long as somebody vouches for the registry: never longer than a second after it has changed.
 */
#include "test/unit/queue/queue_fixture.h"

#include "common/clock.h"

#include <stdlib.h>

#define VOUCH_MS   1000
#define KEPT_MS    15000
#define TOPICS_MAX 10000
#define SOON_MS    20000

static void eval(const char *script, const char *arg)
{
    const struct slice words[] = {slice_of("EVAL"), slice_of(script), slice_of("1"),
                                  slice_of(queue.space), slice_of(arg)};
    queue_command(5, words);
    ck_assert_msg(queue.reply->type != REDIS_REPLY_ERROR, "%s", queue_text());
}

/* Raw queues of other clients, which nobody here delivers to. */
static void make_many(const char *count)
{
    eval("for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1] .. 'registered_queues', "
         "'many' .. i, '^nothing' .. i) end",
         count);
}

/* How many queues there are, as is said then. */
static long long vouch(void)
{
    queue_call(QUEUE_SCRIPT_QUEUE_VOUCH, NULL);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY && queue.reply->elements == 2, "%s",
                  queue_text());
    return queue_int(queue.reply->element[0]);
}

static void vouched(void)
{
    queue_redis("DEL @Nplatoon:vouched");
    vouch();
}

/* Which queues have it: "q raw". */
static const char *delivered(const char *topic)
{
    static char names[1024];
    q_text(DELIVER, topic, "a", "body");
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
    names[0] = '\0';
    for (size_t i = 1; i < queue.reply->elements; i++) {
        strcat(names, i > 1 ? " " : "");
        strcat(names, queue.reply->element[i]->str);
    }
    return names;
}

/* Whether that delivery walked through the registry. */
static bool walked(const char *topic, const char *queues)
{
    queue_redis("CONFIG RESETSTAT");
    ck_assert_str_eq(delivered(topic), queues);
    return strstr(queue_redis("INFO commandstats"), "cmdstat_hgetall:") != NULL;
}

/* It becomes so while somebody vouches; one delivery alone may come too late on a slow machine. */
static void known(const char *topic, const char *queues)
{
    uint64_t deadline = clock_mono_ms() + SOON_MS;
    do {
        ck_assert_uint_lt(clock_mono_ms(), deadline);
        vouch();
    } while (walked(topic, queues));
}

/* Commands of that delivery, those within its script too; of one that did not walk. */
static long commands(enum queue_script script, const char *topic)
{
    uint64_t deadline = clock_mono_ms() + SOON_MS;
    for (;;) {
        ck_assert_uint_lt(clock_mono_ms(), deadline);
        known(topic, "q");
        queue_redis("DEL @Nplatoon:inbox @Nplatoon:inbox:stats");
        queue_redis("LPUSH @Nplatoon:inbox body");
        queue_redis("CONFIG RESETSTAT");
        if (script == QUEUE_SCRIPT_QUEUE_INBOX_TAKE)
            queue_call(script, "0", topic, "a", "4", "", NULL);
        else
            queue_call(script, topic, "a", "0", "body", NULL);
        ck_assert_int_eq(queue.reply->type, REDIS_REPLY_STRING);
        const char *stats = queue_redis("INFO commandstats");
        if (strstr(stats, "cmdstat_hgetall:") != NULL)
            continue; /* nobody has vouched in time */
        long all = 0;
        for (const char *at = stats; (at = strstr(at, ":calls=")) != NULL; at++)
            all += atol(at + strlen(":calls="));
        return all;
    }
}

/* As much for a topic that is known, however many queues there are and whoever brings it: many in a call, the inbox. */
START_TEST(test_what_is_known_costs_as_much_as_its_queues)
{
    const enum queue_script scripts[] = {QUEUE_SCRIPT_QUEUE_DELIVER_MANY,
                                         QUEUE_SCRIPT_QUEUE_INBOX_TAKE};
    long before[2];
    make_many("100");
    queue_register("q", "^t");
    for (size_t i = 0; i < 2; i++)
        before[i] = commands(scripts[i], "t");
    make_many("3000");
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(commands(scripts[i], "t"), before[i]);
}
END_TEST

START_TEST(test_a_topic_is_walked_for_once)
{
    make_many("100");
    queue_register("q", "^t");
    ck_assert(walked("t", "q"));
    ck_assert(walked("t", "q"));
    vouched();
    ck_assert(walked("t", "q"));
    known("t", "q");
    ck_assert(walked("nobody's", ""));
    known("nobody's", "");
    ck_assert_str_eq(queue_redis("SCARD @Nq:active_facets"), "1");
    queue_check("q");
}
END_TEST

START_TEST(test_few_queues_are_always_walked_through)
{
    make_many("63");
    queue_register("q", "^t");
    ck_assert_int_eq(vouch(), 64);
    ck_assert(walked("t", "q"));
    ck_assert(walked("t", "q"));
    ck_assert_str_eq(queue_redis("EXISTS @Nplatoon:vouched @Nplatoon:topics"), "0");
    make_many("64");
    ck_assert_int_eq(vouch(), 65);
    ck_assert_str_eq(queue_redis("EXISTS @Nplatoon:vouched"), "1");
}
END_TEST

static long long vouched_at(void)
{
    const char *at = strchr(queue_redis("GET @Nplatoon:vouched"), ' ');
    return at != NULL ? atoll(at) : -1;
}

/* Who was to say it again is late: a delivery looks itself, once for all, and what is known stays known. */
START_TEST(test_a_delivery_looks_when_nobody_has)
{
    make_many("100");
    queue_register("q", "^t");
    uint64_t deadline = clock_mono_ms() + SOON_MS;
    bool stays;
    do {
        ck_assert_uint_lt(clock_mono_ms(), deadline);
        known("t", "q");
        vouched();
        long long looked = vouched_at();
        queue_sleep_until(looked + VOUCH_MS);
        ck_assert_str_eq(delivered("t"), "q");
        stays = vouched_at() >= looked + VOUCH_MS && !walked("t", "q");
        ck_assert_int_le(atoi(queue_redis("PTTL @Nplatoon:vouched")), KEPT_MS - VOUCH_MS);
    } while (!stays); /* else it was gone meanwhile */
    queue_check("q");
}
END_TEST

/* Who vouches hears since when Redis remembers: another time, once it has forgotten. */
START_TEST(test_a_redis_that_has_forgotten)
{
    char born[32];
    ck_assert_int_eq(vouch(), 0);
    ck_assert_int_eq(queue.reply->element[1]->type, REDIS_REPLY_STRING);
    strcpy(born, queue.reply->element[1]->str);
    long long later = queue_now() + 2;
    queue_sleep_until(later);
    vouch();
    ck_assert_str_eq(queue.reply->element[1]->str, born);
    queue_redis("FLUSHALL");
    vouch();
    ck_assert_int_ge(atoll(queue.reply->element[1]->str), later);
}
END_TEST

/* Nobody vouches any more: what was said last is good for a second. */
START_TEST(test_an_originals_queue_is_served_a_second_later_without_anybody)
{
    make_many("100");
    queue_register("q", "^t");
    vouched();
    delivered("t");
    queue_redis("HSET @Nregistered_queues theirs ^t");
    long long registered = queue_now();
    queue_sleep_until(registered + VOUCH_MS);
    const char *has = delivered("t");
    ck_assert_ptr_nonnull(strstr(has, "theirs"));
    ck_assert_ptr_nonnull(strstr(has, "q"));
}
END_TEST

START_TEST(test_an_originals_queue_is_served_once_somebody_has_vouched)
{
    make_many("100");
    vouched();
    ck_assert_str_eq(delivered("t"), "");
    queue_redis("HSET @Nregistered_queues theirs ^t");
    vouched();
    ck_assert(walked("t", "theirs"));
    known("t", "theirs");
    queue_redis("HDEL @Nregistered_queues theirs");
    ck_assert_str_eq(delivered("t"), "");
}
END_TEST

/* The first that comes looks; the others of the same time do not. */
START_TEST(test_several_that_vouch)
{
    make_many("100");
    vouched();
    long long first = vouched_at();
    vouch();
    long long second = vouched_at();
    ck_assert(second == first || second - first >= 400);
    queue_sleep_until(second + 400);
    vouch();
    ck_assert_int_ge(vouched_at() - second, 400);
}
END_TEST

START_TEST(test_ours_counts_at_once)
{
    make_many("100");
    queue_register("q", "^t");
    vouched();
    delivered("t");
    queue_register("other", "^t");
    ck_assert_uint_eq(strlen(delivered("t")), strlen("q other"));
    vouched();
    delivered("t");
    ck_assert_int_eq(q_int(UNREGISTER, "other"), 1);
    ck_assert_str_eq(delivered("t"), "q");
    vouched();
    delivered("t");
    ck_assert_int_eq(q_int(DESTROY, "q"), 0);
    ck_assert_str_eq(delivered("t"), "");
}
END_TEST

/* Registering what is registered is what each backbone worker does at each connection. */
START_TEST(test_registering_again_changes_nothing)
{
    make_many("100");
    queue_register("q", "^t");
    uint64_t deadline = clock_mono_ms() + SOON_MS;
    do {
        ck_assert_uint_lt(clock_mono_ms(), deadline);
        vouched();
        queue_register("q", "^t");
    } while (vouched_at() < 0);
}
END_TEST

/* What was found in a registry that was there for a moment is not good for the one before, which is there again. */
START_TEST(test_a_registry_that_was_another_for_a_moment)
{
    make_many("100");
    queue_redis("HSET @Nregistered_queues theirs ^t");
    vouched();
    queue_redis("HDEL @Nregistered_queues theirs");
    ck_assert_str_eq(delivered("t"), "");
    queue_redis("HSET @Nregistered_queues theirs ^t");
    vouched();
    ck_assert_str_eq(delivered("t"), "theirs");
}
END_TEST

/* Redis' clock was set back: it keeps the key, and what it says is of a time to come. */
START_TEST(test_a_clock_that_was_set_back)
{
    make_many("100");
    vouched();
    delivered("t");
    char digest[64];
    snprintf(digest, sizeof digest, "%.40s", queue_redis("GET @Nplatoon:vouched"));
    eval("local t = redis.call('TIME') redis.call('SET', KEYS[1] .. 'platoon:vouched', ARGV[1] .. "
         "' ' .. string.format('%d', (t[1] + 60) * 1000))",
         digest);
    ck_assert(walked("t", ""));
    known("t", "");
}
END_TEST

START_TEST(test_it_has_an_end)
{
    char count[32];
    make_many("100");
    vouched();
    eval("for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1] .. 'platoon:topics', i, 'x') "
         "end",
         "10000");
    for (int i = 0; i < 5; i++)
        delivered((char[]){'t', (char)('0' + i), '\0'});
    snprintf(count, sizeof count, "%d", TOPICS_MAX);
    ck_assert_str_eq(queue_redis("HLEN @Nplatoon:topics"), count);
    known("t4", "");
    queue_redis("ACL SETUSER default -hrandfield");
    queue_register("q", "^n");
    uint64_t deadline = clock_mono_ms() + SOON_MS, passed = 0;
    while (vouched(), strstr(q_text(DELIVER, "new", "a", "body"), "HRANDFIELD") == NULL) {
        passed++; /* too late to be kept */
        ck_assert_uint_lt(clock_mono_ms(), deadline);
    }
    ck_assert_uint_eq(queue_status_of("q").waiting, passed);
}
END_TEST

/* A topic that very many queues want is walked for: its place would be too large. */
START_TEST(test_a_place_has_an_end)
{
    eval("for i = 1, 100 do redis.call('HSET', KEYS[1] .. 'registered_queues', "
         "'a_rather_long_name' .. i, '^t') end",
         "");
    vouched();
    q_text(DELIVER, "t", "a", "body");
    ck_assert_uint_eq(queue.reply->elements, 101);
    ck_assert_str_eq(queue_redis("EXISTS @Nplatoon:topics"), "0");
}
END_TEST

START_TEST(test_wrong_types)
{
    make_many("100");
    queue_register("q", "^t");
    vouched();
    queue_redis("DEL @Nplatoon:topics");
    queue_redis("LPUSH @Nplatoon:topics x");
    ck_assert(walked("t", "q"));
    ck_assert(walked("t", "q"));
    queue_redis("DEL @Nplatoon:vouched");
    queue_redis("LPUSH @Nplatoon:vouched x");
    ck_assert(walked("t", "q"));
}
END_TEST

START_TEST(test_it_goes_when_nobody_vouches)
{
    make_many("100");
    vouched();
    known("t", "");
    vouched();
    ck_assert_int_gt(atoi(queue_redis("PTTL @Nplatoon:topics")), 0);
    delivered("other");
    ck_assert_int_gt(atoi(queue_redis("PTTL @Nplatoon:topics")), 0);
    ck_assert_int_le(atoi(queue_redis("PTTL @Nplatoon:vouched")), KEPT_MS);
}
END_TEST

QUEUE_SUITE("queue_topics", test_what_is_known_costs_as_much_as_its_queues,
            test_a_topic_is_walked_for_once, test_few_queues_are_always_walked_through,
            test_a_delivery_looks_when_nobody_has,
            test_an_originals_queue_is_served_a_second_later_without_anybody,
            test_an_originals_queue_is_served_once_somebody_has_vouched, test_several_that_vouch,
            test_a_redis_that_has_forgotten, test_ours_counts_at_once,
            test_registering_again_changes_nothing, test_a_registry_that_was_another_for_a_moment,
            test_a_clock_that_was_set_back, test_it_has_an_end, test_a_place_has_an_end,
            test_wrong_types, test_it_goes_when_nobody_vouches)
