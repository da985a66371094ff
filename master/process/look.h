/*
 * look.h: a worker asks for the tree (LOOK) and is shown it.
 *
 * Runs in the master. A file of its own, because the process layer, which reads the message, must not know how a tree
 * is shown.
 */
#ifndef MASTER_LOOK_H
#define MASTER_LOOK_H

#include "master/tree/tree.h"

/* The tree to show. Once, before the first worker runs; the master's age counts from then. */
void look_setup(struct node *root);

/* A LOOK has come. False: it cannot be read. */
bool look_on_look(struct node *worker, struct slice frame);

#endif
