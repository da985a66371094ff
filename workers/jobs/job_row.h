/*
 * job_row.h: a job as everybody sees it, made of its hash.
 *
 * Runs in the collector. Pure.
 */
#ifndef WORKERS_JOBS_JOB_ROW_H
#define WORKERS_JOBS_JOB_ROW_H

#include "common/buffer.h"
#include "common/redis/redis_conn.h"

/*
 * Appends a map: job_id, and of the fields (an array of names and values by turns) all that people are shown, nil where
 * there is none; its settings and its output only when it is asked for in full. Failure is the buffer's.
 */
void job_row_pack(struct buffer *out, struct slice id, const redisReply *fields, bool full);

#endif
