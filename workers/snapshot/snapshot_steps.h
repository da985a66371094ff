/*
 * snapshot_steps.h: which resources are to be made when some are replaced and one is wanted.
 *
 * Pure; runs in the store. A what-if's graph is that of the policy, of which nothing else is looked at.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_STEPS_H
#define WORKERS_SNAPSHOT_SNAPSHOT_STEPS_H

#include "workers/snapshot/snapshot_policy.h"

/* What a resource is to a what-if. */
struct snapshot_mark {
    bool given;  /* it is replaced */
    bool wanted; /* it is the one, or that is made from it, directly or not */
    bool needed; /* and that by a way on which nothing is replaced */
    bool step;   /* it is to be made, from something that is given or a step */
    bool read;   /* one of the steps reads it, and it is neither given nor a step */
};

/*
 * `marks` has one for each resource of the policy, in its order, of which `given` is set and nothing else; the others
 * are set. True when the wanted one is made from each that is given, directly or not; else *idle is one that it is not
 * made from.
 */
bool snapshot_steps_find(const struct policy *p, size_t wanted, struct snapshot_mark *marks,
                         size_t *idle);

#endif
