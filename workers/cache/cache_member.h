/*
 * cache_member.h: a cache node in its ring: which cells it has, and what it says to its manager.
 *
 * Runs in a cache node of a ring; one thread. Joins through the manager, holds a lease, claims cells that commands
 * need, gives up those that nobody here uses. What becomes of a cell is the table's (ring/cache_own.h); this keeps the
 * states, tells the events and does what the table says. It knows neither clients nor commands: who needs a key asks
 * cache_member_look, waits where it says so (cache_park.h), and looks again.
 *
 * Three rules that the rest of the node leans on:
 *   - Nothing of a cell is read, written or loaded but after cache_member_look has said RUN, in the same turn of the
 * loop.
 *   - A cell is released when the log has forgotten all that was of it, on the disk and not only in write(2): so what a
 *     log has of a cell was never anybody else's meanwhile, and a node that was killed goes on with it as soon as Redis
 *     says that the cell is still its own. Rejected: the numbers of claims in the log, a record more for each cell, and
 *     one for each segment that is cleaned.
 *   - What is dirty of a cell that turns out to be another's becomes a stray (cache_db.h): stored if nobody has written
 *     it since, else a dead letter.
 */
#ifndef WORKERS_CACHE_MEMBER_H
#define WORKERS_CACHE_MEMBER_H

#include "common/buffer.h"
#include "common/unpack.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/ring/cache_own.h"

#include <stddef.h>
#include <stdint.h>

#define CACHE_MEMBER_WHY_SIZE 512

struct cache_node;
struct cache_member;

/* A node of the ring, as the manager tells of it. Slices live for the call. */
struct cache_member_peer {
    uint32_t incarnation;
    struct slice name, address;
    bool lost;
};

struct cache_member_owner {
    uint64_t token;       /* of the question */
    bool known;           /* false: nobody could say */
    uint32_t incarnation; /* 0: the key's cell is free */
    bool lost;
};

struct cache_member_options {
    struct cache_node *node; /* its db, log, park and behind are used */
    const char *address;     /* where other nodes reach this one */
    const char *path;        /* file of its identity: made, replaced, removed */
    bool copied;             /* copies = 2 */
    uint64_t idle_ms;        /* 0: what is not used is kept */
    uint64_t
        write_wait_ms; /* a cell that is to move is withheld so long at most, while it is stored */
    /* A buffer for a message to the manager; false: it is not there, or has no room, and the message is lost. */
    struct buffer *(*compose)(void *ctx);
    bool (*send)(void *ctx);
    /* The nodes of the ring are these now, this one among them. False: memory is short; it is told again. */
    bool (*on_nodes)(void *ctx, const struct cache_member_peer *peers, size_t count);
    /* The answer to cache_member_ask_owner. */
    void (*on_owner)(void *ctx, const struct cache_member_owner *owner);
    /* After cache_member_leave: it has left; false: it has not, and its cells stay its own. */
    void (*on_left)(void *ctx, bool left);
    void *ctx;
};

/* NULL: memory is short, or the identity cannot be read (`why`: path, cause, remedy). Before the log is replayed. */
struct cache_member *cache_member_new(const struct cache_member_options *options, char *why,
                                      size_t why_size);
void cache_member_free(struct cache_member *r); /* NULL is allowed */

/* Its manager is there, anew too; is gone. */
void cache_member_on_up(struct cache_member *r);
void cache_member_on_down(struct cache_member *r);

/* As worker_ops.on_message: false for what is no message of a manager, or none that can be read. */
bool cache_member_on_message(struct cache_member *r, uint64_t type, struct unpack *u);

/* At the end of each turn, before the log is written: says what was asked for. True while there is more to do now. */
bool cache_member_turn(struct cache_member *r);

/* Who waits for a cell may look again (cache_member_is_settled): asked once, and forgotten. */
bool cache_member_take_look(struct cache_member *r);

/* The log is written; its thread has come further. */
void cache_member_written(struct cache_member *r);
void cache_member_synced(struct cache_member *r);

/* Once a second. */
void cache_member_tick(struct cache_member *r);

/* Something has become clean, or a dead letter. */
void cache_member_changed(struct cache_member *r);

/* ---- for who needs a key ---- */

/* What is looked at from here on came before now: its clock is read. Before commands that were received are run. */
void cache_member_now(struct cache_member *r);

/* Who needs it: a client of this node (0), or another node, which says whether it asks again after it was refused. */
struct cache_member_who {
    uint32_t from;
    bool again;
};

struct cache_member_sight {
    enum cache_cell_action action; /* RUN, WAIT, FORWARD or REFUSE */
    uint32_t owner;                /* of FORWARD and REFUSE; of RUN this node's incarnation */
    uint64_t cell;                 /* of WAIT: to wait for */
    bool short_of;                 /* of REFUSE: memory is; nothing is known of any owner */
};

/* A command needs this key now. What must be asked for it is. */
struct cache_member_sight cache_member_look(struct cache_member *r, struct slice key,
                                            struct cache_member_who who);

/* The same of a key that will be needed: asks, and answers whether what it needs may be loaded ahead. */
bool cache_member_look_ahead(struct cache_member *r, struct slice key);

/* Without any trace: another node that has it, as far as is known, and is there; 0: none. */
uint32_t cache_member_owner(const struct cache_member *r, struct slice key);

/* Who waits for that cell may look again. */
bool cache_member_is_settled(struct cache_member *r, uint64_t cell);

/* It waits for more than an answer of Redis: the cell is being given up, moved or confirmed, or has a stray. */
bool cache_member_is_withheld(struct cache_member *r, uint64_t cell);

/*
 * What was written to the key here, in that version or a later one, and is not ours any more: to be stored still, or a
 * dead letter; NULL: there is none. Lives until an object changes.
 */
const struct cache_object *cache_member_stray(const struct cache_member *r, struct slice key,
                                              uint64_t version);

/*
 * The cell of a key. Somebody waits for it, or for something in it that is to be loaded: until it does no more, the
 * cell is not given up for not being used. False: nothing is known of it, and there is no end to be told.
 */
uint64_t cache_member_cell(const struct cache_member *r, struct slice key);
bool cache_member_wait(struct cache_member *r, uint64_t cell);
void cache_member_wait_end(struct cache_member *r, uint64_t cell);

/*
 * The number of the claim by which the key's cell is ours now, 0: it is not. What is loaded for one is not for
 * another.
 */
uint64_t cache_member_claim(struct cache_member *r, struct slice key);

/* The same, and the lease runs, and it is not about to move: what is read of it needs nobody to be asked. */
bool cache_member_owns(struct cache_member *r, struct slice key);

/* Why nothing comes of it: words for the end of "TRYAGAIN the ring of NAME: ". */
void cache_member_why(struct cache_member *r, char why[CACHE_MEMBER_WHY_SIZE]);

/* What people should know of: it is not in its ring, or must not serve, and why; "": nothing. */
void cache_member_trouble(struct cache_member *r, char why[CACHE_MEMBER_WHY_SIZE]);

/* The owner says that it is not: the cell is asked for once more. */
void cache_member_moved(struct cache_member *r, struct slice key, uint32_t owner);

uint32_t cache_member_incarnation(const struct cache_member *r);

/* ---- for who asks whose something is ---- */

/* The key's cell is ours, and Redis would say so. Nothing is claimed, nor counted as a use. */
bool cache_member_has(struct cache_member *r, struct slice key);

/* Asks Redis, through the manager: on_owner is told. False: it cannot be asked. */
bool cache_member_ask_owner(struct cache_member *r, struct slice key, uint64_t *token);

/* Whether it is a node of the ring, and not lost, as far as is known. */
bool cache_member_is_live(const struct cache_member *r, uint32_t incarnation);

/* The ring's nodes, as the manager told of them last. Slices live until it tells of them anew. */
size_t cache_member_node_count(const struct cache_member *r);
struct cache_member_peer cache_member_node(const struct cache_member *r, size_t index);
/* The one of that incarnation; its name is empty when nobody has told of it. */
struct cache_member_peer cache_member_node_of(const struct cache_member *r, uint32_t incarnation);

/* ---- for who acknowledges, writes, stores ---- */

/* By a clock read now. */
bool cache_member_serves(const struct cache_member *r);

/* The clock that versions begin with, in microseconds since 1970: Redis'. */
int64_t cache_member_version(struct cache_member *r);

/* Whether what is dirty may be stored now: all of it is of cells of ours, or strays. */
bool cache_member_may_store(struct cache_member *r);

/*
 * The same of a stray with this key: its cell is ours, or, in a new run of Redis, nobody's yet. Whoever has it may
 * write over what he has not seen, and nobody would know that it was there. What nobody has is claimed.
 */
enum cache_may_put cache_member_may_put(struct cache_member *r, struct slice key);

/* ---- the end ---- */

/*
 * Everything is stored: it leaves the ring, and on_left is told, maybe at once. From now on nothing runs here. While
 * its manager or Redis is away it is tried on: who does not want to wait for that ends.
 */
void cache_member_leave(struct cache_member *r);

/* ---- how it does ---- */

struct cache_member_told {
    uint32_t incarnation; /* 0: it has not joined */
    size_t cells;         /* ours */
    size_t foreign, asked;
    bool serves;
    size_t bytes; /* of the table */
};
struct cache_member_told cache_member_tell(struct cache_member *r);

#endif
