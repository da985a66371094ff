/*
 * test_snapshot_policy.c: which resource is run when (snapshot_policy.h), and a model of it: random graphs, and random
 * orders of change, failure, death and restart. At rest each version is f(newest inputs), or failed or held.
 */
#include "test/unit/suite.h"
#include "workers/snapshot/snapshot_policy.h"

#include <stdlib.h>

#define MOST   12
#define ORDERS 10000

static struct policy_resource list[MOST];
static struct policy p;
static uint64_t seed, now;

static uint64_t any(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

static void begin(size_t count)
{
    memset(list, 0, sizeof list);
    p = (struct policy){.list = list, .count = count};
    now = 1000;
}

static void make(size_t r, size_t count, const size_t *inputs)
{
    list[r].made = list[r].worker = true;
    list[r].input_count = count;
    for (size_t i = 0; i < count; i++)
        list[r].inputs[i] = inputs[i];
    list[r].retry_min_ms = 1000;
    list[r].retry_max_ms = 8000;
}

static size_t next(void)
{
    uint64_t wake;
    policy_settle(&p);
    return policy_next(&p, now, &wake);
}

static enum policy_state state(size_t r)
{
    policy_settle(&p);
    return list[r].state;
}

/* 0 → 1, 0 → 2, 1 and 2 → 3. */
static void diamond(void)
{
    static const size_t one[] = {0}, both[] = {1, 2};
    begin(4);
    make(1, 1, one);
    make(2, 1, one);
    make(3, 2, both);
}

static void run(size_t r, bool good, policy_content content)
{
    policy_started(&p, r, now);
    policy_ended(&p, r, good, now, 0);
    if (good)
        policy_changed(&p, r, content);
}

START_TEST(one_change_runs_each_step_once)
{
    diamond();
    ck_assert(next() == POLICY_NONE && state(3) == POLICY_EMPTY);
    policy_changed(&p, 0, 1);
    ck_assert_uint_eq(next(), 1);
    policy_started(&p, 1, now);
    ck_assert_uint_eq(next(), 2);
    run(2, true, 20);
    ck_assert_uint_eq(next(), POLICY_NONE); /* 3 waits for 1 */
    policy_ended(&p, 1, true, now, 0);
    policy_changed(&p, 1, 10);
    ck_assert_uint_eq(next(), 3);
    run(3, true, 30);
    ck_assert(next() == POLICY_NONE && state(3) == POLICY_OK);
    policy_changed(&p, 0, 1); /* equal bytes */
    ck_assert_uint_eq(next(), POLICY_NONE);
}
END_TEST

START_TEST(what_stands_behind_a_failure_is_held)
{
    uint64_t wake;
    diamond();
    policy_changed(&p, 0, 1);
    run(1, false, 0);
    run(2, true, 20);
    ck_assert(state(1) == POLICY_FAILED && state(2) == POLICY_OK && state(3) == POLICY_HELD);
    ck_assert_uint_eq(list[3].held_by, 1);
    ck_assert(policy_next(&p, now, &wake) == POLICY_NONE && wake == now + 1000);
    now += 1000;
    ck_assert_uint_eq(next(), 1);
    policy_started(&p, 1, now);
    ck_assert(state(1) == POLICY_RUNNING && state(3) == POLICY_HELD);
    policy_ended(&p, 1, true, now, 0);
    policy_changed(&p, 1, 10);
    ck_assert_uint_eq(next(), 3);
}
END_TEST

/* 0 is pulled, 1 is made from it. */
static void pulled(void)
{
    static const size_t zero[] = {0};
    begin(2);
    make(0, 0, NULL);
    make(1, 1, zero);
}

START_TEST(a_failed_pull_holds_nothing)
{
    pulled();
    ck_assert_uint_eq(next(), 0);
    run(0, true, 1);
    ck_assert_uint_eq(next(), 1);
    run(1, true, 10);
    policy_due(&p, 0);
    ck_assert(state(0) == POLICY_DUE && list[1].waits);
    run(0, false, 0);
    ck_assert(state(0) == POLICY_FAILED && state(1) == POLICY_OK && !list[1].waits);
    policy_asked(&p, 1);
    ck_assert_uint_eq(next(), 1);
}
END_TEST

START_TEST(a_time_that_comes_does_not_shorten_a_pause)
{
    uint64_t wake;
    pulled();
    run(0, false, 0);
    policy_due(&p, 0);
    ck_assert(next() == POLICY_NONE && policy_next(&p, now, &wake) == POLICY_NONE);
    ck_assert_uint_eq(wake, now + 1000);
    policy_later(&p, 0, now + 60000);
    policy_next(&p, now, &wake);
    ck_assert_uint_eq(wake, now + 60000);
    policy_asked(&p, 0);
    ck_assert_uint_eq(next(), 0);
}
END_TEST

START_TEST(who_asks_during_a_run_gets_another)
{
    pulled();
    policy_started(&p, 0, now);
    policy_asked(&p, 0);
    policy_ended(&p, 0, true, now, 0);
    ck_assert_uint_eq(next(), 0);
    policy_started(&p, 0, now);
    policy_worker(&p, 0, false);
    policy_worker(&p, 0, true);
    ck_assert_uint_eq(next(), 0); /* it died: what was asked for is still owed */
    run(0, true, 1);
    ck_assert(state(0) == POLICY_OK);
}
END_TEST

/* With full jitter between retry_min and a bound that doubles up to retry_max. */
START_TEST(pauses)
{
    static const size_t zero[] = {0};
    static const uint64_t most[] = {1000, 2000, 4000, 8000, 8000, 8000};
    for (uint64_t jitter = 0; jitter < 20000; jitter += 997) {
        begin(2);
        make(1, 1, zero);
        policy_changed(&p, 0, 1);
        for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
            policy_started(&p, 1, now);
            policy_ended(&p, 1, false, now, jitter);
            ck_assert(list[1].retry_ms >= now + 1000 && list[1].retry_ms <= now + most[i]);
        }
    }
}
END_TEST

START_TEST(a_new_input_or_a_wish_is_tried_at_once)
{
    diamond();
    policy_changed(&p, 0, 1);
    run(1, false, 0);
    run(2, true, 20);
    ck_assert_uint_eq(next(), POLICY_NONE);
    policy_asked(&p, 1);
    ck_assert_uint_eq(next(), 1);
    run(1, false, 0);
    ck_assert_uint_eq(next(), POLICY_NONE);
    policy_changed(&p, 0, 2);
    ck_assert_uint_eq(next(), 1);
    /* An input that came while it failed. */
    policy_started(&p, 1, now);
    policy_changed(&p, 0, 3);
    policy_ended(&p, 1, false, now, 0);
    ck_assert_uint_eq(next(), 1);
}
END_TEST

START_TEST(a_change_during_a_run_makes_it_due_once_more)
{
    diamond();
    policy_changed(&p, 0, 1);
    policy_started(&p, 1, now);
    policy_changed(&p, 0, 2);
    ck_assert_uint_eq(next(), 2);
    policy_ended(&p, 1, true, now, 0);
    policy_changed(&p, 1, 10);
    ck_assert_uint_eq(next(), 1);
    run(1, true, 10);
    ck_assert_uint_eq(state(1), POLICY_OK);
}
END_TEST

START_TEST(pause_is_the_least_time_between_two_starts)
{
    static const size_t zero[] = {0};
    uint64_t wake;
    begin(2);
    make(1, 1, zero);
    list[1].pause_ms = 500;
    policy_changed(&p, 0, 1);
    run(1, true, 10);
    policy_changed(&p, 0, 2);
    policy_settle(&p);
    ck_assert(policy_next(&p, now + 499, &wake) == POLICY_NONE && wake == now + 500);
    ck_assert(policy_next(&p, now + 500, &wake) == 1);
}
END_TEST

START_TEST(a_worker_that_dies_takes_its_run_along)
{
    diamond();
    policy_changed(&p, 0, 1);
    policy_started(&p, 1, now);
    policy_worker(&p, 1, false);
    ck_assert(state(1) == POLICY_DUE && next() == 2);
    run(2, true, 20);
    ck_assert_uint_eq(next(), POLICY_NONE);
    policy_worker(&p, 1, true);
    ck_assert_uint_eq(next(), 1);
}
END_TEST

/* ---- the model ---- */

/* What the program makes of its inputs; 0 is no content. */
static policy_content made_of(size_t r, const policy_content *inputs)
{
    uint64_t hash = 14695981039346656037u + r;
    for (size_t i = 0; i < list[r].input_count; i++)
        hash = (hash ^ inputs[i]) * 1099511628211u;
    return hash % 5 + 1; /* few: equal bytes of other inputs happen */
}

static unsigned runs[MOST];
static policy_content with[MOST][POLICY_INPUTS_MAX];

/* No version mixes old and new: what it reads is at rest, and made of the newest that is there. */
static bool model_may_start(size_t r)
{
    for (size_t i = 0; i < list[r].input_count; i++) {
        const struct policy_resource *in = &list[list[r].inputs[i]];
        policy_content of_newest[POLICY_INPUTS_MAX];
        bool pulled =
            in->input_count == 0; /* what was pulled counts, though another pull has failed */
        for (size_t k = 0; k < in->input_count; k++)
            of_newest[k] = list[in->inputs[k]].content;
        if ((in->state != POLICY_OK && !(pulled && in->state == POLICY_FAILED)) ||
            (!pulled && in->content != made_of(list[r].inputs[i], of_newest)))
            return false;
    }
    return true;
}

static void model_start(size_t r)
{
    policy_started(&p, r, now);
    memcpy(with[r], list[r].runs_with, sizeof with[r]);
    runs[r]++;
}

static void model_end(size_t r, bool good)
{
    policy_ended(&p, r, good, now, any(100000));
    if (good)
        policy_changed(&p, r, list[r].input_count > 0 ? made_of(r, with[r]) : any(6) + 1);
}

/* A restart knows what is committed, and of the runs those that made a version. */
static void model_restart(void)
{
    for (size_t i = 0; i < p.count; i++) {
        list[i].running = list[i].asked = list[i].asks = false;
        list[i].failures = 0;
        list[i].retry_ms = list[i].started_ms = 0;
    }
}

static void model_step(bool failures)
{
    size_t r = any(p.count);
    now += any(300);
    policy_settle(&p);
    switch (any(8)) {
    case 0:
        if (!list[r].made)
            policy_changed(&p, r, any(6) + 1);
        break;
    case 1:
        if (any(2) == 0)
            policy_asked(&p, r);
        else
            policy_due(&p, r);
        break;
    case 2:
        if (list[r].made)
            policy_worker(&p, r, any(2) == 0);
        break;
    case 3:
        if (any(20) == 0)
            model_restart();
        break;
    case 4:
    case 5:
        if (list[r].running)
            model_end(r, !failures || any(3) != 0);
        break;
    default:
        r = next();
        if (r == POLICY_NONE)
            break;
        ck_assert(model_may_start(r));
        model_start(r);
    }
}

/* All workers are there, all runs end well or badly as `bad` says, until nothing is left to be done now. */
static void model_rest(const bool *bad)
{
    size_t r;
    for (size_t i = 0; i < p.count; i++) {
        if (list[i].made)
            policy_worker(&p, i, true);
        if (list[i].running)
            model_end(i, !bad[i]);
    }
    for (int left = 10 * MOST; (r = next()) != POLICY_NONE; left--) {
        ck_assert_int_gt(left, 0);
        ck_assert(model_may_start(r));
        model_start(r);
        model_end(r, !bad[r]);
    }
}

static void model_check(const bool *bad)
{
    policy_settle(&p);
    for (size_t r = 0; r < p.count; r++) {
        policy_content inputs[POLICY_INPUTS_MAX];
        bool whole = true;
        for (size_t i = 0; i < list[r].input_count; i++) {
            inputs[i] = list[list[r].inputs[i]].content;
            whole = whole && inputs[i] != 0;
        }
        ck_assert(list[r].state != POLICY_DUE && list[r].state != POLICY_RUNNING);
        if (list[r].input_count > 0 && list[r].state == POLICY_OK && whole)
            ck_assert_uint_eq(list[r].content, made_of(r, inputs));
        if (list[r].state == POLICY_FAILED)
            ck_assert(bad[r]);
        if (list[r].state == POLICY_HELD)
            ck_assert(list[r].held_by < p.count && list[list[r].held_by].failures > 0 &&
                      list[list[r].held_by].input_count > 0);
    }
}

static void model_graph(void)
{
    size_t count = 2 + any(MOST - 1), sources = 1 + any(2);
    begin(count);
    memset(runs, 0, sizeof runs);
    for (size_t r = 0; r < sources; r++)
        if (any(2) == 0)
            make(r, 0, NULL); /* it is pulled, not put */
    for (size_t r = sources; r < count; r++) {
        size_t inputs[3], some = 1 + any(r < 3 ? r : 3);
        for (size_t i = 0; i < some; i++)
            inputs[i] = any(r);
        make(r, some, inputs);
        list[r].pause_ms = 0;
    }
}

START_TEST(at_rest_all_is_made_of_the_newest)
{
    for (unsigned order = 0; order < ORDERS; order++) {
        bool bad[MOST] = {false};
        seed = order;
        model_graph();
        for (size_t steps = 20 + any(60); steps > 0; steps--)
            model_step(true);
        for (size_t r = 0; r < p.count; r++)
            bad[r] = any(4) == 0;
        now += 100000; /* pauses are over */
        model_rest(bad);
        model_check(bad);
        /* Failures pass, and all is well. */
        memset(bad, 0, sizeof bad);
        now += 100000;
        model_rest(bad);
        model_check(bad);
        for (size_t r = 0; r < p.count; r++)
            ck_assert(list[r].state == POLICY_OK || list[r].state == POLICY_EMPTY);
        /* And then one change runs no step twice. */
        memset(runs, 0, sizeof runs);
        policy_changed(&p, 0, 100 + order);
        model_rest(bad);
        for (size_t r = 0; r < p.count; r++)
            ck_assert_uint_le(runs[r], 1);
    }
}
END_TEST

/* Whoever is due, whatever it is made from waits for: the last of them, as one would who does not know the rule. */
static size_t greedy(void)
{
    policy_settle(&p);
    for (size_t r = p.count; r-- > 0;)
        if (list[r].state == POLICY_DUE && list[r].worker)
            return r;
    return POLICY_NONE;
}

/* What the model is worth: without the rule of starts it sees versions that mix, and steps that run twice. */
START_TEST(without_the_start_rule_it_is_rejected)
{
    unsigned mixed = 0, twice = 0;
    for (unsigned order = 0; order < ORDERS / 100; order++) {
        bool none[MOST] = {false}, mixes = false, repeats = false;
        seed = order;
        model_graph();
        model_rest(none);
        memset(runs, 0, sizeof runs);
        for (size_t r = 0; r < p.count; r++)
            if (list[r].input_count == 0)
                policy_changed(&p, r, 100 + order);
        for (size_t r, left = 100 * MOST; left > 0 && (r = greedy()) != POLICY_NONE; left--) {
            mixes = mixes || !model_may_start(r);
            model_start(r);
            model_end(r, true);
            repeats = repeats || runs[r] > 1;
        }
        mixed += mixes;
        twice += repeats;
    }
    ck_assert_uint_gt(mixed, ORDERS / 1000);
    ck_assert_uint_gt(twice, ORDERS / 1000);
}
END_TEST

SUITE_MAIN("snapshot_policy", one_change_runs_each_step_once, what_stands_behind_a_failure_is_held,
           a_failed_pull_holds_nothing, a_time_that_comes_does_not_shorten_a_pause,
           who_asks_during_a_run_gets_another, pauses, a_new_input_or_a_wish_is_tried_at_once,
           a_change_during_a_run_makes_it_due_once_more, pause_is_the_least_time_between_two_starts,
           a_worker_that_dies_takes_its_run_along, at_rest_all_is_made_of_the_newest,
           without_the_start_rule_it_is_rejected)
