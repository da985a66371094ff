/*
 * sanjer_python.h: the warm interpreter of a sanjer, and the children it makes of itself for jobs.
 *
 * Runs in sanjers. The interpreter (python/platoon_jobs.py) has every platform loaded and runs no job; it is started
 * with the first one, and anew when a file of the folder changes or it dies. A child becomes ours as soon as it is made
 * (its parent of the moment dies), so that its end is told by the kernel as a program's is, and what it leaves comes to
 * us; it outlives its interpreter. One that nobody needs yet is made while the last job of the one before it runs; two
 * where each has one job only, for a fork takes as long as a short job. Never blocks but for exec, and for looking at
 * the folder.
 */
#ifndef WORKERS_JOBS_SANJER_PYTHON_H
#define WORKERS_JOBS_SANJER_PYTHON_H

#include "workers/jobs/sanjer_child.h"

#include <jansson.h>
#include <limits.h>
#include <sys/types.h>

struct sanjer;
struct sanjer_python;

/* What a sanjer has of its interpreter; nothing is started. NULL: memory is short. */
struct sanjer_python *sanjer_python_new(struct sanjer *s);

/* Ends all of it. Accepts NULL. */
void sanjer_python_free(struct sanjer_python *py);

/*
 * A child for the job in s->run, through sanjer_run_child, at once or later; or why there is none, through
 * sanjer_run_fault.
 */
void sanjer_python_want(struct sanjer_python *py);

/* Nobody waits for a child any more. */
void sanjer_python_forget(struct sanjer_python *py);

/*
 * The job that a child had is over. keep: it may have another, if it has had fewer than jobs_per_process and its
 * platforms are those that the folder has; else, or when it is gone, all of it goes: one that is alone by itself, any
 * other before the sweep is done.
 */
void sanjer_python_done(struct sanjer_python *py, struct sanjer_child *child, bool keep);

/* Whether the job that a child has, or is about to have, is its last. */
bool sanjer_python_is_last(const struct sanjer_python *py, const struct sanjer_child *child);

/* For child_process_sweep_but: the interpreter, children that have no job, and those that go by themselves. */
bool sanjer_python_spares(pid_t pid, void *py);

/* Once a second: deadlines of the interpreter. */
void sanjer_python_tick(struct sanjer_python *py);

/* ---- sanjer_python_hello.c ---- */

/* What an interpreter is told first, for json_decref: where the platforms are, how to reach Redis. NULL: no memory. */
json_t *sanjer_python_hello(struct sanjer *s, json_t *skip);

/* A number that changes with the .py files of the folder and of its folders. 0: there are none. */
uint64_t sanjer_python_signature(const char *folder);

#endif
