/*
 * test_tree_merge.c: a running tree and the tree of another configuration: what is planned, what becomes of each node,
 * and random histories of reloads, deaths and orders, after which the tree is what the last configuration says and
 * nobody was restarted for nothing.
 */
#include "master/build/tree_merge.h"

#include "common/log.h"
#include "common/unpack.h"
#include "master/supervise/supervisor.h"
#include "master/build/tree_build.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HISTORIES 300

static struct place place;
static struct preflight paths;
static struct node *live;
static uv_loop_t loop;
static uint64_t now, dice;
static unsigned seed;
static size_t forgotten;

/* ---- a supervisor over processes that are no processes ---- */

static int fake_spawn(struct node *n)
{
    ck_assert_msg(n->process == NULL, "seed %u: two processes of %s", seed, n->name);
    ck_assert_msg(n->wanted_up && !n->retired, "seed %u: %s is not wanted", seed, n->name);
    n->process = (struct process *)n;
    n->generation++;
    return 0;
}

static void fake_stop(struct node *n)
{
    ck_assert_ptr_nonnull(n->process);
}

static void fake_up(struct node *n)
{
    ck_assert(n->state == NODE_READY);
}

static void fake_down(struct node *n, const char *reason)
{
    (void)n;
    (void)reason;
}

static void fake_forget(struct node *n)
{
    ck_assert_msg(n->process == NULL && n->retired, "seed %u: %s is freed too early", seed,
                  n->name);
    forgotten++;
}

static const struct supervisor_ops fake_ops = {fake_spawn, fake_stop,   fake_stop, fake_up,
                                               fake_down,  fake_forget, NULL,      NULL};

static uint64_t fake_now(void)
{
    return now;
}

static uint64_t roll(void)
{
    uint64_t z = dice += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t roll_to(uint64_t limit)
{
    return roll() % limit;
}

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)ctx;
    ck_assert_msg(level != LOG_LEVEL_ERROR || memmem(line.ptr, line.len, "illegal", 7) == NULL,
                  "seed %u: %.*s", seed, (int)line.len, line.ptr);
}

static void start(void)
{
    place_make(&place);
    paths = (struct preflight){.instance = "0123456789abcdef", .boot = 7, .lock_fd = -1};
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s", place.dir);
    snprintf(paths.runtime_dir, sizeof paths.runtime_dir, "%s/run", place.dir);
    log_set_sink(quiet, NULL);
    uv_loop_init(&loop);
    now = 1000;
    dice = 1;
}

static void supervise(void)
{
    struct supervisor_settings settings = {
        .limits = {.backoff_min_ms = 10, .backoff_max_ms = 100, .backoff_factor = 2},
        .now_ms = fake_now,
        .random = roll};
    ck_assert_int_eq(supervisor_init(&loop, live, &fake_ops, &settings), 0);
    supervisor_start(live);
}

static void settle_worker(struct node *n, void *ctx)
{
    (void)ctx;
    if (n->process != NULL && n->state == NODE_STARTING) {
        supervisor_on_ready(n);
    } else if (n->process != NULL && n->state == NODE_DRAINING) {
        n->process = NULL;
        supervisor_on_death(&(struct death){.worker = n, .code = 0});
    }
}

/* Nobody dies, everybody gets ready or stops. */
static void settle(void)
{
    for (int i = 0; i < 40; i++) {
        supervisor_step();
        tree_each_worker(live, settle_worker, NULL);
        now += 100;
    }
    supervisor_step();
}

static void finish(void)
{
    supervisor_stop(live);
    settle();
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert(node_is_stopped(live));
    tree_free(live);
    live = NULL;
    uv_loop_close(&loop);
    place_remove(&place);
}

static struct node *build(const char *text)
{
    struct buffer error = BUFFER_EMPTY;
    struct config *config = place_config(&place, text);
    struct node *root = tree_build(config, &paths, &error);
    ck_assert_msg(root != NULL, "seed %u: %s", seed, buffer_text(&error));
    config_free(config);
    buffer_fini(&error);
    return root;
}

/* Plans and merges; the plan as "start a.1 new; …". */
static const char *reload(const char *text)
{
    static char list[2048];
    struct node *wanted = build(text);
    struct buffer changes = BUFFER_EMPTY;
    int count = tree_merge_plan(live, wanted, &changes);
    ck_assert_int_ge(count, 0);
    struct unpack u = unpack_start(buffer_slice(&changes));
    list[0] = '\0';
    for (int i = 0; i < count; i++) {
        ck_assert_uint_eq(unpack_array(&u), 3);
        for (int k = 0; k < 3; k++) {
            struct slice word = unpack_str(&u);
            size_t len = strlen(list);
            snprintf(list + len, sizeof list - len, "%.*s%s", (int)word.len, word.ptr,
                     k < 2 ? " " : "; ");
        }
    }
    ck_assert(unpack_end(&u));
    buffer_fini(&changes);
    tree_merge(live, wanted);
    supervisor_merged();
    return list;
}

static struct node *find(const char *name)
{
    return tree_find(live, slice_of(name));
}

#define PLATOON "platoon { runtime_dir = run  state_dir = state }\n"

static void begin(const char *text)
{
    live = build(text);
    supervise();
    settle();
    ck_assert(node_is_ready(live));
}

/* ---- one change at a time ---- */

#define SITE PLATOON "supervisor site { children = \"db web\" }\nprogram db { command = db }\n"

START_TEST(nothing_changes)
{
    begin(SITE "program web { command = web processes = 3 }\n");
    struct node *web = find("site/web.2");
    ck_assert_str_eq(reload(SITE "program web { command = web processes = 3 }\n"), "");
    settle();
    ck_assert_ptr_eq(find("site/web.2"), web);
    ck_assert_uint_eq(web->generation, 1);
    ck_assert(!supervisor_is_merging(live));
}
END_TEST

START_TEST(a_pool_grows_and_shrinks_and_the_first_stay)
{
    begin(SITE "program web { command = web processes = 2 }\n");
    ck_assert_str_eq(reload(SITE "program web { command = web processes = 4 }\n"),
                     "start site/web.3 new; start site/web.4 new; ");
    ck_assert(supervisor_is_merging(live));
    settle();
    ck_assert(!supervisor_is_merging(live));
    ck_assert(node_is_ready(find("site/web.4")));
    ck_assert_str_eq(reload(SITE "program web { command = web processes = 1 }\n"),
                     "stop site/web.2 gone; stop site/web.3 gone; stop site/web.4 gone; ");
    settle();
    ck_assert_uint_eq(forgotten, 3);
    ck_assert_ptr_null(find("site/web.2"));
    ck_assert_uint_eq(find("site/web.1")->generation, 1);
    ck_assert_uint_eq(find("site")->child_count, 2);
}
END_TEST

START_TEST(what_is_told_restarts_and_the_rest_does_not)
{
    begin(SITE "program web { command = web processes = 2 }\n");
    ck_assert_str_eq(reload(SITE "program web { command = \"web --fast\" processes = 2 }\n"),
                     "restart site/web.1 command.argv.1; restart site/web.2 command.argv.1; ");
    settle();
    ck_assert_uint_eq(find("site/db.1")->generation, 1);
    ck_assert_uint_eq(find("site/web.1")->generation, 2);
    ck_assert_uint_eq(find("site/web.2")->generation, 2);
}
END_TEST

START_TEST(policy_changes_in_place)
{
    begin(SITE "program web { command = web }\n");
    ck_assert_str_eq(reload(PLATOON "supervisor site { children = \"db web\" strategy = "
                                    "rest_for_one intensity = 3 }\nprogram db { command = db }\n"
                                    "program web { command = web stop_timeout = 1s }\n"),
                     "update site strategy; update site/web.1 stop_timeout; ");
    settle();
    ck_assert_int_eq(find("site")->strategy, POLICY_REST_FOR_ONE);
    ck_assert_uint_eq(find("site")->window.limit, 3);
    ck_assert_uint_eq(find("site/web.1")->stop_timeout_ms, 1000);
    ck_assert_uint_eq(find("site/web.1")->generation, 1);
}
END_TEST

START_TEST(the_order_and_after_follow_the_file)
{
    begin(SITE "program web { command = web }\n");
    reload(PLATOON "supervisor site { children = \"web new db\" }\nprogram new { command = n }\n"
                   "program db { command = db }\nprogram web { command = web after = new }\n");
    settle();
    struct node *site = find("site");
    ck_assert_str_eq(site->children[0]->name, "site/web.1");
    ck_assert_str_eq(site->children[1]->name, "site/new.1");
    ck_assert_str_eq(site->children[2]->name, "site/db.1");
    ck_assert_uint_eq(site->children[0]->after_count, 1);
    ck_assert_ptr_eq(site->children[0]->after[0], site->children[1]);
    ck_assert_uint_eq(site->children[0]->generation, 1);
}
END_TEST

START_TEST(branches_come_and_go)
{
    begin(SITE "program web { command = web }\n");
    ck_assert_str_eq(reload(PLATOON "supervisor other { children = \"web\" }\nprogram web { "
                                    "command = web }\n"),
                     "start other/web.1 new; stop site/db.1 gone; stop site/web.1 gone; ");
    settle();
    ck_assert_ptr_null(find("site"));
    ck_assert(node_is_ready(find("other")));
    ck_assert_uint_eq(live->child_count, 1);
}
END_TEST

START_TEST(what_a_person_stopped_stays_stopped)
{
    begin(SITE "program web { command = web processes = 2 }\n");
    supervisor_stop(find("site/web.1"));
    settle();
    reload(SITE "program web { command = other processes = 2 }\n");
    settle();
    ck_assert(node_is_stopped(find("site/web.1")));
    ck_assert_uint_eq(find("site/web.2")->generation, 2);
    supervisor_stop(find("site"));
    settle();
    reload(SITE "program web { command = other processes = 3 }\n");
    settle();
    ck_assert_msg(node_is_stopped(find("site/web.3")), "its branch is stopped");
    supervisor_start(find("site"));
    settle();
    ck_assert(node_is_ready(find("site/web.3")));
}
END_TEST

START_TEST(a_one_off_that_finished_runs_again_when_changed)
{
    begin(SITE "program web { command = web restart = transient }\n");
    struct node *web = find("site/web.1");
    web->process = NULL;
    supervisor_on_death(&(struct death){.worker = web, .code = 0});
    settle();
    ck_assert(web->finished);
    reload(SITE "program web { command = web restart = transient }\n");
    settle();
    ck_assert_uint_eq(web->generation, 1);
    reload(SITE "program web { command = more restart = transient }\n");
    settle();
    ck_assert_uint_eq(web->generation, 2);
}
END_TEST

START_TEST(a_worker_that_cannot_work_is_tried_again_when_changed)
{
    begin(SITE "program web { command = web }\n");
    struct node *web = find("site/web.1");
    web->process = NULL;
    supervisor_on_death(&(struct death){.worker = web, .code = CONTRACT_EXIT_CONFIG});
    settle();
    ck_assert_int_eq(web->state, NODE_FATAL);
    reload(SITE "program web { command = better }\n");
    settle();
    ck_assert(node_is_ready(web));
}
END_TEST

START_TEST(what_cannot_come_true_is_not_waited_for)
{
    begin(SITE "program web { command = web }\n");
    struct node *web = find("site/web.1");
    reload(SITE "program web { command = worse }\nprogram last { command = last after = web }\n");
    ck_assert(supervisor_is_merging(live) && node_hopeless(live) == NULL);
    settle();
    web->process = NULL;
    supervisor_on_death(&(struct death){.worker = web, .code = CONTRACT_EXIT_CONFIG});
    settle();
    ck_assert_int_eq(web->state, NODE_FATAL);
    ck_assert_ptr_eq(node_hopeless(live), web);
    ck_assert(!supervisor_is_merging(live)); /* nor is an upgrade refused for it */
}
END_TEST

START_TEST(back_before_it_was_gone)
{
    begin(SITE "program web { command = web }\n");
    reload(PLATOON "supervisor site { children = \"db\" }\nprogram db { command = db }\n");
    supervisor_step();
    ck_assert_int_eq(find("site/web.1")->state, NODE_DRAINING);
    ck_assert_str_eq(reload(SITE "program web { command = other }\n"),
                     "start site/web.1 back again; ");
    settle();
    ck_assert(node_is_ready(find("site/web.1")));
    ck_assert_uint_eq(find("site/web.1")->generation, 2);
    ck_assert(!find("site/web.1")->retired);
}
END_TEST

START_TEST(back_before_it_was_told_to_go)
{
    begin(SITE "program web { command = web }\n");
    reload(PLATOON "supervisor site { children = \"db\" }\nprogram db { command = db }\n");
    reload(SITE "program web { command = other }\n");
    settle();
    ck_assert_msg(find("site/web.1")->generation == 2, "it runs on with the old command");
}
END_TEST

START_TEST(a_plan_changes_nothing)
{
    begin(SITE "program web { command = web processes = 2 }\n");
    struct node *wanted = build(PLATOON "program other { command = o }\n");
    struct buffer changes = BUFFER_EMPTY;
    ck_assert_int_eq(tree_merge_plan(live, wanted, &changes), 4);
    tree_free(wanted);
    buffer_fini(&changes);
    settle();
    ck_assert_uint_eq(find("site/web.2")->generation, 1);
    ck_assert_ptr_null(find("other.1"));
    ck_assert_str_eq(reload(SITE "program web { command = web processes = 2 }\n"), "");
}
END_TEST

/* No configuration has such names; a plan that meets them says so instead of believing it. */
START_TEST(a_branch_cannot_become_a_worker)
{
    begin(SITE "program web { command = web }\n");
    struct node *wanted = build(PLATOON "program site { command = o }\n");
    struct buffer changes = BUFFER_EMPTY;
    strcpy(wanted->children[0]->name, "site");
    ck_assert_int_eq(tree_merge_plan(live, wanted, &changes), -EEXIST);
    tree_free(wanted);
    buffer_fini(&changes);
}
END_TEST

/* ---- random histories ---- */

#define PROGRAMS 5

/* What the generated file says of each program. */
struct program {
    bool there, nested;
    unsigned command, processes, stop;
    int after; /* an earlier program; -1: none */
};

static void change(struct program *list)
{
    struct program *p = &list[roll_to(PROGRAMS)];
    switch (roll_to(6)) {
    case 0:
        p->there = !p->there;
        break;
    case 1:
        p->nested = !p->nested;
        break;
    case 2:
        p->command = (unsigned)roll_to(3);
        break;
    case 3:
        p->stop = (unsigned)roll_to(3);
        break;
    case 4:
        p->after = p == list ? -1 : (int)roll_to((uint64_t)(p - list)) - (int)roll_to(2);
        break;
    default:
        p->processes = 1 + (unsigned)roll_to(4);
        break;
    }
}

static const char *write_file(const struct program *list, const char *strategy)
{
    static char text[2048];
    int len = snprintf(text, sizeof text, PLATOON "supervisor s { strategy = %s children = \"keep",
                       strategy);
    for (int i = 0; i < PROGRAMS; i++)
        if (list[i].there && list[i].nested)
            len += snprintf(text + len, sizeof text - (size_t)len, " p%d", i);
    len += snprintf(text + len, sizeof text - (size_t)len, "\" }\nprogram keep { command = k }\n");
    for (int i = 0; i < PROGRAMS; i++) {
        const struct program *p = &list[i];
        if (!p->there)
            continue;
        bool after = p->after >= 0 && list[p->after].there;
        len += snprintf(text + len, sizeof text - (size_t)len,
                        "program p%d { command = c%u processes = %u stop_timeout = %us ", i,
                        p->command, p->processes, p->stop + 1);
        if (after)
            len += snprintf(text + len, sizeof text - (size_t)len, "after = p%d ", p->after);
        len += snprintf(text + len, sizeof text - (size_t)len, "}\n");
    }
    return text;
}

static struct node *any_worker(struct node *n)
{
    while (n->kind == NODE_BRANCH && n->child_count > 0)
        n = n->children[roll_to(n->child_count)];
    return n;
}

static void something_happens(void)
{
    struct node *n = any_worker(live);
    if (n->kind != NODE_WORKER)
        return;
    switch (roll_to(6)) {
    case 0:
        if (n->process == NULL)
            break;
        n->process = NULL;
        supervisor_on_death(&(struct death){.worker = n, .code = roll_to(2) ? -1 : 1});
        break;
    case 1:
        supervisor_restart(n);
        break;
    case 2:
        now += roll_to(200);
        break;
    default:
        settle_worker(n, NULL);
        break;
    }
    if (roll_to(2) == 0)
        supervisor_step();
}

/* The same names, order, kind and settings. */
static void expect_same(const struct node *a, const struct node *b)
{
    ck_assert_msg(strcmp(a->name, b->name) == 0, "seed %u: %s, not %s", seed, a->name, b->name);
    ck_assert_msg(a->child_count == b->child_count, "seed %u: children of %s", seed, a->name);
    ck_assert_msg(slice_equal(buffer_slice(&a->settings), buffer_slice(&b->settings)),
                  "seed %u: settings of %s", seed, a->name);
    ck_assert_msg(a->after_count == b->after_count, "seed %u: after of %s", seed, a->name);
    for (size_t i = 0; i < a->after_count; i++)
        ck_assert_ptr_eq(a->after[i], tree_find(live, slice_of(b->after[i]->name)));
    for (size_t i = 0; i < a->child_count; i++) {
        ck_assert_ptr_eq(a->children[i]->parent, a);
        expect_same(a->children[i], b->children[i]);
    }
}

/* A quiet reload: who was ready and is told the same keeps its process. */
static void check_quiet_reload(struct program *list)
{
    struct node *keep = find("s/keep.1");
    uint64_t generation = keep->generation;
    for (int i = 0; i < 3; i++)
        change(list);
    reload(write_file(list, "one_for_one"));
    settle();
    ck_assert_ptr_eq(find("s/keep.1"), keep);
    ck_assert_msg(keep->generation == generation, "seed %u: restarted for nothing", seed);
}

static void history(void)
{
    static const char *const strategies[] = {"one_for_one", "rest_for_one", "one_for_all"};
    struct program list[PROGRAMS];
    for (int i = 0; i < PROGRAMS; i++)
        list[i] = (struct program){.there = roll_to(2), .processes = 1, .after = -1};
    live = build(write_file(list, strategies[roll_to(3)]));
    supervise();
    for (int round = 0; round < 6; round++) {
        for (uint64_t i = roll_to(12); i > 0; i--)
            something_happens();
        change(list);
        reload(write_file(list, strategies[roll_to(3)]));
    }
    settle();
    settle();
    struct node *wanted = build(write_file(list, "one_for_one"));
    expect_same(live, wanted);
    tree_free(wanted);
    ck_assert_msg(node_is_up(live), "seed %u: not all are ready", seed);
    ck_assert_msg(!supervisor_is_merging(live), "seed %u: still merging", seed);
    check_quiet_reload(list);
}

START_TEST(random_reloads)
{
    const char *repeat = getenv("PLATOON_SEED");
    unsigned first = repeat != NULL ? (unsigned)strtoul(repeat, NULL, 10) : 0;
    unsigned last = repeat != NULL ? first + 1 : HISTORIES;
    for (seed = first; seed < last; seed++) {
        dice = seed;
        history();
        supervisor_stop(live);
        settle();
        supervisor_fini();
        uv_run(&loop, UV_RUN_DEFAULT);
        tree_free(live);
    }
    begin(PLATOON "program last { command = l }\n"); /* what finish() ends */
}
END_TEST

SUITE_MAIN_WITH("tree_merge", start, finish, nothing_changes,
                a_pool_grows_and_shrinks_and_the_first_stay,
                what_is_told_restarts_and_the_rest_does_not, policy_changes_in_place,
                the_order_and_after_follow_the_file, branches_come_and_go,
                what_a_person_stopped_stays_stopped,
                a_one_off_that_finished_runs_again_when_changed,
                a_worker_that_cannot_work_is_tried_again_when_changed,
                what_cannot_come_true_is_not_waited_for, back_before_it_was_gone,
                back_before_it_was_told_to_go, a_plan_changes_nothing,
                a_branch_cannot_become_a_worker, random_reloads)
