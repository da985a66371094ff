/*
 * test_supervisor.c: the supervisor over a fake process layer and a fake clock: who is started and stopped, in which order.
 *
 * The fake layer writes one word per act into a journal ("+a" spawned, "-a" told to stop, "!a" killed, "^a" up, "va" down); tests
 * compare it. Processes get READY and exit when the test says so.
 */
#include "master/supervise/supervisor.h"

#include "common/log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t now;
static char journal[4096];
static struct node nodes[8];
static struct node *root_children[4], *branch_children[4];
static uv_loop_t loop;

static void note(char mark, const struct node *n)
{
    size_t len = strlen(journal);
    snprintf(journal + len, sizeof journal - len, "%s%c%s", len > 0 ? " " : "", mark, n->name);
}

static int fake_spawn(struct node *n)
{
    n->process = (struct worker_process *)n;
    n->generation++;
    note('+', n);
    return 0;
}

static int fake_spawn_fails(struct node *n)
{
    note('?', n);
    return -2;
}

static void fake_stop(struct node *n)
{
    note('-', n);
}

static void fake_force(struct node *n)
{
    note('!', n);
}

static void fake_up(struct node *n)
{
    note('^', n);
}

static void fake_down(struct node *n, const char *reason)
{
    (void)reason;
    note('v', n);
}

static const struct supervisor_ops fake_ops = {fake_spawn, fake_stop, fake_force,
                                               fake_up,    fake_down, NULL};

/* How much later it is each time it is asked. */
static uint64_t tick;

static uint64_t fake_now(void)
{
    now += tick;
    return now;
}

static uint64_t fake_random(void)
{
    return 50; /* delays of 50 ms after a run, 100 ms before READY */
}

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static const struct policy_limits test_limits = {
    .backoff_min_ms = 100, .backoff_max_ms = 30000, .backoff_factor = 2, .stable_after_ms = 10000};

static struct node *node_init(size_t at, const char *name, enum node_kind kind, struct node *parent)
{
    struct node *n = &nodes[at];
    *n =
        (struct node){.kind = kind, .parent = parent, .state = NODE_STOPPED, .limits = test_limits};
    slice_copy(slice_of(name), n->name, sizeof n->name);
    if (kind == NODE_BRANCH) {
        n->window = (struct restart_window){
            .at_ms = calloc(3, sizeof(uint64_t)), .limit = 3, .period_ms = 1000};
        n->children = parent == NULL ? root_children : branch_children;
    }
    if (parent != NULL)
        parent->children[parent->child_count++] = n;
    return n;
}

static struct node *root, *branch, *a, *b, *c, *d;

/* root: a, branch(b, c), d */
static void setup_with(const struct supervisor_ops *ops)
{
    log_set_sink(quiet, NULL);
    now = 1000;
    journal[0] = '\0';
    root = node_init(0, "root", NODE_BRANCH, NULL);
    a = node_init(1, "a", NODE_WORKER, root);
    branch = node_init(2, "branch", NODE_BRANCH, root);
    b = node_init(3, "b", NODE_WORKER, branch);
    c = node_init(4, "c", NODE_WORKER, branch);
    d = node_init(5, "d", NODE_WORKER, root);
    struct supervisor_settings settings = {
        .limits = test_limits,
        .now_ms = fake_now,
        .random = fake_random,
    };
    uv_loop_init(&loop);
    ck_assert_int_eq(supervisor_init(&loop, root, ops, &settings), 0);
}

static void setup(void)
{
    setup_with(&fake_ops);
}

static void teardown(void)
{
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    free(root->window.at_ms);
    free(branch->window.at_ms);
}

static void expect(const char *acts)
{
    supervisor_step();
    ck_assert_str_eq(journal, acts);
    journal[0] = '\0';
}

static void dies(struct node *n, int code)
{
    n->process = NULL;
    supervisor_on_exit(n, code);
}

static void all_ready(void)
{
    supervisor_start(root);
    for (int i = 0; i < 5; i++) {
        supervisor_step();
        for (size_t k = 1; k < 6; k++)
            if (nodes[k].kind == NODE_WORKER && nodes[k].process != NULL &&
                nodes[k].state == NODE_STARTING)
                supervisor_on_ready(&nodes[k]);
    }
    ck_assert(node_is_ready(root));
    journal[0] = '\0';
}

START_TEST(test_starts_in_order_each_after_ready)
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

START_TEST(test_one_that_failed_does_not_hold_up_the_rest)
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

START_TEST(test_stops_in_reverse_order_one_after_the_other)
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

START_TEST(test_one_for_one_restarts_only_the_dead_one)
{
    all_ready();
    now += 20000;
    dies(b, -1);
    expect("vb +b"); /* stable before: at once */
    ck_assert_uint_eq(b->restarts, 1);
    supervisor_on_ready(b);
    expect("^b");
    dies(b, -1);
    expect("vb");
    ck_assert_int_eq(b->state, NODE_BACKOFF);
    now += 50;
    expect("+b");
}
END_TEST

START_TEST(test_rest_for_one_restarts_what_came_after)
{
    branch->strategy = POLICY_REST_FOR_ONE;
    all_ready();
    now += 20000;
    dies(b, -1);
    expect("vb -c +b");
    dies(c, 0);
    expect("vc"); /* c waits for b */
    supervisor_on_ready(b);
    expect("^b +c");
    ck_assert_ptr_nonnull(d->process);
}
END_TEST

START_TEST(test_one_for_all_restarts_its_siblings)
{
    branch->strategy = POLICY_ONE_FOR_ALL;
    all_ready();
    now += 20000;
    dies(c, -1);
    expect("vc -b");
    dies(b, 0);
    expect("vb +b"); /* after a stable run without a pause; c in its turn */
    supervisor_on_ready(b);
    expect("^b +c");
    supervisor_on_ready(c);
    expect("^c");
    dies(b, -1); /* at once: now there is a pause, for all of them */
    expect("vb -c");
    dies(c, 0);
    expect("vc");
    now += 49;
    expect("");
    now += 1;
    expect("+b");
    dies(b, 1); /* never got ready: c is not started before it */
    now += 200;
    expect("+b");
    supervisor_on_ready(b);
    expect("^b +c");
    ck_assert(a->process != NULL && d->process != NULL && a->generation == 1);
}
END_TEST

START_TEST(test_a_pool_goes_together)
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

START_TEST(test_after_waits_for_what_it_names)
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

START_TEST(test_temporary_is_never_started_again)
{
    c->restart = POLICY_TEMPORARY;
    all_ready();
    dies(c, -1);
    now += 60000;
    expect("vc");
    ck_assert_int_eq(c->state, NODE_STOPPED);
    ck_assert(!c->wanted_up && !node_is_ready(branch));
    supervisor_start(c);
    expect("+c");
}
END_TEST

/* Not due yet when it was looked at, and due already when the next look was set: it waited for whatever would happen next. */
START_TEST(test_what_comes_due_during_a_pass_is_started)
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

static int fatal_calls;

static void fake_on_fatal(void)
{
    fatal_calls++;
    supervisor_stop(root);
}

START_TEST(test_on_fatal_is_asked_instead_of_waiting)
{
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    struct supervisor_settings settings = {.limits = test_limits,
                                           .now_ms = fake_now,
                                           .random = fake_random,
                                           .on_fatal = fake_on_fatal};
    ck_assert_int_eq(supervisor_init(&loop, root, &fake_ops, &settings), 0);
    all_ready();
    for (int i = 0; i < 4; i++) {
        dies(a, -1);
        now += 100;
        supervisor_step();
        if (a->process != NULL)
            supervisor_on_ready(a);
    }
    ck_assert_int_eq(fatal_calls, 1);
    ck_assert(!root->wanted_up);
    now += 100000;
    journal[0] = '\0';
    expect("");
}
END_TEST

START_TEST(test_too_many_deaths_restart_the_branch_whole)
{
    all_ready();
    for (int i = 0; i < 3; i++) {
        dies(b, -1);
        supervisor_step();
        now += 200;
        supervisor_step();
        supervisor_on_ready(b);
    }
    journal[0] = '\0';
    dies(b, -1);
    expect("vb -c");
    dies(c, 0);
    expect("vc");
    now += 100; /* the branch's own back-off */
    expect("+b");
    supervisor_on_ready(b);
    expect("^b +c");
    ck_assert_uint_eq(branch->restarts, 1);
    ck_assert_ptr_nonnull(a->process);
    ck_assert_ptr_nonnull(d->process);
}
END_TEST

START_TEST(test_at_the_root_everything_waits_and_is_tried_again)
{
    all_ready();
    for (int i = 0; i < 3; i++) {
        dies(a, -1);
        supervisor_step();
        now += 200;
        supervisor_step();
        supervisor_on_ready(a);
    }
    journal[0] = '\0';
    dies(a, -1);
    expect("va -d");
    dies(d, 0);
    dies(c, 0);
    dies(b, 0);
    supervisor_step();
    journal[0] = '\0';
    now += 29999;
    expect("");
    now += 1;
    expect("+a");
}
END_TEST

START_TEST(test_two_restarts_at_once_make_one_process)
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

START_TEST(test_stop_during_back_off_starts_nothing)
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

START_TEST(test_restart_during_back_off_starts_at_once)
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

START_TEST(test_configuration_error_is_fatal_until_an_order)
{
    all_ready();
    dies(c, CONTRACT_EXIT_CONFIG);
    expect("vc");
    ck_assert_int_eq(c->state, NODE_FATAL);
    now += 3600000;
    expect("");
    supervisor_start(c);
    expect("+c");
}
END_TEST

START_TEST(test_transient_stays_down_after_a_clean_end)
{
    all_ready();
    c->restart = POLICY_TRANSIENT;
    dies(c, 0);
    expect("vc");
    ck_assert_int_eq(c->state, NODE_STOPPED);
    ck_assert(node_is_ready(branch)); /* it has done what it is for */
    supervisor_start(c);
    expect("+c");
    ck_assert(!node_is_ready(branch));
    dies(c, 1);
    now += 200;
    expect("+c");
}
END_TEST

static const struct supervisor_ops failing_ops = {fake_spawn_fails, fake_stop, fake_force,
                                                  fake_up,          fake_down, NULL};

START_TEST(test_spawn_that_fails_is_a_death_before_ready)
{
    teardown();
    setup_with(&failing_ops);
    supervisor_start(a);
    expect("?a");
    ck_assert_int_eq(a->state, NODE_BACKOFF);
    ck_assert_str_eq(a->last_exit, "could not be started: No such file or directory");
    expect("");
    now += 200;
    expect("?a");
}
END_TEST

START_TEST(test_force_kills_every_process)
{
    all_ready();
    supervisor_force();
    ck_assert_str_eq(journal, "!a !b !c !d");
}
END_TEST

static int told;

static void on_change(void *ctx)
{
    told++;
    supervisor_watch_remove(ctx);
}

START_TEST(test_a_watch_may_remove_itself)
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

int main(void)
{
    Suite *suite = suite_create("supervisor");
    TCase *tc = tcase_create("supervisor");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_starts_in_order_each_after_ready);
    tcase_add_test(tc, test_one_that_failed_does_not_hold_up_the_rest);
    tcase_add_test(tc, test_stops_in_reverse_order_one_after_the_other);
    tcase_add_test(tc, test_one_for_one_restarts_only_the_dead_one);
    tcase_add_test(tc, test_rest_for_one_restarts_what_came_after);
    tcase_add_test(tc, test_one_for_all_restarts_its_siblings);
    tcase_add_test(tc, test_a_pool_goes_together);
    tcase_add_test(tc, test_after_waits_for_what_it_names);
    tcase_add_test(tc, test_temporary_is_never_started_again);
    tcase_add_test(tc, test_what_comes_due_during_a_pass_is_started);
    tcase_add_test(tc, test_on_fatal_is_asked_instead_of_waiting);
    tcase_add_test(tc, test_too_many_deaths_restart_the_branch_whole);
    tcase_add_test(tc, test_at_the_root_everything_waits_and_is_tried_again);
    tcase_add_test(tc, test_two_restarts_at_once_make_one_process);
    tcase_add_test(tc, test_stop_during_back_off_starts_nothing);
    tcase_add_test(tc, test_restart_during_back_off_starts_at_once);
    tcase_add_test(tc, test_configuration_error_is_fatal_until_an_order);
    tcase_add_test(tc, test_transient_stays_down_after_a_clean_end);
    tcase_add_test(tc, test_spawn_that_fails_is_a_death_before_ready);
    tcase_add_test(tc, test_force_kills_every_process);
    tcase_add_test(tc, test_a_watch_may_remove_itself);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
