/* policy.c: what to do when a worker dies. Pure; see policy.h. */
#include "master/tree/policy.h"

#include "proto/contract.h"

/* The ceiling is backoff_min * factor^(failures - 1), at most backoff_max. */
static uint64_t policy_ceiling(const struct policy_limits *l, uint64_t failures)
{
    uint64_t ceiling = l->backoff_min_ms;
    uint64_t factor = l->backoff_factor;
    for (uint64_t i = 1; i < failures && factor > 1 && ceiling < l->backoff_max_ms; i++)
        ceiling = ceiling > l->backoff_max_ms / factor ? l->backoff_max_ms : ceiling * factor;
    return ceiling < l->backoff_max_ms ? ceiling : l->backoff_max_ms;
}

uint64_t policy_backoff(const struct policy_limits *l, uint64_t failures, bool was_ready,
                        uint64_t random)
{
    uint64_t ceiling = policy_ceiling(l, failures);
    /* Full jitter (M. Brooker, "Exponential Backoff and Jitter"): spreads workers that died of one cause. */
    uint64_t delay = random % (ceiling + 1);
    if (!was_ready && delay < l->backoff_min_ms)
        delay = l->backoff_min_ms < l->backoff_max_ms ? l->backoff_min_ms : l->backoff_max_ms;
    return delay;
}

bool policy_window_add(struct restart_window *w, uint64_t now_ms)
{
    /* The slot `next` holds the oldest of the last `limit` restarts once the ring is full. */
    if (w->count == w->limit && now_ms - w->at_ms[w->next] < w->period_ms)
        return false;
    w->at_ms[w->next] = now_ms;
    w->next = (w->next + 1) % w->limit;
    if (w->count < w->limit)
        w->count++;
    return true;
}

void policy_window_clear(struct restart_window *w)
{
    w->count = 0;
    w->next = 0;
}

bool policy_was_stable(const struct policy_limits *l, const struct policy_death *d)
{
    return d->was_ready && d->ready_for_ms >= l->stable_after_ms;
}

struct policy_verdict policy_judge(const struct policy_limits *l, const struct policy_death *d,
                                   struct restart_window *w, uint64_t *failures, uint64_t now_ms)
{
    if (d->code == CONTRACT_EXIT_CONFIG)
        return (struct policy_verdict){POLICY_FATAL, 0};
    if (d->restart == POLICY_TEMPORARY ||
        (d->restart == POLICY_TRANSIENT && d->code == CONTRACT_EXIT_DONE))
        return (struct policy_verdict){POLICY_STAY_DOWN, 0};

    static const enum policy_action actions[] = {
        [POLICY_ONE_FOR_ONE] = POLICY_RESTART,
        [POLICY_ONE_FOR_ALL] = POLICY_RESTART_ALL,
        [POLICY_REST_FOR_ONE] = POLICY_RESTART_REST,
    };
    /* Its siblings have lost it all the same; but nobody's fault uses up nobody's intensity. */
    if (d->code == CONTRACT_EXIT_SHORT)
        return (struct policy_verdict){actions[d->strategy], POLICY_SHORTAGE_MS};

    bool stable = policy_was_stable(l, d);
    *failures = stable ? 1 : *failures + 1;
    if (!policy_window_add(w, now_ms))
        return (struct policy_verdict){POLICY_ESCALATE, 0};
    /* Death after a stable run says nothing about the next one: replace at once. */
    uint64_t delay = stable ? 0 : policy_backoff(l, *failures, d->was_ready, d->random);
    return (struct policy_verdict){actions[d->strategy], delay};
}

bool policy_order_forces(uint64_t number, uint64_t after_first_ms)
{
    return number > 2 || (number == 2 && after_first_ms >= POLICY_PAIR_MS);
}

uint64_t policy_rest(uint64_t hang_timeout_ms)
{
    uint64_t rest = hang_timeout_ms / 3 * 2;
    if (rest + CONTRACT_REST_SPARE_MS > hang_timeout_ms)
        rest =
            hang_timeout_ms > CONTRACT_REST_SPARE_MS ? hang_timeout_ms - CONTRACT_REST_SPARE_MS : 0;
    return rest < CONTRACT_REST_MAX_MS ? rest : CONTRACT_REST_MAX_MS;
}

enum policy_doubt policy_doubt(enum policy_doubt doubt, uint64_t planned_ms, uint64_t now_ms)
{
    if (now_ms > planned_ms + POLICY_STOOD_STILL_MS)
        return POLICY_STOOD_STILL;
    return doubt == POLICY_UNREAD ? POLICY_NO_DOUBT : POLICY_UNREAD;
}
