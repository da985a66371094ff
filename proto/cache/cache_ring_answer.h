/*
 * cache_ring_answer.h: what the ring's scripts answer, as C reads it.
 *
 * Used by whoever called one (cache_ring_script.h). Pure: no I/O, no allocation; slices point into the answer, which
 * is msgpack in a bulk string. Redis is another program, and may be somebody else's: whatever is not what a script says
 * is refused whole.
 */
#ifndef PROTO_CACHE_RING_ANSWER_H
#define PROTO_CACHE_RING_ANSWER_H

#include "common/unpack.h"
#include "proto/cache/cache_ring_script.h"

/* Numbers as in ring_lib.lua. */
enum cache_ring_status {
    CACHE_RING_OK = 0,
    CACHE_RING_MUST_JOIN =
        1, /* this incarnation is not there with this mark, in this run of this ring */
    CACHE_RING_CLOSED = 2, /* nothing is granted, taken over or given back for `value` ms */
    CACHE_RING_MOVED = 3,  /* what the caller saw is not so any more */
    CACHE_RING_SLAVE = 4,  /* `has` is master; empty: nobody */
    CACHE_RING_COPIED = 5, /* there are `value` copies, which the store may not have */
    /* join; `has` the ring, as node `name` on `host` of another platoon joined it */
    CACHE_RING_OTHER_STORE = 6,
    CACHE_RING_OTHERS_FILE = 7,
    CACHE_RING_OTHER_COPIES = 8,
    CACHE_RING_OTHER_LEASE = 9,
    CACHE_RING_FULL = 10, /* join: there are as many nodes as there may be */
    CACHE_RING_STATUS_COUNT,
};

/* How every answer begins. */
struct cache_ring_answer {
    enum cache_ring_status status;
    /* As above; of OK: of release, drop and free how many, of lost the mark, of claim Redis' clock in us, of held, look
     * and sweep for how many ms the ring is closed. */
    uint64_t value;
    struct slice has;
    struct slice name;
    struct slice host;
};

/* One line for people of a join that was refused for good (6 to 10), with the remedy; "" of any other. Returns text. */
const char *cache_ring_explain(const struct cache_ring_answer *a, const char *prefix, char *text,
                               size_t size);

/* Longest cursor of a walk, NUL included. */
#define CACHE_RING_CURSOR_SIZE 24

enum cache_ring_was { CACHE_RING_NEW = 0, CACHE_RING_LIVE = 1, CACHE_RING_LOST_NODE = 2 };

struct cache_ring_joined {
    uint64_t redis_us; /* Redis' clock */
    uint64_t closed_ms;
    struct cache_ring_holder who;
    struct slice seed;
    uint64_t gen;
    uint64_t
        epoch; /* of this run of this ring: a log's numbers of claims mean nothing in another */
    enum cache_ring_was was;
    uint64_t number; /* the highest that was given before this join; 0: none is known */
};

/* What became of each node of a beat. */
enum cache_ring_pulse {
    CACHE_RING_BEATS = 0,
    CACHE_RING_JOIN_AGAIN = 1,
    CACHE_RING_IS_LOST = 2,
    CACHE_RING_IS_GONE = 3,
};

/* A list within an answer, read from its start to its end by one of the functions below. */
struct cache_ring_list {
    struct unpack u;
    uint32_t left;
};

/* After `next` has answered false: whether that was the end. If not, nothing of the answer may be used. */
static inline bool cache_ring_list_ok(const struct cache_ring_list *l)
{
    return unpack_ok(&l->u) && l->left == 0;
}

struct cache_ring_beaten {
    uint64_t redis_us;
    uint64_t closed_ms;
    uint64_t gen;
    struct slice master;
    struct cache_ring_list beats;    /* of nodes and managers */
    struct cache_ring_list nodes;    /* empty when the generation is the one that was given */
    struct cache_ring_list managers; /* likewise */
};

struct cache_ring_node {
    struct cache_ring_holder who; /* of a lost one with the mark of its loss */
    bool lost;
    struct slice name;
    struct slice host;
    struct slice platoon;
    struct slice address;
};

/* Who has a cell; numbers as in ring_lib.lua. */
enum cache_ring_state {
    CACHE_RING_FREE_CELL = 0,
    CACHE_RING_OURS = 1,   /* `value`: the number of the claim */
    CACHE_RING_THEIRS = 2, /* `value`: the incarnation */
    CACHE_RING_LOST_CELL = 3,
};

struct cache_ring_owner {
    enum cache_ring_state state;
    uint64_t value;
};

/* Where a walk goes on. bucket CACHE_RING_BUCKETS: that was all; then, and of copies when `more` is false. */
struct cache_ring_page {
    uint64_t bucket;
    char cursor[CACHE_RING_CURSOR_SIZE];
    bool more;
    struct cache_ring_list list; /* sweep: cells; copies */
};

/*
 * One for each kind of answer. False when it is none; then nothing was written. What stands behind `a` is written only
 * when the status is OK.
 */
bool cache_ring_read(struct slice bytes,
                     struct cache_ring_answer *a); /* those without a function of their own */
bool cache_ring_read_joined(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_joined *joined);

/* `pulses`: one for each of the `count` nodes, as they were given. */
bool cache_ring_read_beaten(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_beaten *beaten, enum cache_ring_pulse *pulses,
                            size_t count);

/* claim, held, look. `owners`: one for each of the `count` cells, as they were given. */
bool cache_ring_read_owners(struct slice bytes, struct cache_ring_answer *a,
                            struct cache_ring_owner *owners, size_t count);
bool cache_ring_read_swept(struct slice bytes, struct cache_ring_answer *a,
                           struct cache_ring_page *page);
bool cache_ring_read_freed(struct slice bytes, struct cache_ring_answer *a,
                           struct cache_ring_page *page);

/* `who`, `lost`: whose copies they are, as of this moment. */
bool cache_ring_read_copies(struct slice bytes, struct cache_ring_answer *a, uint64_t *mark,
                            bool *lost, struct cache_ring_page *page);

/* The next of a list. False at its end, or when it is malformed (cache_ring_list_ok). */
bool cache_ring_next_beat(struct cache_ring_list *l, struct slice *who, uint64_t *beats);
bool cache_ring_next_node(struct cache_ring_list *l, struct cache_ring_node *node);
bool cache_ring_next_manager(struct cache_ring_list *l, struct slice *manager, struct slice *host);
bool cache_ring_next_cell(struct cache_ring_list *l, struct cache_ring_held *cell);
bool cache_ring_next_copy(struct cache_ring_list *l, struct cache_ring_copy *copy);

#endif
