/*
 * test_jobs_again.c: what waits again because RQ's client says so, and what waits although nobody is late with it, by
 * the scripts of proto/jobs.
 */
#include "test/unit/jobs/jobs_fixture.h"

/* As rq's client does it: out of failed, into the list; its fields are not ours. What it has cost is forgotten. */
START_TEST(test_requeued_by_rq)
{
    jobs_enqueue("a");
    jobs_claim("me.1");
    ck_assert_str_eq(j_text(orphans, "me.1", "1", "q"), "[[a q queued]]");
    jobs_claim("me.2");
    ck_assert_str_eq(j_text(orphans, "me.2", "1", "q"), "[[a q failed]]");
    queue_redis("ZREM rq:failed:q a");
    queue_redis("RPUSH rq:queue:q a");
    queue_redis("HSET rq:job:a status queued");
    j_text(due, "q");
    ck_assert_str_eq(jobs_claim("me.3"), "a");
    ck_assert_int_eq(queue.reply->element[2]->integer, 3);
    ck_assert_int_eq(queue.reply->element[3]->integer, 1); /* the first of those that count */
    ck_assert_int_eq(queue.reply->element[4]->integer, 0);
    ck_assert_str_eq(j_text(orphans, "me.3", "1", "q"), "[[a q queued]]");
    /* What was lost on the way, and not ended, is no new beginning. */
    jobs_claim("me.4");
    ck_assert_int_eq(queue.reply->element[4]->integer, 1);
    ck_assert_str_eq(j_text(orphans, "me.4", "1", "q"), "[[a q failed]]");
    ck_assert_str_eq(jobs_field("a", "platoon.reason"), "its sanjer died 2 times");
}
END_TEST

/* What the one before has said and become goes when it is claimed again; until then it is seen. */
START_TEST(test_an_attempt_begins_with_nothing)
{
    jobs_enqueue("a");
    queue_redis("HSET rq:job:a platoon.settings {}");
    jobs_claim("me.1");
    ck_assert_str_eq(j_text(finish, "a", "q", "me.1", "1", "retry", "0", "", "", "6",
                            "platoon.signal", "9", "platoon.oom", "1", "platoon.result", "7",
                            "platoon.meta", "{}", "platoon.output", "x", "platoon.reason", "r"),
                     "[done nil]");
    ck_assert_str_eq(jobs_field("a", "platoon.signal"), "9");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    static const char *const gone[] = {"platoon.signal", "platoon.oom",    "platoon.result",
                                       "platoon.meta",   "platoon.output", "platoon.reason"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        ck_assert_str_eq(jobs_field("a", gone[i]), "nil");
    ck_assert_str_eq(jobs_field("a", "platoon.settings"), "{}");
    ck_assert_str_eq(jobs_field("a", "platoon.platform"), "coinis");
}
END_TEST

/* Whoever was lost goes before all that waits. */
START_TEST(test_what_was_lost_goes_first)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    jobs_enqueue("c");
    ck_assert_str_eq(j_text(orphans, "me.1", "1", "q"), "[[a q queued]]");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[a b c]");
}
END_TEST

/* Milliseconds that the oldest has waited that might run, as `due` says it. */
static long long oldest(const char *weights, const char *limits)
{
    j_text(due, "q", weights, limits);
    return queue.reply->element[4]->integer;
}

START_TEST(test_what_may_not_run_is_not_late)
{
    static const long long long_ago = 86400000;
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    queue_redis("HSET rq:job:b enqueued_at 2020-01-01T00:00:00.000000Z");
    ck_assert_int_gt(oldest("", ""), long_ago);
    ck_assert_int_eq(oldest("q=0", ""), 0);
    ck_assert_int_eq(oldest("", "q=1"), 0);
    ck_assert_int_gt(oldest("", "q=2"), long_ago);
    queue_redis("SET rq:suspended 1");
    ck_assert_int_eq(oldest("", ""), 0);
    queue_redis("DEL rq:suspended");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "finished", 0), "done");
    ck_assert_int_gt(oldest("", "q=1"), long_ago);
}
END_TEST

JOBS_SUITE("jobs_again", test_requeued_by_rq, test_an_attempt_begins_with_nothing,
           test_what_was_lost_goes_first, test_what_may_not_run_is_not_late)
