/*
 * child.h: temporary children: workers that another worker has the master start (PROTOCOL.md, Children).
 *
 * Runs in the master. A child is made of a program section that its owner's section names in `may_start`, and is a
 * sibling of its owner in the tree, called OWNER/PROGRAM.NUMBER. It has one life; the owner is told UP and DOWN of it,
 * and its own end ends the child's (supervisor.h). Children have no children. (Erlang/OTP's simple_one_for_one with
 * restart = temporary; there the supervisor is asked by whoever likes, here each worker has its own.)
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include "master/master.h"

/* Once, before the first worker runs. */
void child_setup(struct master *m);

/*
 * A CHILD has come from a worker that may become an owner: starts one, or tells it in one line why not (STARTED).
 * False: the message cannot be read.
 */
bool child_on_child(struct node *owner, struct slice frame);

/*
 * An END has come: stops that child of this owner; one that is not there (any more), or another's, is passed over.
 * False: the message cannot be read.
 */
bool child_on_end(struct node *owner, struct slice frame);

/* A child is about to be freed: the next of its name must be of a later generation. */
void child_forget(const struct node *n);

/* The newest generation that a child was given; a new master (upgrade.h) goes on from there. */
uint64_t child_last_generation(void);
void child_set_last_generation(uint64_t generation);

/*
 * A child that ran under the last master: made again below m->root, not started, not wanted. NULL when it cannot be: no
 * owner, no such section, no memory.
 */
struct node *child_adopt(struct master *m, struct slice name, struct slice owner,
                         struct slice program, struct slice argument);

#endif
