/*
 * job_redis.h: how the workers of jobs reach their Redis: the connection, who they are there, calls of scripts.
 *
 * Runs in keeper, collector and sanjers. Holds no policy: what a worker does with an answer is its own affair.
 */
#ifndef WORKERS_JOBS_JOB_REDIS_H
#define WORKERS_JOBS_JOB_REDIS_H

#include "proto/redis/identity.h"
#include "proto/redis/redis_script.h"
#include "workers/redis/redis_settings.h"

#define JOB_SPACE_SIZE 160
#define JOB_ARGS_MAX   64

enum job_script {
#define X(NAME, name, file, parts) JOB_SCRIPT_##NAME,
    JOBS_SCRIPTS(X)
#undef X
        JOB_SCRIPT_COUNT
};

struct job_redis {
    struct worker *w;
    struct redis_link link;
    struct redis_conn *conn;          /* the link's; NULL when it is closed */
    char space[JOB_SPACE_SIZE];       /* what our own keys begin with */
    char owner[REDIS_IDENTITY_SIZE];  /* this incarnation */
    char owners[REDIS_IDENTITY_SIZE]; /* what those of every incarnation of this name begin with */
    int scripts[JOB_SCRIPT_COUNT];
};

/*
 * Reads the settings (redis.*, jobs.name) and starts connecting, as redis_link_open, whose answers these are. `events`
 * get `state`.
 */
int job_redis_open(struct job_redis *r, struct worker *w, void *state,
                   const struct redis_link_events *events);

/* Closes: calls that wait get NULL. Harmless on a zeroed one. */
void job_redis_close(struct job_redis *r);

/* The identity of an incarnation of a worker of this platoon. 0, or -ENAMETOOLONG. */
int job_redis_owner(struct job_redis *r, const char *name, uint64_t generation,
                    char owner[REDIS_IDENTITY_SIZE]);

/* Calls a script with these arguments. Errors as redis_conn_command: fn is then not called. */
int job_redis_call(struct job_redis *r, enum job_script script, size_t count,
                   const struct slice *args, redis_reply_fn fn, void *ctx);

/* The error of a reply for people, in `text`; "" when it is none. */
void job_redis_failed(const redisReply *reply, char *text, size_t size);

static inline struct slice job_reply_bytes(const redisReply *reply)
{
    bool bytes = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
    return slice_make(bytes ? reply->str : NULL, bytes ? reply->len : 0);
}

/* Element i of an array; NULL when there is none. */
static inline const redisReply *job_reply_at(const redisReply *reply, size_t i)
{
    bool there = reply != NULL && reply->type == REDIS_REPLY_ARRAY && i < reply->elements;
    return there ? reply->element[i] : NULL;
}

#endif
