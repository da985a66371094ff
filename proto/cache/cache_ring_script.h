/*
 * cache_ring_script.h: the ring in Redis as C calls it: its scripts, their keys and arguments.
 *
 * Used by whoever stands between a cache's nodes and Redis, with redis_conn_script. Pure: no I/O; what is answered:
 * cache_ring_answer.h. What each script takes, does, and does when it is called again stands once, in the first lines
 * of its file (proto/cache/ring_<name>.lua); the ring as a whole is CACHE.md.
 */
#ifndef PROTO_CACHE_RING_SCRIPT_H
#define PROTO_CACHE_RING_SCRIPT_H

#include "common/slice.h"
#include "proto/redis/redis_script.h"

#include <stdint.h>

enum cache_ring_script {
#define X(NAME, name, file, parts) CACHE_##NAME,
    CACHE_SCRIPTS(X)
#undef X
        CACHE_RING_SCRIPT_COUNT
};

const char *cache_ring_script_text(enum cache_ring_script script);
const char *cache_ring_script_name(enum cache_ring_script script);

/* "platoon:{cache:NAME}:", what every key of a ring starts with, and the one key of each call. */
#define CACHE_RING_PREFIX_SIZE 96

/* -ENAMETOOLONG, the text untouched, when it does not fit. */
int cache_ring_prefix(char prefix[CACHE_RING_PREFIX_SIZE], const char *cache);

/* Most cells, nodes or copies in one call: Redis does nothing else meanwhile, some 10 us for each cell. */
#define CACHE_RING_CALL_MAX 1000

/* Buckets of cells: where a walk (sweep, free) ends; it begins at bucket 0 with the cursor "0". */
#define CACHE_RING_BUCKETS 4096

/* A node as calls name it: its incarnation, and the mark that its last join (or its loss) was given. */
struct cache_ring_holder {
    uint64_t incarnation;
    uint64_t mark;
};

/* A cell, and the number of the claim under which it is held. */
struct cache_ring_held {
    uint64_t cell;
    uint64_t number;
};

/* Of an object: its version (up to 16 digits), and its record as the log has it. */
struct cache_ring_copy {
    struct slice key;
    uint64_t version;
    struct slice record;
};

#define CACHE_RING_SEED_SIZE 16

/* What a node joins with. */
struct cache_ring_member {
    struct slice
        seed; /* CACHE_RING_SEED_SIZE bytes, random or the ring's as it is known: the ring's is answered */
    struct slice store; /* a name for it that another store does not have */
    bool file;          /* it is a directory */
    uint64_t copies;
    uint64_t lease_ms;
    struct slice name; /* the node's: cache/sessions/node.1 */
    struct slice host;
    struct slice platoon; /* the instance */
    struct slice address; /* where other nodes reach it */
    struct slice token;   /* names this start of the node, for a join that is asked again */
    struct cache_ring_holder last; /* 0, 0: it has never joined */
};

/*
 * A call: its arguments. Zero it before the first, and cache_ring_call_fini it after the last; each of the functions
 * below begins a new one in it. What they are given is not copied, and must live until the call is sent.
 */
struct cache_ring_call {
    enum cache_ring_script script;
    struct slice *args;
    size_t count;
    char (*room)[24]; /* of numbers and cells, which have no bytes of their own */
    size_t cap;
};

void cache_ring_call_fini(struct cache_ring_call *c);

/*
 * One for each script. `run`: the run_id of the server that the call goes to, as it was asked on that connection. 0; or
 * -ENOMEM, or -E2BIG for more than CACHE_RING_CALL_MAX: there is no call then.
 */
int cache_ring_join(struct cache_ring_call *c, struct slice run, const struct cache_ring_member *m);

/* `gen`: of the nodes as the manager knows them; 0: not at all. */
int cache_ring_beat(struct cache_ring_call *c, struct slice run, struct slice manager,
                    struct slice host, uint64_t gen, const struct cache_ring_holder *nodes,
                    size_t count);
int cache_ring_claim(struct cache_ring_call *c, struct slice run,
                     const struct cache_ring_holder *who, const uint64_t *cells, size_t count);
int cache_ring_held(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_held *cells,
                    size_t count);
int cache_ring_release(struct cache_ring_call *c, struct slice run,
                       const struct cache_ring_holder *who, const struct cache_ring_held *cells,
                       size_t count);
int cache_ring_look(struct cache_ring_call *c, struct slice run, const uint64_t *cells,
                    size_t count);

/* `beats`: the count at which they have stood still. */
int cache_ring_lost(struct cache_ring_call *c, struct slice run, struct slice manager,
                    uint64_t incarnation, uint64_t beats);

/* `lost`: with the mark of the loss. `even`: with the copies that are there. */
int cache_ring_forget(struct cache_ring_call *c, struct slice run,
                      const struct cache_ring_holder *lost, bool even);
int cache_ring_leave(struct cache_ring_call *c, struct slice run,
                     const struct cache_ring_holder *who);

/* `beats`: as of lost; NULL: whatever they are. */
int cache_ring_retire(struct cache_ring_call *c, struct slice run, struct slice manager,
                      const uint64_t *beats);
int cache_ring_sweep(struct cache_ring_call *c, struct slice run, uint64_t incarnation,
                     uint64_t bucket, struct slice cursor);
int cache_ring_free(struct cache_ring_call *c, struct slice run, uint64_t bucket,
                    struct slice cursor);
int cache_ring_copy(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_copy *copies,
                    size_t count);
int cache_ring_copies(struct cache_ring_call *c, struct slice run, uint64_t incarnation,
                      struct slice cursor);

/* `copies`: key and version of each. */
int cache_ring_drop(struct cache_ring_call *c, struct slice run,
                    const struct cache_ring_holder *who, const struct cache_ring_copy *copies,
                    size_t count);

#endif
