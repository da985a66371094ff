/*
 * job_rows.h: rows that a job stores, as the columns of a table have them: those of one key are one row.
 *
 * Runs in job-store. Pure. Of two rows with one key, numbers are summed exactly where the column is one of numbers; of
 * anything else the last counts, and nothing (null) counts never.
 */
#ifndef WORKERS_JOBS_STORE_JOB_ROWS_H
#define WORKERS_JOBS_STORE_JOB_ROWS_H

#include "common/slice.h"

#include <jansson.h>

enum job_cell_kind {
    JOB_CELL_NULL,
    JOB_CELL_NUMBER, /* its text stands without quotes */
    JOB_CELL_TEXT,
};

struct job_cell {
    enum job_cell_kind kind;
    char *text; /* heap; NULL of a null */
    size_t len;
};

struct job_rows {
    size_t columns, count;
    struct job_cell *cells; /* row by row */
};

/* The names that any of the rows has, as they first stand: an array of strings. NULL: memory is short. */
json_t *job_rows_names(const json_t *rows);

/* The rows, an array of objects, in those columns, an array of names. 0, or -ENOMEM; for job_rows_fini both ways. */
int job_rows_take(struct job_rows *r, const json_t *rows, const json_t *names);
void job_rows_fini(struct job_rows *r);

/*
 * Makes one row of those with the same key: keys has one text a row, NULL of a row that is like no other. The row
 * stands where the first of them stood. Columns that are true in `number` are summed, those in `key` stay the first's.
 * 0, or -ENOMEM.
 */
int job_rows_sum(struct job_rows *r, char *const *keys, const bool *number, const bool *key);

/* As job_csv.h wants them: an array of objects, numbers as text. NULL: memory is short. */
json_t *job_rows_json(const struct job_rows *r, const json_t *names);

#endif
