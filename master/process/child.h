/*
 * child.h: temporary children: workers that another worker has the master start (PROTOCOL.md section 2, Children).
 *
 * Runs in the master. A child is made of a program section that its owner's section names in `may_start`, and is a sibling of its owner in the tree, called
 * OWNER/PROGRAM.NUMBER. It has one life; the owner is told UP and DOWN of it, and its own end ends the child's (supervisor.h). Children have no children.
 * (Erlang/OTP's simple_one_for_one with restart = temporary; there the supervisor is asked by whoever likes, here each worker has its own.)
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include "master/master.h"

/* Once, before the first worker runs. */
void child_setup(struct master *m);

/*
 * Starts a child of a READY worker. `argument` is copied. Returns the child, which the next pass of the supervisor starts; or NULL with one line in
 * `error`, nothing changed. It will be of generation child->generation + 1.
 */
struct node *child_start(struct node *owner, struct slice program, struct slice argument,
                         struct buffer *error);

/* Stops that child of this owner; one that is not there (any more), or another's, is passed over. */
void child_stop(struct node *owner, struct slice name);

/* A child is about to be freed: the next of its name must be of a later generation. */
void child_forget(const struct node *n);

/* The newest generation that a child was given; a new master (upgrade.h) goes on from there. */
uint64_t child_last_generation(void);
void child_set_last_generation(uint64_t generation);

/*
 * A child that ran under the last master: made again below m->root, not started, not wanted. NULL when it cannot be: no owner, no such section, no memory.
 */
struct node *child_adopt(struct master *m, struct slice name, struct slice owner,
                         struct slice program, struct slice argument);

#endif
