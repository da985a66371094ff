/*
 * job_csv.h: rows as CSV, as a job's `processed` shows what was written. Runs in sanjers. Pure.
 */
#ifndef WORKERS_JOBS_JOB_CSV_H
#define WORKERS_JOBS_JOB_CSV_H

#include "common/buffer.h"

#include <jansson.h>

/*
 * Appends a line of names, those of the first row, and a line for each row, an array of objects (RFC 4180, \n at the
 * end of a line): a text as it is, null as nothing, all else as JSON. Without rows nothing. Failure is the buffer's.
 */
void job_csv_append(struct buffer *out, const json_t *rows);

#endif
