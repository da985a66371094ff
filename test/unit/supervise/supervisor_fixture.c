/* supervisor_fixture.c: see supervisor_fixture.h. */
#include "test/unit/supervise/supervisor_fixture.h"

#include "common/log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t now;
char journal[4096];
uv_loop_t loop;
static struct node nodes[8];
static struct node *root_children[4], *branch_children[4];

static void note(char mark, const struct node *n)
{
    size_t len = strlen(journal);
    snprintf(journal + len, sizeof journal - len, "%s%c%s", len > 0 ? " " : "", mark, n->name);
}

int fake_spawn(struct node *n)
{
    n->process = (struct process *)n;
    n->generation++;
    note('+', n);
    return 0;
}

int fake_spawn_fails(struct node *n)
{
    note('?', n);
    return -2;
}

void fake_stop(struct node *n)
{
    note('-', n);
}

void fake_force(struct node *n)
{
    note('!', n);
}

void fake_up(struct node *n)
{
    note('^', n);
}

void fake_down(struct node *n, const char *reason)
{
    (void)reason;
    note('v', n);
}

char moves[256];

static void fake_moved(const struct node *n, enum node_state from, enum state_event event)
{
    snprintf(moves, sizeof moves, "%s %s %s>%s", n->name, state_event_name(event),
             node_state_name(from), node_state_name(n->state));
}

const struct supervisor_ops fake_ops = {fake_spawn, fake_stop, fake_force, fake_up,
                                        fake_down,  NULL,      fake_moved, NULL};

uint64_t tick;
size_t most_newborns;

uint64_t fake_now(void)
{
    now += tick;
    return now;
}

uint64_t fake_random(void)
{
    return 50; /* delays of 50 ms after a run, 100 ms before READY */
}

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

const struct policy_limits test_limits = {
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

struct node *root, *branch, *a, *b, *c, *d;

void setup_with(const struct supervisor_ops *ops)
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
        .newborns = most_newborns,
    };
    uv_loop_init(&loop);
    ck_assert_int_eq(supervisor_init(&loop, root, ops, &settings), 0);
}

void setup(void)
{
    setup_with(&fake_ops);
}

void teardown(void)
{
    supervisor_fini();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    free(root->window.at_ms);
    free(branch->window.at_ms);
}

void expect(const char *acts)
{
    supervisor_step();
    ck_assert_str_eq(journal, acts);
    journal[0] = '\0';
}

void dies(struct node *n, int code)
{
    n->process = NULL;
    supervisor_on_death(&(struct death){.worker = n, .code = code});
}

void all_ready(void)
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
