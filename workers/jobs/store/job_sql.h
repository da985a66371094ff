/*
 * job_sql.h: the statements that job_table says. Runs in job-store. Pure.
 */
#ifndef WORKERS_JOBS_STORE_JOB_SQL_H
#define WORKERS_JOBS_STORE_JOB_SQL_H

#include "common/buffer.h"
#include "workers/jobs/store/job_rows.h"

/* Of a column, as the server describes it (SHOW FULL COLUMNS, SHOW INDEX). */
struct job_column {
    char *name, *type, *collation; /* heap; collation "" of what is no text */
    bool generated;
    unsigned key;     /* its place in the unique key, from 1; 0: it is not in it */
    unsigned key_len; /* characters of it that the key has; 0: all */
};

/* How the text of a value is made safe between quotes: appends it. */
typedef void (*job_sql_escape)(void *ctx, struct buffer *out, struct slice text);

/* Whether what is in it is a number, and so is summed. */
bool job_sql_is_number(const struct job_column *column);

/* A name between backticks. */
void job_sql_name(struct buffer *out, const char *name);

/*
 * What the server makes of a value in a key's column, so that two that are the same to it have the same text: by the
 * column's type, by its collation.
 */
void job_sql_key(struct buffer *out, const struct job_column *column, const struct job_cell *cell,
                 job_sql_escape escape, void *ctx);

/* (1,'a',NULL) of a row. */
void job_sql_row(struct buffer *out, const struct job_cell *cells, size_t columns,
                 job_sql_escape escape, void *ctx);

/* INSERT INTO `t` (`a`,`b`) VALUES, up to where the rows begin; and what stands behind them. */
void job_sql_insert_begin(struct buffer *out, const char *table,
                          const struct job_column *const *columns, size_t count);
void job_sql_insert_end(struct buffer *out, const struct job_column *const *columns, size_t count);

#endif
