/*
 * job_queue.h: the RQ queue of a job, of a name or of a template with {platform} and {id}; what is said of such queues.
 *
 * Used by the master, for the configuration, and by whoever makes jobs or looks after them. Pure.
 */
#ifndef COMMON_JOB_QUEUE_H
#define COMMON_JOB_QUEUE_H

#include "common/template.h"

/* A queue's name, with its end. */
#define JOB_QUEUE_SIZE 101

/* Most weight, or jobs at once, of a queue; most queues that are named. */
#define JOB_QUEUE_NUMBER_MAX 1000000
#define JOB_QUEUE_NAMES_MAX  200

/*
 * Compiles `text`. 0: *out is the caller's, for template_free. -EINVAL with one sentence in `why`; -ENOMEM.
 */
int job_queue_compile(const char *text, struct template **out, char *why, size_t why_size);

/*
 * The queue of a job: what RQ's clients do not take in a name becomes _, and it is cut to its size. 0, or -ENOMEM.
 */
int job_queue_name(const struct template *t, struct slice platform, struct slice id,
                   char out[JOB_QUEUE_SIZE]);

/* As scripts are told of the queues of a section: its name, or what those of its template begin with, and a *. */
void job_queue_scope(const char *text, char out[JOB_QUEUE_SIZE]);

/* Whether a queue may be one of two scopes at once. */
bool job_queue_scopes_meet(const char *one, const char *other);

/*
 * Whether a text is words NAME=NUMBER, each name once, no number below `least`. 0, or -EINVAL with one sentence in
 * `why`.
 */
int job_queue_numbers_check(const char *text, unsigned least, char *why, size_t why_size);

#endif
