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

/*
 * Appends a map as the original's execution/get has it: times ("" before), origin, description, timeout, status,
 * worker_name, meta, exc_info, result; and `run`, the same as above in full. What a job says under the names `original`
 * and `processed` may be large: it stands in meta only when it is asked for in full, and in no row.
 */
void job_row_pack_original(struct buffer *out, struct slice id, const redisReply *fields,
                           bool full);

#endif
