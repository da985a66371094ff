/*
 * test_supervisor.c: who is started and stopped, in which order, by a start, a stop and orders;
 * what it costs; who is told.
 */
#include "test/unit/suite.h"
#include "test/unit/supervise/supervisor_fixture.h"

#include "common/log.h"

#include <stdlib.h>

START_TEST(starts_in_order_each_after_ready)
{
    supervisor_start(root);
    expect("+a");
    expect("");
    supervisor_on_ready(a);
    expect("^a +b");
    supervisor_on_ready(b);
    expect("^b +c");
    supervisor_on_ready(c);
    expect("^c +d");
}
END_TEST

START_TEST(one_that_failed_does_not_hold_up_the_rest)
{
    supervisor_start(root);
    expect("+a");
    dies(a, 1);
    expect("+b"); /* a is in back-off */
    ck_assert_int_eq(a->state, NODE_BACKOFF);
    now += 100;
    expect("+a");
}
END_TEST

START_TEST(stops_in_reverse_order_one_after_the_other)
{
    all_ready();
    supervisor_stop(root);
    expect("-d");
    expect("");
    dies(d, 0);
    expect("vd -c");
    dies(c, 0);
    expect("vc -b");
    dies(b, 0);
    expect("vb -a");
    dies(a, 0);
    expect("va");
    ck_assert(node_is_stopped(root));
}
END_TEST

START_TEST(a_pool_goes_together)
{
    b->pool = c->pool = 1;
    supervisor_start(root);
    expect("+a");
    supervisor_on_ready(a);
    expect("^a +b +c");
    supervisor_on_ready(c);
    expect("^c"); /* d waits for all of them */
    supervisor_on_ready(b);
    expect("^b +d");
    supervisor_on_ready(d);
    expect("^d");
    supervisor_stop(root);
    expect("-d");
    dies(d, 0);
    expect("vd -c -b");
    dies(b, 0);
    expect("vb"); /* a waits for all of them too */
    dies(c, 0);
    expect("vc -a");
}
END_TEST

START_TEST(after_waits_for_what_it_names)
{
    struct node *needed[] = {d};
    b->after = needed;
    b->after_count = 1;
    supervisor_start(root);
    expect("+a");
    supervisor_on_ready(a);
    expect("^a +c"); /* b waits, and holds up nobody */
    ck_assert_str_eq(b->doing, "waits for d");
    supervisor_on_ready(c);
    expect("^c +d");
    supervisor_on_ready(d);
    expect("^d +b");
    supervisor_on_ready(b);
    expect("^b");
    dies(d, -1); /* what is up stays up; what comes up waits */
    dies(b, -1);
    now += 50;
    expect("vd vb +d");
    supervisor_on_ready(d);
    expect("^d +b");
}
END_TEST

/*
 * Not due yet when it was looked at, and due already when the next look was set: it waited for
 * whatever would happen next.
 */
START_TEST(what_comes_due_during_a_pass_is_started)
{
    all_ready();
    for (uint64_t early = 0; early < 10; early++) {
        now += 60000;
        dies(a, -1);
        ck_assert_int_eq(a->state, NODE_BACKOFF);
        now = a->next_start_ms - early;
        tick = 1;
        supervisor_step();
        while (a->process == NULL) {
            ck_assert_msg(uv_loop_alive(&loop), "%d ms early: nobody looks again", (int)early);
            uv_run(&loop, UV_RUN_ONCE);
        }
        tick = 0;
        supervisor_on_ready(a);
    }
}
END_TEST

static int fake_spawn_slowly(struct node *n)
{
    now += 15;
    return fake_spawn(n);
}

static const struct supervisor_ops slow_ops = {fake_spawn_slowly, fake_stop, fake_force, fake_up,
                                               fake_down,         NULL,      NULL,       NULL};

static void turns_until_started(const struct node *n)
{
    while (n->process == NULL) {
        ck_assert_msg(uv_loop_alive(&loop), "nobody goes on");
        uv_run(&loop, UV_RUN_ONCE);
    }
}

/* A thousand births take a second, in which nobody would be answered: the loop turns in between. */
START_TEST(a_start_of_many_is_cut_into_slices)
{
    teardown();
    setup_with(&slow_ops);
    all_ready();
    struct node *all[] = {a, b, c, d};
    for (size_t i = 0; i < 4; i++)
        dies(all[i], -1);
    supervisor_step();
    journal[0] = '\0';
    now += 60000;
    expect("+a +b");
    turns_until_started(c);
    expect("+c +d");
    for (size_t i = 0; i < 4; i++)
        supervisor_on_ready(all[i]);
    expect("^a ^b ^c ^d");
}
END_TEST

/* Whatever else a turn has taken long for, somebody is started in each. */
START_TEST(each_slice_starts_somebody)
{
    teardown();
    setup_with(&slow_ops);
    all_ready();
    dies(a, -1);
    dies(d, -1);
    supervisor_step();
    journal[0] = '\0';
    now += 60000;
    tick = POLICY_SLICE_MS;
    expect("+a");
    turns_until_started(d);
    tick = 0;
}
END_TEST

/* All of them READY and dead again; their pauses are over, and two may be born at once. */
static void all_wait_for_birth(void)
{
    teardown();
    most_newborns = 2;
    setup();
    most_newborns = 0;
    struct node *all[] = {a, b, c, d};
    supervisor_start(root);
    for (size_t i = 0; i < 4; i++) {
        supervisor_step();
        supervisor_on_hello(all[i]);
        supervisor_on_ready(all[i]);
    }
    for (size_t i = 0; i < 4; i++)
        dies(all[i], -1);
    supervisor_step();
    journal[0] = '\0';
    now += 60000;
}

START_TEST(births_wait_for_those_before_to_begin)
{
    all_wait_for_birth();
    expect("+a +b");
    expect("");
    supervisor_on_hello(a);
    expect("+c");
    supervisor_on_hello(a); /* said twice counts once */
    expect("");
    supervisor_on_ready(b); /* who is READY, and was not heard before, is none the less a newborn */
    expect("^b");
    dies(c, -1); /* a death makes room too */
    expect("+d");
}
END_TEST

/* And the loop goes on by itself when they have been silent for too long. */
START_TEST(newborns_that_hang_keep_nobody_down)
{
    all_wait_for_birth();
    expect("+a +b");
    now += POLICY_NEWBORN_MS - 1;
    expect("");
    now += 1;
    turns_until_started(d);
    expect("+c +d");
    supervisor_on_hello(a); /* late: of those that count now it is none */
    dies(c, -1);
    now += 60000;
    expect("+c");
}
END_TEST

START_TEST(two_restarts_at_once_make_one_process)
{
    all_ready();
    supervisor_restart(b);
    supervisor_restart(b);
    expect("-b");
    supervisor_restart(b);
    ck_assert(supervisor_is_restarting(b));
    dies(b, 0);
    expect("vb +b");
    ck_assert(!supervisor_is_restarting(b));
    supervisor_on_ready(b);
    expect("^b");
}
END_TEST

START_TEST(stop_during_back_off_starts_nothing)
{
    all_ready();
    dies(b, -1);
    supervisor_step();
    supervisor_stop(b);
    journal[0] = '\0';
    expect("");
    ck_assert_int_eq(b->state, NODE_STOPPED);
    now += 60000;
    expect("");
    supervisor_start(b);
    expect("+b");
}
END_TEST

START_TEST(restart_during_back_off_starts_at_once)
{
    all_ready();
    dies(b, -1);
    supervisor_step();
    supervisor_restart(b);
    journal[0] = '\0';
    expect("+b");
    expect("");
}
END_TEST

START_TEST(force_kills_every_process)
{
    all_ready();
    supervisor_force();
    ck_assert_str_eq(journal, "!a !b !c !d");
}
END_TEST

/* What it costs to restart a pool whose members end in start order, each in a turn of its own. */
static uint64_t visits_of_a_restart(size_t count)
{
    static struct node *none[1];
    struct node *pool = calloc(count, sizeof *pool);
    struct node **all = calloc(count, sizeof *all);
    ck_assert(pool != NULL && all != NULL);
    for (size_t i = 0; i < count; i++) {
        pool[i] =
            (struct node){.kind = NODE_WORKER, .parent = root, .state = NODE_STOPPED, .pool = 1};
        all[i] = &pool[i];
    }
    root->children = all;
    root->child_count = count;
    supervisor_start(root);
    supervisor_step();
    for (size_t i = 0; i < count; i++)
        supervisor_on_ready(all[i]);
    supervisor_step();
    uint64_t before = supervisor_visits();
    supervisor_restart(root);
    supervisor_step();
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(all[i]->state, NODE_DRAINING);
        ck_assert_ptr_nonnull(all[i]->cycle);
        journal[0] = '\0';
        dies(all[i], 0);
        supervisor_step();
    }
    for (size_t i = 0; i < count; i++)
        ck_assert(all[i]->process != NULL && all[i]->generation == 2);
    uint64_t visits = supervisor_visits() - before;
    root->children = none;
    root->child_count = 0;
    free(pool);
    free(all);
    return visits;
}

START_TEST(a_restart_of_many_costs_each_of_them_the_same)
{
    uint64_t few = visits_of_a_restart(250);
    uint64_t many = visits_of_a_restart(1000);
    ck_assert_msg(many <= 6 * few, "250: %llu visits, 1000: %llu", (unsigned long long)few,
                  (unsigned long long)many);
}
END_TEST

static char last_line[256];

static void keep_line(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)ctx;
    snprintf(last_line, sizeof last_line, "%.*s", (int)line.len, line.ptr);
}

START_TEST(a_move_is_logged_and_told_and_an_illegal_one_refused)
{
    supervisor_start(root);
    supervisor_step();
    log_set_sink(keep_line, NULL);
    supervisor_on_ready(a);
    ck_assert_str_eq(moves, "a READY STARTING>READY");
    ck_assert_str_eq(last_line,
                     "worker-state name=a from=STARTING to=READY event=READY generation=1");
    moves[0] = '\0';
    supervisor_on_death(&(struct death){.worker = d, .code = 1}); /* it has never run */
    ck_assert_str_eq(last_line, "worker-state-illegal name=d state=STOPPED event=RETRY");
    ck_assert_int_eq(d->state, NODE_STOPPED);
    ck_assert_str_eq(moves, "");
}
END_TEST

static int told;

static void on_change(void *ctx)
{
    told++;
    supervisor_watch_remove(ctx);
}

START_TEST(a_watch_may_remove_itself)
{
    struct supervisor_watch w = {.on_change = on_change, .ctx = &w};
    supervisor_watch_add(&w);
    supervisor_start(root);
    supervisor_step();
    supervisor_on_ready(a);
    supervisor_step();
    ck_assert_int_eq(told, 1);
}
END_TEST

static struct supervisor_watch *goes; /* the watch that the next call removes */
static char called[8];

static void on_change_remove_another(void *ctx)
{
    snprintf(called + strlen(called), sizeof called - strlen(called), "%s", (const char *)ctx);
    if (goes != NULL)
        supervisor_watch_remove(goes);
    goes = NULL;
}

/* Whoever stands behind the one that is removed is called all the same. */
START_TEST(a_watch_may_remove_any_other)
{
    static const char *const names[] = {"1", "2", "3", "4"};
    static const char *const heard[] = {"234", "134", "124", "123"};
    struct supervisor_watch w[4];
    for (size_t removed = 1; removed < 4; removed++) {
        for (size_t i = 4; i > 0; i--) {
            w[i - 1] = (struct supervisor_watch){.on_change = on_change_remove_another,
                                                 .ctx = (void *)(uintptr_t)names[i - 1]};
            supervisor_watch_add(&w[i - 1]);
        }
        goes = &w[removed];
        called[0] = '\0';
        supervisor_start(root);
        supervisor_step();
        ck_assert_str_eq(called, heard[removed]);
        for (size_t i = 0; i < 4; i++)
            supervisor_watch_remove(&w[i]);
    }
}
END_TEST

SUITE_MAIN_WITH("supervisor", setup, teardown, starts_in_order_each_after_ready,
                one_that_failed_does_not_hold_up_the_rest,
                stops_in_reverse_order_one_after_the_other, a_pool_goes_together,
                after_waits_for_what_it_names, what_comes_due_during_a_pass_is_started,
                a_start_of_many_is_cut_into_slices, each_slice_starts_somebody,
                births_wait_for_those_before_to_begin, newborns_that_hang_keep_nobody_down,
                two_restarts_at_once_make_one_process, stop_during_back_off_starts_nothing,
                restart_during_back_off_starts_at_once, force_kills_every_process,
                a_restart_of_many_costs_each_of_them_the_same,
                a_move_is_logged_and_told_and_an_illegal_one_refused, a_watch_may_remove_itself,
                a_watch_may_remove_any_other)
