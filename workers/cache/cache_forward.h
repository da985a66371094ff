/*
 * cache_forward.h: commands of a client that another node runs, and the order of their replies.
 *
 * Runs in a cache node of a ring. A command goes whole to the owner of its keys, or in parts to several, as
 * `PLATOON.FOR to from again number lane ms command…` (command_for.h), over the node's connection to that one
 * (peer/cache_peers.h); one part may be this node's own, and goes over a connection to itself, which is rare and needs
 * no second way to run a command. The client's next commands go on their way while they are for the same owner: so a
 * pipeline for another node takes about one round trip, and what runs there runs in its order: they are one lane. All
 * else that it has sent waits until they are answered: its commands never overtake each other.
 *
 * Run again is only what surely did not run, or what only reads: whose owner says that it is not (it moved), or was not
 * reached. It is looked at from the beginning, and may be ours by then. Of several that were under way at once they run
 * again in their order when all are answered, and none that a later one of the same cell has overtaken, unless both
 * only read: that one, and a write of which nobody knows whether it ran, is TRYAGAIN. Of a command in parts only the
 * parts that did not run are run again, on their own; of MGET, whose values must be in their order, all.
 *
 * Bounds: FORWARD_AWAY_MAX of one client at once; each has the time of cache_park.h in all.
 */
#ifndef WORKERS_CACHE_FORWARD_H
#define WORKERS_CACHE_FORWARD_H

#include "workers/cache/cache_hold.h"
#include "workers/cache/peer/cache_peers.h"
#include "workers/cache/ring/cache_split.h"

/* NULL: memory is short. `peers` lives longer. */
struct cache_forward *cache_forward_new(struct cache_node *n, struct cache_peers *peers,
                                        uint64_t timeout_ms);

/* Before the peers are freed: nobody is told. NULL is allowed. */
void cache_forward_free(struct cache_forward *f);

/* To the owner of all its keys. AWAY; or REFUSED, its error is written. */
enum cache_hold cache_forward_whole(struct cache_client *c, const struct cache_command *command,
                                    const struct slice *words, size_t count, uint32_t owner);

/* Who waited until an object is stored is told so when the one that had it is gone. */
#define CACHE_FORWARD_NOT_KNOWN                                                                    \
    "TRYAGAIN the node that had the object is gone: whether it has stored it is not known"

/* What WATCH is for another node: it tells the versions, and this one keeps them. */
#define CACHE_FORWARD_WATCH "PLATOON.WATCH"

/*
 * What EXEC would do, to the owner of all its keys; the client's transaction is over. REFUSED where something in it is
 * about the connection: there it would be that of all of this node's clients. Rejected: to run that part here, which
 * knows neither whether the rest will run nor where its reply is to stand in theirs.
 */
enum cache_hold cache_forward_exec(struct cache_client *c, uint32_t owner);

/* The same of a bounded read of one key, by PLATOON.COPY: what comes is kept as a copy (cache_reads.h). */
enum cache_hold cache_forward_copy(struct cache_client *c, const struct cache_command *command,
                                   const struct slice *words, size_t count, uint32_t owner);

/* To several; takes what the split holds. */
enum cache_hold cache_forward_parts(struct cache_client *c, const struct cache_command *command,
                                    const struct slice *words, size_t count,
                                    struct cache_split *split);

/*
 * Whether this command may be looked at while others of its client are away: it is for the same owner. As command.h's
 * command_execute; nothing has been done.
 */
bool cache_forward_may_join(struct cache_client *c, const struct cache_command *command,
                            const struct slice *words, size_t count);

/*
 * What a command has been answered at once stands in the reply from there on, an error: memory was short, or too much
 * waits. While others of its client are away it comes behind theirs; without memory even for that the client ends, for
 * every reply behind it would be another command's.
 */
void cache_forward_behind(struct cache_client *c, size_t from);

/*
 * What stands in the reply from there on answers here what other nodes were asked before: it is made the answer to all
 * of it. What those parts of it that are done have counted is added; what was waited for is said to be stored, or that
 * nobody knows. Only of a client that has something away.
 */
void cache_forward_complete(struct cache_client *c, size_t from);

/* A command that was looked at again has been answered: so are those behind it, as far as they are. */
void cache_forward_go_on(struct cache_client *c);

/* The client ends; what it sent goes its way. */
void cache_forward_forget(struct cache_client *c);

/* How a command goes to an owner. */
struct cache_forward_way {
    uint32_t owner;
    uint64_t lane; /* those of one lane run there in their order; 0: it has none */
    uint64_t
        timeout_ms; /* until nobody waits for it any more: its owner gives up a little earlier, and says why */
    bool again; /* it was refused by an owner before, and Redis has been asked since */
    bool
        late; /* whoever sends it has waited before: it is refused at once while the store gives no answer */
};

/*
 * A command for an owner, whoever wants it: a client's, a part of one, or a call's (cache_parts.h). NULL: fn is told of
 * it as cache_peers_send does; else it was not sent, and why: words for the end of an error; or, of what can never be
 * sent, an answer ('-' and a line).
 */
const char *cache_forward_send(struct cache_forward *f, const struct cache_forward_way *way,
                               const struct slice *words, size_t count, cache_peer_fn fn,
                               void *ctx);

/* By how much an owner gives up earlier of what has so much time. */
uint64_t cache_forward_margin(uint64_t timeout_ms);

/* Whether a node's answer says that it is not the owner: the command surely has not run. */
bool cache_forward_is_moved(struct slice answer);

/* Of such an answer, why, without a code; *waits: its owner would have had to wait. */
struct slice cache_forward_moved_why(struct slice answer, bool *waits);

/* Commands that other nodes were sent, parts too. */
uint64_t cache_forward_count(const struct cache_forward *f);

#endif
