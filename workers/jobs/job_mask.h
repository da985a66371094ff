/*
 * job_mask.h: values of secrets out of what a job says.
 *
 * Runs in sanjers. Pure. A value of JOB_MASK_MIN bytes or more becomes ***; shorter ones stand in too much that is no
 * secret. A value that is cut apart by whoever prints it is not found; of one that comes in pieces job_mask_tail says
 * what is to be held back.
 */
#ifndef WORKERS_JOBS_JOB_MASK_H
#define WORKERS_JOBS_JOB_MASK_H

#include "common/buffer.h"

#include <jansson.h>

#define JOB_MASK_MIN 6

struct job_mask;

/* The secrets of a job, an object (NULL: none), borrowed; 0: *out, for job_mask_free, is NULL without any. -ENOMEM. */
int job_mask_new(const json_t *secrets, struct job_mask **out);
void job_mask_free(struct job_mask *m);

/* Takes them out of text of which all but the last `fresh` bytes have been looked at. NULL as a mask does nothing. */
void job_mask_text(const struct job_mask *m, struct buffer *text, size_t fresh);

/* Bytes at the end of a text that has been looked at with which a value may begin. */
size_t job_mask_tail(const struct job_mask *m, struct slice text);

/* A copy of a value with them taken out of its texts, and of the names of its members. NULL: memory is short. */
json_t *job_mask_json(const struct job_mask *m, const json_t *value);

#endif
