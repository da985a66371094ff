/*
 * tree_merge.h: one running tree becomes what another, freshly built one is: a reload, or a change of scale.
 *
 * Runs in the master. Nodes are the same when their names are: such a node stays, with its process, history and
 * address, and takes over what is new. A worker that is told something else than before is restarted; what only the
 * master uses (policy, times, order, numbers of a pool) changes in place. Temporary children stay as they are. What is
 * gone stays as `retired` behind its siblings until the supervisor has stopped it. Nothing is started or stopped here.
 *
 * First a plan, which can fail and changes nothing that runs; then the merge, which cannot.
 */
#ifndef MASTER_TREE_MERGE_H
#define MASTER_TREE_MERGE_H

#include "master/tree/tree.h"

/*
 * Compares both trees. Appends to `changes` one array [action, name, why] after the other, in start order, stops last
 * within their branch: "start", "restart", "stop" of a worker, "update" of a worker or branch in place. Returns how
 * many, or -ENOMEM, or -EEXIST when a name is a branch here and a worker there. Until tree_merge is called the plan may
 * be dropped by freeing `wanted`.
 */
int tree_merge_plan(struct node *live, struct node *wanted, struct buffer *changes);

/*
 * Carries the plan out; `wanted` is used up and freed. Nodes have `change` and `retired` set;
 * supervisor_merged must follow.
 */
void tree_merge(struct node *live, struct node *wanted);

#endif
