/*
 * preflight.h: everything that can be found wrong before the first process is started.
 *
 * Runs in the master, once, at start-up; may block on the file system. Each failure is one line that names object, cause and
 * remedy. Takes the instance lock, sweeps what a dead master left behind, reads identity and boot number.
 */
#ifndef MASTER_PREFLIGHT_H
#define MASTER_PREFLIGHT_H

#include "common/buffer.h"
#include "common/cgroup.h"
#include "master/config/config.h"
#include "master/tree/tree.h"

#define PREFLIGHT_INSTANCE_SIZE 17 /* 16 hex digits and NUL */

struct preflight {
    char runtime_dir[108];
    char state_dir[4096];
    char libexec_dir[4096];
    char instance[PREFLIGHT_INSTANCE_SIZE];
    uint64_t boot;
    char cgroup[CGROUP_PATH_SIZE]; /* delegation.h; "": none */
    int lock_fd;                   /* held for the life of the master; -1 before */
};

/*
 * Directories, lock, sweep, identity. Returns 0, or an exit code (1, or 78 for what only a change of the configuration can
 * mend) with the line in `error`. On 0 the lock is held until preflight_release.
 */
int preflight_take(struct preflight *p, const struct config *c, struct buffer *error);

/* What follows from the configuration alone: the directories. 0, or an exit code with a line in `error`. */
int preflight_places(struct preflight *p, const struct config *c, struct buffer *error);

/*
 * With the tree built, before its start (`running` false) or before a running master takes it over (then ports in use are its own servers'): mailbox paths short enough, worker programs and embedded servers' programs present, ports free. Every finding is a line
 * of its own in `error`. Returns 0, 1 or 78.
 */
int preflight_check_tree(const struct preflight *p, const struct config *c, struct node *root,
                         bool running, struct buffer *error);

/* Removes pid file and lock. */
void preflight_release(struct preflight *p);

#endif
