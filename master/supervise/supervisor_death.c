/*
 * supervisor_death.c: what follows from a death: policy.h judges, here its verdict is carried out. See supervisor.h.
 */
#include "master/supervise/supervisor_private.h"

#include "common/log.h"
#include "proto/contract.h"

#include <stdio.h>
#include <string.h>

/* rest_for_one: what was started after n, under the same supervisor, is stopped and started again after it. */
static void supervisor_restart_rest(struct node *n)
{
    struct node *parent = n->parent;
    bool later = false;
    for (size_t i = 0; i < parent->child_count; i++) {
        if (later)
            supervisor_mark(parent->children[i], n);
        later = later || parent->children[i] == n;
    }
}

/* one_for_all: all of them go down, and come up again in order when the pause is over. */
static void supervisor_restart_all(struct node *n, uint64_t delay)
{
    struct node *parent = n->parent;
    supervisor_mark(parent, n);
    parent->next_start_ms = supervisor_now() + delay;
}

/* The branch's own back-off takes the place of its workers': they start in order again, as if for the first time. */
static void supervisor_clear_failures(struct node *worker, void *ctx)
{
    (void)ctx;
    worker->failures = 0;
}

/*
 * Too many deaths under `branch`: all of it goes down, and its parent decides as if it had died. At
 * the root: wait, try again.
 */
static void supervisor_escalate(struct node *branch)
{
    const struct policy_limits *l = &supervisor.settings.limits;
    uint64_t now = supervisor_now();
    policy_window_clear(&branch->window);
    supervisor_mark(branch, branch);
    tree_each_worker(branch, supervisor_clear_failures, NULL);
    branch->restarts++;
    /* A branch that has run since its last restart for longer than any pause starts its back-off anew. */
    bool stable = now - branch->state_since_ms > l->backoff_max_ms + l->stable_after_ms;
    branch->failures = stable ? 1 : branch->failures + 1;
    branch->state_since_ms = now;
    struct node *parent = branch->parent;
    if (parent == NULL && supervisor.settings.on_fatal != NULL) {
        log_error("tree-fatal", "name=%s remedy=\"on_fatal = exit: platoon ends\"", branch->name);
        supervisor.settings.on_fatal();
        return;
    }
    if (parent == NULL) {
        branch->next_start_ms = now + l->backoff_max_ms;
        log_error("tree-fatal", "name=%s next_try_ms=%llu remedy=\"see: platoonctl status\"",
                  branch->name, (unsigned long long)l->backoff_max_ms);
        return;
    }
    if (!policy_window_add(&parent->window, now)) {
        supervisor_escalate(parent);
        return;
    }
    uint64_t delay = policy_backoff(l, branch->failures, false, supervisor.settings.random());
    branch->next_start_ms = now + delay;
    log_error("branch-restart",
              "name=%s cause=\"more deaths than its intensity allows\" next_try_ms=%llu",
              branch->name, (unsigned long long)delay);
    if (parent->strategy == POLICY_REST_FOR_ONE)
        supervisor_restart_rest(branch);
    else if (parent->strategy == POLICY_ONE_FOR_ALL)
        supervisor_restart_all(branch, delay);
}

/* It was born and could not begin: no restart, as it is no death. */
static void supervisor_begin_later(struct node *n)
{
    n->restarts -= n->generation > 1 && n->restarts > 0;
    supervisor_wait_for_room(n);
}

/* What people are told of it; the back-off has its own count, which its branch may take over. */
static void supervisor_count_end(struct node *n, bool stable)
{
    n->deaths = stable ? 1 : n->deaths + 1;
    bool unstable = n->deaths >= POLICY_UNSTABLE_ENDS;
    if (unstable && !n->unstable)
        log_warn("worker-unstable", "name=%s deaths=%llu last=%s remedy=\"platoonctl logs %s\"",
                 n->name, (unsigned long long)n->deaths, log_quote_text(n->last_exit), n->name);
    n->unstable = unstable;
}

static void supervisor_retry(struct node *n, uint64_t delay)
{
    supervisor_move(n, STATE_EVENT_RETRY);
    n->next_start_ms = supervisor_now() + delay;
}

void supervisor_died(struct node *n, int code)
{
    if (n->child) {
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_retire_child(n);
        return;
    }
    uint64_t now = supervisor_now();
    struct policy_death death = {
        .code = code,
        .was_ready = n->was_ready,
        .ready_for_ms = n->was_ready ? now - n->ready_at_ms : 0,
        .restart = n->restart,
        .strategy = n->parent->strategy,
        .random = supervisor.settings.random(),
    };
    struct policy_verdict verdict =
        policy_judge(&n->limits, &death, &n->parent->window, &n->failures, now);
    if (verdict.action != POLICY_FATAL && verdict.action != POLICY_STAY_DOWN)
        supervisor_count_end(n, policy_was_stable(&n->limits, &death));
    if (code == CONTRACT_EXIT_SHORT && verdict.action != POLICY_STAY_DOWN)
        supervisor_note_shortage(n);
    switch (verdict.action) {
    case POLICY_RESTART_REST:
        supervisor_restart_rest(n);
        supervisor_retry(n, verdict.delay_ms);
        break;
    case POLICY_RESTART_ALL:
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_restart_all(n, verdict.delay_ms);
        break;
    case POLICY_RESTART:
        supervisor_retry(n, verdict.delay_ms);
        break;
    case POLICY_ESCALATE:
        supervisor_move(n, STATE_EVENT_GONE);
        supervisor_escalate(n->parent);
        break;
    case POLICY_FATAL:
        supervisor_move(n, STATE_EVENT_GIVE_UP);
        break;
    case POLICY_STAY_DOWN:
        n->wanted_up = false;
        n->finished = code == CONTRACT_EXIT_DONE;
        n->ended = !n->finished;
        n->unstable = false;
        snprintf(n->doing, sizeof n->doing,
                 n->finished ? "finished" : "ended, and is not restarted");
        supervisor_move(n, STATE_EVENT_GONE);
        break;
    }
}

/*
 * A stop for others' sake, of one that dies again and again: what is told of it stays what it died of, for that is what
 * has to be mended. After a long run there is nothing left to mend.
 */
static void supervisor_keep_cause(struct node *n, const struct death *d)
{
    if (n->was_ready && supervisor_now() - n->ready_at_ms >= n->limits.stable_after_ms)
        n->deaths = 0;
    if (n->deaths > 0 && d->last_exit[0] != '\0')
        memcpy(n->last_exit, d->last_exit, sizeof n->last_exit);
}

void supervisor_on_death(const struct death *d)
{
    struct node *n = d->worker;
    supervisor_uncount(n);
    supervisor_note_hello(n);
    if (n->was_ready || n->child)
        supervisor.ops->down(n, n->last_exit);
    supervisor_retire_children(n);
    if (n->child && n->cycle == NULL)
        supervisor_retire_child(n);
    /* Nobody waits for the end of one that stays down, but for the end of its whole cycle (supervisor_unmark). */
    bool stays = supervisor_must_be_down(n);
    bool stopped = n->state == NODE_DRAINING;
    if (stopped || stays) {
        supervisor_move(n, STATE_EVENT_GONE); /* or died while it waited to be told to stop */
        if (stopped)
            supervisor_keep_cause(n, d);
    } else if (d->code == CONTRACT_EXIT_SHORT && !n->was_ready && !n->child) {
        supervisor_begin_later(n);
    } else {
        supervisor_died(n, d->code);
    }
    supervisor.changed = true;
    supervisor_ask(!stays);
}
