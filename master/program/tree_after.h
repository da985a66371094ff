/*
 * tree_after.h: `after` of the program sections: from names to nodes.
 *
 * Runs in the master, once, when the tree stands.
 */
#ifndef MASTER_PROGRAM_TREE_AFTER_H
#define MASTER_PROGRAM_TREE_AFTER_H

#include "master/build/builder.h"

/*
 * Gives every program's workers the nodes they wait for: the processes of a program, a supervisor, or whatever has that
 * path in the tree. A failure of the builder's, with a "file:line: what" for each, when a name is none, when workers
 * would wait for each other for ever, or when memory is short.
 */
void tree_after_resolve(struct tree_builder *b);

#endif
