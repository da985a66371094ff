/*
 * test_jobs_turns.c: whose turn it is to have a job of its run, by the scripts of proto/jobs: weights, limits, pauses;
 * what is in a list that is no job that waits; and for whom nobody is woken.
 */
#include "test/unit/jobs/jobs_fixture.h"

/* Claims `count` by these rules; those of queue a, b and c: "4 1 0". */
static const char *shares(int count, const char *weights, const char *limits)
{
    static char text[64];
    int of[3] = {0};
    queue_redis("HSET platoon:{jobs:t}:rules weights %s limits %s", weights, limits);
    for (int i = 0; i < count; i++) {
        j_text(claim, "me.1", "w", "60000");
        if (queue.reply->type == REDIS_REPLY_NIL)
            break;
        of[queue.reply->element[1]->str[0] - 'a']++;
    }
    snprintf(text, sizeof text, "%d %d %d", of[0], of[1], of[2]);
    return text;
}

static void fill(void)
{
    for (int i = 0; i < 60; i++) {
        char id[16];
        snprintf(id, sizeof id, "%c%d", 'a' + i % 3, i);
        jobs_enqueue_in(id, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c");
    }
}

START_TEST(test_turns_are_equal)
{
    fill();
    ck_assert_str_eq(queue_redis("LLEN platoon:{jobs:t}:turns"), "3");
    ck_assert_str_eq(shares(12, "-", "-"), "4 4 4");
}
END_TEST

START_TEST(test_weights)
{
    fill();
    ck_assert_str_eq(shares(24, "other=9\ta=4", "-"), "16 4 4");
}
END_TEST

/* The turns there are, the next one last. */
static const char *turns(void)
{
    return queue_redis("LRANGE platoon:{jobs:t}:turns 0 -1");
}

static void bring(const char *queue_name, int count)
{
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s%d", queue_name, i);
        jobs_enqueue_in(id, queue_name);
    }
}

/* Nothing is in flight when the only sanjer asks: the turns alone say who goes next. */
START_TEST(test_weights_one_at_a_time)
{
    char order[32] = "";
    queue_redis("HSET platoon:{jobs:t}:rules weights a=3 limits -");
    bring("a", 12);
    bring("b", 12);
    for (int i = 0; i < 16; i++) {
        const char *id = jobs_claim("me.1");
        snprintf(order + i, sizeof order - (size_t)i, "%c", id[0]);
        j_text(finish, id, id[0] == 'a' ? "a" : "b", "me.1", "1", "finished", "0", "", "", "0");
    }
    ck_assert_str_eq(order, "aaabaaabaaabaaab");
}
END_TEST

START_TEST(test_turns_are_as_many_as_the_weight_and_as_wait)
{
    queue_redis("HSET platoon:{jobs:t}:rules weights a=3 limits -");
    bring("a", 2);
    ck_assert_str_eq(turns(), "[a a]");
    for (int i = 0; i < 3; i++)
        j_text(due, "*", "a=3", "");
    ck_assert_str_eq(turns(), "[a a]");
    jobs_enqueue_in("a2", "a");
    jobs_enqueue_in("a3", "a");
    ck_assert_str_eq(turns(), "[a a a]");
    /* Who has less from now on has no more given, and comes down by what is claimed. */
    j_text(due, "*", "a=1", "");
    ck_assert_str_eq(turns(), "[a a a]");
    jobs_claim("me.1");
    ck_assert_str_eq(turns(), "[a a]");
    jobs_claim("me.1");
    ck_assert_str_eq(turns(), "[a]");
    j_text(due, "*", "a=0", "");
    ck_assert_str_eq(jobs_claim("me.1"), "");
    ck_assert_str_eq(turns(), "[]");
}
END_TEST

/* A turn that stands is one for which the keeper wakes a sanjer: none is left where nothing is to be had. */
START_TEST(test_none_is_left_of_who_has_no_more)
{
    queue_redis("HSET platoon:{jobs:t}:rules weights a=4 limits -");
    bring("a", 4);
    ck_assert_str_eq(turns(), "[a a a a]");
    for (int i = 1; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "a%d", i);
        j_text(cancel, id);
    }
    ck_assert_str_eq(jobs_claim("me.1"), "a0");
    ck_assert_str_eq(turns(), "[]");
    /* RQ's client empties it: whoever comes next drops them all. */
    for (int i = 4; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "a%d", i);
        jobs_enqueue_in(id, "a");
    }
    queue_redis("DEL rq:queue:a rq:job:a4 rq:job:a5 rq:job:a6 rq:job:a7");
    ck_assert_str_eq(turns(), "[a a a a]");
    ck_assert_str_eq(jobs_claim("me.1"), "");
    ck_assert_str_eq(turns(), "[]");
    /* One that has reached its limit. */
    queue_redis("HSET platoon:{jobs:t}:rules limits a=2");
    jobs_enqueue_in("b0", "a");
    jobs_enqueue_in("b1", "a");
    jobs_enqueue_in("b2", "a");
    ck_assert_str_eq(jobs_claim("me.1"), "b0");
    ck_assert_str_eq(turns(), "[]");
    j_text(finish, "b0", "a", "me.1", "1", "finished", "0", "", "", "0");
    ck_assert_str_eq(turns(), "[a]");
}
END_TEST

/* What RQ has let run out of its time to wait stands in the list still: it keeps nobody from what stands behind it. */
START_TEST(test_ids_without_a_job_are_dropped)
{
    queue_redis("EVAL %s 0", "for\ti=1,400\tdo\tredis.call('RPUSH','rq:queue:a','gone'..i)\tend");
    queue_redis("HSET rq:job:done status finished");
    queue_redis("RPUSH rq:queue:a done");
    bring("a", 1);
    bring("b", 1);
    ck_assert_str_eq(jobs_claim("me.1"), "a0");
    ck_assert_str_eq(queue_redis("LLEN rq:queue:a"), "0");
    ck_assert_str_eq(jobs_claim("me.1"), "b0");
    ck_assert_str_eq(turns(), "[]");
}
END_TEST

/* No more than a page in one call; who has found nothing so is woken again at once. */
START_TEST(test_many_ids_without_a_job)
{
    queue_redis("EVAL %s 0", "for\ti=1,1200\tdo\tredis.call('RPUSH','rq:queue:a','gone'..i)\tend");
    bring("a", 1);
    for (int claims = 1; claims <= 2; claims++) {
        ck_assert_str_eq(jobs_claim("me.1"), "");
        ck_assert_str_eq(turns(), "[a]");
        queue_redis("LLEN rq:queue:a");
        ck_assert_int_eq(queue.reply->integer, 1201 - 512 * claims);
    }
    ck_assert_str_eq(jobs_claim("me.1"), "a0");
    ck_assert_str_eq(turns(), "[]");
}
END_TEST

/* 16 functions of RQ's that are not run here stand before it: it has no turn, and another's is not kept from it. */
START_TEST(test_what_is_not_run_here_stays)
{
    queue_redis("HSET platoon:{jobs:t}:rules weights a=4 limits -");
    queue_redis("EVAL %s 0", "for\ti=1,16\tdo\tredis.call('HSET','rq:job:f'..i,'status','queued',"
                             "'origin','a')\tredis.call('RPUSH','rq:queue:a','f'..i)\tend");
    bring("a", 4);
    bring("b", 1);
    ck_assert_str_eq(turns(), "[b a a a a]");
    ck_assert_str_eq(jobs_claim("me.1"), "b0");
    ck_assert_str_eq(queue_redis("LLEN rq:queue:a"), "20");
    ck_assert_str_eq(turns(), "[]");
    queue_redis("DEL rq:job:f1"); /* and it is looked for again when another second has gone */
    j_text(due, "*", "a=4", "");
    ck_assert_str_eq(jobs_claim("me.1"), "a0");
}
END_TEST

START_TEST(test_limits)
{
    fill();
    ck_assert_str_eq(shares(12, "-", "a=2"), "2 5 5");
    ck_assert_str_eq(shares(100, "-", "a=2"), "0 15 15");
    queue_redis("LRANGE platoon:{jobs:t}:turns 0 -1");
    ck_assert_uint_eq(queue.reply->elements, 0);
    /* An end makes room, and gives the turn back. */
    ck_assert_str_eq(j_text(finish, "a0", "a", "me.1", "1", "finished", "0", "", "", "0"),
                     "[done nil]");
    ck_assert_str_eq(shares(100, "-", "a=2"), "1 0 0");
}
END_TEST

/* Who is paused gets no turn, of `due` neither, until the rules say otherwise. */
START_TEST(test_a_queue_that_is_paused)
{
    fill();
    j_text(due, "*", "a=0 c=0", "");
    ck_assert_str_eq(jobs_claim("me.1"), "b1");
    for (int i = 0; i < 3; i++)
        jobs_claim("me.1");
    j_text(due, "*", "a=0 c=0", "");
    ck_assert_str_eq(queue_redis("LRANGE platoon:{jobs:t}:turns 0 -1"), "[b]");
    j_text(due, "*", "a=0 b=0 c=1", "");
    ck_assert_str_eq(jobs_claim("me.1"), "c2");
    ck_assert_str_eq(jobs_claim("me.1"), "c5");
    ck_assert_str_eq(queue_redis("HGET platoon:{jobs:t}:rules weights"), "a=0 b=0 c=1");
}
END_TEST

JOBS_SUITE("jobs_turns", test_turns_are_equal, test_weights, test_weights_one_at_a_time,
           test_turns_are_as_many_as_the_weight_and_as_wait, test_none_is_left_of_who_has_no_more,
           test_ids_without_a_job_are_dropped, test_many_ids_without_a_job,
           test_what_is_not_run_here_stays, test_limits, test_a_queue_that_is_paused)
