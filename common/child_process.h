/*
 * child_process.h: a process that we start for one thing that is to be done, and the end of all that came of it.
 *
 * Runs in workers that have no other children, or name them: the sweep kills whatever is left. The process leads a
 * session of its own, and dies with us (PR_SET_PDEATHSIG); its descendants, also those that left its session, become
 * our children when their parents have died (child_process_adopt), and the master's when we have.
 */
#ifndef COMMON_CHILD_PROCESS_H
#define COMMON_CHILD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child_process {
    pid_t pid;
    int pidfd;
    int in, out, err; /* our ends of its standard streams, non-blocking; the caller's */
};

struct child_options {
    const char *const *argv;  /* ends with NULL; the first is a path, or is looked for in PATH */
    const char *folder;       /* it begins there; NULL: where we are */
    char *const *environment; /* all of it, ends with NULL; NULL: ours */
    /*
     * Not 0: it has this, a descriptor of ours, as CHILD_CONTROL, our standard error as its output and error, and no
     * input; in, out and err are -1 then.
     */
    int control;
    uint64_t
        memory_max; /* bytes that it may have of its own (RLIMIT_DATA), as each of its children; 0: as we */
    /*
     * In the child, before exec: 0, or an errno. It calls only what is safe behind the fork of a process with threads,
     * which memory and names of users are not: those are its own before. NULL: there is nothing to do.
     */
    int (*enter)(void *ctx);
    void *ctx; /* the child's own copy */
};

#define CHILD_CONTROL 3

/* From now on descendants whose parents die are ours. 0, or a negative errno. */
int child_process_adopt(void);

/* Starts it. Waits for exec, not longer. 0, or a negative errno: nothing is there then. */
int child_process_start(const struct child_options *o, struct child_process *p);

/* Sends a signal to all of its session's first group. */
void child_process_signal(const struct child_process *p, int signal);

/* After its end was waited for: kills and reaps what is left of it. How many are still there. Does not block. */
size_t child_process_sweep(void);

/* The same, but for children that `spares` is true of; the ends of those are reaped with the others'. */
size_t child_process_sweep_but(bool (*spares)(pid_t pid, void *ctx), void *ctx);

#endif
