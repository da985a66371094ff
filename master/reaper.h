/*
 * reaper.h: what workers leave behind when they die before their own children.
 *
 * Runs in the master, which is made a subreaper: orphans of dead workers become its children, and are reaped here.
 * Workers themselves are never reaped here: process.c waits for each by its pidfd.
 */
#ifndef MASTER_REAPER_H
#define MASTER_REAPER_H

#include "master/tree/tree.h"

#include <uv.h>

/* `spares` says of a child that is no worker whether somebody else waits for it. 0 or a libuv error. */
int reaper_start(uv_loop_t *loop, struct node *root, bool (*spares)(pid_t pid));
void reaper_stop(void);

/*
 * Before the first worker of ours is born, and once those are known that an upgrade has handed on: whether we have
 * children that came from no worker. Then only what bears a worker's environment or birthmark is ended later.
 */
void reaper_note_strangers(void);

/* A worker's process, or one that somebody else waits for. */
bool reaper_is_known(pid_t pid);

#endif
