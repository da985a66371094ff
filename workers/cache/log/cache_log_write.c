/* cache_log_write.c: the turn's buffer, and its one write. See cache_log.h. */
#include "common/fault.h"
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define TURN_KEEP (4u << 20) /* bytes of the buffer that stay allocated */

/* ---- the buffer ---- */

static bool write_piece_add(struct cache_log *l, const struct cache_log_part *p)
{
    if (l->piece_count > 0 && l->pieces[l->piece_count - 1].number == p->number)
        return true;
    if (l->piece_count == l->piece_capacity) {
        size_t capacity = l->piece_capacity > 0 ? 2 * l->piece_capacity : 4;
        struct cache_log_piece *grown = realloc(l->pieces, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        l->pieces = grown;
        l->piece_capacity = capacity;
    }
    l->pieces[l->piece_count++] =
        (struct cache_log_piece){.number = p->number, .offset = p->size, .from = l->turn.len};
    return true;
}

/* The segment that the next `size` bytes go to. */
static struct cache_log_part *write_part_for(struct cache_log *l, size_t size)
{
    struct cache_log_part *p = cache_log_part_current(l);
    bool fits = p != NULL &&
                (p->size <= CACHE_LOG_SEGMENT_HEAD || p->size + size <= l->options.segment_max);
    return fits ? p : cache_log_part_next(l);
}

static void write_grow(struct cache_log *l, struct cache_log_part *p, size_t size)
{
    l->turn.len += size;
    p->size += size;
    l->bytes += size;
    l->added += size;
}

/* The number of the segment before it. */
static uint32_t write_before(const struct cache_log *l, const struct cache_log_part *p)
{
    for (const struct cache_log_part *q = p; q > l->parts; q--)
        if (!q[-1].passed)
            return q[-1].number;
    return 0;
}

/* Room for a record, in the buffer and in a segment, which is begun with its head. NULL: memory is short. */
static char *write_room(struct cache_log *l, size_t size, struct cache_log_part **part)
{
    if (l->turn.len + CACHE_LOG_SEGMENT_HEAD + size > CACHE_LOG_TURN_MAX)
        return NULL;
    struct cache_log_part *p = write_part_for(l, size);
    char *room = p != NULL ? buffer_reserve(&l->turn, CACHE_LOG_SEGMENT_HEAD + size) : NULL;
    l->turn.failed = false; /* what it has is whole */
    if (room == NULL || !write_piece_add(l, p))
        return NULL;
    if (p->size == 0) {
        struct cache_log_name n = cache_log_name_of(l, p->number);
        cache_log_head_write(&n, write_before(l, p), room);
        write_grow(l, p, CACHE_LOG_SEGMENT_HEAD);
    }
    *part = p;
    l->last = l->turn.len;
    l->last_seed = cache_log_segment_seed(p->base, p->size);
    write_grow(l, p, size);
    return l->turn.data + l->last;
}

uint32_t cache_log_add(struct cache_log *l, const struct cache_log_record *r)
{
    if (!cache_log_record_fits(r))
        return 0;
    struct cache_log_part *p;
    size_t size = cache_log_size(r);
    char *to = write_room(l, size, &p);
    if (to == NULL)
        return 0;
    cache_log_record_write(to, r, l->last_seed);
    cache_log_record_seal(to, l->last_seed, false);
    p->alive += size;
    l->alive += size;
    return p->number;
}

bool cache_log_is_in_turn(const struct cache_log *l, uint32_t number)
{
    return l->piece_count > 0 && l->pieces[0].number <= number;
}

/* ---- to other segments ---- */

/* What is in `from` is put into the empty buffer again, as if it had come now; dead, for nobody will say that it is. */
static int write_again(struct cache_log *l, const struct cache_log_piece *pieces, size_t count,
                       struct slice from)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = pieces[i].from + (pieces[i].offset == 0 ? CACHE_LOG_SEGMENT_HEAD : 0);
        size_t end = i + 1 < count ? pieces[i + 1].from : from.len;
        while (at < end) {
            struct cache_log_part *p;
            size_t size = cache_log_record_written(from.ptr + at);
            char *to = write_room(l, size, &p);
            if (to == NULL)
                return -ENOMEM;
            memcpy(to, from.ptr + at, size);
            cache_log_record_replace(to, l->last_seed);
            at += size;
        }
    }
    return 0;
}

/* The segments that only the buffer knows of. */
static void write_pass(struct cache_log *l, bool passed)
{
    for (size_t i = 0; i < l->part_count; i++)
        if (l->parts[i].fd < 0 && l->parts[i].size == 0)
            l->parts[i].passed = passed;
    for (size_t i = l->piece_next; i < l->piece_count; i++)
        if (l->pieces[i].offset == 0 && cache_log_part(l, l->pieces[i].number)->fd < 0)
            cache_log_part(l, l->pieces[i].number)->passed = passed;
}

static void write_drop_passed(struct cache_log *l)
{
    for (size_t i = l->part_count; i > 0; i--)
        if (l->parts[i - 1].passed)
            cache_log_part_drop(l, i - 1);
}

int cache_log_move_turn(struct cache_log *l)
{
    struct cache_log before = *l;
    write_pass(l, true);
    l->turn = BUFFER_EMPTY;
    l->pieces = NULL;
    l->piece_count = l->piece_capacity = l->piece_next = 0;
    int rc = cache_log_part_next(l) == NULL ? -ENOMEM : 0;
    if (rc == 0)
        rc = write_again(l, before.pieces, before.piece_count, buffer_slice(&before.turn));
    l->added = before.added; /* the same records: whoever waits for one knows it by this */
    if (rc == 0) {
        buffer_fini(&before.turn);
        free(before.pieces);
        write_drop_passed(l);
        return 0;
    }
    buffer_fini(&l->turn);
    free(l->pieces);
    before.parts = l->parts; /* may have moved */
    before.part_capacity = l->part_capacity;
    *l = before;
    write_pass(l, false);
    return rc;
}

/* ---- the write ---- */

static int write_open(struct cache_log *l, struct cache_log_part *p, bool fresh)
{
    if (p->fd >= 0)
        return 0;
    struct cache_log_name n = cache_log_name_of(l, p->number);
    uint64_t size;
    int fd = fresh ? cache_log_segment_make(l->dir, &n) : cache_log_segment_open(l->dir, &n, &size);
    if (fd < 0)
        return fd;
    p->fd = fd;
    l->dir_unsynced = l->dir_unsynced || fresh;
    return FAULT_POINT("cache-log.segment", slice_of("")) ? -EIO : 0;
}

static int write_all(int fd, const char *from, size_t len, uint64_t at)
{
    while (len > 0) {
        size_t part = FAULT_POINT("cache-log.short", slice_of("")) ? (len + 1) / 2 : len;
        ssize_t n = pwrite(fd, from, part, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        from += n;
        at += (size_t)n;
        len -= (size_t)n;
        if (len > 0 && FAULT_POINT("cache-log.part", slice_of("")))
            return -ENOSPC;
    }
    return 0;
}

/*
 * What of it got there before it failed is taken back, so that the disk has whole turns only. When that fails, too: the
 * next try writes over it, and a replay cuts it off.
 */
static int write_piece(struct cache_log *l, const struct cache_log_piece *piece, size_t end)
{
    struct cache_log_part *p = cache_log_part(l, piece->number);
    int rc = write_open(l, p, piece->offset == 0);
    if (rc == 0 && FAULT_POINT("cache-log.write", slice_of("")))
        rc = -EIO;
    if (rc == 0)
        rc = write_all(p->fd, l->turn.data + piece->from, end - piece->from, piece->offset);
    if (rc == 0) {
        p->unsynced = true;
        return 0;
    }
    cache_log_explain(l->write_trouble, sizeof l->write_trouble, "write", l->path,
                      &(struct cache_log_name){p->number, l->instance}, rc);
    if (p->fd >= 0 && ftruncate(p->fd, (off_t)piece->offset) != 0)
        p->unsynced = true; /* nothing else to do about it */
    return rc;
}

static void write_forget_turn(struct cache_log *l)
{
    buffer_reset(&l->turn, TURN_KEEP);
    l->piece_count = l->piece_next = 0;
    l->written = l->added;
    l->write_trouble[0] = '\0';
}

int cache_log_flush(struct cache_log *l)
{
    if (l->turn.len == 0)
        return 0;
    cache_log_record_seal(l->turn.data + l->last, l->last_seed, true);
    int rc = 0;
    for (; rc == 0 && l->piece_next < l->piece_count; l->piece_next += rc == 0) {
        bool is_last = l->piece_next + 1 == l->piece_count;
        rc = write_piece(l, &l->pieces[l->piece_next],
                         is_last ? l->turn.len : l->pieces[l->piece_next + 1].from);
    }
    l->refused = rc != 0;
    if (rc != 0)
        return rc;
    write_forget_turn(l);
    (void)FAULT_POINT("cache-log.written", slice_of(""));
    if (l->options.fsync == CACHE_LOG_ALWAYS)
        cache_log_sync_start(l);
    return 0;
}
