/*
 * test_jobs_schedules.c: schedules in Redis, by the script of proto/jobs: what is written, read, moved, and until when
 * each has been looked after.
 */
#include "test/unit/jobs/jobs_fixture.h"

#define DAILY  "v{\"platform\":\"p\",\"settings\":\"{}\",\"cron\":\"@daily\",\"every\":0}"
#define OTHER  "v{\"platform\":\"q\",\"settings\":\"{}\",\"cron\":\"@daily\",\"every\":0}"
#define HOURLY "v{\"platform\":\"p\",\"settings\":\"{}\",\"cron\":\"@hourly\",\"every\":0}"

#define SAYS(n)                                                                                    \
    "v{\"platform\":\"p\",\"settings\":\"{\\\"cron\\\":\\\"" n "\\\",\\\"every\\\":" n "}\","      \
    "\"cron\":\"@daily\",\"every\":0}"

/* Column `n` of the only row of `look`. */
static const char *row(size_t n)
{
    j_text(schedule, "look");
    ck_assert_uint_eq(queue.reply->elements, 1);
    return queue.reply->element[0]->element[n]->str;
}

static const char *version(const char *name)
{
    static char text[4][64];
    static int turn;
    j_text(schedule, "read", name);
    turn = (turn + 1) % 4;
    ck_assert_uint_eq(queue.reply->elements, 2);
    snprintf(text[turn], sizeof text[turn], "%s", queue.reply->element[1]->str);
    return text[turn];
}

/* Whoever has looked at one names its version: another that has come instead has another. */
START_TEST(test_versions)
{
    j_text(schedule, "read", "a");
    ck_assert_int_eq(queue.reply->type, REDIS_REPLY_NIL);
    ck_assert_str_eq(j_text(schedule, "put", "a", DAILY, "100"), "put");
    const char *first = version("a");
    ck_assert_str_eq(first, row(8));
    ck_assert_str_eq(queue.reply->element[0]->element[1]->str, DAILY);
    ck_assert_str_eq(j_text(schedule, "put", "a", DAILY, "200"), "put");
    ck_assert_str_eq(version("a"), first); /* it is the same */
    j_text(schedule, "put", "a", OTHER, "200");
    const char *second = version("a");
    ck_assert_str_ne(second, first);
    ck_assert_str_eq(j_text(schedule, "remove", "a", "200"), "removed");
    ck_assert_str_eq(queue_redis("KEYS platoon:{jobs:t}:schedules*"), "[]");
    j_text(schedule, "put", "a", OTHER, "200");
    ck_assert_str_ne(version("a"), second);
}
END_TEST

/* What was written before there were versions has none, and is made as ever. */
START_TEST(test_one_without_a_version)
{
    queue_redis("HSET platoon:{jobs:t}:schedules a %s", "vx");
    ck_assert_str_eq(version("a"), "");
    ck_assert_str_eq(row(8), "");
}
END_TEST

/* Other times begin when they are said: nothing was missed by them before. What else changes leaves it. */
START_TEST(test_since_when)
{
    j_text(schedule, "put", "a", DAILY, "100");
    j_text(schedule, "put", "a", OTHER, "200");
    ck_assert_str_eq(row(2), "100");
    j_text(schedule, "put", "a", HOURLY, "300");
    ck_assert_str_eq(row(2), "300");
    j_text(schedule, "put", "a", DAILY, "250"); /* a clock set back makes nothing twice */
    ck_assert_str_eq(row(2), "300");
    j_text(schedule, "put", "a", "vx", "400");
    ck_assert_str_eq(row(2), "400");
    j_text(schedule, "put", "a", "v[]", "500");
    ck_assert_str_eq(row(2), "400");
    /* What settings say is none of its times. */
    j_text(schedule, "put", "a", SAYS("1"), "600");
    j_text(schedule, "put", "a", SAYS("2"), "700");
    ck_assert_str_eq(row(2), "600");
}
END_TEST

START_TEST(test_those_of_the_file)
{
    ck_assert_str_eq(j_text(schedule, "put", "v", DAILY, "100"), "put");
    j_text(schedule, "sync", "200", "a", "f1", "b", "f2");
    ck_assert_int_eq(queue.reply->integer, 3);
    ck_assert_str_eq(j_text(schedule, "put", "a", DAILY, "300"), "file");
    ck_assert_str_eq(j_text(schedule, "remove", "a", "300"), "file");
    ck_assert_str_eq(j_text(schedule, "pause", "a", "300"), "paused");
    const char *before = version("a");
    j_text(schedule, "sync", "400", "a", "f1");
    ck_assert_int_eq(queue.reply->integer, 2);
    ck_assert_str_eq(version("a"), before);
    ck_assert_str_eq(queue_redis("HGET platoon:{jobs:t}:schedules:paused a"), "1");
    ck_assert_str_eq(queue_redis("HEXISTS platoon:{jobs:t}:schedules:version b"), "0");
    ck_assert_str_eq(j_text(schedule, "resume", "a", "500"), "resumed");
    ck_assert_str_eq(queue_redis("HGET platoon:{jobs:t}:schedules:last a"), "500");
    j_text(schedule, "sync", "600");
    ck_assert_str_eq(row(0), "v");
}
END_TEST

START_TEST(test_until_when)
{
    j_text(schedule, "put", "a", DAILY, "100");
    ck_assert_str_eq(j_text(schedule, "now", "a", "150"), "asked");
    ck_assert_str_eq(row(7), "1");
    ck_assert_str_eq(j_text(schedule, "ran", "a", "", "", "away"), "ran");
    ck_assert_str_eq(row(7), "1"); /* it is wanted still */
    ck_assert_str_eq(row(6), "away");
    ck_assert_str_eq(j_text(schedule, "ran", "a", "200", "j", ""), "ran");
    ck_assert_str_eq(row(7), "");
    ck_assert_str_eq(row(4), "j");
    ck_assert_str_eq(row(6), "");
    j_text(schedule, "ran", "a", "120", "", "late"); /* it never goes back */
    ck_assert_str_eq(row(2), "200");
    ck_assert_str_eq(row(4), "j");
    ck_assert_str_eq(j_text(schedule, "ran", "x", "1", "", ""), "unknown");
    ck_assert_str_eq(j_text(schedule, "now", "x", "1"), "unknown");
}
END_TEST

JOBS_SUITE("jobs_schedules", test_versions, test_one_without_a_version, test_since_when,
           test_those_of_the_file, test_until_when)
