/*
 * test_jobs_moves.c: what the keeper and people do with jobs, by the scripts of proto/jobs: orphans, due, cancel,
 * retry, expire.
 */
#include "test/unit/jobs/jobs_fixture.h"

#include <stdlib.h>

#define Q_JOBS "platoon:{jobs:t}:jobs"

START_TEST(test_orphans_of_an_owner)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    jobs_claim("me.2");
    ck_assert_str_eq(j_text(orphans, "me.1", "2", "q"), "[[a q queued]]");
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_where("b"), "w");
    ck_assert_str_eq(j_text(orphans, "me.1", "2", "q"), "[]");
    /* The dead one's words count no more. */
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "finished", 0), "done");
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_claim("me.3"), "a");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "finished", 0), "lost");
    ck_assert_str_eq(jobs_where("a"), "w");
}
END_TEST

/* A successor asks for all of its name. */
START_TEST(test_orphans_of_a_name)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("i:me:1");
    jobs_claim("i:meme:1");
    ck_assert_str_eq(j_text(orphans, "i:me:", "2", "q"), "[[a q queued]]");
    ck_assert_str_eq(jobs_where("b"), "w");
}
END_TEST

/* The ids of a page, then what `next` is. */
static const char *list_of(const char *limit, const char *status, const char *platform,
                           const char *since, const char *after)
{
    static char text[512];
    j_text(list, "q", limit, status, platform, since, after);
    const redisReply *jobs = queue.reply->element[1];
    size_t used = 0;
    for (size_t i = 0; i < jobs->elements; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s ",
                                 jobs->element[i]->element[0]->str);
    snprintf(text + used, sizeof text - used, "> %s", queue.reply->element[2]->str);
    return text;
}

START_TEST(test_list)
{
    jobs_enqueue("1");
    jobs_enqueue("2");
    jobs_enqueue("3");
    jobs_claim("me.1");
    queue_redis("HSET rq:job:4 status queued origin q");
    queue_redis("RPUSH rq:queue:q 4");
    ck_assert_str_eq(list_of("2", "", "", "0", ""), "3 2 > 2");
    ck_assert_int_eq(queue.reply->element[0]->integer, 3);
    ck_assert_str_eq(list_of("2", "", "", "0", "2"), "1 > ");
    ck_assert_str_eq(list_of("3", "", "", "0", ""), "3 2 1 > ");
    ck_assert_str_eq(list_of("10", "started", "", "0", ""), "1 > ");
    ck_assert_int_eq(queue.reply->element[0]->integer, 1);
    ck_assert_str_eq(list_of("10", "queued", "", "0", ""), "3 2 > ");
    ck_assert_str_eq(list_of("1", "queued", "", "0", ""), "3 > 3");
    ck_assert_str_eq(list_of("1", "queued", "", "0", "3"), "2 > ");
    ck_assert_str_eq(list_of("10", "", "coinis", "0", ""), "3 2 1 > ");
    ck_assert_str_eq(list_of("10", "", "other", "0", ""), "> ");
    ck_assert_str_eq(list_of("10", "", "", "60000", ""), "3 2 1 > ");
    queue_redis("ZADD " Q_JOBS " 1 1");
    ck_assert_str_eq(list_of("10", "", "", "60000", ""), "3 2 > ");
    ck_assert_int_eq(queue.reply->element[0]->integer, 2);
    ck_assert_str_eq(list_of("10", "started", "", "60000", ""), "> ");
    ck_assert_str_eq(j_text(list, "q", "10", "", "", "0", "nobody"), "unknown");
    ck_assert_str_eq(j_text(list, "q", "10", "failed", "", "0", "1"), "unknown");
    /* What RQ has deleted goes. */
    queue_redis("DEL rq:job:2");
    ck_assert_str_eq(list_of("10", "", "", "0", ""), "3 1 > ");
    ck_assert_str_eq(list_of("10", "", "", "0", ""), "3 1 > ");
    ck_assert_int_eq(queue.reply->element[0]->integer, 2);
}
END_TEST

/* The list of all is made again of RQ's places, in the order in which jobs were made. */
START_TEST(test_a_list_that_is_gone)
{
    jobs_enqueue("b");
    jobs_enqueue("a");
    jobs_enqueue("c");
    queue_redis("HSET rq:job:a created_at 2026-11-28T12:00:00.000000Z");
    queue_redis("HSET rq:job:b created_at 2026-11-28T12:00:00.001000Z");
    queue_redis("HSET rq:job:c created_at 1999-12-31T23:59:59.999999Z");
    jobs_claim("me.1");
    queue_redis("DEL " Q_JOBS);
    j_text(due, "q");
    ck_assert_str_eq(list_of("10", "", "", "0", ""), "b a c > ");
    queue_redis("ZSCORE " Q_JOBS " a");
    ck_assert_str_eq(queue.reply->str, "1795867200000");
    queue_redis("ZSCORE " Q_JOBS " c");
    ck_assert_str_eq(queue.reply->str, "946684799999");
}
END_TEST

START_TEST(test_stats)
{
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('a' + i), '\0'};
        jobs_enqueue(id);
        jobs_claim("me.1");
        jobs_finish(id, "me.1", 1, i < 2 ? "finished" : "failed", 0);
        jobs_finish(id, "me.1", 1, "finished", 0);
    }
    jobs_enqueue("d");
    j_text(cancel, "d");
    j_text(cancel, "d");
    j_text(stats, "2");
    ck_assert_uint_ge(queue.reply->elements, 1); /* two, when midnight was between */
    if (queue.reply->elements == 1) {
        const redisReply *counts = queue.reply->element[0]->element[1];
        ck_assert_uint_eq(counts->elements, 6);
        ck_assert_str_eq(counts->element[0]->str, "finished coinis");
        ck_assert_str_eq(counts->element[1]->str, "2");
    }
}
END_TEST

START_TEST(test_lost_too_often)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(jobs_claim("me.1"), "a");
        ck_assert_str_eq(j_text(orphans, "me.1", "2", "q"),
                         i < 2 ? "[[a q queued]]" : "[[a q failed]]");
    }
    ck_assert_str_eq(jobs_where("a"), "f");
    ck_assert_str_eq(jobs_field("a", "platoon.cause"), "lost");
    ck_assert_str_eq(jobs_field("a", "platoon.reason"), "its sanjer died 3 times");
    queue_redis("HSET rq:job:b platoon.rerun 0");
    ck_assert_str_eq(jobs_claim("me.1"), "b");
    ck_assert_str_eq(j_text(orphans, "me.1", "2", "q"), "[[b q failed]]");
}
END_TEST

START_TEST(test_leases_that_are_over)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_enqueue("c");
    j_text(claim, "me.1", "w", "0");
    j_text(claim, "me.1", "w", "0");
    jobs_claim("me.1");
    queue_sleep_until(queue_now() + 2);
    queue_redis("HSET rq:job:b status canceled");
    queue_redis("ZADD rq:canceled:q 1 b");
    const char *said = j_text(orphans, "", "2", "q");
    ck_assert_msg(strcmp(said, "[[a q queued] [b q canceled]]") == 0, "%s", said);
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_where("b"), "c");
    ck_assert_str_eq(jobs_where("c"), "w");
}
END_TEST

/* Functions of RQ's, which other workers have in hands, are theirs. */
START_TEST(test_what_is_not_ours)
{
    queue_redis("HSET rq:job:f status started origin q");
    queue_redis("ZADD rq:wip:q 1 f");
    queue_redis("ZADD rq:wip:q 1 nothing");
    ck_assert_str_eq(j_text(orphans, "", "2", "q"), "[]");
    ck_assert_str_eq(jobs_where("f"), "w");
    ck_assert_str_eq(jobs_where("nothing"), "");
    queue_redis("HSET rq:job:g status queued origin q");
    queue_redis("RPUSH rq:queue:q g");
    jobs_enqueue("a");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(jobs_claim("me.1"), "");
    ck_assert_str_eq(queue_redis("LRANGE rq:queue:q 0 -1"), "[g]");
    ck_assert_str_eq(j_text(cancel, "g"), "[unknown ]");
    ck_assert_str_eq(j_text(retry, "g"), "unknown");
}
END_TEST

START_TEST(test_due)
{
    char due[32];
    long long at = queue_now() + 30;
    snprintf(due, sizeof due, "%lld", at);
    ck_assert_str_eq(j_text(due, "q"), "[0 -1 0 0 0]");
    ck_assert_str_eq(j_text(enqueue, "a", "q", due, "0", "", "", "platoon.platform", "p"),
                     "[made a]");
    snprintf(due, sizeof due, "%lld", at + 600000);
    ck_assert_str_eq(j_text(enqueue, "b", "q", due, "0", "", "", "platoon.platform", "p"),
                     "[made b]");
    queue_redis("HSET rq:job:f status scheduled origin q");
    queue_redis("ZADD rq:scheduled:q 1 f");
    queue_sleep_until(at + 1);
    j_text(due, "q");
    ck_assert_int_eq(queue.reply->element[0]->integer, 1);
    ck_assert_int_gt(queue.reply->element[1]->integer, 500000);
    ck_assert_int_le(queue.reply->element[1]->integer, 600000);
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(jobs_where("b"), "s");
    ck_assert_str_eq(jobs_where("f"), "s");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
}
END_TEST

/* rq's clients push to the list, and know of no turns. */
START_TEST(test_what_others_push_gets_a_turn)
{
    queue_redis("HSET rq:job:a status queued origin q platoon.platform p");
    queue_redis("RPUSH rq:queue:q a");
    ck_assert_str_eq(jobs_claim("me.1"), "");
    j_text(due, "q");
    j_text(due, "q");
    ck_assert_str_eq(queue_redis("LLEN platoon:{jobs:t}:turns"), "1");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
}
END_TEST

START_TEST(test_cancel)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_str_eq(j_text(cancel, "b"), "[canceled  1]");
    ck_assert_str_eq(jobs_where("b"), "c");
    ck_assert_str_eq(j_text(cancel, "b"), "[canceled ]");
    ck_assert_str_eq(j_text(cancel, "a"), "[stopping me.1]");
    ck_assert_str_eq(jobs_where("a"), "w");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.1", "1", "1000"), "stop");
    ck_assert_str_eq(jobs_finish("a", "me.1", 1, "stopped", 0), "done");
    ck_assert_str_eq(j_text(cancel, "a"), "[stopped ]");
    ck_assert_str_eq(j_text(cancel, "none"), "[unknown ]");
}
END_TEST

/* Whatever becomes of whoever runs it: what was to be stopped runs no more. */
START_TEST(test_what_is_to_be_stopped_is)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_claim("me.1");
    jobs_claim("me.2");
    j_text(cancel, "a");
    j_text(cancel, "b");
    ck_assert_str_eq(j_text(orphans, "me.1", "2", "q"), "[[a q stopped]]");
    ck_assert_str_eq(jobs_finish("b", "me.2", 1, "back", 0), "done");
    ck_assert_str_eq(jobs_where("a"), "f");
    ck_assert_str_eq(jobs_where("b"), "f");
    ck_assert_str_eq(jobs_field("a", "status"), "stopped");
    ck_assert_str_eq(jobs_field("b", "platoon.cause"), "canceled");
    /* Asked for again it runs, and is not stopped by the word of before. */
    ck_assert_str_eq(j_text(retry, "a"), "queued");
    ck_assert_str_eq(jobs_claim("me.3"), "a");
    ck_assert_str_eq(j_text(beat, "a", "q", "me.3", "2", "1000"), "held");
}
END_TEST

START_TEST(test_retry)
{
    jobs_enqueue("a");
    ck_assert_str_eq(j_text(retry, "a"), "queued");
    ck_assert_str_eq(jobs_where("a"), "l");
    jobs_claim("me.1");
    ck_assert_str_eq(j_text(retry, "a"), "started");
    jobs_finish("a", "me.1", 1, "failed", 0);
    ck_assert_str_eq(j_text(retry, "a"), "queued");
    ck_assert_str_eq(j_text(retry, "a"), "queued");
    ck_assert_str_eq(jobs_where("a"), "l");
    ck_assert_str_eq(queue_redis("PTTL rq:job:a"), "-1");
    ck_assert_str_eq(jobs_claim("me.1"), "a");
    ck_assert_int_eq(queue.reply->element[2]->integer, 2);
    ck_assert_int_eq(queue.reply->element[3]->integer, 1);
    jobs_finish("a", "me.1", 2, "finished", 0);
    ck_assert_str_eq(j_text(retry, "a"), "finished");
    ck_assert_str_eq(j_text(retry, "none"), "unknown");
}
END_TEST

START_TEST(test_expire)
{
    jobs_enqueue("a");
    jobs_enqueue("b");
    jobs_enqueue("c");
    queue_redis("HSET rq:job:a result_ttl 0");
    queue_redis("HSET rq:job:b result_ttl -1");
    for (int i = 0; i < 3; i++)
        jobs_claim("me.1");
    j_text(finish, "a", "q", "me.1", "1", "finished", "0", "return_value", "x", "0");
    jobs_finish("b", "me.1", 1, "finished", 0);
    jobs_finish("c", "me.1", 1, "finished", 0);
    ck_assert_str_eq(queue_redis("ZSCORE rq:finished:q b"), "inf");
    queue_sleep_until(queue_now() + 2);
    ck_assert_str_eq(j_text(expire, "q"), "1");
    ck_assert_str_eq(j_text(expire, "q"), "0");
    ck_assert_str_eq(queue_redis("EXISTS rq:job:a rq:results:a"), "0");
    ck_assert_str_eq(jobs_where("a"), "");
    ck_assert_str_eq(jobs_where("b"), "F");
    ck_assert_str_eq(jobs_where("c"), "F");
}
END_TEST

/* RQ gives what it has canceled no time, and its own jobs stay. */
START_TEST(test_expire_what_rq_has_canceled)
{
    jobs_enqueue("a");
    queue_redis("HSET rq:job:a status canceled");
    queue_redis("HSET rq:job:f status canceled origin q");
    queue_redis("ZADD rq:canceled:q 1 a 1 f 1 nothing");
    ck_assert_str_eq(j_text(expire, "q"), "1");
    ck_assert_str_eq(queue_redis("ZCARD rq:canceled:q"), "2");
    queue_redis("PTTL rq:job:a");
    ck_assert_int_gt(queue_int(queue.reply), 100000);
    ck_assert_str_eq(queue_redis("PTTL rq:job:f"), "-1");
    ck_assert_double_gt(atof(queue_redis("ZSCORE rq:canceled:q a")),
                        (double)queue_now() / 1000 + 100);
}
END_TEST

/* What a template has made is looked after, is found again in RQ's keys, and is forgotten when nothing is in it. */
START_TEST(test_queues_of_a_template)
{
    jobs_enqueue_in("1", "x-a");
    jobs_enqueue_in("2", "x-b");
    jobs_enqueue_in("3", "y-c");
    queue_redis("HSET rq:job:f status queued origin x-f");
    queue_redis("RPUSH rq:queue:x-f f");
    queue_redis("SADD rq:queues rq:queue:x-f");
    queue_redis("DEL platoon:{jobs:t}:queues platoon:{jobs:t}:turns");
    j_text(due, "x-*");
    ck_assert_str_eq(queue_redis("ZRANGE platoon:{jobs:t}:queues 0 -1"), "[x-a x-b]");
    ck_assert_str_eq(list_of("10", "", "", "0", ""), "> ");
    ck_assert_str_eq(jobs_claim("me.1"), "1");
    ck_assert_str_eq(j_text(orphans, "me.1", "2", "x-*"), "[[1 x-a queued]]");
    queue_redis("HSET rq:job:1 result_ttl 0");
    j_text(due, "x-*");
    jobs_claim("me.2");
    jobs_claim("me.2");
    j_text(finish, "1", "x-a", "me.2", "2", "finished", "0", "", "", "0");
    queue_sleep_until(queue_now() + 2);
    ck_assert_str_eq(j_text(expire, "x-*"), "1");
    ck_assert_str_eq(queue_redis("ZRANGE platoon:{jobs:t}:queues 0 -1"), "[x-b]");
    queue_redis("SISMEMBER rq:queues rq:queue:x-a");
    ck_assert_int_eq(queue.reply->integer, 0);
    j_text(list, "x-*", "10", "", "", "0", "");
    ck_assert_uint_eq(queue.reply->element[1]->elements, 2);
    j_text(list, "x-*", "10", "started", "", "0", "");
    ck_assert_int_eq(queue.reply->element[0]->integer, 1);
    ck_assert_str_eq(queue.reply->element[1]->element[0]->element[0]->str, "2");
    j_text(list, "x-b", "10", "", "", "0", "");
    ck_assert_uint_eq(queue.reply->element[1]->elements, 1);
}
END_TEST

/* However many there are, a call looks at a page of them, and the next at the next. */
START_TEST(test_many_queues_of_a_template)
{
    queue_redis("EVAL %s 0",
                "for\ti=1,1200\tdo\tredis.call('ZADD','platoon:{jobs:t}:queues',0,'n'..i)"
                "\tredis.call('RPUSH','rq:queue:n'..i,'j')\tend");
    queue_redis("ZADD platoon:{jobs:t}:jobs 1 j");
    for (int i = 1; i <= 4; i++) {
        j_text(due, "n*");
        queue_redis("LLEN platoon:{jobs:t}:turns");
        ck_assert_int_eq(queue.reply->integer, i < 3 ? 500 * i : 1200);
    }
}
END_TEST

JOBS_SUITE("jobs_moves", test_orphans_of_an_owner, test_orphans_of_a_name, test_list,
           test_a_list_that_is_gone, test_stats, test_lost_too_often, test_leases_that_are_over,
           test_what_is_not_ours, test_due, test_what_others_push_gets_a_turn, test_cancel,
           test_what_is_to_be_stopped_is, test_retry, test_expire, test_expire_what_rq_has_canceled,
           test_queues_of_a_template, test_many_queues_of_a_template)
