/*
 * cache_split.h: a command of several keys that several nodes own: what each is asked, and how one answer is made.
 *
 * Runs in a cache node of a ring. Pure: it neither knows who a node is nor sends anything; an owner is an incarnation,
 * this node's own too. One owner of all keys gets the whole command. Of several, the commands below are split, as a
 * client of Redis Cluster would do it; each part is one command for its owner, its keys in their order. What needs all
 * of its keys at one moment (MSETNX, EXEC, any other command) is Redis' CROSSSLOT. Split, a command is no longer one
 * step: another client may see what one owner has done and the next has not yet, and when one of them fails, what the
 * others did stays done. The answer is that error then. Parts that surely did not run are no failure yet: what is left
 * of the command may be run on its own (cache_split_rest).
 *
 * Answers are taken as RESP, version 2 or 3, as they came from their nodes, in any order, each once; the joined answer
 * is in the version of the client.
 */
#ifndef WORKERS_CACHE_SPLIT_H
#define WORKERS_CACHE_SPLIT_H

#include "common/resp/resp_reply.h"

#include <stdbool.h>

/* As redis-server says it. */
#define CACHE_SPLIT_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"

#define CACHE_SPLIT_OWNERS_MAX 256 /* of one command: more than a ring has nodes */

/* clang-format off */

/* X(NAME, what is made of the answers). */
#define CACHE_SPLIT_JOINS(X) \
    X(NONE, "nothing: not split") \
    X(VALUES, "an array of each key's value, in the order of the keys") \
    X(SUM, "a number: the sum of theirs") \
    X(OK, "OK, when each has said so")

/* X(name, how joined, words a key): its words are the name, then keys, each with what belongs to it. */
#define CACHE_SPLIT_COMMANDS(X) \
    X(mget, VALUES, 1) \
    X(platoon.watch, VALUES, 1) \
    X(mset, OK, 2) \
    X(del, SUM, 1) \
    X(unlink, SUM, 1) \
    X(exists, SUM, 1) \
    X(touch, SUM, 1)
/* clang-format on */

enum cache_split_join {
#define X(NAME, doc) CACHE_SPLIT_JOIN_##NAME,
    CACHE_SPLIT_JOINS(X)
#undef X
};

enum cache_split_plan {
    CACHE_SPLIT_WHOLE, /* one owner: the command goes there as it is; no parts are kept */
    CACHE_SPLIT_PARTS, /* several: a part each */
    CACHE_SPLIT_CROSSES, /* several, and it cannot be split, or there are more than CACHE_SPLIT_OWNERS_MAX */
    CACHE_SPLIT_NO_MEMORY, /* as nothing had been asked */
};

struct cache_split_part {
    uint32_t owner;
    uint32_t keys;        /* of this part */
    bool answered;        /* or failed */
    bool undone;          /* failed, and surely has not run */
    struct buffer answer; /* VALUES: what it has answered */
    size_t next;          /* where its next value stands there */
};

/* A command under way. Zeroed: none. */
struct cache_split {
    enum cache_split_join join;
    unsigned step;     /* words a key */
    uint32_t *part_of; /* of each key */
    size_t keys;
    struct cache_split_part *parts;
    size_t count; /* parts */
    size_t left;  /* that have not answered */
    size_t held;  /* bytes of answers */
    int64_t sum;
    size_t failed, undone; /* parts */
    struct buffer error;   /* the first that came, without '-' and the line's end */
};

/* How a command of that name (any case) is split. *step: words a key; 0 when it is not. */
enum cache_split_join cache_split_how(struct slice name, unsigned *step);

/*
 * What becomes of a command whose keys have these owners; its name says how. count: at least 1 key. Nothing is kept of
 * name and owners. PARTS: *s holds them until cache_split_fini; else *s is empty.
 */
enum cache_split_plan cache_split_plan(struct cache_split *s, struct slice name,
                                       const uint32_t *owners, size_t count);
void cache_split_fini(struct cache_split *s);

/* How many words the part's command has. */
size_t cache_split_count(const struct cache_split *s, size_t part);

/* The part's command, out of the words of the whole one: to `out`, which has room for cache_split_count. Borrowed. */
void cache_split_words(const struct cache_split *s, size_t part, const struct slice *words,
                       struct slice *out);

/*
 * One part's whole answer, RESP as it came; kept as a copy. An error is an answer too: it becomes the command's, unless
 * another was first. 0; or nothing has changed, and the part is to be failed: -EBADMSG: this is no answer to its
 * command (nor will be what else comes from there); -ENOMEM; -EMSGSIZE: more than `max` bytes of all parts together
 * (0: any number). -EALREADY: it has one.
 */
int cache_split_take(struct cache_split *s, size_t part, struct slice answer, size_t max);

/*
 * The part has no answer: its node is gone, its time is over, or what came is none. `error`: a line with its code, for
 * the client. Of a part that has an answer nothing changes.
 */
void cache_split_fail(struct cache_split *s, size_t part, struct slice error);

/* The same of one that surely has not run, or may as well run twice. */
void cache_split_undo(struct cache_split *s, size_t part, struct slice error);

/* Of one that is done: whether it would be right but for parts that were undone. */
static inline bool cache_split_may_go_on(const struct cache_split *s)
{
    return s->undone > 0 && s->undone == s->failed;
}

/*
 * The command of all undone parts' keys, in their order, out of the words of the whole one: to `out`, which has room
 * for as many. How many there are. Its answer joins: OK is the whole one's, and of a SUM what `sum` has is to be added.
 */
size_t cache_split_rest(const struct cache_split *s, const struct slice *words, struct slice *out);

/* All have answered, or failed. */
static inline bool cache_split_is_done(const struct cache_split *s)
{
    return s->left == 0;
}

/* Writes the joined answer; only when it is done, and once. Whether it got in, reply->out knows. */
void cache_split_write(struct cache_split *s, struct resp_reply *reply);

#endif
