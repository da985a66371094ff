/*
 * gate_private.h: what the files of the gate share.
 *
 * gate.c          its life: settings, the store, the socket's folder
 * gate_work.c     one request: asked of the store, and answered
 * gate_follow.c   each change, to whoever listens
 * gate_door.c     the unix socket: write, half-close, read
 * gate_nanomsg.c  REP for requests, PUB for changes
 * gate_notify.c   PUBLISH in Redis
 */
#ifndef WORKERS_SNAPSHOT_GATE_PRIVATE_H
#define WORKERS_SNAPSHOT_GATE_PRIVATE_H

#include "workers/redis/redis_settings.h"
#include "workers/skeleton/worker.h"
#include "workers/snapshot/snapshot_asking.h"

#define GATE_COMMIT_SIZE 41
#define GATE_BY_SIZE     32

struct gate_client;
struct gate_work;

/* A resource, and what is known of its newest version. */
struct gate_resource {
    const char *name, *header;
    uint64_t seq;      /* 0: it has none */
    uint64_t told_seq; /* PUBLISHed in Redis, or there before us: what a reader there holds */
    uint64_t telling;  /* on its way there; 0: none */
    struct gate *gate;
    char commit[GATE_COMMIT_SIZE], blob[GATE_COMMIT_SIZE];
    int64_t time_s;
};

struct gate {
    struct worker *w;
    const char *title;        /* of the snapshot */
    const char *store;        /* its name in the tree */
    struct worker_peer *peer; /* NULL: it is away */
    struct snapshot_asking asking;
    struct gate_resource *list;
    size_t count;
    uint64_t works; /* given */

    /* gate_follow.c */
    bool knows; /* what there was when we came: nobody is told of that */
    bool listing;

    /* gate_door.c */
    uv_pipe_t listening;
    bool listens, full;
    struct gate_client *clients;
    size_t client_count;
    size_t held; /* bytes of all clients */

    /* gate_nanomsg.c */
    int rep, pub; /* -1: none */
    uv_poll_t poll;
    bool polls;             /* the handle is there */
    struct gate_work *work; /* of the request that is being answered */

    /* gate_notify.c */
    struct redis_link link;
    bool notifies;
    bool refused; /* the server has refused the last one */
    char channel[CONTRACT_NAME_MAX + 32];
};

/* ---- gate_work.c ---- */

/* The answer, once: it may be taken over. */
typedef void (*gate_work_fn)(void *ctx, struct buffer *answer);

/*
 * Does what that stream asks for, in the name of `by`; takes *stream over (it is empty then). *work is it until it is
 * answered, which may be before this returns, and NULL from then on: who goes first calls gate_work_forget.
 */
void gate_work_begin(struct gate *g, struct buffer *stream, const char *by, struct gate_work **work,
                     gate_work_fn fn, void *ctx);
void gate_work_forget(struct gate_work *work);

/* ---- gate_follow.c ---- */

void gate_follow_up(struct gate *g);
bool gate_follow_message(struct gate *g, uint64_t type, struct unpack *u);

/* ---- gate_door.c ---- */

/* 0, or an exit code after worker_trouble. */
int gate_door_open(struct gate *g, const char *listen);
/* Once a second: who is too slow. */
void gate_door_tick(struct gate *g);
void gate_door_close(struct gate *g);

/* ---- gate_nanomsg.c ---- */

int gate_nanomsg_open(struct gate *g);
/* That resource has changed. */
void gate_nanomsg_tell(struct gate *g, const struct gate_resource *r);
void gate_nanomsg_close(struct gate *g);

/* ---- gate_notify.c ---- */

int gate_notify_open(struct gate *g);
/* Tells of all that has not been told of. */
void gate_notify_tell(struct gate *g);
/* Once a second. */
void gate_notify_tick(struct gate *g);
void gate_notify_close(struct gate *g);

#endif
