/*
 * redis_conn_private.h: what the files of a connection share. Private to them.
 *
 * redis_conn.c           states, the FIFO of what is outstanding, replies, deadlines, the interface
 * redis_conn_channels.c  a connection that listens
 * redis_conn_setup.c     what is said between connect and READY
 * redis_conn_where.c     where the server is, and when it is tried
 */
#ifndef COMMON_REDIS_CONN_PRIVATE_H
#define COMMON_REDIS_CONN_PRIVATE_H

#include "common/buffer.h"
#include "common/redis/redis_codec.h"
#include "common/redis/redis_conn.h"
#include "common/redis/redis_answers.h"
#include "common/spares.h"

enum conn_state {
    CONN_WAITING,
    CONN_ASKING, /* the guide */
    CONN_CONNECTING,
    CONN_SETUP,
    CONN_READY,
    CONN_CLOSED,
};

enum conn_kind {
    CONN_COMMAND, /* a caller's */
    CONN_SCRIPT,  /* a caller's EVALSHA, kept so that NOSCRIPT can be answered by EVAL */
    CONN_AUTH,
    CONN_ROLE,
    CONN_SELECT,
    CONN_LOAD,
    CONN_PING,
    CONN_SUBSCRIBE,
};

struct conn_pending {
    struct conn_pending *next;
    redis_reply_fn fn;
    void *ctx;
    uint64_t deadline;
    enum conn_kind kind;
    int script;        /* number, with CONN_SCRIPT and CONN_LOAD */
    struct slice sent; /* CONN_SCRIPT: the EVALSHA as it was sent, owned; ptr NULL otherwise */
};

struct conn_script {
    const char *text;
    char sha[REDIS_SHA_SIZE]; /* empty until the server has told it */
};

struct redis_conn {
    uv_loop_t *loop;
    struct redis_options options;
    struct redis_tls *tls;
    struct redis_conn_events events;
    void *ctx;
    enum conn_state state;
    struct redis_socket *socket;
    redisReader *reader;
    struct redis_answers answers; /* in its stead when it hands them on, and is READY */
    size_t reply_bytes;           /* taken since the last whole reply */
    struct buffer out;            /* commands of this turn of the loop */
    uv_idle_t flush;
    uv_timer_t timer;
    int handles;
    struct conn_pending *head, **tail;
    struct spares spares;             /* of those */
    uint64_t pushed, popped, written; /* commands into the FIFO, out of it, to the socket */
    size_t in_flight;                 /* of the caller's */
    size_t setup_left;
    struct conn_script *scripts;
    int script_count;
    char **channels; /* each behind the letter of its kind */
    size_t channel_count;
    bool subscribed;     /* the last SUBSCRIBE was not refused */
    void *guide;         /* NULL: the options say where the server is */
    bool moved;          /* it has told of another server: no pause */
    bool left;           /* for that server, and not because of this one */
    uint64_t hurried_at; /* when that was last the reason */
    unsigned attempt;
    size_t address;    /* of options.addresses, that host and port are now */
    size_t tried;      /* of them, since the last pause */
    size_t turn;       /* of the addresses that a name has, the next attempt begins with this one */
    uint64_t ready_by; /* deadline of the whole attempt */
    bool grace_given;
    bool idle;        /* when it was lost, nothing was asked, and it had been good for a while */
    bool refused;     /* by an error that only a new connection can cure, or by silence */
    char ending[300]; /* that error, while others wait for their answers; else "" */
    uint64_t ready_at;
    struct redis_conn_stats stats;
    bool replica;   /* why it is lost: it is one of several servers, and not the primary */
    size_t telling; /* losses of that kind that are told as the one before them, which is `told` */
    char told[640];
    char trouble[640];
};

/* ---- redis_conn.c ---- */

/* Encodes and queues one command; `like` says whose it is. 0 or a negative errno. */
int redis_conn_send(struct redis_conn *c, struct conn_pending like, size_t argc,
                    const struct slice *argv);

/* Ends the connection for this reason, and comes back after a pause. The caller may have freed it when this returns. */
void redis_conn_lose(struct redis_conn *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Connects to where the options say now. */
void redis_conn_open(struct redis_conn *c);

/* In WAITING: the next attempt comes in so many milliseconds. */
void redis_conn_wait(struct redis_conn *c, uint64_t ms);

/* SETUP is over. */
void redis_conn_become_ready(struct redis_conn *c);

/* ---- redis_conn_where.c ---- */

/* It has been READY for long enough to be worth another try at once. */
bool redis_conn_was_stable(const struct redis_conn *c);

/* After a loss, for people: of several servers all but one are replicas, so what another of them says is told. */
void redis_conn_choose_trouble(struct redis_conn *c);

/* After a loss: the milliseconds until the next attempt. Goes on to the next server, if there are several. */
uint64_t redis_conn_next_try(struct redis_conn *c, bool stable);

/* An attempt: finds out where the server is, then redis_conn_open. The caller may have freed it when this returns. */
void redis_conn_find(struct redis_conn *c);

/* Takes the guide of the options. -1 with a line in `why`. */
int redis_conn_find_guide(struct redis_conn *c, char *why, size_t why_size);
void redis_conn_drop_guide(struct redis_conn *c);

/* ---- redis_conn_setup.c ---- */

/* The socket is open: queues every step. */
void redis_conn_setup_begin(struct redis_conn *c);

/* The answer to a step. */
void redis_conn_setup_answer(struct redis_conn *c, const struct conn_pending *p,
                             const redisReply *reply);

/* SCRIPT LOAD of one script, as a step. */
int redis_conn_setup_load(struct redis_conn *c, int script);

/* True when it was a pub/sub message and no answer: message CHANNEL PAYLOAD, or pmessage PATTERN CHANNEL PAYLOAD. */
bool redis_conn_take_message(struct redis_conn *c, const redisReply *reply);

/* How a channel is kept: as 's' and its name, or 'p' and its pattern. */
#define CONN_CHANNEL 's'
#define CONN_PATTERN 'p'

/* SUBSCRIBE to every channel, PSUBSCRIBE to every pattern, as steps. */
int redis_conn_setup_subscribe(struct redis_conn *c);
int redis_conn_setup_subscribe_one(struct redis_conn *c, const char *channel);

#endif
