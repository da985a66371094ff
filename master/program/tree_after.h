/*
 * tree_after.h: `after` of the program sections: from names to nodes.
 *
 * Runs in the master, once, when the tree stands.
 */
#ifndef MASTER_TREE_AFTER_H
#define MASTER_TREE_AFTER_H

#include "master/config/config.h"
#include "master/tree/tree.h"

/*
 * Gives every program's workers the nodes they wait for: the processes of a program, a supervisor, or whatever has that path in the tree. One line in
 * `error` and *failed when a name is none, when workers would wait for each other for ever, or when memory is short.
 */
void tree_after_resolve(struct node *root, const struct config *c, struct buffer *error,
                        bool *failed);

#endif
