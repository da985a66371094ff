/*
 * test_jobs_rq.c: what the scripts of proto/jobs leave for RQ's clients to read, and what they leave alone that is an
 * rq worker's.
 */
#include "test/unit/jobs/jobs_fixture.h"

/* What the latest entry of rq:results says of itself. */
static bool latest_is(const char *id, const char *text)
{
    return strstr(queue_redis("XREVRANGE rq:results:%s + - COUNT 1", id), text) != NULL;
}

/* A function of RQ's as its worker has it since `ago` seconds behind the end of its lease; entry: its name in wip. */
static void begun_by_rq(const char *id, const char *entry, long long ago)
{
    queue_redis("SADD platoon:{jobs:t}:functions q");
    queue_redis(
        "HSET rq:job:%s status started origin q description f() worker_name theirs failure_ttl 60",
        id);
    queue_redis("ZADD rq:wip:q %lld %s", queue_now() / 1000 - ago, entry);
}

START_TEST(test_results)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    j_text(finish, "a", "q", "me.1", "1", "retry", "0", "return_value", "r", "0");
    ck_assert(latest_is("a", "type 4 ") &&
              latest_is("a", "worker_name HOST.sanjer1 return_value r"));
    jobs_claim("me.1");
    j_text(finish, "a", "q", "me.1", "2", "failed", "0", "return_value", "s", "0");
    ck_assert(latest_is("a", "type 5 "));
    ck_assert_str_eq(queue_redis("XLEN rq:results:a"), "2");
    jobs_enqueue("b");
    jobs_claim("me.1");
    j_text(finish, "b", "q", "me.1", "1", "stopped", "0", "exc_string", "t", "0");
    ck_assert(latest_is("b", "type 2 "));
}
END_TEST

/* Whoever is to be stopped is, whatever it says; and has one entry, which says so. */
START_TEST(test_a_retry_of_what_is_stopped)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    j_text(cancel, "a");
    j_text(finish, "a", "q", "me.1", "1", "retry", "0", "return_value", "r", "0");
    ck_assert_str_eq(jobs_field("a", "status"), "stopped");
    ck_assert_str_eq(queue_redis("XLEN rq:results:a"), "1");
    ck_assert(latest_is("a", "type 2 ") && latest_is("a", "exc_string eJ"));
}
END_TEST

START_TEST(test_lost)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    ck_assert_str_eq(j_text(orphans, "me.1", "0", "q"), "[[a q failed]]");
    ck_assert(latest_is("a", "type 2 ") && latest_is("a", "exc_string eJ"));
}
END_TEST

START_TEST(test_what_is_behind_a_worker)
{
    j_text(worker, "HOST.sanjer1", "i:s:", "q", "1", "HOST", "v", "0");
    static const char *const ends[] = {"finished", "failed", "back", "finished"};
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "j%d", i);
        jobs_enqueue(id);
        jobs_claim("me.1");
        j_text(finish, id, "q", "me.1", "1", ends[i], "600000", "", "", "1", "platoon.run_ms",
               "1500");
    }
    ck_assert_str_eq(queue_redis("HMGET rq:worker:HOST.sanjer1 successful_job_count "
                                 "failed_job_count total_working_time"),
                     "[2 1 4.5]");
    /* Who is born again begins at none. */
    j_text(worker, "HOST.sanjer1", "i:s:", "q", "2", "HOST", "v", "0");
    ck_assert_str_eq(queue_redis("HEXISTS rq:worker:HOST.sanjer1 total_working_time"), "0");
}
END_TEST

/* A client that lists workers fetches what they have in hands, and lists none when one such job is gone. */
START_TEST(test_nobody_has_what_is_gone)
{
    j_text(worker, "HOST.sanjer1", "i:s:", "q", "1", "HOST", "v", "0");
    for (int i = 0; i < 2; i++) {
        jobs_enqueue("a");
        ck_assert_str_eq(jobs_claim("me.1"), "a");
        ck_assert_str_eq(queue_redis("HGET rq:worker:HOST.sanjer1 current_job"), "a");
        queue_redis("DEL rq:job:a");
        if (i == 0) {
            j_text(finish, "a", "q", "me.1", "1", "finished", "0", "", "", "0", "me.1",
                   "HOST.sanjer1", "60000");
            ck_assert_str_eq(queue_text(), "[gone nil]");
        } else {
            j_text(worker, "HOST.sanjer1", "i:s:", "q", "1", "HOST", "v", "0");
        }
        ck_assert_str_eq(queue_redis("HMGET rq:worker:HOST.sanjer1 state current_job"),
                         "[idle nil]");
        queue_redis("ZREM rq:wip:q a");
    }
}
END_TEST

START_TEST(test_a_function_that_goes_first_again)
{
    begun_by_rq("a", "-", 0);
    queue_redis("ZREM rq:wip:q -");
    queue_redis("HSET rq:job:a status queued enqueue_at_front_on_retry 1");
    queue_redis("RPUSH rq:queue:q a other");
    queue_redis("HSET rq:job:other status queued origin q description g()");
    j_text(functions, "1", "q");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "retry", 0), "done");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[a other]");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(jobs_finish("a", "me.1", 2, "retry", 1), "done");
    queue_redis("ZADD rq:scheduled:q 1 a");
    j_text(due, "q");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[a other]");
}
END_TEST

/* RQ cleans up when its lease is over; only what nobody has cleaned up for a quarter of an hour is ended here. */
START_TEST(test_what_an_rq_worker_has)
{
    static const char *const entries[] = {"a", "a:e"}; /* of RQ 1, of RQ 2 */
    for (size_t i = 0; i < 2; i++) {
        begun_by_rq("a", entries[i], 100);
        ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
        ck_assert_str_eq(j_text(orphans, "me:", "2", "q"), "[]");
        ck_assert_str_eq(jobs_field("a", "status"), "started");
        ck_assert_str_eq(queue_redis("ZCARD rq:wip:q"), "1");
        begun_by_rq("a", entries[i], 1000);
        ck_assert_str_eq(j_text(orphans, "me:", "2", "q"), "[]");
        ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[a q failed]]");
        ck_assert_str_eq(jobs_where("a"), "f");
        ck_assert_str_eq(jobs_field("a", "platoon.reason"), "its rq worker died");
        ck_assert(latest_is("a", "type 2 ") && latest_is("a", "worker_name theirs exc_string eJ"));
        queue_redis("FLUSHALL");
    }
    begun_by_rq("a", "a:e", 1000);
    queue_redis("HSET rq:job:a retries_left 2");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[a q queued]]");
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_field("a", "retries_left"), "1");
    ck_assert_str_eq(queue_redis("ZCARD rq:wip:q"), "0");
}
END_TEST

/* Only the entry goes of what is over, is gone, or is in other hands by now. */
START_TEST(test_an_entry_that_nobody_has)
{
    begun_by_rq("a", "a:e", 100);
    queue_redis("HSET rq:job:a status finished");
    begun_by_rq("b", "b:e", 100);
    queue_redis("ZADD rq:executions:b 1 later");
    begun_by_rq("c", "c:e", 100);
    queue_redis("DEL rq:job:c");
    begun_by_rq("d", "d:e", 0);
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_str_eq(queue_redis("ZRANGE rq:wip:q 0 -1"), "[d:e]");
    ck_assert_str_eq(jobs_field("b", "status"), "started");
    /* Functions that are not run here are RQ's whole. */
    queue_redis("DEL platoon:{jobs:t}:functions");
    queue_redis("ZADD rq:wip:q 1 d:e");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_str_eq(queue_redis("ZRANGE rq:wip:q 0 -1"), "[d:e]");
}
END_TEST

/* It is told, which a subscriber sees (test_jobs_rq2.py); its hash has nothing by which a later attempt would stop. */
START_TEST(test_cancel_of_what_an_rq_worker_has)
{
    begun_by_rq("a", "a:e", 0);
    ck_assert_str_eq(j_text(cancel, "a"), "[stopping ]");
    ck_assert_str_eq(jobs_field("a", "platoon.stop"), "nil");
}
END_TEST

JOBS_SUITE("jobs_rq", test_results, test_a_retry_of_what_is_stopped, test_lost,
           test_what_is_behind_a_worker, test_nobody_has_what_is_gone,
           test_a_function_that_goes_first_again, test_what_an_rq_worker_has,
           test_an_entry_that_nobody_has, test_cancel_of_what_an_rq_worker_has)
