/*
 * supervisor_start.c: the pass that starts what is wanted: in order, each after the ones before it are READY or have
 * failed once, be it for a shortage; a pool at once. See supervisor.h.
 */
#include "master/supervise/supervisor_private.h"

#include "common/log.h"
#include "proto/contract.h"

#include <stdio.h>
#include <string.h>

/* One line for all who are kept waiting, and not one a second. */
static void supervisor_log_shortage(const struct node *n)
{
    uint64_t now = supervisor_now();
    if (supervisor.short_logged_ms != 0 &&
        now - supervisor.short_logged_ms < POLICY_SHORTAGE_LOG_MS)
        return;
    supervisor.short_logged_ms = now;
    log_error("machine-short", "name=%s cause=%s next_try_ms=%d", n->name,
              log_quote_text(n->last_exit), POLICY_SHORTAGE_MS);
}

void supervisor_note_shortage(struct node *n)
{
    n->is_short = true;
    supervisor_log_shortage(n);
}

/* Not a death: nothing is counted, and nobody who runs is stopped for it. */
void supervisor_wait_for_room(struct node *n)
{
    supervisor_note_shortage(n);
    supervisor_move(n, STATE_EVENT_RETRY);
    n->next_start_ms = supervisor_now() + POLICY_SHORTAGE_MS;
}

static void supervisor_say_why(struct node *n, int error)
{
    struct buffer why = BUFFER_EMPTY;
    if (supervisor.ops->explain != NULL)
        supervisor.ops->explain(n, error, &why);
    else if (contract_is_shortage(error))
        buffer_printf(&why, "%s: %s", strerror(error), contract_shortage_remedy(error));
    snprintf(n->last_exit, sizeof n->last_exit, "could not be started: %s",
             why.len > 0 && buffer_text(&why) != NULL ? why.data : strerror(error));
    buffer_fini(&why);
}

static void supervisor_spawn(struct node *n)
{
    supervisor_move(n, STATE_EVENT_SPAWN);
    n->was_ready = false;
    n->finished = n->ended = false;
    n->next_start_ms = 0;
    int rc = supervisor.ops->spawn(n);
    if (rc == 0) {
        supervisor_note_birth(n);
        n->is_short = false;
        n->restarts += n->generation > 1 && !n->child;
        return;
    }
    supervisor_say_why(n, -rc);
    if (contract_is_shortage(-rc) && !n->child) {
        supervisor_wait_for_room(n);
        return;
    }
    log_error("worker-spawn", "name=%s cause=%s", n->name, log_quote_text(n->last_exit));
    if (n->child) {
        n->generation++; /* its owner has been told this one */
        supervisor.ops->down(n, n->last_exit);
    }
    supervisor_died(n, CONTRACT_EXIT_TEMPORARY);
    supervisor_soon(); /* what it means for others: who retires, who stops, who need not wait for it */
}

/* One is always started: what else a turn has taken long for must not keep everybody down. */
static bool supervisor_slice_is_over(void)
{
    return supervisor.slice_starts > 0 && supervisor_now() >= supervisor.slice_end_ms;
}

/* ---- newborns ---- */

void supervisor_note_birth(struct node *n)
{
    n->newborn = supervisor.newborn_count;
    supervisor.newborns++;
    supervisor.born_ms = supervisor_now();
}

void supervisor_note_hello(struct node *n)
{
    if (n->newborn == supervisor.newborn_count)
        supervisor.newborns--;
    n->newborn = 0;
    /* Not with each of them: a pass looks at everybody. */
    if (supervisor.crowded && supervisor.newborns <= supervisor.settings.newborns / 2)
        supervisor_soon();
}

/*
 * Those that were born have yet to say HELLO. Who does not for long is in no count any more: a few that hang must not
 * keep everybody down.
 */
static bool supervisor_is_crowded(uint64_t now)
{
    if (supervisor.settings.newborns == 0 || supervisor.newborns < supervisor.settings.newborns)
        return false;
    if (now < supervisor.born_ms + POLICY_NEWBORN_MS)
        return true;
    supervisor.newborns = 0;
    supervisor.newborn_count++;
    return false;
}

/* For what stands in its `after`; the tree shows what that is. */
static bool supervisor_must_wait(struct node *n)
{
    for (size_t i = 0; i < n->after_count; i++) {
        if (node_is_up(n->after[i]))
            continue;
        snprintf(n->doing, sizeof n->doing, "waits for %s", n->after[i]->name);
        return true;
    }
    return false;
}

/*
 * Returns true when the next sibling may start: n is READY, is not to run, waits for something outside of the order, or
 * has failed, or found this machine short of something, and must not hold up the rest (under other strategies than
 * one_for_one it does: what comes after depends on it).
 */
static bool supervisor_start_worker(struct node *n, uint64_t now)
{
    if (supervisor_must_be_down(n) || n->state == NODE_FATAL)
        return true;
    if (n->state == NODE_STOPPED)
        supervisor_move(n, STATE_EVENT_WANT);
    if (n->process == NULL && supervisor_must_wait(n))
        return true;
    bool due = n->state == NODE_STARTING || (n->state == NODE_BACKOFF && n->next_start_ms <= now);
    if (n->process == NULL && due) {
        supervisor.crowded = supervisor.crowded || supervisor_is_crowded(now);
        supervisor.cut = supervisor.cut || supervisor_slice_is_over();
        if (supervisor.cut || supervisor.crowded)
            return false;
        supervisor_spawn(n);
        supervisor.slice_starts++;
    }
    bool failed = n->failures > 0 || n->is_short;
    return n->state == NODE_READY || (failed && n->parent->strategy == POLICY_ONE_FOR_ONE);
}

bool supervisor_start_pass(struct node *n, uint64_t now)
{
    supervisor.visits++;
    if (n->kind == NODE_WORKER)
        return supervisor_start_worker(n, now);
    if (n->next_start_ms > now)
        return n->parent == NULL ||
               n->parent->strategy == POLICY_ONE_FOR_ONE; /* its restart waits */
    n->next_start_ms = 0;
    bool ready = true, blocked = false;
    for (size_t i = 0; i < n->child_count; i++) {
        struct node *child = n->children[i];
        if (child->child) { /* stands behind all others, and waits for none of them */
            supervisor_start_pass(child, now);
            continue;
        }
        blocked = blocked || (!ready && !supervisor_is_pool(n->children[i - 1], child));
        if (blocked && !n->has_children)
            return false;
        ready = !blocked && supervisor_start_pass(child, now) && ready;
    }
    return ready;
}
