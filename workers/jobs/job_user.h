/*
 * job_user.h: the user that jobs and whatever says what they take run as (sanjer.user).
 *
 * Runs in collectors and sanjers, which stay who they are.
 */
#ifndef WORKERS_JOBS_JOB_USER_H
#define WORKERS_JOBS_JOB_USER_H

#include "common/child_process.h"
#include "workers/skeleton/worker.h"

struct job_user;

/*
 * NULL: none is set, jobs run as we do. One that does not exist ends the process (CONTRACT_EXIT_TEMPORARY: it may
 * come), and so does want of memory. Looks into the user database: may block.
 */
struct job_user *job_user_new(struct worker *w);

/* Accepts NULL. */
void job_user_free(struct job_user *u);

/* What is started by these becomes that user, with its groups, HOME, USER and LOGNAME. NULL: nothing is changed. */
void job_user_apply(struct job_user *u, struct child_options *o);

#endif
