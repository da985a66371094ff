/*
 * announce.h: who is told of whose coming and going (PROTOCOL.md section 2, Peers).
 *
 * Runs in the master. Peers are the workers of one drain, and whoever asked with MONITOR; a worker that monitors another is
 * announced to it too, because a mailbox takes no message from a stranger.
 */
#ifndef MASTER_ANNOUNCE_H
#define MASTER_ANNOUNCE_H

#include "master/tree/tree.h"

/* The tree in which to look for peers. Once, before anything else. */
void announce_setup(struct node *root);

/* supervisor_ops.up and .down. */
void announce_up(struct node *worker);
void announce_down(struct node *worker, const char *reason);

/* `watcher` has asked for `name`: it is told UP now, or when that comes, or DOWN "unknown name". */
void announce_monitored(struct node *watcher, const char *name);

#endif
