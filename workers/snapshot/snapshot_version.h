/*
 * snapshot_version.h: how people name a version: by a commit, a time, or an age.
 *
 * Runs in the store of a snapshot. Pure.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_VERSION_H
#define WORKERS_SNAPSHOT_SNAPSHOT_VERSION_H

#include "common/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum snapshot_version_kind {
    SNAPSHOT_NEWEST, /* nothing is said */
    SNAPSHOT_COMMIT, /* 7 to 40 hex digits, as git abbreviates a commit */
    SNAPSHOT_TIME,   /* the newest that was there then */
};

struct snapshot_version {
    enum snapshot_version_kind kind;
    char commit[41]; /* in small letters */
    int64_t time_s;  /* since 1970 */
};

/*
 * 3fa90c1, 2026-11-28, 2026-11-28T10:00, …T10:00:05Z, …T10:00:05+01:00 (without a zone: UTC), 2h (so long before
 * now_s). What could be a commit and an age is a commit. False: it is none of these.
 */
bool snapshot_version_read(struct slice text, int64_t now_s, struct snapshot_version *v);

/* "2026-11-28T10:00:05Z" */
#define SNAPSHOT_TIME_SIZE 32
void snapshot_time_write(int64_t time_s, char text[SNAPSHOT_TIME_SIZE]);

#endif
