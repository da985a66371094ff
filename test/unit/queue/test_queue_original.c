/* test_queue_original.c: the original's clients go on working: deliver, pull raw, set priority and limit, subscribe. */
#include "test/unit/queue/queue_fixture.h"

#include <stdlib.h>

#define LEASE 60000

START_TEST(theirs_comes_to_platoons_queue)
{
    queue_register("q", "^t");
    queue_register_raw("raw", "^t");
    original_deliver("t", "a", "1");
    queue_deliver("t", "a", "2");
    original_deliver("t", "b", "3");
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "1 3 2");
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_gt(strlen(pulled[i].receipt), 2);
        ck_assert_int_eq(q_int(ACK, "q", pulled[i].receipt), 1);
    }
    queue_check("q");
}
END_TEST

START_TEST(they_pull_what_we_deliver_to_a_raw_queue)
{
    queue_register_raw("raw", "^t");
    for (int i = 0; i < 3; i++) {
        queue_deliver("t", "a", (char[]){'a', (char)('0' + i), '\0'});
        queue_deliver("t", "b", (char[]){'b', (char)('0' + i), '\0'});
    }
    queue_check("raw");
    ck_assert_str_eq(original_pull("raw"), "[raw a0]");
    ck_assert_str_eq(original_pull("raw"), "[raw b0]");
    ck_assert_str_eq(original_pull("raw"), "[raw a1]");
    ck_assert_str_eq(original_pull_leased("raw", 5, 60), "[raw [b1 b2]]");
    ck_assert_uint_eq(queue_status_of("raw").in_flight, 2);
    ck_assert_str_eq(queue_bodies("raw", 9, -1), "a2");
    ck_assert_str_eq(original_pull("raw"), "nil");
    ck_assert_str_eq(queue_redis("GET @Nraw:length"), "0");
}
END_TEST

START_TEST(their_limit_and_their_leases_hold_in_a_raw_queue)
{
    queue_register_raw("raw", "");
    queue_redis("SET @Nraw:limit 2");
    for (int i = 0; i < 4; i++)
        queue_deliver("t", "a", (char[]){(char)('0' + i), '\0'});
    ck_assert_str_eq(original_pull_leased("raw", 2, 60), "[raw [0 1]]");
    ck_assert_str_eq(queue_bodies("raw", 9, -1), "");
    queue_deliver("t", "a", "4");
    ck_assert_str_eq(original_pull("raw"), "nil");
}
END_TEST

START_TEST(their_priorities_and_limits_act_on_ours)
{
    queue_register("q", "");
    queue_redis("HSET @Nq:priorities a 0 b 2");
    queue_redis("SET @Nq:limit 3");
    for (int i = 0; i < 5; i++) {
        original_deliver("t", "a", "a");
        queue_deliver("t", "b", "b");
        original_deliver("t", "b", "b");
    }
    ck_assert_str_eq(queue_bodies("q", 20, LEASE), "b b b");
    queue_check("q");
    queue_redis("HSET @Nq:priorities a high");
    queue_redis("SET @Nq:limit many");
    ck_assert_str_eq(queue_bodies("q", 20, LEASE), "");
    queue_deliver("t", "a", "a");
    queue_deliver("t", "b", "b");
    ck_assert_uint_eq(queue_pull("q", 20, LEASE), 14);
    queue_check("q");
}
END_TEST

START_TEST(everybody_hears_of_it)
{
    const struct timeval wait = {.tv_sec = 20};
    redisContext *ears = redisConnectUnixWithTimeout(queue.server.socket, wait);
    redisReply *r = redisCommand(ears, "PSUBSCRIBE *");
    freeReplyObject(r);
    queue_register("q", "other");
    queue_deliver("page:x", "a", "b");
    ck_assert_str_eq(q_text(DELIVER, "late", "a", "b", "5000"), queue_text());
    original_deliver("page:y", "a", "c");
    char channel[64];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(redisGetReply(ears, (void **)&r), REDIS_OK);
        snprintf(channel, sizeof channel, "%spage:%c", queue.space, 'x' + i);
        ck_assert_str_eq(r->element[2]->str, channel);
        ck_assert_str_eq(r->element[3]->str, i == 0 ? "b" : "c");
        freeReplyObject(r);
    }
    redisFree(ears);
}
END_TEST

START_TEST(a_malformed_pattern_costs_only_its_own_queue)
{
    queue_register("q", "t");
    queue_redis("HSET @Nregistered_queues bad ( worse %%");
    ck_assert_uint_eq(queue_call(QUEUE_SCRIPT_QUEUE_DELIVER, "t", "a", "x", NULL)->elements, 2);
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "x");
}
END_TEST

/* Facets of ours that are named as a key of the queue. */
START_TEST(our_facets_may_have_any_name)
{
    static const char *const names[] = {
        "length",        "limit",     "priorities",  "facet_queue", "facet_pool",
        "active_facets", "inflight",  "=",           "==x",         "=length",
        "a:inflight",    ":inflight", "a:inflight ", "platoon",     ""};
    queue_register("q", "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        queue_deliver("t", names[i], names[i]);
        queue_check("q");
    }
    ck_assert_uint_eq(queue_pull("q", 100, LEASE), sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_str_eq(pulled[i].facet, names[i]);
        ck_assert_str_eq(pulled[i].body, names[i]);
        ck_assert_int_eq(q_int(AGAIN, "q", "0", "", pulled[i].receipt), 1);
    }
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 100, -1), sizeof names / sizeof *names);
    ck_assert_uint_eq(queue_status_of("q").moved, 0);
}
END_TEST

/* Bodies that they push where a key of the queue is read. What their own client is told is theirs. */
START_TEST(theirs_at_a_key_of_the_queue_stops_nothing)
{
    static const char *const names[] = {"limit", "priorities", "facet_pool", "inflight",
                                        "facet_queue"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        queue_redis("FLUSHALL");
        queue_register("q", "");
        original_deliver_text("t", names[i], "stray");
        for (int j = 0; j < 3; j++)
            queue_deliver("t", "a", "a");
        ck_assert_uint_eq(queue_pull("q", 100, LEASE) + queue_pull("q", 100, LEASE), 4);
        queue_redis("HVALS @Nplatoon:q:held");
        ck_assert_msg(strstr(queue_text(), "stray") != NULL, "%s: %s", names[i], queue_text());
        struct queue_status s = queue_status_of("q");
        ck_assert_msg(s.waiting == 0 && s.in_flight == 4 && (s.moved == 1 || i == 3), "%s: %d wait",
                      names[i], (int)s.waiting);
        ck_assert(!queue_next_name(&s.wrong, &s.queue) && queue_list_ok(&s.wrong));
    }
}
END_TEST

START_TEST(theirs_at_the_length_of_the_queue)
{
    queue_register("q", "");
    original_deliver_text("t", "length", "stray");
    ck_assert_str_eq(queue_redis("TYPE @Nq:length"), "list");
    queue_deliver("t", "a", "a");
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 100, LEASE), 2);
    queue_check("q");
}
END_TEST

START_TEST(keys_of_wrong_types_are_named)
{
    queue_register("q", "");
    queue_redis("SADD @Nq:limit x");
    queue_redis("SET @Nq:priorities x");
    queue_redis("SET @Nq:app x");
    queue_deliver("t", "a", "a");
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "app", "b"), "holds a string"));
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "a");
    struct queue_status s = queue_status_of("q");
    struct slice what;
    ck_assert(queue_next_name(&s.wrong, &what) &&
              memmem(what.ptr, what.len, "q:limit holds a set", 19) != NULL);
    ck_assert(queue_next_name(&s.wrong, &what) &&
              memmem(what.ptr, what.len, "q:priorities holds a string", 27) != NULL);
    ck_assert(queue_list_ok(&s.wrong));
    queue_redis("DEL @Nq:facet_pool");
    queue_redis("SET @Nq:facet_pool x");
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "b", "b"), "q:facet_pool"));
    queue_redis("DEL @Nplatoon:queues");
    queue_redis("SET @Nplatoon:queues x");
    s = queue_status_of("q");
    bool named = false;
    while (queue_next_name(&s.wrong, &what))
        named |= memmem(what.ptr, what.len, "platoon:queues holds a string", 29) != NULL;
    ck_assert(named);
}
END_TEST

START_TEST(a_queue_with_our_messages_is_not_made_raw)
{
    queue_register("q", "");
    queue_deliver("t", "a", "a");
    ck_assert_ptr_nonnull(strstr(q_text(REGISTER, "q", "", "1"), "!BUSY"));
    queue_pull("q", 1, LEASE);
    ck_assert_ptr_nonnull(strstr(q_text(REGISTER, "q", "", "1"), "!BUSY"));
    q_int(ACK, "q", pulled[0].receipt);
    ck_assert_int_eq(q_int(REGISTER, "q", "", "1"), 2);
    queue_deliver("t", "a", "b");
    ck_assert_str_eq(original_pull("q"), "[q b]");
    original_deliver("t", "a", "c");
    queue_register("q", "");
    ck_assert_str_eq(queue_bodies("q", 1, LEASE), "c");
    queue_check("q");
    ck_assert_int_eq(q_int(UNREGISTER, "q"), 1);
    ck_assert_int_eq(q_int(UNREGISTER, "q"), 0);
    ck_assert_int_eq(q_int(ACK, "q", pulled[0].receipt), 1);
}
END_TEST

QUEUE_SUITE("queue_original", theirs_comes_to_platoons_queue,
            they_pull_what_we_deliver_to_a_raw_queue,
            their_limit_and_their_leases_hold_in_a_raw_queue,
            their_priorities_and_limits_act_on_ours, everybody_hears_of_it,
            a_malformed_pattern_costs_only_its_own_queue, our_facets_may_have_any_name,
            theirs_at_a_key_of_the_queue_stops_nothing, theirs_at_the_length_of_the_queue,
            keys_of_wrong_types_are_named, a_queue_with_our_messages_is_not_made_raw)
