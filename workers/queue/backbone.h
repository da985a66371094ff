/*
 * backbone.h: what the files of the backbone worker share.
 *
 * backbone.c          its life: connection, registering its queues, what other workers say
 * backbone_expand.c   topic and facet by the templates
 * backbone_deliver.c  deliveries of workers and people, many in one call
 * backbone_inbox.c    deliveries that are left in the inbox
 * backbone_vouch.c    for the registry, so that deliveries need not walk through it
 * backbone_listen.c   who listens hears what is delivered; backbone_sessions.c: people who do
 * backbone_verbs.c    what people ask
 */
#ifndef WORKERS_QUEUE_BACKBONE_H
#define WORKERS_QUEUE_BACKBONE_H

#include "proto/queue/queue_answer.h"
#include "workers/queue/queue_fields.h"
#include "workers/queue/queue_redis.h"
#include "workers/redis/redis_rights.h"

#define BACKBONE_ERROR_SIZE 512

/* Most messages of one call, and bytes of their bodies. */
#define BACKBONE_BATCH       200
#define BACKBONE_BATCH_BYTES (4u * 1024 * 1024)

/* Most bytes of deliveries that wait for Redis; then they are refused. */
#define BACKBONE_WAITING_BYTES (64u * 1024 * 1024)

/* How a topic or a facet is missing. */
#define BACKBONE_WHY_SIZE 256

struct backbone_delivery;

/* Globs of one that listens, and letters of one. */
#define BACKBONE_GLOBS_MAX 64
#define BACKBONE_GLOB_MAX  512

/* A queue worker's. */
struct backbone_waits {
    char queue[CONTRACT_NAME_MAX];
    uint64_t p50_ms;
    uint64_t p99_ms;
};

/* Of a peer: its `user`. */
struct backbone_peer {
    struct backbone_waits waits;
    size_t globs_size; /* 0: it does not listen */
    char globs[];      /* patterns of channels, each with its NUL */
};

struct backbone_session;

struct backbone {
    struct worker *w;
    struct queue_redis redis;
    struct redis_rights rights;
    struct queue_call call; /* being put together */
    struct template *topic, *facet;
    struct queue_fields fields;
    uint64_t message_max;

    /* backbone.c */
    size_t registering; /* answers that are owed */
    bool known;         /* since the connection is READY: all has been answered once */
    char error
        [BACKBONE_ERROR_SIZE]; /* what a queue of the configuration could not be registered for */

    /* backbone_deliver.c */
    struct backbone_delivery *first, **last; /* that wait */
    struct backbone_delivery *sent;          /* that are in a call; NULL: there is none */
    size_t waiting_bytes;
    bool refused; /* the last call: it may be for a right */

    /* backbone_inbox.c */
    bool looking;
    uint64_t taken; /* what inbox_look has said */
    char inbox[QUEUE_SPACE_SIZE + 16];
    char inbox_error[BACKBONE_ERROR_SIZE];

    /* backbone_vouch.c */
    uv_timer_t vouch;
    char born[24]; /* since when the Redis of this connection remembers; "": not known yet */

    /* backbone_listen.c, backbone_sessions.c */
    struct redis_conn *hears; /* NULL: nobody listens */
    char **patterns;          /* that it is subscribed to */
    size_t pattern_count;
    uint64_t subscribed_ms; /* last try after a refusal, loop's time */
    char listen_error[BACKBONE_ERROR_SIZE];
    struct backbone_session *sessions;
    uint64_t last_session;

    size_t asked; /* requests that are being answered */
};

/* ---- backbone_expand.c ---- */

/*
 * Topic and facet by the templates, appended to `out`; false with the reason in `why` when the body lacks a field that
 * they name, or memory is short.
 */
bool backbone_expand(struct backbone *b, const struct template *t, const char *what,
                     struct buffer *out, char why[BACKBONE_WHY_SIZE]);

/* ---- backbone.c ---- */

/* Redis has forgotten the queues of the configuration, and the connection is as it was. */
void backbone_register_again(struct backbone *b);

/* ---- backbone_deliver.c ---- */

void backbone_deliver_init(struct backbone *b);

/* A worker's, and a person's: it is answered in any case, later. */
void backbone_deliver_message(struct backbone *b, const struct worker_peer *from,
                              const struct message_deliver *m);
void backbone_deliver_request(struct backbone *b, uint64_t request,
                              const struct message_deliver *m);

/* The connection is there, or is not any more: those that wait are sent, or refused. */
void backbone_deliver_send(struct backbone *b);
void backbone_deliver_refuse(struct backbone *b, const char *why);
bool backbone_deliver_is_idle(const struct backbone *b);

/* ---- backbone_inbox.c ---- */

/* Looks whether there is something, and waits for more, unless it does already. */
void backbone_inbox_look(struct backbone *b);
void backbone_inbox_on_list(void *state, bool seen);

/* ---- backbone_vouch.c ---- */

void backbone_vouch_init(struct backbone *b);
void backbone_vouch_fini(struct backbone *b);

/* The connection is there: vouches now, and then again and again. */
void backbone_vouch(struct backbone *b);

/* ---- backbone_listen.c ---- */

/* Its peer's memory, made, and made greater, as needed: with room for so many bytes of globs. */
struct backbone_peer *backbone_peer_of(struct backbone *b, struct worker_peer *peer, size_t globs);

/* LISTEN. False: it cannot be read. */
bool backbone_on_listen(struct backbone *b, struct worker_peer *from, struct unpack *u);

/* Appends the pattern of channels that a glob of topics stands for, with its NUL. False: it is none, or no memory. */
bool backbone_listen_pattern(const struct backbone *b, struct slice glob, struct buffer *out);

/* Whether one of these patterns, each with its NUL, matches. */
bool backbone_listen_matches(const char *patterns, size_t size, struct slice channel);

/* Subscribes to each of them, unless it is already. False: memory is short. */
bool backbone_listen_add(struct backbone *b, const char *patterns, size_t size);

/* Once a second: the connection goes when nobody listens any more. */
void backbone_listen_tick(struct backbone *b);
void backbone_listen_fini(struct backbone *b);

/* ---- backbone_sessions.c ---- */

/* queue-listen: of that session, else a new one; answered later. */
void backbone_session_ask(struct backbone *b, const struct link_request *request, struct slice glob,
                          struct slice id);
/* Something was published. */
void backbone_sessions_tell(struct backbone *b, struct slice channel, struct slice topic,
                            struct slice body);
/* Subscribes to what they listen to. False: memory is short. */
bool backbone_sessions_listen(struct backbone *b);
/* Who waits is answered. */
void backbone_sessions_drain(struct backbone *b);
void backbone_sessions_fini(struct backbone *b);

/* ---- backbone_verbs.c ---- */

void backbone_on_request(struct worker *w, void *state, const struct link_request *request);

#endif
