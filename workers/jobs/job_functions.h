/*
 * job_functions.h: which queues of RQ a section runs functions of (python.functions).
 *
 * Runs in the workers of jobs. Pure: reads the worker's settings. Whoever writes to Redis can mark a job as a function,
 * and a function is a pickle, which does what its writer likes: so the configuration alone says where they are run.
 */
#ifndef WORKERS_JOBS_JOB_FUNCTIONS_H
#define WORKERS_JOBS_JOB_FUNCTIONS_H

#include "workers/skeleton/worker.h"

/* The next name from *at on, which moves behind it; empty: there is none. */
struct slice job_functions_next(const char **at);

/* The setting; "" when there is none. */
const char *job_functions_names(struct worker *w);

bool job_functions_has(struct worker *w, struct slice queue);

#endif
