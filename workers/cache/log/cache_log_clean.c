/* cache_log_clean.c: the oldest segment's live records are appended anew. See cache_log.h. */
#include "common/fault.h"
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CLEAN_CHUNK                                                                                \
    65536 /* bytes read at a time: what a loop may wait for when the disk is asked */
#define CLEAN_AHEAD (1u << 20)
/*
 * What is read and moved for each byte that others append: of a segment half of which is alive, three for each that is
 * won; the fourth makes up for what was not.
 */
#define CLEAN_PACE 4

/* The oldest that has not been cleaned and is all on the disk; NULL: there is none but the one that is written to. */
static struct cache_log_part *clean_oldest(const struct cache_log *l)
{
    for (size_t i = 0; i + 1 < l->part_count; i++)
        if (!l->parts[i].cleaned)
            return cache_log_is_in_turn(l, l->parts[i].number) ? NULL : &l->parts[i];
    return NULL;
}

/*
 * More is dead than alive, so for each byte that is moved at least one is won; and a segment's worth, so that a small
 * log is left in peace.
 */
static bool clean_is_worth_it(const struct cache_log *l)
{
    uint64_t left = l->bytes - l->cleaned_bytes;
    uint64_t dead = left > l->alive ? left - l->alive : 0;
    return dead > l->alive && dead > l->options.segment_max && clean_oldest(l) != NULL;
}

static void clean_read_ahead(const struct cache_log *l)
{
    posix_fadvise(l->reader.fd, (off_t)l->reader.offset, CLEAN_AHEAD, POSIX_FADV_WILLNEED);
}

static int clean_begin(struct cache_log *l)
{
    const struct cache_log_part *p = clean_oldest(l);
    struct cache_log_name n = cache_log_name_of(l, p->number);
    uint64_t size = 0;
    int fd = cache_log_segment_open(l->dir, &n, &size);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
        return fd; /* another time */
    if (fd < 0) {
        cache_log_lost(l, "read", &n, fd);
        return fd;
    }
    cache_log_reader_start(&l->reader, fd, p->base, size < p->size ? size : p->size, CLEAN_CHUNK);
    l->cleaning = p->number;
    clean_read_ahead(l);
    return 0;
}

void cache_log_clean_end(struct cache_log *l)
{
    if (l->cleaning == 0)
        return;
    close(l->reader.fd);
    cache_log_reader_fini(&l->reader);
    l->cleaning = 0;
}

/* It may go when what was appended up to now is synced: what was moved, and what made its other records dead. */
static void clean_done(struct cache_log *l, struct cache_log_part *p)
{
    p->cleaned = true;
    p->cleaned_at = l->added;
    l->cleaned_bytes += p->size;
    (void)FAULT_POINT("cache-log.cleaned", slice_of(""));
}

/* If something in it is alive that was not found there, the disk has lost it, and memory alone still has it. */
static void clean_finish(struct cache_log *l)
{
    struct cache_log_part *p = cache_log_part(l, l->cleaning);
    cache_log_clean_end(l);
    if (p->alive > 0) {
        struct cache_log_name n = cache_log_name_of(l, p->number);
        cache_log_lost(l, "read all of", &n, -EIO);
        return;
    }
    clean_done(l, p);
}

/* Of which nothing is alive: they need no reading. */
static void clean_dead(struct cache_log *l)
{
    struct cache_log_part *p;
    while ((p = clean_oldest(l)) != NULL && p->alive == 0)
        clean_done(l, p);
}

/*
 * The bytes that were read and written for one record; 0: memory is short, and it is still at hand. What dies is the
 * record that memory came with, whose size need not be that of the one at hand: a name that was set, deleted and set
 * again is alive at the first of both when their versions are the same.
 */
static size_t clean_one(struct cache_log *l)
{
    struct cache_log_record r = l->reader.seen.record;
    size_t size = l->reader.seen.size;
    if (!l->events.is_alive(&r, l->cleaning, l->ctx))
        return size;
    uint32_t to = cache_log_add(l, &r);
    if (to == 0)
        return 0;
    cache_log_dead(l, l->cleaning, cache_log_size(&r));
    l->events.on_moved(&r, to, l->ctx);
    (void)FAULT_POINT("cache-log.moved", slice_of(""));
    return size + cache_log_size(&r);
}

/* The same for as many records as `bytes` allow. *spent: what that took. True while the segment has more. */
static bool clean_records(struct cache_log *l, size_t bytes, size_t *spent)
{
    uint64_t from = l->reader.offset / CLEAN_AHEAD;
    while (*spent < bytes) {
        int rc = cache_log_reader_next(&l->reader);
        size_t cost = rc > 0 ? clean_one(l) : 0;
        if (rc == 0)
            clean_finish(l);
        if (cost == 0)
            return false;
        cache_log_reader_pass(&l->reader);
        *spent += cost;
    }
    if (l->reader.offset / CLEAN_AHEAD != from)
        clean_read_ahead(l);
    return true;
}

static bool clean_may(const struct cache_log *l)
{
    return !l->refused && !l->wants_rewrite && l->rewrite == 0;
}

static bool clean_some(struct cache_log *l, size_t bytes)
{
    for (size_t spent = 0; clean_may(l) && spent < bytes;) {
        if (l->cleaning == 0) {
            clean_dead(l);
            if (!clean_is_worth_it(l) || clean_begin(l) != 0)
                return false;
        }
        if (!clean_records(l, bytes, &spent) && l->cleaning != 0)
            return false; /* memory is short */
    }
    return clean_may(l) && (l->cleaning != 0 || clean_is_worth_it(l));
}

bool cache_log_clean(struct cache_log *l, size_t bytes)
{
    uint64_t came = CLEAN_PACE * (l->added - l->clean_seen);
    bool more = clean_some(l, came > bytes ? came : bytes);
    l->clean_seen = l->added;
    return more;
}
