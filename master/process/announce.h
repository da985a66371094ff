/*
 * announce.h: who is told of whose coming and going (PROTOCOL.md, Peers).
 *
 * Runs in the master. Peers are the workers of one drain, and whoever asked with MONITOR; a worker that monitors
 * another is announced to it too, because a mailbox takes no message from a stranger.
 */
#ifndef MASTER_ANNOUNCE_H
#define MASTER_ANNOUNCE_H

#include "master/tree/tree.h"

/* The tree in which to look for peers. Once, before anything else. */
void announce_setup(struct node *root);

/* supervisor_ops.up and .down. */
void announce_up(struct node *worker);
void announce_down(struct node *worker, const char *reason);

/*
 * A MONITOR has come: `watcher` is told UP now, or when that comes, or DOWN "unknown name". False: the message cannot
 * be read.
 */
bool announce_on_monitor(struct node *watcher, struct slice frame);

/*
 * A BLAME has come: `judge`, a worker of ours, cannot believe the frames of a custom worker, which is ended for it, by
 * that name and with its cause. Nobody else's word counts, and no other worker is ended by a word. False: as above.
 */
bool announce_on_blame(struct node *judge, struct slice frame);

#endif
