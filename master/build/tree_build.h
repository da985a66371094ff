/*
 * tree_build.h: the supervision tree as the configuration wants it.
 *
 * Runs in the master. Shape and names: ARCHITECTURE section 1, PROTOCOL.md section 1, proto/worker_types.h.
 */
#ifndef MASTER_TREE_BUILD_H
#define MASTER_TREE_BUILD_H

#include "master/config/config.h"
#include "master/start/preflight.h"
#include "master/tree/tree.h"

/*
 * Builds the whole tree, nothing wanted and nothing started. Free with tree_free. NULL with one line in `error` when a name does not fit or
 * stands there twice, or memory is short.
 */
struct node *tree_build(const struct config *c, const struct preflight *p, struct buffer *error);

/*
 * Appends a temporary child (child.h) of `owner` to its siblings, process `number` of that program section, nothing wanted. NULL with one line in `error`, nothing changed.
 */
struct node *tree_build_child(const struct config *c, const struct preflight *p, struct node *owner,
                              const struct config_section *program, uint64_t number,
                              struct slice argument, struct buffer *error);

/* Takes the child that was appended last away again, and frees it. */
void tree_unbuild_child(struct node *child);

/* The pauses between restarts as the platoon section has them: of branches, and of workers that have none of their own. */
struct policy_limits tree_build_limits(const struct config_section *platoon);

#endif
