/*
 * tree_build.h: the supervision tree as the configuration wants it, from the TYPES of all systems (proto/systems.h).
 *
 * Runs in the master. Shape and names: ARCHITECTURE, The picture; PROTOCOL.md, Names. Knows no system: what the list
 * cannot say is done by functions of the systems' own, which main registers (systems_tree.h).
 */
#ifndef MASTER_BUILD_TREE_BUILD_H
#define MASTER_BUILD_TREE_BUILD_H

#include "master/build/builder.h"

/* Is there such a worker for this section, which is of the type's kind (WHEN in proto/systems.h)? */
typedef bool (*tree_when_fn)(const struct config *c, const struct config_section *s);

/*
 * Further settings of each worker of a type that a section of the type's own kind bore (EXTRAS). 0, or a negative
 * errno; what was added is freed by the caller in either case.
 */
typedef int (*tree_extra_fn)(const struct config *c, const struct config_section *s,
                             const struct preflight *p, struct config_extras *extras);

/* Temporary children (child.h): CHILDREN in proto/systems.h. */
struct tree_children {
    /*
     * May the owner, which has `count` of them, have one more, of what `program` names? False with one line in `error`.
     */
    bool (*may)(const struct config *c, const struct node *owner, struct slice program,
                uint64_t count, struct buffer *error);
    /*
     * Appends one to the owner's siblings, process `number` of that program, nothing wanted; builder_take_back undoes
     * it. NULL with one line in `error`, nothing changed.
     */
    struct node *(*make)(const struct config *c, const struct preflight *p, struct node *owner,
                         struct slice program, uint64_t number, struct slice argument,
                         struct buffer *error);
};

/* A system's own builder (BUILDS). */
typedef void (*tree_builder_fn)(struct tree_builder *b);

struct tree_hooks {
    const tree_when_fn *when;   /* one a type, NULL: NEVER, or ONCE where `once` says so */
    const bool *once;           /* one a type */
    const tree_extra_fn *extra; /* one a type, NULL: none */
    const tree_builder_fn *builders;
    size_t builder_count;
    const struct tree_children *children; /* NULL: nobody makes any */
};

/* Once, before the first tree_build. *hooks lives as long as the process. */
void tree_build_register(const struct tree_hooks *hooks);

/* NULL: nobody makes any. */
const struct tree_children *tree_build_children(void);

/*
 * What EXTRAS say of a worker of that type that a system's own builder makes: appended to `extras`. 0, or a negative
 * errno.
 */
int tree_build_extras(const struct tree_builder *b, enum worker_type type,
                      const struct config_section *section, struct config_extras *extras);

/*
 * Builds the whole tree, nothing wanted, nothing started, nothing outside of the tree touched. Free with tree_free.
 * NULL with a "file:line: what" in `error` when a name does not fit or stands there twice, or memory is short; one for
 * each of what a system's builder finds.
 */
struct node *tree_build(const struct config *c, const struct preflight *p, struct buffer *error);

#endif
