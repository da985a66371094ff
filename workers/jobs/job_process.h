/*
 * job_process.h: the process of a job: its birth, and the end of all that came of it.
 *
 * Runs in sanjers, which have no children but these. The process leads a session of its own, and dies with us
 * (PR_SET_PDEATHSIG); its descendants, also those that left its session, become our children when their parents have
 * died (job_process_adopt), and the master's when we have.
 */
#ifndef WORKERS_JOBS_JOB_PROCESS_H
#define WORKERS_JOBS_JOB_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

struct job_process {
    pid_t pid;
    int pidfd;
    int in, out, err; /* our ends of its standard streams, non-blocking; the caller's */
};

/* From now on descendants whose parents die are ours. 0, or a negative errno. */
int job_process_adopt(void);

/*
 * Starts the file without arguments, in its folder. Waits for exec, not longer. 0, or a negative errno: nothing is
 * there then.
 */
int job_process_start(const char *file, struct job_process *p);

/* Sends a signal to all of its session's first group. */
void job_process_signal(const struct job_process *p, int signal);

/* After its end was waited for: kills and reaps what is left of it. How many are still there. Does not block. */
size_t job_process_sweep(void);

#endif
