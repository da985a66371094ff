/*
 * job_table.h: a table of a MySQL or MariaDB server, and rows written to it.
 *
 * Runs in job-store. Blocks, within the connection's time-outs. Wants SELECT, INSERT and UPDATE of the table.
 */
#ifndef WORKERS_JOBS_STORE_JOB_TABLE_H
#define WORKERS_JOBS_STORE_JOB_TABLE_H

#include "workers/jobs/store/job_rows.h"

#define JOB_TABLE_ERROR 512

struct job_table;

struct job_table_options {
    const char *hostname; /* host, host:port, [IPv6]:port, or /path of a socket */
    const char *db, *username, *password, *table;
    unsigned seconds; /* that any answer may take */
};

/*
 * Connects, and reads what the table has. NULL: why is the server's word, or ours, in `error`. It never has the
 * password.
 */
struct job_table *job_table_open(const struct job_table_options *o, char error[JOB_TABLE_ERROR]);
void job_table_close(struct job_table *t);

/* Of names, an array of strings: those that it has and that can be written; the others are appended to `dropped`. */
json_t *job_table_columns(const struct job_table *t, const json_t *names, json_t *dropped);

/*
 * Writes the rows, in columns of `names`, all of which the table has, in one transaction: rows of one unique key are
 * summed before (job_rows_sum), and replace what is there. 0; or -1, error says why, and nothing is written.
 * *keyed: false when the rows have no unique key of the table's, so that all of them are added.
 */
int job_table_write(struct job_table *t, struct job_rows *rows, const json_t *names, bool *keyed,
                    char error[JOB_TABLE_ERROR]);

#endif
