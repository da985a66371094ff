/*
 * worker_limits.h: whom a process runs as, and within which limits: a program of a command or port worker, or a worker itself.
 *
 * Runs in the worker. A worker's own are taken on by the skeleton, when CONFIG has come and before a line of the type's has run.
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
    const char *user; /* for its further groups; NULL: only gid changes */
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
 * Reads PREFIX.user and its sisters; of "limits", platoon.worker_* where there is none. A user or group that does not exist ends the process (CONTRACT_EXIT_CONFIG). Looks
 * into the user database: may block.
 */
void worker_limits_read(struct worker *w, const char *prefix, struct worker_limits *limits);

/* Applies them to this process, rights last. Returns 0, or an errno and in *what the setting that could not be had. */
int worker_limits_apply(const struct worker_limits *limits, const char **what);

/* For the skeleton: takes on what the settings say of this worker, and ends it when that cannot be had. */
void worker_limits_enter(struct worker *w);

/* Once a second: ends it when it has grown above memory_restart, and says so. */
void worker_limits_tick(struct worker *w);

#endif
