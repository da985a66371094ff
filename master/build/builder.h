/*
 * builder.h: nodes of a tree that is being built: what every builder does, whoever gives birth to them.
 *
 * Runs in the master, under tree_build.c and the builders of a system's own (BUILDS in proto/systems.h). The first
 * failure is told, in one line; after it nothing more is built, and what is there is freed whole by tree_build.
 */
#ifndef MASTER_BUILD_BUILDER_H
#define MASTER_BUILD_BUILDER_H

#include "common/name_index.h"
#include "master/build/config_settings.h"
#include "master/config/config.h"
#include "master/start/preflight.h"
#include "master/tree/tree.h"

struct tree_builder {
    const struct config *c;
    const struct preflight *p;
    struct node *root;
    const struct config_section
        *at;                 /* being built: its line stands before a failure; NULL: platoon's */
    struct name_index names; /* of all nodes; empty: the tree is searched */
    struct buffer *error;
    uint32_t pool; /* of what is being built; 0 for what stands alone */
    uint32_t pools;
    bool failed;
};

/* One line, "file:line: name: cause", unless something has failed before. */
void builder_fail(struct tree_builder *b, const char *name, const char *cause);

/* A branch with the policy of a section that has `strategy`, `intensity` and `period`. NULL: it has failed. */
struct node *builder_branch(struct tree_builder *b, const char *name, struct node *parent,
                            const struct config_section *policy);

/*
 * The branch a path stands in, made when it is missing: "redis/visits/watcher" -> "redis/visits". The deepest one, when
 * it has the section's title, has its policy, all others the platoon section's. NULL: it has failed.
 */
struct node *builder_parent(struct tree_builder *b, const char *path,
                            const struct config_section *section);

/*
 * A worker of that section that nobody wants yet, with the platoon section's times and without settings. `parent`
 * NULL, or NULL: it has failed.
 */
struct node *builder_leaf(struct tree_builder *b, const char *name, enum worker_type type,
                          struct node *parent, const struct config_section *section);

/* What is built between the two is one pool. */
void builder_pool_begin(struct tree_builder *b);
void builder_pool_end(struct tree_builder *b);

/* Takes the node that was appended last to its parent away again, and frees it. */
void builder_take_back(struct node *n);

struct config_identity builder_identity(const struct tree_builder *b);

/*
 * The pauses between restarts as the platoon section has them: of branches, and of workers that have none of their own.
 */
struct policy_limits builder_limits(const struct config_section *platoon);

#endif
