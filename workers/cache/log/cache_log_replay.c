/*
 * cache_log_replay.c: what is on the disk when the log is opened. See cache_log.h.
 *
 * First the end is found: behind the last record that ends a turn, in the newest segment, or in one before it when all
 * the newest has is the beginning of a turn. What is behind it was never acknowledged, and is cut off. Then all
 * segments are read, from the oldest on. Each is synced, because one that a killed process has written may not be on
 * the disk, while what it said is taken for true from now on. When something of it is damaged, all is written anew, so
 * that the next start does not find it again: a segment might else stay for as long as nothing in it is overwritten.
 */
#include "common/fault.h"
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define REPLAY_CHUNK (1u << 20)
#define REPLAY_BEAT  4096        /* records, or … */
#define REPLAY_LONG  (16u << 20) /* … bytes, for a disk may take a while for few large ones */

#define REPLAY_SAMPLE   1000 /* objects by which it may be guessed how many others there are */
#define REPLAY_OBJECT   128  /* bytes of the log, at least, for each that is expected */
#define REPLAY_EXPECTED (1u << 25) /* of them, at most */

struct replay {
    struct cache_log *log;
    void (*alive)(void *ctx);
    struct cache_log_found *found;
    struct cache_log_name name; /* of the segment at hand */
    uint32_t before;            /* what its head says of that before it */
    uint64_t records, bytes;    /* since the last beat */
    uint64_t sets,
        sets_of; /* objects, in so many bytes of segments (where the end was looked for) */
};

static void replay_passed(struct replay *r, size_t records, size_t bytes)
{
    r->records += records;
    r->bytes += bytes;
    if (r->alive == NULL || (r->records < REPLAY_BEAT && r->bytes < REPLAY_LONG))
        return;
    r->records = r->bytes = 0;
    r->alive(r->log->ctx);
}

static int replay_open(struct replay *r, struct cache_log_part *p, enum cache_log_head *head)
{
    struct cache_log *l = r->log;
    r->name = cache_log_name_of(l, p->number);
    uint64_t size = 0;
    if (p->fd < 0)
        p->fd = cache_log_segment_open(l->dir, &r->name, &size);
    else
        size = p->size;
    if (p->fd < 0)
        return p->fd;
    p->size = size;
    char text[CACHE_LOG_SEGMENT_HEAD];
    ssize_t n = pread(p->fd, text, sizeof text, 0);
    *head = cache_log_head_read(text, n > 0 ? (size_t)n : 0, &r->name, &r->before);
    return *head == CACHE_LOG_HEAD_NEWER ? -EPROTONOSUPPORT : 0;
}

/*
 * Behind its last record that ends a turn; 0: there is none. Where the disk does not give all of it, the end is not
 * known: nothing may be cut off then, and nothing appended.
 */
static int replay_find_end(struct replay *r, struct cache_log_part *p, uint64_t *end)
{
    struct cache_log_reader rd;
    cache_log_reader_start(&rd, p->fd, p->base, p->size, REPLAY_CHUNK);
    int rc;
    while ((rc = cache_log_reader_next(&rd)) > 0) {
        cache_log_reader_pass(&rd);
        if (rd.seen.last)
            *end = rd.offset;
        r->sets += rd.seen.record.kind == CACHE_LOG_SET;
        replay_passed(r, 1, rd.seen.size);
    }
    r->sets_of += p->size;
    if (rd.unread > 0) {
        *end = p->size;
        p->full = true;
    }
    cache_log_reader_fini(&rd);
    return rc;
}

/* Cuts one segment. True in *more: nothing is left of it, so the turn may have begun in the one before. */
static int replay_cut_one(struct replay *r, struct cache_log_part *p, bool *more)
{
    enum cache_log_head head;
    uint64_t end = 0;
    *more = false;
    int rc = replay_open(r, p, &head);
    if (rc != 0 || head == CACHE_LOG_HEAD_FOREIGN)
        return rc;
    rc = replay_find_end(r, p, &end);
    if (rc != 0)
        return rc;
    *more = end == 0;
    if (end == 0 && head == CACHE_LOG_HEAD_GOOD)
        end = CACHE_LOG_SEGMENT_HEAD;
    if (p->size <= end)
        return 0;
    if (ftruncate(p->fd, (off_t)end) != 0)
        return -errno;
    r->found->cut_bytes += p->size - end;
    p->size = end;
    return FAULT_POINT("cache-log.cut", slice_of("")) || fsync(p->fd) != 0 ? -EIO : 0;
}

static int replay_cut(struct replay *r)
{
    struct cache_log *l = r->log;
    bool more = true;
    int rc = 0;
    for (size_t i = l->part_count; i > 0 && more && rc == 0; i--)
        rc = replay_cut_one(r, &l->parts[i - 1], &more);
    return rc;
}

static void replay_damage(struct replay *r, uint64_t places, uint64_t bytes)
{
    r->found->damaged += places;
    r->found->damaged_bytes += bytes;
}

static int replay_records(struct replay *r, struct cache_log_part *p)
{
    struct cache_log *l = r->log;
    struct cache_log_record records[CACHE_LOG_READ_MAX];
    struct cache_log_reader rd;
    cache_log_reader_start(&rd, p->fd, p->base, p->size, REPLAY_CHUNK);
    size_t bytes;
    int rc;
    while ((rc = cache_log_reader_some(&rd, records, &bytes)) > 0) {
        size_t count = (size_t)rc;
        for (size_t i = 0; i < count; i++)
            records[i].strange = p->number < l->since;
        rc = l->events.on_records(records, count, p->number, l->ctx);
        if (rc < 0)
            break;
        p->alive += bytes;
        r->found->records += count;
        replay_passed(r, count, bytes);
    }
    replay_damage(r, rd.damaged, rd.damaged_bytes);
    cache_log_reader_fini(&rd);
    return rc;
}

/* What a killed process has written and not synced. */
static void replay_sync(struct replay *r, const struct cache_log_part *p)
{
    if (fsync(p->fd) == 0)
        return;
    r->log->sync_failed = true;
    cache_log_lost(r->log, "sync", &r->name, -errno);
}

static int replay_one(struct replay *r, struct cache_log_part *p)
{
    struct cache_log *l = r->log;
    enum cache_log_head head;
    int rc = replay_open(r, p, &head);
    if (rc != 0)
        return rc;
    p->full = p->full || (head != CACHE_LOG_HEAD_GOOD && p->size > 0);
    if (head == CACHE_LOG_HEAD_FOREIGN)
        replay_damage(r, 1, p->size);
    else if (head == CACHE_LOG_HEAD_DAMAGED && p->size > 0)
        replay_damage(r, 1, p->size < CACHE_LOG_SEGMENT_HEAD ? p->size : CACHE_LOG_SEGMENT_HEAD);
    if (head != CACHE_LOG_HEAD_FOREIGN)
        rc = replay_records(r, p);
    replay_sync(r, p);
    l->bytes += p->size;
    l->alive += p->alive;
    return rc;
}

static int replay_all(struct replay *r)
{
    struct cache_log *l = r->log;
    for (size_t i = 0; i < l->part_count; i++) {
        int rc = replay_one(r, &l->parts[i]);
        if (rc != 0)
            return rc;
        if (i > 0 && r->before != 0 && r->before != l->parts[i - 1].number)
            replay_damage(r, 1, 0); /* segments between them are missing */
        if (i + 1 < l->part_count)
            cache_log_part_close(&l->parts[i]);
    }
    return 0;
}

/*
 * As if nothing were superseded, and the older segments were like the newest. Where they have fewer and larger objects,
 * the room for one in each REPLAY_OBJECT bytes is the most that is too much, and for the moment only; and none takes
 * longer to be made than a beat may wait.
 */
static void replay_expect(struct replay *r)
{
    struct cache_log *l = r->log;
    uint64_t bytes = 0;
    if (l->events.on_expected == NULL || r->sets < REPLAY_SAMPLE)
        return;
    for (size_t i = 0; i < l->part_count; i++) {
        struct cache_log_name n = cache_log_name_of(l, l->parts[i].number);
        bytes += cache_log_segment_size(l->dir, &n);
    }
    uint64_t each = r->sets_of / r->sets;
    uint64_t count = bytes / (each > REPLAY_OBJECT ? each : REPLAY_OBJECT);
    l->events.on_expected(count < REPLAY_EXPECTED ? count : REPLAY_EXPECTED, l->ctx);
}

static int replay_list(struct cache_log *l)
{
    struct cache_log_name *list;
    size_t count;
    int rc = cache_log_dir_list(l->dir, &list, &count);
    if (rc == 0)
        rc = count > 0 ? 0 : cache_log_instance(&l->instance);
    if (rc == 0 && count > 0)
        l->instance = list[0].instance;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = cache_log_part_add(l, list[i].number) != NULL ? 0 : -ENOMEM;
    free(list);
    return rc;
}

int cache_log_replay(struct cache_log *l, void (*alive)(void *ctx), struct cache_log_found *found,
                     char *why, size_t why_size)
{
    struct replay r = {.log = l, .alive = alive, .found = found};
    *found = (struct cache_log_found){0};
    int rc = replay_list(l);
    if (rc != 0) {
        cache_log_explain(why, why_size, "read", l->path, NULL, rc);
        return rc;
    }
    rc = replay_cut(&r);
    if (rc == 0 && (rc = cache_log_store_open(l, why, why_size)) != 0)
        return rc;
    if (rc == 0) {
        replay_expect(&r);
        rc = replay_all(&r);
    }
    if (rc == 0 && FAULT_POINT("cache-log.replayed", slice_of("")))
        rc = -EIO;
    if (rc == 0 && fsync(l->dir) != 0)
        rc = -errno;
    if (rc != 0)
        cache_log_explain(why, why_size, "replay", l->path, &r.name, rc);
    l->wants_rewrite = l->wants_rewrite || found->damaged > 0;
    return rc;
}
