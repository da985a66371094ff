/*
 * cache_second.h: the second copies of what a cache node has written (copies = 2): in Redis, through its manager, until
 * the store has it.
 *
 * Runs in a cache node of a ring; one thread. cache_db knows what is to be copied, and gives each change a number; this
 * sends it, some of it in each turn, hears what came of it, and says up to which number all has a copy: what is
 * acknowledged must not be beyond that (cache_turn.h). What has one and is stored is dropped there again, once the log
 * is synced: of a host that loses its power the log may have what was there before, as clean, and nobody would know
 * that it is old. It knows neither clients nor the ring, but the mark of the node's join, which each request says.
 *
 * What could not be copied is tried again, for as long as it is dirty, with its newest version. Nothing is kept of a
 * request but keys and versions: values are in memory, and may be newer by then.
 */
#ifndef WORKERS_CACHE_SECOND_H
#define WORKERS_CACHE_SECOND_H

#include "common/buffer.h"
#include "common/unpack.h"
#include "workers/cache/cache_db.h"

#include <uv.h>

/* Redis' own text for it. */
#define CACHE_SECOND_REFUSED "NOREPLICAS Not enough good replicas to write."

struct cache_second_options {
    uv_loop_t *loop;
    struct cache_db *db;
    uint64_t timeout_ms; /* nothing was copied for so long: it is late */
    /* Where the log ends, and whether it is synced up to there, which is asked for if not; NULL: there is none. */
    uint64_t (*log_end)(void *ctx);
    bool (*log_synced)(void *ctx, uint64_t end);
    /* As those of cache_member.h. */
    struct buffer *(*compose)(void *ctx);
    bool (*send)(void *ctx);
    void *ctx;
};

struct cache_second;

/* NULL: memory is short. Its timer closes while the loop goes on. */
struct cache_second *cache_second_new(const struct cache_second_options *options);
void cache_second_free(struct cache_second *s); /* NULL is allowed */

/* It has joined, with that mark; `anew`: what was copied before is gone. It has not any more: its manager is away. */
void cache_second_joined(struct cache_second *s, uint64_t mark, bool anew);
void cache_second_parted(struct cache_second *s);

/* RING_COPIED. False: it is another message, or malformed. */
bool cache_second_on_message(struct cache_second *s, uint64_t type, struct unpack *u);

/* At the end of each turn: sends what is to be copied, and dropped. True: there is more to do at once. */
bool cache_second_turn(struct cache_second *s);

/* All changes up to that number have a copy, or need none any more. */
uint64_t cache_second_end(const struct cache_second *s);

/* Something is to be copied, and nothing has been for so long that writes are refused at once. */
bool cache_second_is_late(const struct cache_second *s);

/* What keeps it from copying: one line, or "": it is not late. */
const char *cache_second_trouble(const struct cache_second *s);

/* The store has this version of the object, or a newer one. */
void cache_second_drop(struct cache_second *s, struct slice key, uint64_t version);

/*
 * A number of the last drop, and that of the last one up to which all are done: who gives up an object to others waits
 * for that, since a copy that is left would be stored when the node is lost, whatever became of the object by then.
 */
uint64_t cache_second_drop_end(const struct cache_second *s);
uint64_t cache_second_dropped(const struct cache_second *s);

/* So many drops wait that no more is to be stored. */
bool cache_second_is_full(const struct cache_second *s);

#endif
