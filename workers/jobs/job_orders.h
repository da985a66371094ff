/*
 * job_orders.h: what RQ's clients order workers of this host to do (rq.command): to stop a job.
 *
 * Runs in the keeper, on a connection of its own (PSUBSCRIBE). A Redis that refuses it the channels has no such orders:
 * jobs are canceled as ever.
 */
#ifndef WORKERS_JOBS_JOB_ORDERS_H
#define WORKERS_JOBS_JOB_ORDERS_H

#include "workers/jobs/job_redis.h"

struct job_orders;

/* Listens; the script goes through `redis`. NULL: memory is short, or the section's Redis cannot be named. */
struct job_orders *job_orders_new(struct worker *w, struct job_redis *redis);

/* Before `redis` is closed. Accepts NULL. */
void job_orders_free(struct job_orders *o);

#endif
