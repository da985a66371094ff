/*
 * sanjer_mysql.h: rows of a job to libexec/platoon/job-store, a process of its own for each time a job has stored some.
 *
 * Runs in sanjers, on a thread of libuv's but for sanjer_mysql_stop. Deadlines everywhere: job-store has one, and is
 * killed a little later.
 */
#ifndef WORKERS_JOBS_SANJER_MYSQL_H
#define WORKERS_JOBS_SANJER_MYSQL_H

#include "common/child_process.h"

#include <jansson.h>
#include <pthread.h>

/* The process that is running, if any, and whether none shall any more. Both threads look at it. */
struct sanjer_mysql {
    pthread_mutex_t lock;
    struct child_process process;
    bool running, stopped;
};

void sanjer_mysql_init(struct sanjer_mysql *m);
void sanjer_mysql_fini(struct sanjer_mysql *m);

/* What is wrong with the settings of {"type":"mysql"}; NULL: nothing. */
const char *sanjer_mysql_lacks(const json_t *settings);

/*
 * Writes what one store says, within that time. What job-store has answered is the caller's, {"rows","dropped","keyed",
 * "csv"}; NULL: `why` says what has gone wrong. Blocks.
 */
json_t *sanjer_mysql_write(struct sanjer_mysql *m, const json_t *store, uint64_t timeout_ms,
                           char *why, size_t size);

/*
 * From another thread: what is being written now is not. True: there was something. for_good: and nothing more will be,
 * whether there was or not.
 */
bool sanjer_mysql_stop(struct sanjer_mysql *m, bool for_good);

#endif
