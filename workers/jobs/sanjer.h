/*
 * sanjer.h: what the files of the sanjer share: the worker that runs jobs, one at a time.
 *
 * sanjer.c       its life: idle, woken, a claim, beats
 * sanjer_run.c   a job's process: what it is told, its time, its end and that of what it left
 * sanjer_say.c   what it says
 * sanjer_store.c what it stores; sanjer_mysql.c: in a database
 * sanjer_function.c  what a function of RQ's brings with it
 * sanjer_worker.c what RQ's clients see of it
 * sanjer_end.c   what has become of it, told to Redis until that has heard
 */
#ifndef WORKERS_JOBS_SANJER_H
#define WORKERS_JOBS_SANJER_H

#include "common/child_process.h"
#include "workers/jobs/job_mask.h"
#include "workers/jobs/job_redis.h"
#include "workers/jobs/job_user.h"
#include "workers/jobs/sanjer_python.h"
#include "workers/jobs/sanjer_store.h"

#include <jansson.h>
#include <sys/resource.h>

#define SANJER_LINE_MAX                                                                            \
    (1024u * 1024) /* of what a job says, beyond dataset_max; longer ones are output */
#define SANJER_TEXT_MAX 512

/* So long a job is handed back that we have no platform for; and so long until one looks again. */
#define SANJER_LACK_MS       60000u
#define SANJER_LACK_PAUSE_MS 2000u

/* Where output comes from. */
enum sanjer_stream { SANJER_OUT, SANJER_ERR };

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
    bool waits;                   /* for a child of the interpreter */
    struct sanjer_child *child;   /* it runs in; NULL: a process of its own, or none yet */
    struct child_process process;
    int said_fd; /* of a child; -1 */
    uv_poll_t exit;
    uv_pipe_t in, out, err, said;
    uv_timer_t timer; /* its time; then that of TERM; then the sweep */
    uv_write_t write;
    struct buffer told; /* its line on stdin */
    struct buffer line; /* of its stdout, or of what a child says, not whole yet */
    struct buffer output;
    struct buffer held[2]; /* by its stream: with which a secret may begin */
    uint64_t output_gone;  /* bytes before those in it */
    char output_end[24];   /* text of where they end */
    json_t *meta, *result;
    size_t meta_size; /* of its stages, as JSON */
    bool meta_full;   /* one was left out */
    double progress;  /* below 0: it has said none */
    bool fresh;       /* something of these that Redis has not */
    bool exited;      /* it is over */
    bool has_status;  /* and its process too */
    unsigned open;    /* of the streams that it says something on */
    unsigned sweeps;
    bool sweeping; /* another is to come */
    enum sanjer_why why;
    bool term_sent;
    int status; /* of waitpid */
    uint64_t cpu_ms, rss;
    uint64_t oom_kills; /* the kernel's count when it began */
    bool oom_ran;       /* it was killed, and the kernel has killed for want of memory meanwhile */
    uint64_t started_ms, ended_ms;
    bool memory;                   /* what it raised was for want of it */
    char raised[SANJER_TEXT_MAX];  /* of a class: what, for people; "" nothing */
    char *traceback;               /* with it; or NULL */
    json_t *stores;                /* what is to be written when it has ended well; or NULL */
    struct store_job *storing;     /* that is being written; or NULL */
    char storage[SANJER_TEXT_MAX]; /* what is wrong with it; "" nothing */
    char fault[SANJER_TEXT_MAX];   /* it never ran; "" when it did */
    uint64_t claimed_ms;           /* by Redis' clock */
    uint64_t lacked_ms;  /* likewise: since when nobody has had its platform; 0: somebody has */
    bool lacks;          /* we have not, and others may: it is handed back */
    json_t *function;    /* of RQ's: its hash, each value in base64; NULL: a platform's job */
    char *returned;      /* of a function: what RQ's clients shall read, in base64; or NULL */
    uint64_t again_left; /* RQ's retries_left */
    uint64_t again_ms;   /* until the next of them */
    uint64_t
        returned_retries; /* RQ 2's number_of_retries with the Retry that it has returned; 0: none */
    uint64_t returned_ms; /* the pause that this one says */
    bool spent;           /* it has returned one more than that allows */
};

struct sanjer {
    struct worker *w;
    struct job_redis redis;
    const char *folder;
    char worker[256]; /* HOST.sanjerN, as RQ shows it */
    bool longer;      /* that is another's, so ours is the longer one */
    bool leaving;     /* Redis is being told that we go */
    uint64_t show_ms; /* clock_mono_ms: then RQ is told again that we are there */
    char lease[24];
    uint64_t back_ms; /* instead of stop_ms, while we are being stopped */
    uint64_t timeout_ms, stop_ms, retries, retry_min_ms, retry_max_ms;
    uint64_t jobs_per_process, memory_max; /* 0: none */
    size_t output_keep, dataset_max;
    struct job_user *user; /* that jobs run as; NULL: as we do */
    struct sanjer_python *python;
    struct sanjer_store *store; /* NULL: none */
    bool adopted;               /* what incarnations before us had has been asked for */
    bool claiming;
    struct sanjer_run *run; /* NULL: none */
    bool ending;            /* it is over, and Redis has not said that it knows */
    bool telling;           /* a call that says so is under way */
    uint64_t oom_kills;     /* the kernel's count, a second ago at most */
    uint64_t idle_ms;       /* clock_mono_ms: then it says again that it is idle */
    uv_timer_t stop;        /* an orderly stop has waited long enough */
};

/* ---- sanjer.c ---- */

/* A claim's answer: runs it, or is idle. */
void sanjer_take(struct sanjer *s, const redisReply *claimed);
/* The job is over, and Redis knows. */
void sanjer_done(struct sanjer *s, const redisReply *claimed);

/* ---- sanjer_function.c ---- */

/* Reads what the hash of a claimed function says; of a platform's job nothing. -ENOMEM. */
int sanjer_function_read(struct sanjer_run *run, const redisReply *fields);
/* What its child says of it beside what any job says. */
void sanjer_function_say(struct sanjer_run *run, const json_t *said);

/* ---- sanjer_worker.c ---- */

/* Its name for RQ, in s->worker: HOST.sanjerN, or a longer one that nobody else has. */
void sanjer_name(struct sanjer *s, bool longer);
/* Says that it is there, when it is time. */
void sanjer_show(struct sanjer *s);
/* It has nothing in hands and goes: says so, and ends (worker_finished). Again: nothing. */
void sanjer_leave(struct sanjer *s);

/* ---- sanjer_run.c ---- */

/* Starts it; when that cannot be, it has ended (sanjer_end). */
void sanjer_start(struct sanjer *s, struct sanjer_run *run);
/* Ends it: TERM to all its processes, KILL after stop_timeout. */
void sanjer_stop_run(struct sanjer_run *run, enum sanjer_why why);
/* Gives it so long from now on; 0: as long as it likes. */
void sanjer_run_more(struct sanjer_run *run, uint64_t ms);
/* A child for it has come, which is its own until sanjer_python_done; or why there is none (cut off). */
void sanjer_run_child(struct sanjer_run *run, struct sanjer_child *child);
void sanjer_run_fault(struct sanjer_run *run, const char *why);
/* A child has said that the job is over, and what of it is to be known: {"left", "cpu_ms", "rss"}. */
void sanjer_run_over(struct sanjer_run *run, const json_t *end);
/* What it says counts no more: closes all that it could be heard by. Again: nothing. */
void sanjer_run_hang_up(struct sanjer_run *run);
/* Lets go of it. */
void sanjer_run_close(struct sanjer_run *run);

/* ---- sanjer_say.c ---- */

/* Bytes of a program's stdout. */
void sanjer_say_out(struct sanjer_run *run, struct slice bytes);
/* Bytes of what a child says. */
void sanjer_say_child(struct sanjer_run *run, struct slice bytes);
/* Bytes that are output and nothing else. */
void sanjer_say_output(struct sanjer_run *run, enum sanjer_stream from, struct slice bytes);
/* It says no more: what was held back is output, too. */
void sanjer_say_no_more(struct sanjer_run *run);
/* The last output_keep bytes of its output; valid until more comes. */
struct slice sanjer_say_kept(const struct sanjer_run *run);
/* A set of data into its meta; secrets are masked, and what is beyond dataset_max is cut off. */
void sanjer_say_set(struct sanjer_run *run, const char *name, const json_t *set);
/* The stream that its lines come on has ended: so does the last one. */
void sanjer_say_ended(struct sanjer_run *run);

/* ---- sanjer_end.c ---- */

/* Tells Redis what has become of s->run; again, when it has not heard. */
void sanjer_end(struct sanjer *s);
/* Fields of what is new of it, for a beat and for its end: at most SANJER_FRESH, appended to args. */
#define SANJER_FRESH 12
size_t sanjer_fresh(struct sanjer_run *run, struct slice *args, struct buffer texts[4],
                    char progress[32]);

#endif
