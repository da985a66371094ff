/*
 * test_jobs_life.c: a job from enqueue to its end, by the scripts of proto/jobs: owner and attempt are checked at each
 * step, each step done twice is done once, and the job is in one place only.
 */
#include "test/unit/jobs/jobs_fixture.h"

#include <stdlib.h>
#include <time.h>

START_TEST(test_a_job_comes_in_once)
{
    jobs_enqueue("a");
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_field("a", "status"), "queued");
    ck_assert_str_eq(queue_redis("SMEMBERS rq:queues"), "[rq:queue:q]");
    ck_assert_str_eq(j_text(enqueue, "a", "q", "0", "0", "", "", "platoon.platform", "other"),
                     "[there a]");
    ck_assert_str_eq(jobs_field("a", "platoon.platform"), "coinis");
    ck_assert_str_eq(jobs_where("a"), "l");
}
END_TEST

/* RQ's clients read it with strptime: %Y-%m-%dT%H:%M:%S.%fZ; the date is that of Redis' clock. */
START_TEST(test_times_are_as_rq_writes_them)
{
    char expected[32], got[64];
    int year, month, day, hour, minute, second, micros, used = 0;
    time_t before = (time_t)(queue_now() / 1000);
    jobs_enqueue("a");
    snprintf(got, sizeof got, "%s", jobs_field("a", "created_at"));
    ck_assert_int_eq(sscanf(got, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &micros, &used),
                     7);
    ck_assert_int_eq(used, 27);
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    time_t at = timegm(&tm);
    ck_assert_int_ge(at, before);
    ck_assert_int_le(at, (time_t)(queue_now() / 1000));
    ck_assert_uint_gt(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm), 0);
    ck_assert_int_eq(strncmp(expected, got, 19), 0);
}
END_TEST

START_TEST(test_a_key_names_a_call)
{
    ck_assert_str_eq(j_text(enqueue, "a", "q", "0", "0", "k", "body", "platoon.platform", "p"),
                     "[made a]");
    ck_assert_str_eq(j_text(enqueue, "b", "q", "0", "0", "k", "body", "platoon.platform", "p"),
                     "[replayed a]");
    ck_assert_str_eq(
        j_text(enqueue, "c", "q", "0", "0", "k", "other body", "platoon.platform", "p"),
        "[other a]");
    ck_assert_str_eq(queue_redis("EXISTS rq:job:b rq:job:c"), "0");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[a]");
    queue_redis("PTTL platoon:{jobs:t}:key:k");
    ck_assert_int_gt(queue_int(queue.reply), 86000000);
}
END_TEST

START_TEST(test_first_and_later)
{
    char due[32];
    jobs_enqueue("a");
    ck_assert_str_eq(j_text(enqueue, "b", "q", "0", "1", "", "", "platoon.platform", "p"),
                     "[made b]");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[b a]");
    snprintf(due, sizeof due, "%lld", queue_now() + 600000);
    ck_assert_str_eq(j_text(enqueue, "c", "q", due, "0", "", "", "platoon.platform", "p"),
                     "[made c]");
    ck_assert_str_eq(jobs_where("c"), "s");
    ck_assert_str_eq(jobs_field("c", "status"), "scheduled");
}
END_TEST

START_TEST(test_a_claim)
{
    ck_assert_str_eq(jobs_claim("me.1"), "");
    jobs_enqueue("a");
    queue_redis("PEXPIRE rq:job:a 100000");
    long long before = queue_now();
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(queue.reply->element[1]->str, "q");
    ck_assert_int_eq(queue.reply->element[2]->integer, 1);
    ck_assert_int_eq(queue.reply->element[3]->integer, 1);
    ck_assert_str_eq(jobs_where("a"), "w");
    ck_assert_str_eq(jobs_field("a", "status"), "started");
    ck_assert_str_eq(jobs_field("a", "worker_name"), "HOST.sanjer1");
    ck_assert_str_eq(jobs_field("a", "platoon.owner"), "me.1");
    ck_assert_str_eq(queue_redis("PTTL rq:job:a"), "-1");
    ck_assert_str_eq(queue_redis("LLEN platoon:{jobs:t}:turns"), "0");
    /* RQ's own clean-up comes a minute behind the end of the lease. */
    double score = atof(queue_redis("ZSCORE rq:wip:q a"));
    ck_assert_double_ge(score, (double)before / 1000 + 120 - 0.001);
    ck_assert_str_eq(jobs_claim("me.1"), "");
}
END_TEST

START_TEST(test_what_does_not_wait_is_not_claimed)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_enqueue("c");
    queue_redis("HSET rq:job:a status canceled");
    queue_redis("DEL rq:job:b");
    ck_assert_str_eq(jobs_claim("me.1"), "c");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[]");
    /* What somebody has queued again while it runs is not run beside itself. */
    queue_redis("HSET rq:job:c status queued");
    queue_redis("RPUSH rq:queue:q c");
    j_text(due, "q");
    ck_assert_str_eq(jobs_claim("me.2"), "");
    ck_assert_str_eq(jobs_finish("c", "me.1", 1, "finished", 0), "canceled");
    ck_assert_str_eq(jobs_claim("me.2"), "c");
}
END_TEST

START_TEST(test_suspended)
{
    jobs_enqueue("a");
    queue_redis("SET rq:suspended 1");
    ck_assert_str_eq(j_text(claim, "me.1", "w", "1000"), "suspended");
    queue_redis("DEL rq:suspended");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
}
END_TEST

START_TEST(test_beats)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "1", "600000", "platoon.progress", "0.5"),
                     "held");
    ck_assert_double_gt(atof(queue_redis("ZSCORE rq:wip:q a")), (double)queue_now() / 1000 + 600);
    ck_assert_str_eq(jobs_field("a", "platoon.progress"), "0.5");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.2", "1", "1", "platoon.progress", "0.6"), "lost");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "2", "1", "platoon.progress", "0.6"), "lost");
    ck_assert_str_eq(jobs_field("a", "platoon.progress"), "0.5");
    queue_redis("HSET rq:job:a status canceled");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "1", "1000"), "canceled");
    queue_redis("DEL rq:job:a");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "1", "1000", "platoon.progress", "1"), "gone");
    ck_assert_str_eq(queue_redis("EXISTS rq:job:a"), "0");
}
END_TEST

START_TEST(test_an_end)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    ck_assert_str_eq(jobs_finish("a", "me.2", 1, "failed", 0), "lost");
    ck_assert_str_eq(jobs_finish("a", "me.1", 2, "failed", 0), "lost");
    ck_assert_str_eq(jobs_where("a"), "w");
    ck_assert_str_eq(j_text(finish, "a", "q", "me.1", "1", "finished", "0", "return_value",
                            "gAJLAS4=", "2", "platoon.result", "1", "platoon.exit_code", "0"),
                     "[done nil]");
    ck_assert_str_eq(jobs_where("a"), "F");
    ck_assert_str_eq(jobs_field("a", "status"), "finished");
    ck_assert_str_eq(jobs_field("a", "platoon.result"), "1");
    ck_assert_ptr_nonnull(strstr(queue_redis("XRANGE rq:results:a - +"), "type 1 "));
    queue_redis("PTTL rq:job:a");
    ck_assert_int_gt(queue_int(queue.reply), 60000);
    ck_assert_int_le(queue_int(queue.reply), 120000);
    /* Whoever has not heard of it does it again, and others do nothing. */
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "failed", 0), "done");
    ck_assert_str_eq(jobs_finish("a", "me.2", 1, "failed", 0), "lost");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "1", "1000"), "lost");
    ck_assert_str_eq(jobs_where("a"), "F");
    ck_assert_str_eq(queue_redis("XLEN rq:results:a"), "1");
}
END_TEST

START_TEST(test_the_other_ends)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    jobs_claim("me.2");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "failed", 0), "done");
    ck_assert_str_eq(jobs_finish("b", "me.2", 1, "stopped", 0), "done");
    ck_assert_str_eq(jobs_where("a"), "f");
    ck_assert_str_eq(jobs_where("b"), "f");
    ck_assert_str_eq(jobs_field("a", "status"), "failed");
    ck_assert_str_eq(jobs_field("b", "status"), "stopped");
}
END_TEST

START_TEST(test_again_and_back)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "retry", 600000), "done");
    ck_assert_str_eq(jobs_where("a"), "s");
    ck_assert_str_eq(jobs_claim("me.1"), "b");
    ck_assert_str_eq(jobs_finish("b", "me.1", 1, "retry", 0), "done");
    ck_assert_str_eq(jobs_where("b"), "l");
    ck_assert_str_eq(jobs_claim("me.1"), "b");
    ck_assert_int_eq(queue.reply->element[2]->integer, 2);
    ck_assert_int_eq(queue.reply->element[3]->integer, 2);
    /* The first attempt is over, whoever says what of it. */
    ck_assert_str_eq(jobs_finish("b", "me.1", 1, "finished", 0), "lost");
    ck_assert_str_eq(jobs_finish("b", "me.1", 2, "back", 0), "done");
    ck_assert_str_eq(jobs_claim("me.2"), "b");
    ck_assert_int_eq(queue.reply->element[2]->integer, 3);
    ck_assert_int_eq(queue.reply->element[3]->integer, 2);
}
END_TEST

START_TEST(test_an_end_and_the_next)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    j_text(finish, "a", "q", "me.1", "1", "finished", "0", "", "", "0", "me.1", "w", "60000");
    ck_assert_str_eq(queue.reply->element[0]->str, "done");
    ck_assert_str_eq(queue.reply->element[1]->element[0]->str, "b");
    ck_assert_str_eq(jobs_where("b"), "w");
    ck_assert_str_eq(
        j_text(finish, "b", "q", "me.1", "1", "finished", "0", "", "", "0", "me.1", "w", "60000"),
        "[done nil]");
}
END_TEST

START_TEST(test_what_rq_has_done_meanwhile)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    jobs_claim("me.2");
    queue_redis("HSET rq:job:a status canceled");
    queue_redis("ZADD rq:canceled:q 1 a");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "finished", 0), "canceled");
    ck_assert_str_eq(jobs_where("a"), "c");
    queue_redis("DEL rq:job:b");
    ck_assert_str_eq(jobs_finish("b", "me.2", 1, "finished", 0), "gone");
    ck_assert_str_eq(jobs_where("b"), "");
    ck_assert_str_eq(queue_redis("EXISTS rq:job:b"), "0");
}
END_TEST

/* A Redis that refuses a command in the middle: what is called again is taken up, and is there once. */
START_TEST(test_a_refused_command)
{
    static const char *const commands[] = {"sadd", "rpush", "lpush", "lpos"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%zu", i);
        queue_redis("DEL platoon:{jobs:t}:turns");
        queue_redis("ACL SETUSER default -%s", commands[i]);
        j_text(enqueue, id, "q", "0", "0", "", "", "platoon.platform", "p");
        ck_assert_int_eq(queue.reply->type, REDIS_REPLY_ERROR);
        queue_redis("ACL SETUSER default +%s", commands[i]);
        j_text(enqueue, id, "q", "0", "0", "", "", "platoon.platform", "p");
        ck_assert_str_eq(jobs_where(id), "l");
        ck_assert_str_eq(jobs_field(id, "status"), "queued");
    }
}
END_TEST

JOBS_SUITE("jobs_life", test_a_job_comes_in_once, test_times_are_as_rq_writes_them,
           test_a_key_names_a_call, test_first_and_later, test_a_claim,
           test_what_does_not_wait_is_not_claimed, test_suspended, test_beats, test_an_end,
           test_the_other_ends, test_again_and_back, test_an_end_and_the_next,
           test_what_rq_has_done_meanwhile, test_a_refused_command)
