/* test_policy.c: back-off, restart window and judgement of a death, with a clock and dice of the test's. */
#include "master/tree/policy.h"

#include "proto/contract.h"
#include "test/unit/suite.h"

#include <check.h>
#include <stdlib.h>

static const struct policy_limits limits = {
    .backoff_min_ms = 100, .backoff_max_ms = 30000, .backoff_factor = 2, .stable_after_ms = 10000};

static struct restart_window window_of(size_t limit, uint64_t period_ms)
{
    return (struct restart_window){
        .at_ms = calloc(limit, sizeof(uint64_t)), .limit = limit, .period_ms = period_ms};
}

/* The largest random number of full jitter: ceiling % (ceiling + 1) == ceiling. */
static uint64_t ceiling_of(uint64_t failures)
{
    uint64_t most = 0;
    for (uint64_t r = 0; r < 100000; r++) {
        uint64_t delay = policy_backoff(&limits, failures, true, r);
        most = delay > most ? delay : most;
    }
    return most;
}

START_TEST(test_backoff_doubles_up_to_its_cap)
{
    ck_assert_uint_eq(ceiling_of(1), 100);
    ck_assert_uint_eq(ceiling_of(2), 200);
    ck_assert_uint_eq(ceiling_of(5), 1600);
    ck_assert_uint_eq(ceiling_of(20), 30000);
    ck_assert_uint_eq(ceiling_of(UINT64_MAX), 30000);
}
END_TEST

START_TEST(test_backoff_by_other_factors)
{
    struct policy_limits l = limits;
    l.backoff_factor = 1;
    for (uint64_t r = 0; r < 1000; r++)
        ck_assert_uint_le(policy_backoff(&l, 50, true, r), 100);
    l.backoff_factor = 10;
    ck_assert_uint_eq(policy_backoff(&l, 3, true, 10000), 10000);
    l = (struct policy_limits){
        .backoff_min_ms = 1, .backoff_max_ms = UINT64_MAX - 1, .backoff_factor = 10};
    ck_assert_uint_eq(policy_backoff(&l, 1000, true, UINT64_MAX - 1),
                      UINT64_MAX - 1); /* no overflow */
    l = (struct policy_limits){.backoff_min_ms = 500, .backoff_max_ms = 200, .backoff_factor = 2};
    for (uint64_t r = 0; r < 1000; r++)
        ck_assert_uint_le(policy_backoff(&l, 1, false, r), 200);
}
END_TEST

START_TEST(test_death_before_ready_waits_at_least_the_minimum)
{
    ck_assert_uint_eq(policy_backoff(&limits, 3, true, 0), 0);
    for (uint64_t r = 0; r < 1000; r++)
        ck_assert_uint_ge(policy_backoff(&limits, 3, false, r), 100);
}
END_TEST

START_TEST(test_window_admits_no_more_than_its_limit_in_a_period)
{
    struct restart_window w = window_of(3, 1000);
    ck_assert(policy_window_add(&w, 5000));
    ck_assert(policy_window_add(&w, 5100));
    ck_assert(policy_window_add(&w, 5200));
    ck_assert(!policy_window_add(&w, 5999));
    ck_assert(policy_window_add(&w, 6000)); /* the first has left the window */
    ck_assert(!policy_window_add(&w, 6050));
    policy_window_clear(&w);
    ck_assert(policy_window_add(&w, 6060));
    free(w.at_ms);
}
END_TEST

START_TEST(test_verdict_by_exit)
{
    static const struct {
        int code;
        enum policy_restart restart;
        enum policy_strategy strategy;
        enum policy_action action;
    } rows[] = {
        {CONTRACT_EXIT_CONFIG, POLICY_PERMANENT, POLICY_ONE_FOR_ONE, POLICY_FATAL},
        {CONTRACT_EXIT_CONFIG, POLICY_TRANSIENT, POLICY_REST_FOR_ONE, POLICY_FATAL},
        {CONTRACT_EXIT_DONE, POLICY_TRANSIENT, POLICY_ONE_FOR_ONE, POLICY_STAY_DOWN},
        {CONTRACT_EXIT_DONE, POLICY_TRANSIENT, POLICY_ONE_FOR_ALL, POLICY_STAY_DOWN},
        {CONTRACT_EXIT_DONE, POLICY_PERMANENT, POLICY_ONE_FOR_ONE, POLICY_RESTART},
        {CONTRACT_EXIT_DONE, POLICY_PERMANENT, POLICY_ONE_FOR_ALL, POLICY_RESTART_ALL},
        {CONTRACT_EXIT_TEMPORARY, POLICY_TRANSIENT, POLICY_ONE_FOR_ONE, POLICY_RESTART},
        {CONTRACT_EXIT_INCONSISTENT, POLICY_PERMANENT, POLICY_REST_FOR_ONE, POLICY_RESTART_REST},
        {CONTRACT_EXIT_TEMPORARY, POLICY_TEMPORARY, POLICY_ONE_FOR_ALL, POLICY_STAY_DOWN},
        {-1, POLICY_TEMPORARY, POLICY_ONE_FOR_ONE, POLICY_STAY_DOWN},
        {-1, POLICY_PERMANENT, POLICY_ONE_FOR_ONE, POLICY_RESTART},
        {42, POLICY_PERMANENT, POLICY_ONE_FOR_ALL, POLICY_RESTART_ALL},
        {CONTRACT_EXIT_SHORT, POLICY_PERMANENT, POLICY_ONE_FOR_ALL, POLICY_RESTART_ALL},
        {CONTRACT_EXIT_SHORT, POLICY_TEMPORARY, POLICY_ONE_FOR_ONE, POLICY_STAY_DOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct restart_window w = window_of(5, 1000);
        uint64_t failures = 0;
        struct policy_death d = {.code = rows[i].code,
                                 .was_ready = true,
                                 .restart = rows[i].restart,
                                 .strategy = rows[i].strategy};
        ck_assert_int_eq(policy_judge(&limits, &d, &w, &failures, 1000).action, rows[i].action);
        free(w.at_ms);
    }
}
END_TEST

START_TEST(test_a_shortage_is_noted_nowhere)
{
    struct restart_window w = window_of(2, 1000);
    uint64_t failures = 1;
    struct policy_death d = {.code = CONTRACT_EXIT_SHORT, .was_ready = true};
    for (int i = 0; i < 5; i++) {
        struct policy_verdict v = policy_judge(&limits, &d, &w, &failures, 1000);
        ck_assert_int_eq(v.action, POLICY_RESTART);
        ck_assert_uint_eq(v.delay_ms, POLICY_SHORTAGE_MS);
    }
    ck_assert(failures == 1 && w.count == 0);
    free(w.at_ms);
}
END_TEST

START_TEST(test_stable_run_resets_and_is_replaced_at_once)
{
    struct restart_window w = window_of(100, 1000);
    uint64_t failures = 9;
    struct policy_death d = {.code = -1, .was_ready = true, .ready_for_ms = 10000, .random = 77};
    struct policy_verdict v = policy_judge(&limits, &d, &w, &failures, 1000);
    ck_assert_int_eq(v.action, POLICY_RESTART);
    ck_assert_uint_eq(v.delay_ms, 0);
    ck_assert_uint_eq(failures, 1);
    d.ready_for_ms = 9999;
    policy_judge(&limits, &d, &w, &failures, 1100);
    ck_assert_uint_eq(failures, 2);
    free(w.at_ms);
}
END_TEST

/*
 * Any history of deaths: never more than `limit` restarts in a period without an escalation, and
 * every delay within bounds.
 */
START_TEST(test_random_histories_keep_the_invariants)
{
    srandom(20261121);
    for (int run = 0; run < 500; run++) {
        size_t limit = 1 + (size_t)random() % 8;
        struct restart_window w = window_of(limit, 1000);
        uint64_t now = 1000000, failures = 0;
        uint64_t granted[64];
        size_t count = 0;
        for (int i = 0; i < 60; i++) {
            now += (uint64_t)random() % 400;
            struct policy_death d = {.code = -1,
                                     .was_ready = random() % 2,
                                     .ready_for_ms = (uint64_t)random() % 12000,
                                     .random = (uint64_t)random()};
            struct policy_verdict v = policy_judge(&limits, &d, &w, &failures, now);
            if (v.action == POLICY_ESCALATE) {
                policy_window_clear(&w);
                count = 0;
                continue;
            }
            ck_assert_int_eq(v.action, POLICY_RESTART);
            ck_assert_uint_le(v.delay_ms, limits.backoff_max_ms);
            granted[count++] = now;
            size_t within = 0;
            for (size_t k = 0; k < count; k++)
                within += now - granted[k] < 1000;
            ck_assert_uint_le(within, limit);
        }
        free(w.at_ms);
    }
}
END_TEST

START_TEST(test_nobody_is_judged_before_it_was_read_and_had_its_time)
{
    const enum policy_doubt all[] = {POLICY_NO_DOUBT, POLICY_STOOD_STILL, POLICY_UNREAD};
    for (size_t i = 0; i < 3; i++) {
        /* Late, again and again: time for a beat each time. */
        ck_assert_int_eq(policy_doubt(all[i], 5000, 6001), POLICY_STOOD_STILL);
        /* In time, or a little early, which a timer of libuv may be: one more reading, then no doubt. */
        for (uint64_t now = 4990; now <= 6000; now += 10)
            ck_assert_int_eq(policy_doubt(all[i], 5000, now),
                             all[i] == POLICY_UNREAD ? POLICY_NO_DOUBT : POLICY_UNREAD);
    }
}
END_TEST

/* A beat that is late by CONTRACT_REST_SPARE_MS is in time, whatever hang_timeout is. */
START_TEST(test_rest_is_two_thirds_and_leaves_time_to_spare)
{
    ck_assert_uint_eq(policy_rest(30000), 20000);
    ck_assert_uint_eq(policy_rest(3600000), CONTRACT_REST_MAX_MS);
    ck_assert_uint_eq(policy_rest(9000), 6000);
    for (uint64_t hang = 0; hang < 60000; hang += 7) {
        uint64_t rest = policy_rest(hang);
        ck_assert(rest <= CONTRACT_REST_MAX_MS && rest <= hang / 3 * 2);
        ck_assert(rest == 0 || rest + CONTRACT_REST_SPARE_MS <= hang);
    }
}
END_TEST

START_TEST(test_orders_in_pairs_are_one)
{
    ck_assert(!policy_order_forces(1, 0));
    ck_assert(!policy_order_forces(2, 0) && !policy_order_forces(2, POLICY_PAIR_MS - 1));
    ck_assert(policy_order_forces(2, POLICY_PAIR_MS));
    ck_assert(policy_order_forces(3, 0) && policy_order_forces(4, 5000));
}
END_TEST

SUITE_MAIN("policy", test_orders_in_pairs_are_one, test_backoff_doubles_up_to_its_cap,
           test_backoff_by_other_factors, test_death_before_ready_waits_at_least_the_minimum,
           test_window_admits_no_more_than_its_limit_in_a_period, test_verdict_by_exit,
           test_a_shortage_is_noted_nowhere,
           test_nobody_is_judged_before_it_was_read_and_had_its_time,
           test_rest_is_two_thirds_and_leaves_time_to_spare,
           test_stable_run_resets_and_is_replaced_at_once,
           test_random_histories_keep_the_invariants)
