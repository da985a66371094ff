/*
 * systems_tree.h: what the systems themselves say of the tree: when there is a worker, what it is told beyond the
 * file, what must be there.
 *
 * Runs in the master. See systems_config.h. Each function stands in its system's room, master/<system>/.
 */
#ifndef MASTER_SYSTEMS_TREE_H
#define MASTER_SYSTEMS_TREE_H

#include "master/build/tree_build.h"
#include "master/start/preflight.h"

/* The three that no system brings. */
bool tree_when_ALWAYS(const struct config *c, const struct config_section *s);
bool tree_when_ONCE(const struct config *c, const struct config_section *s);
bool tree_when_NEVER(const struct config *c, const struct config_section *s);

#define X(NAME, type, KIND, WHEN, RUNS, path, key, doc)                                            \
    bool tree_when_##WHEN(const struct config *c, const struct config_section *s);
SYSTEMS(TYPES, X)
#undef X

#define X(TYPE, name)                                                                              \
    int tree_extra_##name(const struct config *c, const struct config_section *s,                  \
                          const struct preflight *p, struct config_extras *extras);
SYSTEMS(EXTRAS, X)
#undef X

#define X(KIND, name)                                                                              \
    void preflight_##name(const struct config_section *s, struct preflight_findings *f);
SYSTEMS(PREFLIGHTS, X)
#undef X

#define X(name) extern const struct tree_children tree_children_##name;
SYSTEMS(CHILDREN, X)
#undef X

#define X(name) void tree_build_##name(struct tree_builder *b);
SYSTEMS(BUILDS, X)
#undef X

/* Once, before the first tree is built. */
void systems_tree_register(void);

#endif
