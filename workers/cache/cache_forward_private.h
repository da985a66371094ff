/*
 * cache_forward_private.h: what the files of cache_forward share: one command that is away.
 *
 * Runs in a cache node of a ring. cache_forward.c has what is sent, and the order of replies; cache_forward_send.c how;
 * cache_forward_answer.c what an answer means; cache_forward_again.c what is looked at once more.
 */
#ifndef WORKERS_CACHE_FORWARD_PRIVATE_H
#define WORKERS_CACHE_FORWARD_PRIVATE_H

#include "common/spares.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_reads.h"

#define FORWARD_AWAY_MAX   64
#define FORWARD_SPARES_MAX 2048               /* slots that are kept for the next: 0.6 MB */
#define FORWARD_ANSWER_MAX ((size_t)64 << 20) /* bytes of one command's parts */

enum forward_state {
    FORWARD_OUT,      /* not all is answered */
    FORWARD_ANSWERED, /* `answer` */
    FORWARD_AGAIN,    /* it did not run, or may run twice: to be looked at again */
};

struct forward_part {
    struct forward_slot *slot;
    size_t index;
    uint32_t owner;
};

/* One command of a client. */
struct forward_slot {
    struct forward_slot *next;
    struct cache_forward *forward;
    struct cache_client *client; /* NULL: it is gone */
    struct cache_node *node;     /* that knows of it */
    size_t charged; /* bytes that cache_node.waiting knows of: its words, and what was answered */
    struct command_queued *command; /* NULL: refused here */
    enum forward_state state;
    uint32_t owner; /* 0: several */
    unsigned tries;
    bool sent;      /* all of it: what is answered is answered from the loop */
    bool spare;     /* its memory is of cache_forward.spares */
    bool hushed;    /* CLIENT REPLY: nothing is written */
    bool unreached; /* its owner was not, or it has to wait for something: not at once again */
    bool again;     /* Redis has been asked since its owner said that it is not */
    bool waits;     /* its owner has to wait for something: that it is the owner is true so far */
    uint32_t waited_at; /* one that had to, this time or one before; 0: none */
    struct cache_reads_when
        copied; /* its owner was asked for a copy; ms 0: for what the command says */
    uint64_t deadline_ms;
    int64_t sum;          /* of what was in parts, and of which this is left: theirs, to be added */
    struct buffer answer; /* RESP in the client's version */
    struct cache_split split; /* of one in parts */
    size_t out;               /* parts that are not answered */
    struct forward_part parts[];
};

/* A client's, in order: which of them are away, and one that is looked at again. */
struct cache_away {
    struct forward_slot *first, *last;
    size_t count, out;
    uint32_t owner;            /* of all that are out; 0: several */
    struct forward_slot *redo; /* the one that is looked at again, or pauses before */
    uint64_t due_ms;           /* of one that pauses: when something is looked at */
    bool pauses;
};

struct cache_forward {
    struct cache_node *node;
    struct cache_peers *peers;
    uint64_t timeout_ms;
    uint64_t count;
    uv_timer_t timer;            /* of those that pause */
    struct cache_client *paused; /* by cache_client.next_paused */
    struct spares spares;        /* slots of one part */
    struct buffer scratch;       /* words of a command that is sent */
    /* Of cache_forward.c, for the files below it: the first of a client's are answered as far as they can be, from the
     * loop; cache_forward_go_on. */
    void (*drain)(struct cache_client *c);
    void (*go_on)(struct cache_client *c);
};

/* ---- cache_forward_answer.c ---- */

/* One of its parts is answered, or is not. True: all are, and its client waits for it. */
bool forward_take(enum cache_peer_result result, struct slice answer, const char *why,
                  struct forward_part *part);
void forward_free_slot(struct forward_slot *s);

/* So much more is kept for it, until it is freed. */
void forward_charge(struct forward_slot *s, size_t bytes);

/* It is answered with this error, a line with its code. */
void forward_fail(struct forward_slot *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* RESP2 as another version: what is nil has another form in RESP3. */
void forward_translate(struct buffer *out, struct slice answer, int version);

/* ---- cache_forward_again.c ---- */

/* The first one is looked at again, now or a little later; or, overtaken, it is answered. From the loop. */
void forward_again(struct cache_client *c);

/* Before it would be. */
uint64_t forward_pause(const struct forward_slot *s);

/* What there is to do for the client is done by the loop, so much later: its commands are being run now. */
void forward_later(struct cache_client *c, uint64_t pause_ms);
void forward_unpause(struct cache_client *c);

#endif
