/*
 * sanjer_store.h: rows that a job has stored: {"type":"store","settings":{"store","bucket","key"},"rows":[…]}, or of
 * type mysql, whose settings are hostname, db, username, password, table (sanjer_mysql.h).
 *
 * Runs in sanjers. They are taken while the job runs, and written when it has ended well, one transaction for each time
 * it said so, on a thread of libuv's: common/store blocks. `key` is a template of a row's fields, `bucket` the
 * platform's id unless it says another; what is written twice, as by another attempt, is there once.
 */
#ifndef WORKERS_JOBS_SANJER_STORE_H
#define WORKERS_JOBS_SANJER_STORE_H

#include <jansson.h>
#include <stdbool.h>

struct sanjer;
struct sanjer_run;
struct sanjer_store;

/* Reads the settings of the store that jobs may write to; NULL: there is none, or memory is short. */
struct sanjer_store *sanjer_store_new(struct sanjer *s);
void sanjer_store_free(struct sanjer_store *st);

/* Takes what a job says of one store, borrowed; what is wrong with it is the job's end (run->storage). */
void sanjer_store_take(struct sanjer_run *run, json_t *store);

/*
 * Writes what was taken, when there is any, and the job has not failed: then sanjer_end follows later, and true is
 * returned. What was written is `processed` in the job's meta, as CSV; what went wrong in run->storage.
 */
bool sanjer_store_write(struct sanjer_run *run);

/* What is on its way to a database is ended, for the job is to be over. True: there was something. */
bool sanjer_store_stop(struct sanjer_run *run);

/* The job goes: what is being written for it is nobody's to hear of any more. */
void sanjer_store_let_go(struct sanjer_run *run);

#endif
