/*
 * cache_client.h: a connection of a cache node, from its bytes to its replies.
 *
 * Runs in a cache node. Reads, cuts into commands (resp_request.h), has them executed in order (command.h), and writes
 * what they answered: at the end of the turn, after the log (cache_turn.c), with one writev a connection. What is read
 * goes into one buffer of all clients, and is executed where it stands: a client has a buffer of its own only while a
 * part of a command is there, and one for replies only until they are written, so that an idle one costs little.
 *
 * Bounds: what is not yet a command (1 GB as Redis', and of all clients together: cache_input.h); a word (512 MB as
 * Redis'; what is above object_max is not kept, and its command answered with an error); what is not yet read by the
 * client (64 MB, then it is dropped; another node of the ring, whose connection is that of all its clients, is not:
 * none of its commands runs while 1 MB is not read, and one answer has at most 64 MB); how many there are; what one may
 * have executed in a turn, so that a long pipeline does not starve others. It knows no command.
 */
#ifndef WORKERS_CACHE_CLIENT_H
#define WORKERS_CACHE_CLIENT_H

#include "common/resp/resp_reply.h"
#include "common/resp/resp_request.h"
#include "workers/cache/cache_consistency.h"
#include "workers/cache/cache_db.h"
#include "workers/cache/cache_input.h"

#include <uv.h>

#define CACHE_CLIENT_ADDRESS_SIZE 128
#define CACHE_CLIENT_UNSENT_MAX   ((size_t)64 << 20)
#define CACHE_CLIENT_LINK_MAX     ((size_t)1 << 20) /* of another node: not read, then it waits */

struct cache_away;
struct cache_guests;
struct cache_held;
struct cache_seen;
struct cache_node;
struct redis_tls_session;

struct cache_client {
    struct cache_node *node;
    struct cache_client *next, *prev; /* of all */
    struct cache_client *next_ready;  /* of those that have something to write this turn */
    struct cache_client *next_syncing;
    struct cache_client *next_more; /* of those that go on in the next turn */
    uv_poll_t poll;
    int fd;
    struct redis_tls_session *tls; /* NULL: plain */
    uint64_t id;                   /* CLIENT ID */
    struct resp_request request;
    struct resp_reply reply;       /* of this turn; knows RESP2 from RESP3 */
    struct buffer in;              /* what has come and is not executed */
    struct cache_input_part input; /* what of that all clients share room for */
    struct buffer
        unsent; /* replies of earlier turns from `unsent_at` on, which the socket did not take */
    size_t unsent_at;
    size_t charged;                   /* bytes that cache_db knows of (cache_db_charge) */
    size_t waiting;                   /* bytes that cache_node.waiting knows of */
    char *name;                       /* CLIENT SETNAME; NULL: none */
    char *lib_name, *lib_ver;         /* CLIENT SETINFO */
    uint64_t born_ms, used_ms;        /* clock_mono_ms */
    const struct cache_command *last; /* the last one executed */
    struct cache_watch *watches;
    struct cache_seen *seen;    /* what it watches of other nodes */
    struct cache_queue *queued; /* between MULTI and EXEC */
    uint64_t
        log_end; /* cache_log_added after its last write: with fsync = always its replies wait for that */
    uint64_t copy; /* so far second copies must be before its replies go; 0: it does not wait */
    uint64_t late_round; /* cache_turn.c */
    struct cache_held *
        held; /* the command that waits for the store (cache_hold.h), or has just been told to go on */
    struct cache_away *away;          /* commands that other nodes run; NULL: none */
    struct cache_client *next_paused; /* cache_forward.c */
    uint32_t from;   /* the incarnation of the node that has sent the command at hand; 0: its own */
    uint64_t number; /* that this node's answer has; 0: it is not one of those */
    uint64_t lane;   /* those of one lane run in their order; 0: it has none */
    uint64_t until_ms; /* it waits so long at most (uv_now); 0: as long as anything */
    struct cache_guests
        *guests; /* of another node's that wait (cache_guest.h); NULL: there were none */
    struct cache_client
        *link; /* of a guest: by whose socket its answer goes; NULL: by its own, or it has ended */
    enum cache_consistency
        reads;   /* how the command at hand does; not strong: no node is asked (cache_reads.h) */
    size_t late; /* bytes of what it has sent that do not wait for a store that gives no answer */
    unsigned ahead; /* commands that have been read ahead, and are not executed */
    int parked;     /* loads and answers that the command at hand waits for */
    bool again;     /* that node has sent it before, and was refused */
    bool linked;    /* another node: it has sent commands of its clients */
    bool guest;     /* it is one such command that waits: it has no socket */
    bool above;     /* came when there were clients_max, and has not shown that it is a node */
    bool stalled;   /* what it has sent waits until `away` is answered */
    bool trusted;   /* authenticated, or no secret is set */
    bool multi;     /* between MULTI and EXEC */
    bool multi_bad; /* some command there was refused: EXEC is EXECABORT */
    bool readonly;  /* READONLY: its GETs are eventual */
    bool no_evict;  /* CLIENT NO-EVICT: shown, nothing else: no client is evicted here */
    bool closing;   /* after the reply: QUIT, a protocol error, CLIENT KILL of itself */
    bool
        gone; /* at the end of the turn, whatever there is to write: a broken connection, CLIENT KILL */
    bool
        ended; /* has sent its last: when all of it is executed, it ends with what it reads at once */
    bool large; /* the request has a word above object_max, which is not whole: to be refused */
    bool ready, more, syncing,
        writing; /* in those lists; waits for the log's thread; waits for its socket */
    bool reply_off, reply_skip, reply_skip_next; /* CLIENT REPLY */
    bool writable;                               /* its socket takes bytes again */
    const char *path; /* of the unix socket it came by; NULL: TCP. The listener's */
    int events;       /* that its socket is watched for */
};

/*
 * A new connection, which it owns; closed when memory is short or it cannot be watched. `path`: of the unix socket it
 * came by, living as long as the node; NULL: TCP, and TLS where the node has it.
 */
void cache_client_new(struct cache_node *n, int fd, const char *path);

/* What it has already received goes on, after it waited (for its next turn, the log, a load). */
void cache_client_go_on(struct cache_client *c);

/* The end of its turn: writes what it has. To be called when its replies may go; the client may be gone then. */
void cache_client_write(struct cache_client *c);

/* Ends all: what they have not read is lost. Their handles close while the loop goes on. */
void cache_client_end_all(struct cache_node *n);

/* Where it comes from, or where it came to, as CLIENT LIST shows it: "10.0.0.5:1234", "/run/cache.sock:0". */
void cache_client_address(const struct cache_client *c, bool local,
                          char text[CACHE_CLIENT_ADDRESS_SIZE]);

/* Bytes of replies that it has not read, and of what it has sent and is not executed. */
static inline size_t cache_client_unsent(const struct cache_client *c)
{
    return c->unsent.len - c->unsent_at + c->reply.out.len;
}

#endif
