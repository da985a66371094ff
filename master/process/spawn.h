/*
 * spawn.h: the birth of a worker's process.
 *
 * Runs in the master, on its main thread only. Not fork or uv_spawn: those copy the master's page tables and stop its
 * loop for as long (FACTS.md 5.2). Not posix_spawn either: it copies the master's table of descriptors, three for each
 * worker, and closes them again, which with a thousand workers is most of a birth. clone(2) with CLONE_FILES and
 * close_range(2) with CLOSE_RANGE_UNSHARE copies only the lowest few.
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include "common/log.h"

#include <stdint.h>
#include <sys/types.h>

struct spawn_request {
    const char *program; /* absolute path */
    const char *type;    /* argv[0] */
    const char *enter;   /* the user's own worker that it becomes (CONTRACT_ENTER); NULL: none */
    const char *name;    /* path in the tree */
    enum log_level log_level;
    uint64_t generation;
    /*
     * Bears it instead of an exec, with these ends of its descriptors, which stay ours (seed.c); 0 and a child of ours,
     * or a negative errno. NULL: an exec.
     */
    int (*bear)(void *ctx, const struct spawn_request *request, int link, int output, pid_t *pid);
    void *ctx;
};

struct spawn_result {
    pid_t pid;   /* leader of a process group of its own */
    int pidfd;   /* readable when it has ended */
    int link;    /* our end of its fd 3 */
    int output;  /* what it says on stdout and stderr */
    bool forked; /* by a seed, which is of our build */
};

/*
 * Starts the program with our environment plus the contract's, /dev/null as stdin, nothing else inherited. Does not
 * wait for it. Returns 0, the descriptors being the caller's to close; or a negative errno, nothing left behind.
 */
int spawn_worker(const struct spawn_request *request, struct spawn_result *result);

/*
 * Starts the program as a seed (proto/seed_order.h), its link being one of packets, /dev/null all it says on stdout and
 * stderr: result->output is -1. The rest as above.
 */
int spawn_seed(const char *program, const char *type, struct spawn_result *result);

#endif
