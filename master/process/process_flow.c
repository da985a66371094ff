/*
 * process_flow.c: how much of the master's time a worker's link may take. See process_private.h.
 *
 * A small question may have a large answer, and nothing bounds how many are asked: so what they cost is counted, not
 * how many they are. Each link may take one part in PROCESS_FLOW_SHARE, and a burst beyond; then it is not read for
 * a while, and its worker waits in the kernel. All those together that always have more to say take no more than one of
 * them alone. Who is so for PROCESS_FLOOD_MS is ended: its beats stand behind the rest and would be late anyway. Who
 * asks much and waits for each answer (the health worker) is slowed, never ended.
 *
 * An answer that the master has asked for costs its worker nothing: its client asked for so much, and the next one's
 * would wait for it. One reply of 16 MB to a one-off command made a slow machine's worker deaf for ten seconds.
 *
 * The birth and the end of a temporary child are on its owner's account: it may ask for them without end.
 *
 * A limit of messages a second was rejected: a beat costs a thousandth of a look at a large tree.
 */
#include "master/process/process_private.h"

#include "common/clock.h"

#define PROCESS_FLOW_SHARE    20
#define PROCESS_FLOW_BURST_US 50000
#define PROCESS_FLOW_STEP_US  10000 /* paid back before it is read again */
#define PROCESS_FLOOD_MS      10000

/* Who leaves so much of ours unread is not read: its answers would only be added. Several answers of any size. */
#define PROCESS_FLOW_UNREAD_MAX (24u * 1024 * 1024)
#define PROCESS_FLOW_UNREAD_MS  100

/* A paused worker cannot be heard; it gets the time for its next beat on top. */
#define PROCESS_FLOW_BEAT_MS ((CONTRACT_QUIET_BEATS + 1) * CONTRACT_BEAT_MS)

static void process_flow_set_behind(struct process *p, bool behind, uint64_t now_ms)
{
    if (behind == (p->flow.behind_ms != 0))
        return;
    p->flow.behind_ms = behind ? now_ms : 0;
    process_context.behind += behind ? 1 : (size_t)-1;
}

static void process_flow_settle(struct process *p, uint64_t now_ms)
{
    struct process_flow *f = &p->flow;
    uint64_t paid = (now_ms - f->settled_ms) * 1000 / PROCESS_FLOW_SHARE;
    f->debt_us = f->debt_us > paid ? f->debt_us - paid : 0;
    f->settled_ms = now_ms;
    if (f->debt_us == 0)
        process_flow_set_behind(p, false, now_ms);
}

static void process_flow_pause(struct process *p, uint64_t now_ms, uint64_t ms)
{
    stream_pause(&p->link);
    p->flow.resume_ms = now_ms + ms;
    if (p->waiting_for == PROCESS_BEAT && !p->flow.unread &&
        p->deadline_ms < p->flow.resume_ms + PROCESS_FLOW_BEAT_MS)
        p->deadline_ms = p->flow.resume_ms + PROCESS_FLOW_BEAT_MS;
    process_arm(p);
}

void process_flow_charge(struct process *p, uint64_t us, uint64_t now_ms)
{
    struct process_flow *f = &p->flow;
    process_flow_settle(p, now_ms);
    f->debt_us += us;
    f->unread = stream_queued(&p->link) > PROCESS_FLOW_UNREAD_MAX;
    if (f->unread)
        process_flow_pause(p, now_ms, PROCESS_FLOW_UNREAD_MS);
    else if (f->debt_us > PROCESS_FLOW_BURST_US)
        process_flow_pause(p, now_ms,
                           (f->debt_us - PROCESS_FLOW_BURST_US + PROCESS_FLOW_STEP_US) *
                               PROCESS_FLOW_SHARE / 1000 *
                               (f->behind_ms != 0 ? process_context.behind : 1));
}

void process_flow_look(struct process *p, uint64_t now_ms)
{
    struct process_flow *f = &p->flow;
    if (f->resume_ms == 0 || f->resume_ms > now_ms)
        return;
    f->resume_ms = 0;
    f->unread = f->unread && stream_queued(&p->link) > PROCESS_FLOW_UNREAD_MAX;
    if (f->unread) {
        process_flow_pause(p, now_ms, PROCESS_FLOW_UNREAD_MS);
        return;
    }
    process_flow_set_behind(p, stream_is_behind(&p->link), now_ms);
    if (f->behind_ms != 0 && now_ms - f->behind_ms > PROCESS_FLOOD_MS) {
        process_blame(p,
                      "for %d s it has said more than one part in %d of the master's time can read",
                      PROCESS_FLOOD_MS / 1000, PROCESS_FLOW_SHARE);
        process_fault(p);
        return;
    }
    stream_resume(&p->link);
}

void process_flow_end(struct process *p)
{
    process_flow_set_behind(p, false, 0);
}

void process_charge_owner(const struct node *n, uint64_t us)
{
    const struct node *owner = n->child ? tree_find(n->parent, slice_of(n->owner)) : NULL;
    if (owner != NULL && owner->process != NULL && owner->process->linked)
        process_flow_charge(owner->process, us, clock_mono_ms());
}
