/* snapshot_policy.c: see snapshot_policy.h. */
#include "workers/snapshot/snapshot_policy.h"

#include <string.h>

const char *policy_state_name(enum policy_state state)
{
    static const char *const names[] = {
#define X(NAME, name) [POLICY_##NAME] = name,
        POLICY_STATES(X)
#undef X
    };
    return names[state];
}

/* ---- events ---- */

/* What failed with other inputs may go with these. */
static void policy_forgive(struct policy_resource *r)
{
    r->failures = 0;
    r->retry_ms = 0;
}

void policy_changed(struct policy *p, size_t r, policy_content content)
{
    if (p->list[r].content == content)
        return;
    p->list[r].content = content;
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < p->list[i].input_count; k++)
            if (p->list[i].inputs[k] == r)
                policy_forgive(&p->list[i]);
}

void policy_asked(struct policy *p, size_t r)
{
    p->list[r].asked = p->list[r].made;
    policy_forgive(&p->list[r]);
}

void policy_due(struct policy *p, size_t r)
{
    p->list[r].asked = p->list[r].made;
}

void policy_later(struct policy *p, size_t r, uint64_t at_ms)
{
    if (p->list[r].failures > 0 && p->list[r].retry_ms < at_ms)
        p->list[r].retry_ms = at_ms;
}

/* Its run is over. What was asked for, and not done, is still owed. */
static void policy_over(struct policy_resource *r, bool good)
{
    r->asked = r->asked || (r->running && r->asks && !good);
    r->running = r->asks = false;
}

void policy_worker(struct policy *p, size_t r, bool there)
{
    struct policy_resource *one = &p->list[r];
    one->worker = there;
    if (!there)
        policy_over(one, false); /* and what its inputs were counts for nothing */
}

static void policy_inputs(const struct policy *p, const struct policy_resource *r,
                          policy_content now[POLICY_INPUTS_MAX])
{
    for (size_t i = 0; i < r->input_count; i++)
        now[i] = p->list[r->inputs[i]].content;
}

void policy_started(struct policy *p, size_t r, uint64_t now_ms)
{
    struct policy_resource *one = &p->list[r];
    policy_inputs(p, one, one->runs_with);
    one->running = true;
    one->asks = one->asked;
    one->asked = false; /* who asks from now on wants another one */
    one->started_ms = now_ms;
}

static uint64_t policy_pause(const struct policy_resource *r, uint64_t jitter)
{
    uint64_t most = r->retry_min_ms;
    for (unsigned i = 1; i < r->failures && most < r->retry_max_ms; i++)
        most = most > r->retry_max_ms / 2 ? r->retry_max_ms : 2 * most;
    return r->retry_min_ms + (most > r->retry_min_ms ? jitter % (most - r->retry_min_ms + 1) : 0);
}

static bool policy_same(const struct policy_resource *r, const policy_content *then,
                        const policy_content *now)
{
    return memcmp(then, now, r->input_count * sizeof *now) == 0;
}

void policy_ended(struct policy *p, size_t r, bool good, uint64_t now_ms, uint64_t jitter)
{
    struct policy_resource *one = &p->list[r];
    policy_content now[POLICY_INPUTS_MAX];
    policy_over(one, good);
    if (good) {
        memcpy(one->ran_with, one->runs_with, sizeof one->ran_with);
        one->ran = true;
        policy_forgive(one);
        return;
    }
    policy_inputs(p, one, now);
    if (!policy_same(one, one->runs_with, now))
        return; /* there is another input by now: at once */
    one->failures++;
    one->retry_ms = now_ms + policy_pause(one, jitter);
}

/* ---- states ---- */

static bool policy_stale(const struct policy *p, const struct policy_resource *r)
{
    policy_content now[POLICY_INPUTS_MAX];
    policy_inputs(p, r, now);
    for (size_t i = 0; i < r->input_count; i++)
        if (now[i] == 0)
            return false; /* it cannot be made yet */
    return r->asked || !r->ran || !policy_same(r, r->ran_with, now);
}

/* What has failed above it; POLICY_NONE: nothing. */
static size_t policy_held_by(const struct policy *p, const struct policy_resource *r)
{
    for (size_t i = 0; i < r->input_count; i++) {
        const struct policy_resource *in = &p->list[r->inputs[i]];
        if (in->failures > 0 && in->input_count > 0)
            return r->inputs[i];
        if (in->state == POLICY_HELD)
            return in->held_by;
    }
    return POLICY_NONE;
}

static enum policy_state policy_state_of(const struct policy *p, struct policy_resource *r)
{
    r->held_by = POLICY_NONE;
    if (!r->made)
        return r->content != 0 ? POLICY_OK : POLICY_EMPTY;
    if (r->running)
        return POLICY_RUNNING;
    r->held_by = policy_held_by(p, r);
    if (r->held_by != POLICY_NONE)
        return POLICY_HELD;
    if (policy_stale(p, r))
        return r->failures > 0 ? POLICY_FAILED : POLICY_DUE;
    return r->content != 0 || r->ran ? POLICY_OK : POLICY_EMPTY;
}

static bool policy_waits(const struct policy *p, const struct policy_resource *r)
{
    for (size_t i = 0; i < r->input_count; i++) {
        const struct policy_resource *in = &p->list[r->inputs[i]];
        bool failed = in->state == POLICY_FAILED && in->input_count > 0;
        if (in->waits || in->state == POLICY_DUE || in->state == POLICY_RUNNING || failed ||
            in->state == POLICY_HELD)
            return true;
    }
    return false;
}

void policy_settle(struct policy *p)
{
    for (size_t i = 0; i < p->count; i++) {
        p->list[i].state = policy_state_of(p, &p->list[i]);
        p->list[i].waits = policy_waits(p, &p->list[i]);
    }
}

/* ---- what is next ---- */

size_t policy_next(const struct policy *p, uint64_t now_ms, uint64_t *wake_ms)
{
    *wake_ms = UINT64_MAX;
    for (size_t i = 0; i < p->count; i++) {
        const struct policy_resource *r = &p->list[i];
        if ((r->state != POLICY_DUE && r->state != POLICY_FAILED) || !r->worker || r->waits)
            continue;
        uint64_t at = r->state == POLICY_FAILED ? r->retry_ms : 0;
        if (r->started_ms != 0 && r->pause_ms > 0 && r->started_ms + r->pause_ms > at)
            at = r->started_ms + r->pause_ms;
        if (at <= now_ms)
            return i;
        *wake_ms = at < *wake_ms ? at : *wake_ms;
    }
    return POLICY_NONE;
}
