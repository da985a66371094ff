/*
 * test_jobs_rq.c: what the scripts of proto/jobs leave for RQ's clients to read, and what they leave alone that is an
 * rq worker's.
 */
#include "test/unit/jobs/jobs_fixture.h"

#include <stdlib.h>

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

/* RQ's client has it wait again, and knows nothing of the fields that say how it has ended. */
START_TEST(test_what_ended_with_an_rq_worker_begins_anew)
{
    begun_by_rq("a", "a:e", 1000);
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[a q failed]]");
    queue_redis("ZREM rq:failed:q a");
    queue_redis("HSET rq:job:a status queued");
    queue_redis("RPUSH rq:queue:q a");
    j_text(functions, "1", "q");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(queue_redis("HMGET rq:job:a status platoon.over platoon.cause platoon.reason"),
                     "[started nil nil nil]");
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

#define BETWEEN   "rq:queue:q:intermediate"
#define FIRST(id) BETWEEN ":first_seen:" id

/* An rq worker of RQ 2 has taken it, of one queue, and has not said so yet; RQ has seen it there `ago` seconds ago. */
static void taken_by_rq(const char *id, long long ago)
{
    queue_redis("SADD platoon:{jobs:t}:functions q");
    queue_redis("HSET rq:job:%s status queued origin q description f() failure_ttl 60", id);
    queue_redis("RPUSH " BETWEEN " %s", id);
    queue_redis("SET " FIRST("%s") " %lld.25 EX 86400", id, queue_now() / 1000 - ago);
}

/* What is seen there for the first time is noted as RQ notes it, so that either goes by the other's note. */
START_TEST(test_what_an_rq_worker_has_taken)
{
    taken_by_rq("a", 0);
    queue_redis("DEL " FIRST("a"));
    long long before = queue_now() / 1000;
    ck_assert_str_eq(j_text(orphans, "me:", "2", "q"), "[]");
    ck_assert_str_eq(queue_redis("EXISTS " FIRST("a")), "0");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    double seen = atof(queue_redis("GET " FIRST("a")));
    ck_assert_double_ge(seen, (double)before);
    ck_assert_double_lt(seen, (double)(queue_now() / 1000 + 1));
    queue_redis("TTL " FIRST("a"));
    ck_assert_int_gt(queue_int(queue.reply), 86300);
    ck_assert_int_le(queue_int(queue.reply), 86400);
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_double_eq(atof(queue_redis("GET " FIRST("a"))), seen);
    ck_assert_str_eq(queue_redis("LRANGE " BETWEEN " 0 -1"), "[a]");
}
END_TEST

START_TEST(test_what_died_with_an_rq_worker)
{
    taken_by_rq("a", 50);
    jobs_enqueue("ours");
    ck_assert_str_eq(queue_redis("LMOVE rq:queue:q " BETWEEN " LEFT RIGHT"), "ours");
    queue_redis("HSET rq:job:ours enqueued_at 2001-01-01T00:00:00.250000Z platoon.rerun 0");
    queue_redis("SET " FIRST("ours") " 1.5");
    queue_redis("RPUSH rq:queue:q other");
    ck_assert_str_eq(j_text(orphans, "me:", "2", "q"), "[]");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    taken_by_rq("a", 62);
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[a q queued]]");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[a other]");
    queue_redis("SET " FIRST("ours") " 978307200.5");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[ours q queued]]");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[ours a other]");
    ck_assert_str_eq(queue_redis("EXISTS " BETWEEN " " FIRST("a") " " FIRST("ours")), "0");
    ck_assert_str_eq(jobs_field("a", "platoon.lost"), "1");
    ck_assert_str_eq(jobs_claim("me.1"), "ours");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
}
END_TEST

/* As often as a sanjer may die of it; what RQ's client has queued again begins anew. */
START_TEST(test_what_dies_with_each_rq_worker)
{
    static const char *const ends[] = {"queued", "failed"};
    for (int life = 0; life < 2; life++) {
        for (int i = 0; i < 2; i++) {
            char expected[32];
            queue_redis("DEL rq:queue:q");
            taken_by_rq("a", 62);
            queue_redis("HDEL rq:job:a enqueued_at");
            snprintf(expected, sizeof expected, "[[a q %s]]", ends[i]);
            ck_assert_str_eq(j_text(orphans, "", "1", "q"), expected);
        }
        ck_assert_str_eq(jobs_where("a"), "f");
        ck_assert_str_eq(jobs_field("a", "platoon.cause"), "lost");
        ck_assert_str_eq(jobs_field("a", "platoon.reason"), "its rq worker died 2 times");
        ck_assert(latest_is("a", "type 2 ") && latest_is("a", "exc_string eJ"));
        ck_assert_str_eq(queue_redis("EXISTS " BETWEEN " " FIRST("a")), "0");
    }
}
END_TEST

/* It has begun, was put in its queue and taken since then, or is RQ's whole. */
START_TEST(test_what_is_not_stuck_with_an_rq_worker)
{
    taken_by_rq("of-rq-1", 62);
    queue_redis("ZADD rq:wip:q %lld of-rq-1", queue_now() / 1000 + 100);
    taken_by_rq("of-rq-2", 62);
    queue_redis("ZADD rq:wip:q %lld of-rq-2:e", queue_now() / 1000 + 100);
    queue_redis("ZADD rq:executions:of-rq-2 1 e");
    taken_by_rq("again", 3600);
    queue_redis("HSET rq:job:again enqueued_at 2001-01-01T00:00:00.250000Z");
    queue_redis("SET " FIRST("again") " 978307200.2");
    taken_by_rq("theirs", 62);
    queue_redis("HSET rq:job:theirs origin q2");
    queue_redis("LREM " BETWEEN " 1 theirs");
    queue_redis("RPUSH rq:queue:q2:intermediate theirs");
    queue_redis("SET rq:queue:q2:intermediate:first_seen:theirs 1");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_str_eq(j_text(orphans, "", "2", "q2"), "[]");
    ck_assert_str_eq(queue_redis("LRANGE " BETWEEN " 0 -1"), "[of-rq-1 of-rq-2 again]");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q2:intermediate 0 -1"), "[theirs]");
    ck_assert_str_eq(queue_redis("EXISTS rq:queue:q"), "0");
    ck_assert_double_gt(atof(queue_redis("GET " FIRST("again"))), 978307201);
    /* By a clock that is ahead it would be put there after each look. */
    taken_by_rq("ahead", 62);
    queue_redis("HSET rq:job:ahead enqueued_at 2222-11-26T00:24:00.123456Z");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[[ahead q queued]]");
}
END_TEST

/* Only the entry goes. */
START_TEST(test_what_nobody_has_taken)
{
    taken_by_rq("gone", 0);
    queue_redis("DEL rq:job:gone");
    taken_by_rq("moved", 0);
    queue_redis("HSET rq:job:moved origin other");
    taken_by_rq("over", 62);
    queue_redis("HSET rq:job:over status finished");
    taken_by_rq("twice", 62);
    queue_redis("RPUSH " BETWEEN " twice");
    queue_redis("RPUSH rq:queue:q first twice");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_str_eq(queue_redis("EXISTS " BETWEEN " " FIRST("gone") " " FIRST("moved") " " FIRST(
                         "over") " " FIRST("twice")),
                     "0");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[first twice]");
    ck_assert_str_eq(jobs_field("over", "status"), "finished");
    ck_assert_str_eq(jobs_field("moved", "status"), "queued");
}
END_TEST

/* So that no look takes long. */
START_TEST(test_a_page_of_what_died_with_rq_workers)
{
    char id[16];
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "j%d", i);
        taken_by_rq(id, 62);
    }
    j_text(orphans, "", "2", "q");
    ck_assert_uint_eq(queue.reply->elements, 50);
    ck_assert_str_eq(queue_redis("LLEN " BETWEEN), "10");
    j_text(orphans, "", "2", "q");
    ck_assert_uint_eq(queue.reply->elements, 10);
    ck_assert_str_eq(queue_redis("LLEN rq:queue:q"), "60");
    /* Each is looked for in the queue: in a long one for fewer. */
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "k%d", i);
        taken_by_rq(id, 62);
    }
    queue_redis("EVAL for\ti=1,49000\tdo\tredis.call('RPUSH','rq:queue:q',i)\tend 0");
    for (size_t left = 3; left > 0; left = left > 2 ? left - 2 : 0) {
        j_text(orphans, "", "2", "q");
        ck_assert_uint_eq(queue.reply->elements, left > 2 ? 2 : left);
    }
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
           test_an_entry_that_nobody_has, test_what_an_rq_worker_has_taken,
           test_what_ended_with_an_rq_worker_begins_anew, test_what_died_with_an_rq_worker,
           test_what_dies_with_each_rq_worker, test_what_is_not_stuck_with_an_rq_worker,
           test_what_nobody_has_taken, test_a_page_of_what_died_with_rq_workers,
           test_cancel_of_what_an_rq_worker_has)
