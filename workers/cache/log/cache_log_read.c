/* cache_log_read.c: see cache_log_read.h. */
#include "workers/cache/log/cache_log_read.h"
#include "common/fault.h"
#include "workers/cache/log/cache_log_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define READER_PAGE 4096 /* what a disk loses at a time */

void cache_log_reader_start(struct cache_log_reader *rd, int fd, uint32_t base, uint64_t size,
                            size_t chunk)
{
    *rd = (struct cache_log_reader){
        .fd = fd, .base = base, .offset = CACHE_LOG_SEGMENT_HEAD, .size = size, .chunk = chunk};
}

void cache_log_reader_fini(struct cache_log_reader *rd)
{
    free(rd->window);
    rd->window = NULL;
    rd->capacity = rd->from = rd->filled = 0;
}

/* Room for `need` bytes from the place at hand on, which comes first. */
static int reader_make_room(struct cache_log_reader *rd, size_t need)
{
    size_t capacity = need > rd->chunk ? need : rd->chunk;
    if (rd->filled > rd->from && rd->from > 0)
        memmove(rd->window, rd->window + rd->from, rd->filled - rd->from);
    rd->filled -= rd->from;
    rd->from = 0;
    if (capacity <= rd->capacity)
        return 0;
    char *grown = realloc(rd->window, capacity);
    if (grown == NULL)
        return -ENOMEM;
    rd->window = grown;
    rd->capacity = capacity;
    return 0;
}

/* What cannot be read is zeroes, up to the next page: no record, whatever it was. */
static size_t reader_read(struct cache_log_reader *rd, uint64_t at, size_t room)
{
    ssize_t n;
    do
        n = FAULT_POINT("cache-log.read", slice_of(""))
                ? -1
                : pread(rd->fd, rd->window + rd->filled, room, (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return (size_t)n;
    size_t lost = READER_PAGE - at % READER_PAGE;
    lost = lost < room ? lost : room;
    memset(rd->window + rd->filled, 0, lost);
    rd->unread += lost;
    return lost;
}

static int reader_fill(struct cache_log_reader *rd, size_t need)
{
    int rc = reader_make_room(rd, need);
    while (rc == 0 && rd->filled < need) {
        uint64_t at = rd->offset + rd->filled, left = rd->size - at;
        size_t room = rd->capacity - rd->filled;
        size_t n = reader_read(rd, at, left < room ? (size_t)left : room);
        if (n == 0) { /* it has become shorter */
            rd->size = at;
            break;
        }
        rd->filled += n;
    }
    return rc;
}

static void reader_settle(struct cache_log_reader *rd)
{
    rd->damaged += rd->bad > 0;
    rd->damaged_bytes += rd->bad;
    rd->bad = 0;
}

static void reader_skip(struct cache_log_reader *rd)
{
    rd->bad++;
    rd->offset++;
    rd->from += rd->from < rd->filled;
}

/* Past what is damaged. 1: a record is `seen`; 0: the window has none any more, and the file may have. */
static int reader_look(struct cache_log_reader *rd)
{
    while (rd->offset < rd->size) {
        enum cache_log_look look =
            cache_log_record_read(rd->window + rd->from, rd->filled - rd->from,
                                  cache_log_segment_seed(rd->base, rd->offset), &rd->seen);
        if (look == CACHE_LOG_WHOLE) {
            reader_settle(rd);
            return 1;
        }
        if (look == CACHE_LOG_BAD || rd->seen.size > rd->size - rd->offset) {
            reader_skip(rd);
            continue;
        }
        return 0;
    }
    return 0;
}

int cache_log_reader_next(struct cache_log_reader *rd)
{
    int rc = rd->window == NULL ? reader_make_room(rd, rd->chunk) : 0;
    while (rc == 0) {
        if (reader_look(rd) > 0)
            return 1;
        if (rd->offset >= rd->size)
            break;
        rc = reader_fill(rd, rd->seen.size);
    }
    if (rc == 0)
        reader_settle(rd);
    return rc;
}

void cache_log_reader_pass(struct cache_log_reader *rd)
{
    rd->offset += rd->seen.size;
    rd->from += rd->seen.size;
}

int cache_log_reader_some(struct cache_log_reader *rd,
                          struct cache_log_record records[CACHE_LOG_READ_MAX], size_t *bytes)
{
    int count = 0, rc = cache_log_reader_next(rd);
    *bytes = 0;
    for (; rc > 0; rc = count < CACHE_LOG_READ_MAX ? reader_look(rd) : 0) {
        records[count++] = rd->seen.record;
        *bytes += rd->seen.size;
        cache_log_reader_pass(rd);
    }
    return rc < 0 ? rc : count;
}
