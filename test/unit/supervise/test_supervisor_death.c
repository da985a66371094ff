/*
 * test_supervisor_death.c: what follows from a death, and from a spawn that fails: the strategies, back-off, intensity.
 */
#include "test/unit/suite.h"
#include "test/unit/supervise/supervisor_fixture.h"

#include <errno.h>
#include <stdlib.h>

START_TEST(one_for_one_restarts_only_the_dead_one)
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

START_TEST(rest_for_one_restarts_what_came_after)
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

START_TEST(one_for_all_restarts_its_siblings)
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

/* It has died that often in a row, started again each time. */
static void dies_again(struct node *n, int times)
{
    for (int i = 0; i < times; i++) {
        dies(n, 1);
        now += 10000;
        supervisor_step();
        ck_assert_ptr_nonnull(n->process);
        supervisor_on_ready(n);
    }
}

START_TEST(a_restart_loop_is_not_ready)
{
    root->window.limit = branch->window.limit;
    all_ready();
    now += test_limits.stable_after_ms + 1;
    dies_again(a, 2);
    ck_assert(node_is_ready(root) && !a->unstable && a->deaths == 2);
    dies_again(a, 1);
    ck_assert(a->state == NODE_READY && a->unstable && a->deaths == 3);
    ck_assert(node_is_up(root) && !node_is_stable(root) && !node_is_ready(root) &&
              !node_is_ready(a));
    ck_assert(node_is_ready(branch));
    now = a->ready_at_ms + test_limits.stable_after_ms - 1;
    supervisor_step();
    ck_assert(a->unstable);
    now++;
    supervisor_step();
    ck_assert(!a->unstable && a->deaths == 0 && node_is_ready(root));
    dies_again(a, 1); /* after a stable run it begins anew */
    ck_assert(a->deaths == 1);
}
END_TEST

static void ends(struct node *n, int code, const char *obituary)
{
    struct death death = {.worker = n, .code = code};
    memcpy(death.last_exit, n->last_exit, sizeof death.last_exit);
    snprintf(n->last_exit, sizeof n->last_exit, "%s", obituary);
    n->process = NULL;
    supervisor_on_death(&death);
}

/* What has to be mended is what it dies of, not that it was stopped when another one died. */
START_TEST(a_stop_does_not_hide_what_it_dies_of)
{
    branch->strategy = POLICY_ONE_FOR_ALL;
    all_ready();
    ends(b, 1, "exited 3");
    expect("vb -c");
    dies(c, 0);
    now += 1000;
    expect("vc +b");
    supervisor_on_ready(b);
    supervisor_step();
    supervisor_on_ready(c);
    expect("^b +c ^c");
    dies(c, 1);
    expect("vc -b");
    ends(b, 0, "stopped");
    ck_assert_str_eq(b->last_exit, "exited 3");
    ck_assert_uint_eq(b->deaths, 1);
    ck_assert_str_eq(moves, "b GONE DRAINING>STOPPED");
    now += 1000;
    expect("vb +b");
    supervisor_on_ready(b);
    supervisor_step();
    supervisor_on_ready(c);
    dies(c, 1);
    ends(b, 1, "exited 4"); /* by itself, before it was its turn to be stopped */
    ck_assert_str_eq(b->last_exit, "exited 4");
}
END_TEST

START_TEST(what_it_died_of_before_a_long_run_is_forgotten_at_a_stop)
{
    branch->strategy = POLICY_ONE_FOR_ALL;
    all_ready();
    b->deaths = 1;
    snprintf(b->last_exit, sizeof b->last_exit, "exited 3");
    now += test_limits.stable_after_ms;
    dies(c, 1);
    expect("vc -b");
    ends(b, 0, "stopped");
    ck_assert_str_eq(b->last_exit, "stopped");
    ck_assert_uint_eq(b->deaths, 0);
}
END_TEST

START_TEST(an_order_forgets_a_restart_loop)
{
    all_ready();
    dies_again(a, 3);
    ck_assert(a->unstable);
    snprintf(a->last_exit, sizeof a->last_exit, "exited 3");
    supervisor_restart(a);
    ck_assert(!a->unstable && a->deaths == 0);
    supervisor_step();
    ends(a, 0, "stopped");
    ck_assert_str_eq(a->last_exit, "stopped");
}
END_TEST

static int short_of; /* errno of the next births; 0: they succeed */

static int fake_spawn_short(struct node *n)
{
    return short_of != 0 ? -short_of : fake_spawn(n);
}

/* A shortage of the machine's: nobody's intensity, nobody is stopped, and it ends by itself. */
START_TEST(a_shortage_is_nobodys_death)
{
    static struct supervisor_ops ops;
    ops = fake_ops;
    ops.spawn = fake_spawn_short;
    short_of = 0;
    teardown();
    setup_with(&ops);
    branch->strategy = POLICY_ONE_FOR_ALL;
    all_ready();
    dies(b, 1); /* its siblings go with it, once */
    now += 60000;
    short_of = EMFILE;
    expect("vb -c");
    dies(c, 0);
    expect("vc");
    uint64_t failures = b->failures;
    for (int i = 0; i < 20; i++) {
        now += POLICY_SHORTAGE_MS;
        supervisor_step();
        ck_assert_int_eq(b->state, NODE_BACKOFF);
        ck_assert(b->is_short && !b->unstable && b->failures == failures);
    }
    ck_assert_uint_eq(branch->restarts + root->restarts, 0);
    ck_assert_ptr_nonnull(strstr(b->last_exit, "could not be started: "));
    ck_assert_ptr_nonnull(strstr(b->last_exit, contract_shortage_remedy(EMFILE)));
    ck_assert(a->process != NULL && d->process != NULL && a->generation == 1);
    short_of = 0;
    now += POLICY_SHORTAGE_MS;
    expect("+b");
    ck_assert(!b->is_short);
    supervisor_on_ready(b);
    expect("^b +c");
}
END_TEST

/* A worker that says so itself, before it could begin. */
START_TEST(who_ends_for_a_shortage_has_not_died)
{
    supervisor_start(a);
    expect("+a");
    for (int i = 0; i < 20; i++) {
        dies(a, CONTRACT_EXIT_SHORT);
        ck_assert(a->state == NODE_BACKOFF && a->is_short && a->failures == 0 && a->deaths == 0);
        ck_assert_uint_eq(a->restarts, 0);
        now += POLICY_SHORTAGE_MS;
        expect("+a");
    }
}
END_TEST

/* One that had begun is a loss to its siblings; but nobody's fault uses up nobody's intensity. */
START_TEST(who_cannot_go_on_for_a_shortage_is_started_again_and_again)
{
    branch->strategy = POLICY_ONE_FOR_ALL;
    all_ready();
    for (int i = 0; i < 20; i++) {
        dies(b, CONTRACT_EXIT_SHORT);
        expect("vb -c");
        dies(c, 0);
        expect("vc");
        ck_assert(b->is_short && b->failures == 0);
        now += POLICY_SHORTAGE_MS;
        expect("+b");
        supervisor_on_ready(b);
        expect("^b +c");
        supervisor_on_ready(c);
        expect("^c");
    }
    ck_assert(b->unstable); /* and is not ready, if it goes on like that */
    ck_assert_uint_eq(branch->restarts + root->restarts, 0);
    ck_assert(a->process != NULL && a->generation == 1 && branch->window.count == 0);
}
END_TEST

static const char *missing; /* name of who cannot be spawned */

static int fake_spawn_but_short(struct node *n)
{
    return strcmp(n->name, missing) == 0 ? -short_of : fake_spawn(n);
}

/* As one that fails: those behind it come up, unless they depend on it. */
START_TEST(a_shortage_of_one_holds_up_nobody)
{
    static struct supervisor_ops ops;
    ops = fake_ops;
    ops.spawn = fake_spawn_but_short;
    short_of = EAGAIN;
    missing = "b";
    teardown();
    setup_with(&ops);
    supervisor_start(branch);
    expect("+c");
    ck_assert(b->is_short && b->failures == 0);
    supervisor_stop(branch);
    dies(c, 0);
    supervisor_step();
    journal[0] = '\0';
    branch->strategy = POLICY_REST_FOR_ONE;
    supervisor_start(branch);
    expect("");
    short_of = 0;
    now += POLICY_SHORTAGE_MS;
    missing = "";
    expect("+b");
    supervisor_on_ready(b);
    expect("^b +c");
}
END_TEST

START_TEST(temporary_is_never_started_again)
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

START_TEST(transient_stays_down_after_a_clean_end)
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

START_TEST(configuration_error_is_fatal_until_an_order)
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

static int fatal_calls;

static void fake_on_fatal(void)
{
    fatal_calls++;
    supervisor_stop(root);
}

START_TEST(on_fatal_is_asked_instead_of_waiting)
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

/* As often as its branch's intensity allows, and once more: only what that leads to stands in the journal. */
static void dies_too_often(struct node *n)
{
    for (int i = 0; i < 3; i++) {
        dies(n, -1);
        supervisor_step();
        now += 200;
        supervisor_step();
        supervisor_on_ready(n);
    }
    journal[0] = '\0';
    dies(n, -1);
}

START_TEST(too_many_deaths_restart_the_branch_whole)
{
    all_ready();
    dies_too_often(b);
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

START_TEST(a_branch_comes_up_when_all_of_it_is_down)
{
    all_ready();
    dies_too_often(b);
    expect("vb -c");
    now += 60000;
    expect(""); /* the pause is over, but c still drains */
    dies(c, 0);
    expect("vc +b");
}
END_TEST

START_TEST(at_the_root_everything_waits_and_is_tried_again)
{
    all_ready();
    dies_too_often(a);
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

static const struct supervisor_ops failing_ops = {fake_spawn_fails, fake_stop, fake_force, fake_up,
                                                  fake_down,        NULL,      NULL,       NULL};

START_TEST(spawn_that_fails_is_a_death_before_ready)
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

static void fake_explain(const struct node *n, int error, struct buffer *out)
{
    ck_assert_int_eq(error, ENOENT);
    buffer_printf(out, "/there/%s: make it", n->name);
}

START_TEST(a_spawn_that_fails_is_explained)
{
    static struct supervisor_ops ops;
    ops = failing_ops;
    ops.explain = fake_explain;
    teardown();
    setup_with(&ops);
    supervisor_start(a);
    expect("?a");
    ck_assert_str_eq(a->last_exit, "could not be started: /there/a: make it");
}
END_TEST

static int fake_spawn_but_missing(struct node *n)
{
    return strcmp(n->name, missing) == 0 ? fake_spawn_fails(n) : fake_spawn(n);
}

static const struct supervisor_ops missing_ops = {
    fake_spawn_but_missing, fake_stop, fake_force, fake_up, fake_down, NULL, NULL, NULL};

static void setup_missing(const char *name)
{
    missing = name;
    teardown();
    setup_with(&missing_ops);
}

/* No other event comes that would make the supervisor look again. */
START_TEST(a_child_that_cannot_be_spawned_is_gone_at_once)
{
    setup_missing("child");
    all_ready();
    struct node *child = calloc(1, sizeof *child);
    ck_assert_ptr_nonnull(child);
    *child = (struct node){
        .kind = NODE_WORKER, .parent = root, .state = NODE_STOPPED, .child = true, .name = "child"};
    slice_copy(slice_of("a"), child->owner, sizeof child->owner);
    root->has_children = true;
    root->children[root->child_count++] = child;
    supervisor_start(child);
    expect("?child vchild");
    ck_assert_uint_eq(root->child_count, 3);
    ck_assert(!supervisor_is_merging(root));
    ck_assert(node_is_ready(root));
}
END_TEST

START_TEST(one_that_cannot_be_spawned_and_stays_down_holds_up_nobody)
{
    setup_missing("b");
    b->restart = POLICY_TEMPORARY;
    supervisor_start(branch);
    expect("?b +c");
}
END_TEST

/* b is gone from the disk: its last tries use up the branch's intensity, the end of it inside a pass. */
START_TEST(a_spawn_that_uses_up_the_intensity_stops_the_siblings_at_once)
{
    setup_missing("");
    all_ready();
    missing = "b";
    dies(b, -1);
    now += 50;
    expect("vb ?b");
    now += 100;
    expect("?b");
    now += 100;
    expect("?b -c"); /* the fourth death */
    ck_assert_uint_eq(branch->restarts, 1);
    now += 60000;
    missing = "";
    expect(""); /* the pause is over, but c still drains */
    dies(c, 0);
    expect("vc +b");
    supervisor_on_ready(b);
    expect("^b +c");
}
END_TEST

/* The rest of the pool has not run yet: it waits for the pause, too. */
START_TEST(one_for_all_holds_back_who_has_not_run_yet)
{
    setup_missing("b");
    branch->strategy = POLICY_ONE_FOR_ALL;
    b->pool = c->pool = 1;
    supervisor_start(branch);
    expect("?b");
    now += 60000;
    missing = "";
    expect("+b +c");
}
END_TEST

SUITE_MAIN_WITH("supervisor_death", setup, teardown, a_shortage_is_nobodys_death,
                a_shortage_of_one_holds_up_nobody, a_spawn_that_fails_is_explained,
                who_ends_for_a_shortage_has_not_died,
                who_cannot_go_on_for_a_shortage_is_started_again_and_again,
                a_restart_loop_is_not_ready, an_order_forgets_a_restart_loop,
                a_stop_does_not_hide_what_it_dies_of,
                what_it_died_of_before_a_long_run_is_forgotten_at_a_stop,
                one_for_one_restarts_only_the_dead_one, rest_for_one_restarts_what_came_after,
                one_for_all_restarts_its_siblings, temporary_is_never_started_again,
                transient_stays_down_after_a_clean_end, configuration_error_is_fatal_until_an_order,
                on_fatal_is_asked_instead_of_waiting, too_many_deaths_restart_the_branch_whole,
                a_branch_comes_up_when_all_of_it_is_down,
                at_the_root_everything_waits_and_is_tried_again,
                spawn_that_fails_is_a_death_before_ready,
                a_child_that_cannot_be_spawned_is_gone_at_once,
                one_that_cannot_be_spawned_and_stays_down_holds_up_nobody,
                a_spawn_that_uses_up_the_intensity_stops_the_siblings_at_once,
                one_for_all_holds_back_who_has_not_run_yet)
