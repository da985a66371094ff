/*
 * cache_log_read.h: the records of a segment, one after the other, past what is damaged.
 *
 * Runs in a cache node. Blocks on the disk. By pread into a window and not by mmap, because a bad sector there is a
 * signal that no restart cures; here it is a damaged place like any other. The window is as large as `chunk` or as the
 * largest record.
 */
#ifndef WORKERS_CACHE_LOG_READ_H
#define WORKERS_CACHE_LOG_READ_H

#include "workers/cache/log/cache_log_record.h"

#define CACHE_LOG_READ_MAX 64 /* records that are read at once */

struct cache_log_reader {
    int fd; /* the caller's */
    uint32_t base;
    uint64_t offset; /* in the file, of the record at hand, or of the next byte to be looked at */
    uint64_t size;   /* of the file: nothing beyond is read */
    struct cache_log_seen seen;
    /* Places where there was no record, and their bytes. */
    uint64_t damaged, damaged_bytes;
    uint64_t bad;    /* bytes of the place that it is in */
    uint64_t unread; /* bytes that the disk did not give: what stands there is not known */
    size_t chunk, capacity, from, filled;
    char *window;
};

/* From the end of the head on. `base`: cache_log_segment_base. Allocates nothing yet. */
void cache_log_reader_start(struct cache_log_reader *rd, int fd, uint32_t base, uint64_t size,
                            size_t chunk);
void cache_log_reader_fini(struct cache_log_reader *rd);

/* 1: a record is `seen`, at `offset`, until the next call; the same again until it is passed. 0: the end. -ENOMEM. */
int cache_log_reader_next(struct cache_log_reader *rd);
void cache_log_reader_pass(struct cache_log_reader *rd);

/*
 * As many records as are at hand without another look at the disk, CACHE_LOG_READ_MAX at most, and passes them. They
 * hold until the next call. How many, 0: the end; -ENOMEM. *bytes: what they take in the file.
 */
int cache_log_reader_some(struct cache_log_reader *rd,
                          struct cache_log_record records[CACHE_LOG_READ_MAX], size_t *bytes);

#endif
