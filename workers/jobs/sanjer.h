/*
 * sanjer.h: what the files of the sanjer share: the worker that runs jobs, one at a time.
 *
 * sanjer.c       its life: idle, woken, a claim, beats
 * sanjer_run.c   a job's process: what it is told, what it says, its time, its end and that of what it left
 * sanjer_end.c   what has become of it, told to Redis until that has heard
 */
#ifndef WORKERS_JOBS_SANJER_H
#define WORKERS_JOBS_SANJER_H

#include "common/child_process.h"
#include "workers/jobs/job_mask.h"
#include "workers/jobs/job_redis.h"

#include <jansson.h>
#include <sys/resource.h>

#define SANJER_LINE_MAX (1024u * 1024) /* of what a program says; longer ones are output */
#define SANJER_TEXT_MAX 512

/* Why a job is being ended before it ends itself. */
enum sanjer_why {
    SANJER_ITSELF,
    SANJER_TIMEOUT,
    SANJER_CANCELED,
    SANJER_BACK, /* we are being stopped */
    SANJER_GONE, /* it is somebody else's, or deleted: what we say counts no more */
};

/* A job in hands. Handles live in it, so it goes when the last of them is closed. */
struct sanjer_run {
    struct sanjer *s;
    unsigned handles;
    char *id, *queue, *platform, *name; /* heap copies */
    json_t *settings;                   /* with their secrets */
    struct job_mask *mask;
    uint64_t attempt, blamed;
    uint64_t timeout_ms, retries; /* its platform's, or the section's */
    struct child_process process;
    uv_poll_t exit;
    uv_pipe_t in, out, err;
    uv_timer_t timer; /* its time; then that of TERM; then the sweep */
    uv_write_t write;
    struct buffer told; /* its line on stdin */
    struct buffer line; /* of its stdout, not whole yet */
    struct buffer output;
    json_t *meta, *result;
    double progress; /* below 0: it has said none */
    bool fresh;      /* something of these that Redis has not */
    bool exited;
    unsigned open; /* of its stdout and stderr */
    unsigned sweeps;
    enum sanjer_why why;
    bool term_sent;
    int status; /* of waitpid */
    struct rusage usage;
    uint64_t started_ms, ended_ms;
    char fault[SANJER_TEXT_MAX]; /* it never ran; "" when it did */
};

struct sanjer {
    struct worker *w;
    struct job_redis redis;
    const char *folder;
    char worker[128]; /* HOST.sanjerN, as RQ shows it */
    char lease[24];
    uint64_t timeout_ms, stop_ms, retries, retry_min_ms, retry_max_ms;
    size_t output_keep;
    bool adopted; /* what incarnations before us had has been asked for */
    bool claiming;
    struct sanjer_run *run; /* NULL: none */
    bool ending;            /* it is over, and Redis has not said that it knows */
    bool telling;           /* a call that says so is under way */
    uint64_t idle_ms;       /* clock_mono_ms: then it says again that it is idle */
    uv_timer_t stop;        /* an orderly stop has waited long enough */
};

/* ---- sanjer.c ---- */

/* A claim's answer: runs it, or is idle. */
void sanjer_take(struct sanjer *s, const redisReply *claimed);
/* The job is over, and Redis knows. */
void sanjer_done(struct sanjer *s, const redisReply *claimed);

/* ---- sanjer_run.c ---- */

/* Starts it; when that cannot be, it has ended (sanjer_end). */
void sanjer_start(struct sanjer *s, struct sanjer_run *run);
/* Ends it: TERM to all its processes, KILL after stop_timeout. */
void sanjer_stop_run(struct sanjer_run *run, enum sanjer_why why);
/* Lets go of it. */
void sanjer_run_close(struct sanjer_run *run);

/* ---- sanjer_end.c ---- */

/* Tells Redis what has become of s->run; again, when it has not heard. */
void sanjer_end(struct sanjer *s);
/* Fields of what is new of it, for a beat and for its end: at most SANJER_FRESH, appended to args. */
#define SANJER_FRESH 10
size_t sanjer_fresh(struct sanjer_run *run, struct slice *args, struct buffer texts[4],
                    char progress[32]);

#endif
