/*
 * backing_file_store.h: one object in a directory: what the threads of backing_file.c do.
 *
 * Runs in a backing worker, in a thread. Blocks on the disk and on the lock. See backing_file.h for what is where.
 */
#ifndef WORKERS_CACHE_BACKING_FILE_STORE_H
#define WORKERS_CACHE_BACKING_FILE_STORE_H

#include "common/buffer.h"
#include "workers/cache/backing/backing.h"
#include "workers/cache/backing/backing_file_mark.h"

#include <stdatomic.h>

enum backing_file_kind {
    BACKING_FILE_CHECK,
    BACKING_FILE_PUT,
    BACKING_FILE_GET,
    BACKING_FILE_ERASE,
};

struct backing_file_job {
    enum backing_file_kind kind;
    const char *path; /* of the store */
    struct backing_file_mark *mark;
    const char *name;         /* "hh/NAME" */
    struct backing_meta meta; /* of a put; an erase's version. Then: what was found */
    struct buffer value;      /* of a put; of a get: what was read */
    size_t value_max;
    uint64_t deadline_ms;  /* clock_mono_ms */
    atomic_bool *given_up; /* nobody waits for it any more: nothing is changed from then on */
    int not_remembered; /* of a check: 0, or why this host's file of the mark could not be written */
    enum backing_result result;
    char why[BACKING_WHY_SIZE];
};

void backing_file_run(struct backing_file_job *job);

#endif
