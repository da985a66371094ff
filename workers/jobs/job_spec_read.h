/*
 * job_spec_read.h: what a platform says of itself: a command that prints it is run, and its JSON taken.
 *
 * Runs in collectors, one at a time in a process: its end kills whatever children there are (child_process.h). What is
 * wrong with the program harms nobody else: it has its time, JOB_SPEC_READ_MAX bytes, and nothing on stdin.
 */
#ifndef WORKERS_JOBS_JOB_SPEC_READ_H
#define WORKERS_JOBS_JOB_SPEC_READ_H

#include "common/child_process.h"
#include "workers/skeleton/worker.h"

#include <jansson.h>

#define JOB_SPEC_READ_MS  10000u /* a program has, */
#define JOB_SPEC_ALL_MS   60000u /* and all classes together */
#define JOB_SPEC_READ_MAX (256u * 1024u)
#define JOB_SPEC_WHY_SIZE 400

struct job_spec_read;

/*
 * Told once, not before job_spec_read_start has returned. `spec` is borrowed; NULL: `why` says in one line what is
 * wrong. `killed`: by SIGKILL, and not by us, which it may not be to blame for. Another may be started in it.
 */
typedef void (*job_spec_read_fn)(void *ctx, const json_t *spec, const char *why, bool killed);

/* NULL: it does not run, `why` says why not. Does not block for longer than exec takes. */
struct job_spec_read *job_spec_read_start(uv_loop_t *loop, const struct child_options *command,
                                          unsigned timeout_ms, job_spec_read_fn fn, void *ctx,
                                          char why[JOB_SPEC_WHY_SIZE]);

/* Kills it; nothing more is told. The loop must turn once more for what it holds. */
void job_spec_read_end(struct job_spec_read *r);

#endif
