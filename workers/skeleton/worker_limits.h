/*
 * worker_limits.h: whom a process runs as, and within which limits: a program of a command or port
 * worker, or a worker itself.
 *
 * Runs in the worker. A worker's own are taken on by the skeleton, when CONFIG has come and before a
 * line of the type's has run; those of a program that is a worker itself before its exec (worker_enter.c).
 */
#ifndef WORKERS_WORKER_LIMITS_H
#define WORKERS_WORKER_LIMITS_H

#include "common/cgroup.h"
#include "workers/skeleton/worker.h"

#include <sys/types.h>

struct worker_limits {
    bool change_user;
    uid_t uid;
    gid_t gid;
    char user[256];  /* its name, or number, for its further groups; empty: only gid changes */
    char home[1024]; /* the user's, as the user database has it; with user */
    bool change_group;
    int umask; /* -1: unchanged */
    int nice;
    struct worker_rlimit {
        int resource;
        uint64_t value;
    } rlimits[3];
    size_t rlimit_count;
    uint64_t memory_max;           /* kept by the group, not by RLIMIT_AS; 0: none, or that */
    char cgroup[CGROUP_PATH_SIZE]; /* that group */
    bool no_new_privs;
};

/*
 * Reads PREFIX.user and its sisters; of "limits", platoon.worker_* where there is none. A user or group that does not
 * exist ends the process (CONTRACT_EXIT_TEMPORARY: it may come). Looks into the user database: may block.
 */
void worker_limits_read(struct worker *w, const char *prefix, struct worker_limits *limits);

/* Applies them to this process, rights last. Returns 0, or an errno and in *what the setting that could not be had. */
int worker_limits_apply(const struct worker_limits *limits, const char **what);

/*
 * Takes on what the settings say of this worker, its environment and directory included, and ends it when that cannot
 * be had. May be done twice.
 */
void worker_limits_take(struct worker *w);

/* For the skeleton: the same when CONFIG has come, and what is left to do while it runs. */
void worker_limits_enter(struct worker *w);

/* Once a second: ends it when it has grown above memory_restart, and says so. */
void worker_limits_tick(struct worker *w);

/* True when this worker has a memory_max of its own, so that its want of memory is no want of the machine's. */
bool worker_limits_own_memory(const struct worker *w);

#endif
