/*
 * job_call.h: what is asked of a collector, by platoonctl or over HTTP, from its words to its answer.
 *
 * Runs in collectors. A call asks Redis once, or twice where it must read first what it does, and its answer is one
 * msgpack value; it may wait for the catalogue before. The verbs are job_call_run.c, job_call_look.c and
 * job_call_schedule.c.
 */
#ifndef WORKERS_JOBS_JOB_CALL_H
#define WORKERS_JOBS_JOB_CALL_H

#include "common/job_queue.h"
#include "workers/jobs/job_catalog.h"
#include "workers/jobs/job_redis.h"

#define JOB_CALL_ARGS_MAX 8
#define JOB_CALL_ID_SIZE  300
#define JOB_CALL_WHY_SIZE 1200

enum job_call_status {
    JOB_CALL_OK, /* of `ask` and `read`: Redis has been asked; in the end: the body is the answer */
    JOB_CALL_NOW,   /* of `ask` alone: the body is the answer already */
    JOB_CALL_WAITS, /* of `ask` and `read`: for the catalogue; it is asked again from the start */
    JOB_CALL_AWAY,  /* Redis is, or memory is short: later it may go */
    JOB_CALL_NO_PLATFORM,
    JOB_CALL_BROKEN, /* the platform is */
    JOB_CALL_NO_JOB,
    JOB_CALL_INVALID, /* what is asked for is */
    JOB_CALL_OTHER,   /* the key has made another job */
};

/* What all calls of a collector share. */
struct job_calls {
    struct worker *w;
    struct job_redis redis;
    struct template *queue; /* of a job (job_queue.h) */
    char scope[JOB_QUEUE_SIZE];
    bool etlas_ids;
    struct job_catalog *catalog;
    struct zone *zone;
    struct job_call *waiting; /* for the catalogue, in the order in which they came */
    size_t count;             /* of calls that have not ended */
};

struct job_call;

struct job_call_verb {
    const char *name, *words;
    uint32_t count;
    enum job_call_status (*ask)(struct job_call *call);
    /* Of Redis' answer: OK, or why not. NULL: `ask` never asks Redis. */
    enum job_call_status (*answer)(struct job_call *call, const redisReply *reply);
};

/* In the end, once, and never before job_call_start has returned unless that says so: the status, and body or why. */
typedef void (*job_call_fn)(struct job_call *call, enum job_call_status status, void *owner);

struct job_call {
    struct job_calls *calls;
    struct job_call *next;
    const struct job_call_verb *verb;
    struct slice args[JOB_CALL_ARGS_MAX];
    struct buffer words; /* what they lie in */
    job_call_fn done;
    void *owner;
    /* Set by `ask` when Redis' answer is but what it must read first: goes on from there, as `ask` does. */
    enum job_call_status (*read)(struct job_call *call, const redisReply *reply);
    char job[JOB_CALL_ID_SIZE];
    struct buffer body; /* msgpack */
    char why[JOB_CALL_WHY_SIZE];
};

/*
 * Begins a call; `args`, as many as the verb has, are copied. 0: done is called, perhaps before this returns; the call
 * goes behind it. -ENOMEM: it is not.
 */
int job_call_start(struct job_calls *calls, const struct job_call_verb *verb,
                   const struct slice *args, job_call_fn done, void *owner);

/* Asks again those that wait for the catalogue: its job_catalog_fn. `ctx` is the calls. */
void job_calls_on_catalog(void *ctx);

/* At the end, before Redis is closed: those that wait are answered. */
void job_calls_end(struct job_calls *calls);

/* ---- for verbs ---- */

/* Asks Redis; the answer goes to the verb. OK or AWAY. */
enum job_call_status job_call_script(struct job_call *call, enum job_script script, size_t count,
                                     const struct slice *args);
enum job_call_status job_call_command(struct job_call *call, size_t count,
                                      const struct slice *words);

/* Says why, by a printf format, and returns the status. */
enum job_call_status job_call_refuse(struct job_call *call, enum job_call_status status,
                                     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Takes an argument that names a job into call->job. OK or NO_JOB. */
enum job_call_status job_call_job(struct job_call *call, struct slice id);
enum job_call_status job_call_unknown(struct job_call *call);

/* ---- the verbs ---- */

extern const struct job_call_verb job_call_run, job_call_platforms, job_call_list, job_call_show,
    job_call_get, job_call_tail, job_call_stats, job_call_cancel, job_call_retry, job_call_ping,
    job_call_due, job_call_schedules, job_call_schedule_put, job_call_schedule_move;

#endif
