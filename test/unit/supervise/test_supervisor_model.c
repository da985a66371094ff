/*
 * test_supervisor_model.c: the supervisor against 100,000 random histories of deaths, orders and leaps of the clock.
 *
 * Random trees of three levels with random strategies, restart modes and `after`; processes that get ready, die, are
 * slow to stop, or cannot be started. At every moment: never two processes of one worker; nothing is stopped while what
 * was started after it still has to go; nobody starts before what it waits for; no supervisor grants more restarts than
 * its intensity. In the end, when nothing dies any more: who is wanted runs, who is not does not. A failing history
 * prints its seed; PLATOON_SEED repeats it.
 */
#include "master/supervise/supervisor.h"

#include "common/log.h"
#include "test/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define HISTORIES 100000
#define EVENTS    40
#define NODES     24
#define GRANTS    64

static uint64_t now, dice;
static uint64_t tick; /* how much later it is each time the supervisor asks */
static unsigned seed;
static struct node nodes[NODES];
static struct node *children[NODES][NODES], *after[NODES][1];
static uint64_t rings[NODES][8];
static size_t node_count;
static bool calm; /* the end of a history: nothing goes wrong any more */
static uv_loop_t loop;

/*
 * Deaths a supervisor has answered by a restart since it last escalated, was ordered about, or
 * saw an escalation above it.
 */
static struct {
    uint64_t at_ms[GRANTS];
    size_t count;
} grants[NODES];

#define HOLD(condition) ck_assert_msg(condition, "seed %u: " #condition, seed)

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014. */
static uint64_t roll(void)
{
    uint64_t z = dice += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t roll_to(uint64_t limit)
{
    return roll() % limit;
}

static size_t index_of(const struct node *n)
{
    return (size_t)(n - nodes);
}

/* ---- the process layer ---- */

static int fake_spawn(struct node *n)
{
    HOLD(n->process == NULL);
    HOLD(n->wanted_up && n->cycle == NULL);
    for (size_t i = 0; i < n->after_count; i++)
        HOLD(node_is_up(n->after[i]));
    if (!calm && roll_to(20) == 0)
        return -11;
    n->process = (struct process *)n;
    n->generation++;
    return 0;
}

static void check_later_is_down(struct node *n, void *ctx)
{
    const struct node *stopped = ctx;
    bool must_go = !n->wanted_up || n->cycle != NULL;
    bool pool = n->pool != 0 && n->pool == stopped->pool;
    if (index_of(n) > index_of(stopped) && must_go && !pool)
        HOLD(n->process == NULL);
}

/* Nodes lie in start order in the array. */
static void fake_stop(struct node *n)
{
    HOLD(n->process != NULL && (!n->wanted_up || n->cycle != NULL));
    tree_each_worker(&nodes[0], check_later_is_down, n);
}

static void fake_force(struct node *n)
{
    HOLD(n->process != NULL);
}

static void fake_up(struct node *n)
{
    HOLD(n->state == NODE_READY);
}

static void fake_down(struct node *n, const char *reason)
{
    (void)reason;
    HOLD(n->process == NULL);
}

static const struct supervisor_ops fake_ops = {fake_spawn, fake_stop, fake_force, fake_up,
                                               fake_down,  NULL,      NULL,       NULL};

static uint64_t fake_now(void)
{
    now += tick;
    return now;
}

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)line;
    (void)ctx;
    HOLD(level != LOG_LEVEL_ERROR || ctx == NULL);
}

/* ---- trees ---- */

static struct node *add(enum node_kind kind, struct node *parent)
{
    size_t at = node_count++;
    struct node *n = &nodes[at];
    *n = (struct node){.kind = kind, .parent = parent, .state = NODE_STOPPED};
    snprintf(n->name, sizeof n->name, "n%zu", at);
    n->strategy = (enum policy_strategy)roll_to(3);
    n->restart = roll_to(4) > 0 ? POLICY_PERMANENT : (enum policy_restart)roll_to(3);
    n->limits = (struct policy_limits){.backoff_min_ms = 1 + roll_to(100),
                                       .backoff_max_ms = 1 + roll_to(5000),
                                       .backoff_factor = 1 + roll_to(3),
                                       .stable_after_ms = 1000};
    n->children = children[at];
    n->window = (struct restart_window){
        .at_ms = rings[at], .limit = 1 + roll_to(8), .period_ms = 1000 + roll_to(5000)};
    if (parent != NULL)
        parent->children[parent->child_count++] = n;
    return n;
}

/*
 * Depth first, so that a node's place in the array is its place in the start order. Waits only for what comes before
 * it: rings are tree_after.c's.
 */
static void grow(struct node *parent, int depth)
{
    size_t count = 1 + roll_to(4);
    for (size_t i = 0; i < count && node_count < NODES; i++) {
        if (depth < 3 && roll_to(3) == 0) {
            grow(add(NODE_BRANCH, parent), depth + 1);
            continue;
        }
        struct node *n = add(NODE_WORKER, parent);
        struct node *before =
            parent->child_count > 1 ? parent->children[parent->child_count - 2] : n;
        bool joins = before != n && before->kind == NODE_WORKER && roll_to(3) == 0;
        n->pool = joins ? before->pool : (uint32_t)node_count;
        struct node *other = &nodes[1 + roll_to(node_count - 1)];
        if (roll_to(5) == 0 && other->kind == NODE_WORKER && other != n) {
            after[index_of(n)][0] = other;
            n->after = after[index_of(n)];
            n->after_count = 1;
        }
    }
}

static void begin(void)
{
    dice = seed;
    now = 1000000 + roll_to(1000000);
    node_count = 0;
    calm = false;
    memset(grants, 0, sizeof grants);
    grow(add(NODE_BRANCH, NULL), 1);
    struct supervisor_settings settings = {.limits = {.backoff_min_ms = 10,
                                                      .backoff_max_ms = 2000,
                                                      .backoff_factor = 2,
                                                      .stable_after_ms = 1000},
                                           .now_ms = fake_now,
                                           .random = roll};
    ck_assert_int_eq(supervisor_init(&loop, &nodes[0], &fake_ops, &settings), 0);
    supervisor_start(&nodes[0]);
}

static void end(void)
{
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
}

/* ---- events ---- */

/* A pass takes its time, too. */
static void step(void)
{
    tick = roll_to(3);
    supervisor_step();
    tick = 0;
}

static void forget_grants(void)
{
    memset(grants, 0, sizeof grants);
}

static uint64_t all_branch_restarts(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < node_count; i++)
        sum += nodes[i].kind == NODE_BRANCH ? nodes[i].restarts : 0;
    return sum;
}

static void note_grant(const struct node *branch)
{
    size_t at = index_of(branch);
    if (grants[at].count == GRANTS)
        return;
    grants[at].at_ms[grants[at].count++] = now;
    size_t within = 0;
    for (size_t i = 0; i < grants[at].count; i++)
        within += now - grants[at].at_ms[i] < branch->window.period_ms;
    HOLD(within <= branch->window.limit);
}

static void die(struct node *n)
{
    static const int codes[] = {-1, 0, 1, 3, CONTRACT_EXIT_CONFIG};
    int code = codes[roll_to(20) == 0 ? 4 : roll_to(4)];
    bool asked = n->state == NODE_DRAINING || !n->wanted_up || n->cycle != NULL;
    uint64_t before = all_branch_restarts();
    n->process = NULL;
    supervisor_on_death(&(struct death){.worker = n, .code = code});
    if (all_branch_restarts() != before)
        forget_grants();
    else if (!asked && n->wanted_up && n->state != NODE_FATAL)
        note_grant(n->parent);
}

static void order(void)
{
    struct node *n = &nodes[roll_to(node_count)];
    forget_grants();
    switch (roll_to(3)) {
    case 0:
        supervisor_start(n);
        break;
    case 1:
        supervisor_stop(n);
        break;
    default:
        supervisor_restart(n);
        break;
    }
}

static void something_happens(void)
{
    struct node *n = &nodes[roll_to(node_count)];
    switch (roll_to(8)) {
    case 0:
        order();
        break;
    case 1:
    case 2:
        if (n->process != NULL)
            die(n);
        break;
    case 3:
        now += roll_to(50) == 0 ? roll_to(86400000) : roll_to(3000); /* the machine slept */
        break;
    default:
        if (n->kind == NODE_WORKER && n->process != NULL && n->state == NODE_STARTING)
            supervisor_on_ready(n);
        else if (n->process != NULL && n->state == NODE_DRAINING)
            die(n);
        break;
    }
    /* A spawn that fails is a death of its own; those are not told apart here. */
    uint64_t before = all_branch_restarts();
    if (roll_to(3) > 0)
        step();
    if (all_branch_restarts() != before)
        forget_grants();
}

/* ---- the end: nothing dies any more ---- */

static void settle_worker(struct node *n, void *ctx)
{
    bool *settled = ctx;
    if (n->process == NULL)
        return;
    if (n->state == NODE_STARTING) {
        supervisor_on_ready(n);
        *settled = true;
    } else if (n->state == NODE_DRAINING) {
        n->process = NULL;
        supervisor_on_death(&(struct death){.worker = n, .code = 0});
        *settled = true;
    }
}

static void find_timer(uv_handle_t *handle, void *ctx)
{
    uv_timer_t **found = ctx;
    if (handle->type == UV_TIMER && uv_is_active(handle))
        *found = (uv_timer_t *)handle;
}

/* Only its own timer makes the supervisor look again: who it does not see to then is never started. */
static void settle(void)
{
    for (int i = 0; i < 1000; i++) {
        bool settled = false;
        tree_each_worker(&nodes[0], settle_worker, &settled);
        uv_timer_t *timer = NULL;
        uv_walk(&loop, find_timer, &timer);
        if (timer != NULL) {
            now += uv_timer_get_due_in(timer);
            uv_timer_stop(timer);
            step();
        } else if (!settled)
            return;
    }
    HOLD(!"it comes to rest");
}

static void check_end(struct node *n, void *ctx)
{
    (void)ctx;
    bool waits = false;
    for (size_t i = 0; i < n->after_count; i++)
        waits = waits || !node_is_up(n->after[i]);
    if (!n->wanted_up)
        HOLD(n->process == NULL);
    else if (n->state != NODE_FATAL && !waits)
        HOLD(n->state == NODE_READY || n->parent->strategy != POLICY_ONE_FOR_ONE);
    HOLD(n->cycle == NULL);
    HOLD((n->state == NODE_READY || n->state == NODE_STARTING) || n->process == NULL);
}

/*
 * Under rest_for_one and one_for_all what comes after a sibling that can never be ready (FATAL and stopped do
 * not count) waits with it.
 */
static void check_wanted(struct node *n, void *ctx)
{
    bool *stuck = ctx;
    *stuck = *stuck || (n->wanted_up && n->state != NODE_READY && n->state != NODE_FATAL &&
                        n->after_count == 0);
}

static bool anyone_waits_for_nothing(void)
{
    for (size_t i = 0; i < node_count; i++)
        for (size_t k = 0; k < nodes[i].after_count; k++)
            if (!node_is_up(nodes[i].after[k]))
                return true;
    return false;
}

START_TEST(test_random_histories)
{
    const char *repeat = getenv("PLATOON_SEED");
    unsigned first =
        repeat != NULL ? (unsigned)strtoul(repeat, NULL, 10) : (unsigned)_i * (HISTORIES / 10);
    unsigned count = repeat != NULL ? 1 : HISTORIES / 10;
    log_set_sink(quiet, NULL);
    uv_loop_init(&loop);
    for (seed = first; seed < first + count; seed++) {
        begin();
        for (int i = 0; i < EVENTS; i++)
            something_happens();
        calm = true;
        settle();
        tree_each_worker(&nodes[0], check_end, NULL);
        bool stuck = false;
        tree_each_worker(&nodes[0], check_wanted, &stuck);
        HOLD(!stuck || anyone_waits_for_nothing());
        supervisor_stop(&nodes[0]);
        settle();
        HOLD(node_is_stopped(&nodes[0]));
        end();
    }
    uv_loop_close(&loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervisor_model");
    TCase *tc = tcase_create("supervisor_model");
    tcase_set_timeout(tc, 240);
    tcase_add_loop_test(tc, test_random_histories, 0, 10);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
