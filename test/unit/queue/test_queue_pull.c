/* test_queue_pull.c: deliver, hand out, settle: order, receipts, leases, with a real Redis. */
#include "test/unit/queue/queue_fixture.h"

#include <stdlib.h>

#define LEASE 60000

START_TEST(what_is_delivered_is_handed_out)
{
    queue_register("google", ".*:page:.*google.*");
    const char *id = queue_deliver("u1:page:a google", "u1", "b1");
    ck_assert_uint_eq(queue_pull("google", 10, LEASE), 1);
    ck_assert_str_eq(pulled[0].queue, "google");
    ck_assert_str_eq(pulled[0].facet, "u1");
    ck_assert_str_eq(pulled[0].body, "b1");
    ck_assert_int_eq(pulled[0].attempt, 1);
    char receipt[64];
    snprintf(receipt, sizeof receipt, "%s.1", id);
    ck_assert_str_eq(pulled[0].receipt, receipt);
    queue_check("google");
    ck_assert_int_eq(q_int(ACK, "google", pulled[0].receipt), 1);
    ck_assert_int_eq(q_int(ACK, "google", pulled[0].receipt), 0);
    queue_check("google");
    struct queue_status s = queue_status_of("google");
    ck_assert_uint_eq(s.waiting + s.in_flight + s.facets + s.dead, 0);
    ck_assert(s.delivered == 1 && s.acked == 1 && s.late == 1);
}
END_TEST

START_TEST(it_comes_to_all_queues_that_want_it)
{
    queue_register("a", "page");
    queue_register("b", "^page");
    queue_register("c", "other");
    const char *id = queue_deliver("page", "u1", "x");
    ck_assert_ptr_nonnull(strstr(queue_text(), "a"));
    ck_assert_uint_eq(queue.reply->elements, 3);
    queue_pull("a", 1, LEASE);
    ck_assert(strncmp(pulled[0].receipt, id, strlen(id)) == 0);
    queue_pull("b", 1, LEASE);
    ck_assert(strncmp(pulled[0].receipt, id, strlen(id)) == 0);
    ck_assert_uint_eq(queue_pull("c", 1, LEASE), 0);
    queue_deliver("nobody", "u1", "x");
    ck_assert_str_eq(queue_redis("HGET @Nplatoon:inbox:stats unwanted"), "1");
}
END_TEST

START_TEST(fifo_within_a_facet_and_turns_between)
{
    queue_register("q", "");
    static const char *const bodies[] = {"a1", "a2", "a3", "b1", "c1", "b2"};
    for (int i = 0; i < 6; i++)
        queue_deliver("t", (char[]){bodies[i][0], '\0'}, bodies[i]);
    ck_assert_str_eq(queue_bodies("q", 10, -1), "a1 b1 c1 a2 b2 a3");
    queue_check("q");
    for (int i = 0; i < 6; i++)
        queue_deliver("t", (char[]){bodies[i][0], '\0'}, bodies[i]);
    ck_assert_str_eq(queue_bodies("q", 2, LEASE), "a1 b1");
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 2, LEASE), "c1 a2");
    ck_assert_str_eq(queue_bodies("q", 2, LEASE), "b2 a3");
    queue_check("q");
}
END_TEST

/* Turns alone would give the one with much in flight every other turn. */
START_TEST(who_has_least_in_flight_goes_first)
{
    queue_register("q", "");
    for (int i = 0; i < 8; i++)
        queue_deliver("t", "slow", "s");
    ck_assert_str_eq(queue_bodies("q", 4, LEASE), "s s s s");
    for (int i = 0; i < 3; i++)
        queue_deliver("t", "quick", "q");
    ck_assert_str_eq(queue_bodies("q", 3, -1), "q q q");
    ck_assert_str_eq(queue_bodies("q", 3, LEASE), "s s s");
    queue_check("q");
}
END_TEST

START_TEST(weights_share_turns)
{
    queue_register("q", "");
    ck_assert_int_eq(q_int(WEIGHT, "q", "a", "3"), 1);
    ck_assert_int_eq(q_int(WEIGHT, "q", "a", "3"), 3);
    for (int i = 0; i < 40; i++) {
        queue_deliver("t", "a", "a");
        queue_deliver("t", "b", "b");
    }
    int a = 0;
    queue_pull("q", 40, LEASE);
    for (int i = 0; i < 40; i++)
        a += pulled[i].body[0] == 'a';
    ck_assert(a >= 28 && a <= 31);
    queue_check("q");
    ck_assert_ptr_nonnull(strstr(q_text(WEIGHT, "q", "a", "101"), "!ERR"));
}
END_TEST

START_TEST(weight_0_and_caps_hold_and_are_lifted)
{
    queue_register("q", "");
    ck_assert_int_eq(q_int(CAP, "q", "2"), 0);
    for (int i = 0; i < 5; i++)
        queue_deliver("t", "a", "a");
    ck_assert_str_eq(queue_bodies("q", 10, LEASE), "a a");
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 10, LEASE), "");
    queue_pull("q", 1, LEASE);
    ck_assert_str_eq(queue_redis("LLEN @Nq:facet_queue"), "0");
    queue_redis("ZRANGE @Nplatoon:q:leases 0 0");
    char receipt[64];
    snprintf(receipt, sizeof receipt, "%s.1", queue.reply->element[0]->str);
    ck_assert_int_eq(q_int(ACK, "q", receipt), 1);
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 10, LEASE), "a");
    ck_assert_int_eq(q_int(CAP, "q", "0"), 2);
    ck_assert_int_eq(q_int(WEIGHT, "q", "a", "0"), 1);
    queue_deliver("t", "b", "b");
    ck_assert_str_eq(queue_bodies("q", 10, LEASE), "b");
    ck_assert_int_eq(q_int(WEIGHT, "q", "a", "1"), 0);
    ck_assert_str_eq(queue_bodies("q", 10, LEASE), "a a");
    queue_check("q");
}
END_TEST

START_TEST(equal_bodies_are_as_many_messages)
{
    queue_register("q", "");
    for (int i = 0; i < 5; i++)
        queue_deliver("t", "a", "same");
    for (int i = 0; i < 5; i++)
        original_deliver("t", "a", "same");
    ck_assert_uint_eq(queue_pull("q", 20, LEASE), 10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(q_int(ACK, "q", pulled[i].receipt), 1);
    ck_assert_str_eq(queue_redis("HLEN @Nplatoon:q:held"), "0");
    queue_check("q");
}
END_TEST

START_TEST(what_comes_back_goes_first_and_takes_the_facets_turn)
{
    queue_register("q", "");
    queue_deliver("t", "a", "a1");
    queue_deliver("t", "a", "a2");
    queue_deliver("t", "a", "a3");
    queue_deliver("t", "b", "b1");
    ck_assert_str_eq(queue_bodies("q", 3, LEASE), "a1 b1 a2");
    ck_assert_int_eq(q_int(AGAIN, "q", "0", "failed", pulled[2].receipt, pulled[0].receipt), 2);
    queue_check("q");
    queue_deliver("t", "b", "b2");
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "a1 b2 a2 a3"); /* b has one in flight */
    ck_assert_int_eq(pulled[0].attempt, 2);
    ck_assert_int_eq(pulled[2].attempt, 2);
    ck_assert_int_eq(pulled[3].attempt, 1);
    queue_check("q");
}
END_TEST

START_TEST(after_max_attempts_it_is_dead)
{
    queue_register_with("q", "", 2, 0, 1000);
    queue_deliver("t", "a", "bad");
    queue_pull("q", 1, LEASE);
    ck_assert_int_eq(q_int(AGAIN, "q", "-1", "why 1", pulled[0].receipt), 1);
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
    ck_assert_int_eq(q_int(AGAIN, "q", "0", "why 2", pulled[0].receipt), 1);
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 0);
    struct queue_list letters;
    struct queue_letter letter;
    ck_assert(queue_read_letters(q_packed(DEAD_LIST, "q", "10"), &letters));
    ck_assert(queue_next_letter(&letters, false, &letter) && queue_list_ok(&letters));
    ck_assert(letter.attempts == 2 && slice_is(letter.reason, "why 2") && letter.bytes == 3);
    ck_assert(slice_is(letter.facet, "a"));
    char id[32];
    ck_assert(slice_copy(letter.id, id, sizeof id));
    ck_assert(queue_read_letters(q_packed(DEAD_SHOW, "q", id), &letters));
    ck_assert(queue_next_letter(&letters, true, &letter) && slice_is(letter.body, "bad"));
    ck_assert_int_eq(q_int(DEAD_RETRY, "q", "10", id), 1);
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 1, LEASE), "bad");
    ck_assert_int_eq(q_int(AGAIN, "q", "0", "why 3", pulled[0].receipt), 1);
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
    ck_assert_int_eq(q_int(BURY, "q", "no", pulled[0].receipt), 1);
    ck_assert_int_eq(q_int(DEAD_DROP, "q", "10"), 1);
    queue_check("q");
    ck_assert_str_eq(queue_redis("HLEN @Nplatoon:q:held"), "0");
}
END_TEST

START_TEST(a_delay_waits_and_joins_at_the_end)
{
    queue_register("q", "");
    queue_register("r", "other");
    long long before = queue_now();
    queue_call(QUEUE_SCRIPT_QUEUE_DELIVER, "t", "a", "late", "60000", NULL);
    ck_assert_uint_eq(queue.reply->elements, 2);
    char id[32];
    strcpy(id, queue.reply->element[0]->str);
    long long now = queue_now();
    queue_deliver("t", "a", "a1");
    queue_check("q");
    ck_assert_uint_eq(queue_status_of("q").delayed, 1);
    ck_assert_str_eq(queue_bodies("q", 5, -1), "a1");
    queue_deliver("t", "a", "a2");
    queue_redis("ZADD @Nplatoon:q:later 1 %s", id);
    ck_assert_str_eq(queue_bodies("q", 5, LEASE), "a2 late");
    ck_assert_int_le(pulled[1].at_ms, now + 60000);
    ck_assert_int_ge(pulled[1].at_ms, before + 60000);
    queue_check("q");
}
END_TEST

START_TEST(a_lease_that_ran_out)
{
    queue_register("q", "");
    queue_deliver("t", "a", "x");
    queue_deliver("t", "a", "y");
    queue_deliver("t", "a", "z");
    ck_assert_str_eq(queue_bodies("q", 2, 1), "x y");
    char x[64], y[64];
    strcpy(x, pulled[0].receipt);
    strcpy(y, pulled[1].receipt);
    queue_sleep_until(queue_now() + 2);
    queue_call(QUEUE_SCRIPT_QUEUE_CLOCK, "q", NULL);
    ck_assert_str_eq(queue_text(), "[2 0 -1]");
    queue_check("q");
    ck_assert_int_eq(q_int(ACK, "q", x), 1);            /* nobody has it since */
    ck_assert_str_eq(queue_bodies("q", 5, LEASE), "y"); /* alone */
    ck_assert_int_eq(pulled[0].attempt, 2);
    ck_assert_int_eq(q_int(ACK, "q", y), 0); /* somebody has it since */
    queue_check("q");
    ck_assert_str_eq(queue_bodies("q", 5, LEASE), "z");
    ck_assert_uint_eq(queue_pull("q", 5, LEASE), 0);
    struct queue_status s = queue_status_of("q");
    ck_assert(s.expired == 2 && s.late == 1 && s.waiting == 0 && s.in_flight == 2);
    queue_check("q");
}
END_TEST

START_TEST(who_renews_in_time_or_before_anybody_else_keeps_it)
{
    queue_register("q", "");
    queue_deliver("t", "a", "x");
    queue_pull("q", 1, 1);
    queue_sleep_until(queue_now() + 2);
    queue_call(QUEUE_SCRIPT_QUEUE_CLOCK, "q", NULL);
    ck_assert_str_eq(q_text(RENEW, "q", "60000", pulled[0].receipt, "7.1", "nonsense"),
                     "[nonsense 7.1]");
    queue_check("q");
    char receipt[64];
    strcpy(receipt, pulled[0].receipt);
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 0);
    queue_check("q");
    ck_assert_int_eq(q_int(ACK, "q", receipt), 1);
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 0);
}
END_TEST

START_TEST(only_what_was_alone_is_buried_for_a_death)
{
    queue_register_with("q", "", 1, 0, 1000);
    queue_deliver("t", "a", "x");
    queue_deliver("t", "b", "y");
    ck_assert_uint_eq(queue_pull("q", 2, LEASE), 2);
    ck_assert_int_eq(
        q_int(BACK, "q", "1", "its consumer died", pulled[0].receipt, pulled[1].receipt), 2);
    queue_check("q");
    ck_assert_uint_eq(queue_pull("q", 2, LEASE), 1);
    char first[64];
    strcpy(first, pulled[0].receipt);
    ck_assert_uint_eq(queue_pull("q", 2, LEASE), 1);
    ck_assert_int_eq(q_int(ACK, "q", pulled[0].receipt), 1);
    ck_assert_int_eq(q_int(BACK, "q", "1", "its consumer died", first), 1);
    queue_check("q");
    struct queue_status s = queue_status_of("q");
    ck_assert(s.dead == 1 && s.waiting == 0);
}
END_TEST

/* The lease of what was pulled last is over, and the clock sees it. */
static void run_out(const char *name)
{
    queue_redis("ZADD @Nplatoon:%s:leases 1 %.*s", name, (int)strcspn(pulled[0].receipt, "."),
                pulled[0].receipt);
    queue_call(QUEUE_SCRIPT_QUEUE_CLOCK, name, NULL);
    queue_check(name);
}

/* Its consumer had others in its hands when it died. That its lease ran out, and was taken up again, is nothing. */
START_TEST(a_lease_that_was_taken_up_again_is_not_held_against_it)
{
    queue_register_with("q", "", 1, 0, 1000);
    for (int adopted = 0; adopted < 2; adopted++) {
        queue_deliver("t", "a", "x");
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        run_out("q");
        if (adopted)
            ck_assert_str_eq(q_text(ADOPT, "q", "you", "60000", pulled[0].receipt), "[]");
        else
            ck_assert_str_eq(q_text(RENEW, "q", "60000", pulled[0].receipt), "[]");
        ck_assert_int_eq(q_int(BACK, "q", "1", "its consumer died", pulled[0].receipt), 1);
        queue_check("q");
        ck_assert_uint_eq(queue_status_of("q").dead, 0);
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        ck_assert_int_eq(q_int(ACK, "q", pulled[0].receipt), 1);
    }
}
END_TEST

/*
 * Its lease ran out, was taken up again, and then it came back: what waits since the first is void, also within the
 * call that has found the second.
 */
START_TEST(what_waits_twice_is_handed_out_once)
{
    queue_register("q", "");
    for (int lease = -1; lease <= LEASE; lease += LEASE + 1) {
        queue_deliver("t", "a", "x");
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        run_out("q");
        ck_assert_str_eq(q_text(RENEW, "q", "60000", pulled[0].receipt), "[]");
        ck_assert_int_eq(q_int(BACK, "q", "0", "", pulled[0].receipt), 1);
        queue_check("q");
        ck_assert_uint_eq(queue_status_of("q").waiting, 2);
        ck_assert_int_eq(q_packed(PEEK, "q", "", "9").ptr[0], '\x91'); /* an array of one */
        ck_assert_str_eq(queue_bodies("q", 9, lease), "x");
        ck_assert_uint_eq(queue_pull("q", 9, lease), 0);
        queue_check("q");
    }
}
END_TEST

START_TEST(who_had_what_was_buried_for_its_lease_may_still_settle_it)
{
    queue_register_with("q", "", 1, 0, 1000);
    for (int how = 0; how < 3; how++) {
        queue_deliver("t", "a", "x");
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        run_out("q");
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        run_out("q");
        ck_assert_uint_eq(queue_status_of("q").dead, 1);
        const char *receipt = pulled[0].receipt;
        ck_assert_int_eq(how == 0   ? q_int(ACK, "q", receipt)
                         : how == 1 ? q_int(BURY, "q", "bad", receipt)
                                    : q_int(AGAIN, "q", "0", "why", receipt),
                         how < 2);
        queue_check("q");
        ck_assert_uint_eq(queue_status_of("q").dead, how > 0);
        ck_assert_int_eq(q_int(ACK, "q", receipt), how == 2);
        q_int(DEAD_DROP, "q", "9");
        ck_assert_str_eq(queue_redis("HLEN @Nplatoon:q:held"), "0");
    }
}
END_TEST

START_TEST(an_orderly_end_costs_no_attempt)
{
    queue_register_with("q", "", 1, 0, 1000);
    queue_deliver("t", "a", "x");
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        ck_assert_int_eq(pulled[0].attempt, i + 1);
        ck_assert_int_eq(q_int(BACK, "q", "0", "", pulled[0].receipt), 1);
        ck_assert_int_eq(q_int(ACK, "q", pulled[0].receipt), 0);
        queue_check("q");
    }
    ck_assert_uint_eq(queue_status_of("q").dead, 0);
}
END_TEST

START_TEST(a_pause_hands_nothing_out)
{
    queue_register("q", "");
    queue_deliver("t", "a", "a");
    queue_deliver("t", "b", "b");
    ck_assert_int_eq(q_int(PAUSE, "q", "1"), 1);
    ck_assert_int_eq(q_int(PAUSE, "q", "1"), 0);
    ck_assert_uint_eq(queue_pull("q", 1, LEASE), 0);
    ck_assert(queue_status_of("q").paused);
    queue_register("q", "t");
    ck_assert(queue_status_of("q").paused);
    ck_assert_int_eq(q_int(PAUSE, "q", "0"), 1);
    q_int(WEIGHT, "q", "a", "7");
    ck_assert_int_eq(q_int(PAUSE, "q", "1", "a"), 1);
    ck_assert_int_eq(q_int(PAUSE, "q", "1", "a"), 0);
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "b");
    queue_check("q");
    ck_assert_int_eq(q_int(PAUSE, "q", "0", "a"), 1);
    ck_assert_str_eq(queue_redis("HGET @Nq:priorities a"), "7");
    ck_assert_str_eq(queue_bodies("q", 9, LEASE), "a");
}
END_TEST

START_TEST(what_cannot_be_asked)
{
    queue_register_raw("raw", "");
    queue_register_with("q", "t", 5, 0, 10);
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "60000", "nobody"), "!NOQUEUE"));
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "60000", "raw"), "!RAW raw is raw"));
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "soon", "q"), "!ERR"));
    ck_assert_ptr_nonnull(
        strstr(q_text(DELIVER, "t", "a", "12345678901"), "11 bytes, more than message_max, 10"));
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "a", "x", "5"), "raw is raw"));
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "nan", "q"), "!ERR"));
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "a"), "!ERR"));
    static const char *const late[] = {"9999999999999999", "inf"};
    for (int i = 0; i < 2; i++)
        ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "a", "x", late[i]), "a hundred years"));
    static const char *const names[] = {"", "inbox", "platoon", "platoon:q"};
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(
            strstr(q_text(REGISTER, names[i], "x", "0", "5", "0", "0", "9"), "!NAME"));
    ck_assert_ptr_nonnull(strstr(q_text(REGISTER, "q", "(", "0", "5", "0", "0", "9"), "!PATTERN"));
    char topic[600];
    memset(topic, 't', sizeof topic);
    topic[513] = '\0';
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, topic, "a", "x"), "topic has 513 bytes"));
    ck_assert_uint_eq(queue_status_of("q").waiting, 0);
    ck_assert_uint_eq(queue_status_of("raw").waiting, 0);
}
END_TEST

START_TEST(what_is_destroyed_is_gone)
{
    queue_register("q", "");
    for (int i = 0; i < 1200; i++) {
        char facet[16];
        snprintf(facet, sizeof facet, "f%d", i);
        queue_deliver("t", facet, "x");
    }
    queue_pull("q", 10, LEASE);
    int calls = 1;
    while (q_int(DESTROY, "q") > 0)
        ck_assert_int_lt(calls++, 10);
    ck_assert_int_ge(calls, 3);
    ck_assert_str_eq(queue_redis("KEYS *"),
                     queue.way == QUEUE_IN_CLUSTER ? "[{shop}:platoon:seq]" : "[shop:platoon:seq]");
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "60000", "q"), "!NOQUEUE"));
}
END_TEST

/* Acks in one call what was pulled from the `from`-th to before the `to`-th. */
static void ack_pulled(size_t from, size_t to)
{
    struct slice words[QUEUE_PULL_MAX + 1] = {slice_of("q")};
    for (size_t i = from; i < to; i++)
        words[i - from + 1] = slice_of(pulled[i].receipt);
    long long acked = queue_int(queue_call_words(QUEUE_SCRIPT_QUEUE_ACK, to - from + 1, words));
    ck_assert_int_eq(acked, (long long)(to - from));
    queue_check("q");
}

/* Hashes that are read whole, and those that are too large for that; what stays in flight, and what does not. */
START_TEST(many_facets_in_one_call)
{
    static const size_t counts[] = {15, 40, 300};
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        queue_redis("FLUSHALL");
        queue_register("q", "");
        for (size_t i = 0; i < 3 * counts[n]; i++) {
            char facet[16];
            snprintf(facet, sizeof facet, "f%zu", i % counts[n]);
            queue_deliver("t", facet, "body");
        }
        if (n == 1)
            queue_redis("HSET @Nq:priorities f1 2 f7 3");
        size_t all = 0, count;
        while ((count = queue_pull("q", 2 * (int)counts[n], LEASE)) > 0) {
            all += count;
            queue_check("q");
            ack_pulled(0, count / 2);
            ack_pulled(count / 2, count);
        }
        ck_assert_uint_eq(all, 3 * counts[n]);
        struct queue_status s = queue_status_of("q");
        ck_assert_uint_eq(s.waiting + s.in_flight + s.facets + s.dead, 0);
        ck_assert_uint_eq(s.acked, 3 * counts[n]);
    }
}
END_TEST

/* How long the next are nobody knows: who wants a thousand reads no thousand, of which four would go out. */
START_TEST(long_bodies_are_not_read_for_nothing)
{
    static char body[1 << 20];
    memset(body, 'x', sizeof body - 1);
    queue_register_with("q", "", 5, 0, 16 << 20);
    for (int i = 0; i < 24; i++)
        queue_deliver("t", "a", body);
    queue_redis("INFO memory");
    long long before = atoll(strstr(queue_text(), "used_memory_peak:") + 17);
    ck_assert_uint_eq(queue_pull("q", 1000, LEASE), 4);
    queue_redis("INFO memory");
    ck_assert_int_lt(atoll(strstr(queue_text(), "used_memory_peak:") + 17) - before, 16 << 20);
    queue_check("q");
}
END_TEST

/* Somebody has put something else where a list of the queue is: nothing is half done, and nothing is lost. */
START_TEST(keys_that_are_no_lists)
{
    queue_register("q", "");
    queue_redis("SET @Nq:facet_queue x");
    ck_assert_ptr_nonnull(strstr(q_text(DELIVER, "t", "a", "x"), "WRONGTYPE"));
    ck_assert_str_eq(queue_redis("EXISTS @Nq:a"), "0");
    queue_redis("DEL @Nq:facet_queue");
    queue_check("q");
    for (int how = 0; how < 3; how++) {
        queue_deliver("t", "a", "x");
        ck_assert_uint_eq(queue_pull("q", 1, LEASE), 1);
        queue_redis("SET @Nq:a x");
        if (how == 0)
            ck_assert_int_eq(q_int(AGAIN, "q", "0", "why", pulled[0].receipt), 1);
        else if (how == 1)
            ck_assert_int_eq(q_int(BACK, "q", "0", "gone", pulled[0].receipt), 1);
        else
            queue_redis("ZADD @Nplatoon:q:leases 1 %.*s", (int)strcspn(pulled[0].receipt, "."),
                        pulled[0].receipt);
        q_text(CLOCK, "q");
        ck_assert_ptr_nonnull(
            strstr(q_text(DEAD_LIST, "q", "9"), "q:a holds a string, and no list"));
        ck_assert_int_eq(q_int(DEAD_RETRY, "q", "9"), 1);
        ck_assert_uint_eq(queue_status_of("q").dead, 1);
        queue_redis("DEL @Nq:a");
        queue_check("q");
        ck_assert_int_eq(q_int(DEAD_RETRY, "q", "9"), 1);
        ck_assert_str_eq(queue_bodies("q", 9, -1), "x");
        queue_check("q");
    }
}
END_TEST

QUEUE_SUITE("queue_pull", what_is_delivered_is_handed_out, it_comes_to_all_queues_that_want_it,
            fifo_within_a_facet_and_turns_between, who_has_least_in_flight_goes_first,
            weights_share_turns, weight_0_and_caps_hold_and_are_lifted,
            equal_bodies_are_as_many_messages, what_comes_back_goes_first_and_takes_the_facets_turn,
            after_max_attempts_it_is_dead, a_delay_waits_and_joins_at_the_end, a_lease_that_ran_out,
            who_renews_in_time_or_before_anybody_else_keeps_it,
            only_what_was_alone_is_buried_for_a_death,
            a_lease_that_was_taken_up_again_is_not_held_against_it,
            what_waits_twice_is_handed_out_once,
            who_had_what_was_buried_for_its_lease_may_still_settle_it,
            an_orderly_end_costs_no_attempt, a_pause_hands_nothing_out, what_cannot_be_asked,
            what_is_destroyed_is_gone, many_facets_in_one_call,
            long_bodies_are_not_read_for_nothing, keys_that_are_no_lists)
