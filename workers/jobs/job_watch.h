/*
 * job_watch.h: waits for what rq's clients push, in queues of RQ whose functions are run.
 *
 * Runs in the keeper. Nobody gives turns for what others push, so the keeper does: it waits for each queue to have an
 * element (BLMOVE to the end it stands at, which changes nothing) on a connection of its own, and has the script
 * `functions` give the turn, which wakes a sanjer as any turn does. Queues beyond JOB_WATCH_MAX are looked at once a
 * second. What is in a queue and is not taken, because of a limit or a suspension, is asked after ever more rarely.
 */
#ifndef WORKERS_JOBS_JOB_WATCH_H
#define WORKERS_JOBS_JOB_WATCH_H

#include "workers/jobs/job_redis.h"

/* Queues that are waited for; each is a connection. */
#define JOB_WATCH_MAX 16

struct job_watch;

/*
 * Of the queues in `names` (words with blanks between, as python.functions has them); nothing is asked yet. The script
 * goes through `redis`. NULL: memory is short, or the section's Redis cannot be named.
 */
struct job_watch *job_watch_new(struct worker *w, struct job_redis *redis, const char *names);

/* Accepts NULL. */
void job_watch_free(struct job_watch *watch);

/* Once a second, and when Redis is there again: tells which queues these are, and looks into all of them. */
void job_watch_tick(struct job_watch *watch);

/* Whether somebody is idle: nobody is waited for otherwise. */
void job_watch_want(struct job_watch *watch, bool idle);

#endif
