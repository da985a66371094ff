/*
 * job_pickle.h: JSON values as Python pickles, which RQ's clients read by default, and back.
 *
 * Runs in the workers of jobs. Pure: no I/O. RQ unpickles the data of a job, its meta and its return value. What is
 * written is protocol 2, which every Python 3 reads, and of the types that JSON has only. What is read are the pickles
 * that Python 3 makes of such values by protocol 2 to 5; nothing is ever called or imported, and what would have to be
 * is refused.
 */
#ifndef WORKERS_JOBS_JOB_PICKLE_H
#define WORKERS_JOBS_JOB_PICKLE_H

#include "common/buffer.h"

#include <jansson.h>

/* Deeper nesting is refused. */
#define JOB_PICKLE_DEPTH 200

/* Most bytes that a value may have by naming the same text again and again. */
#define JOB_PICKLE_AGAIN_MAX (1024u * 1024)

/* Appends the pickle of a value, nested JOB_PICKLE_DEPTH levels at most. 0; -EINVAL: it is nested deeper; -ENOMEM. */
int job_pickle_write(struct buffer *out, const json_t *value);

/*
 * The value of a pickle; tuples become arrays. On 0 *out is the caller's, for json_decref. -EINVAL: it is none, or of
 * something that JSON has not (objects, sets, bytes, numbers beyond 64 bits, names that are no text). -ENOMEM.
 */
int job_pickle_read(struct slice pickle, json_t **out);

/*
 * Appends bytes as zlib has them, stored, not compressed: what is written so is short, and nobody need link zlib.
 * 0; -ENOMEM.
 */
int job_zlib_write(struct buffer *out, struct slice bytes);

/*
 * Appends what RQ keeps as the data of a job of this platform: zlib(pickle of ["platoon.run", None, [platform], {}]).
 * 0; -EINVAL: longer than 1024; -ENOMEM.
 */
int job_data_write(struct buffer *out, struct slice platform);

#endif
