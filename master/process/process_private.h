/*
 * worker_private.h: what the files behind worker_process.h share.
 *
 * worker_process.c   birth, deadlines, end
 * worker_says.c      what a worker says on its link
 * worker_requests.c  requests to it and their answers
 * worker_upgrade.c   from one master to the next
 */
#ifndef MASTER_WORKER_PRIVATE_H
#define MASTER_WORKER_PRIVATE_H

#include "common/stream.h"
#include "master/logs/collect.h"
#include "master/process/spawn.h"
#include "master/process/process.h"
#include "proto/link.h"

#define WORKER_MONITORS_MAX 1024
#define WORKER_REQUESTS_MAX 256

enum worker_deadline {
    WORKER_NONE,
    WORKER_HELLO,  /* it has not said HELLO */
    WORKER_READY,  /* nor READY */
    WORKER_BEAT,   /* it must be heard of again */
    WORKER_STOP,   /* told to stop, SIGTERM follows */
    WORKER_KILL,   /* signalled, SIGKILL follows */
    WORKER_UNLINK, /* its link has ended; so should it */
};

struct worker_request {
    uint64_t id;
    uint64_t deadline_ms; /* clock_mono_ms */
    worker_answer_fn fn;
    void *ctx;
};

struct worker_process {
    struct node *node; /* NULL after its end, while handles close */
    pid_t pid;
    int pidfd;
    struct stream link;
    bool linked;
    struct collect_stream *output;
    enum log_level log_level; /* it was last told */
    uv_poll_t exit_poll;
    uv_timer_t timer;
    int open_handles;
    enum worker_deadline waiting_for;
    uint64_t deadline_ms; /* clock_mono_ms */
    enum policy_doubt doubt;
    uint64_t timer_ms; /* when the timer is to come, clock_mono_ms */
    bool greeted;
    uint64_t beat_ms;   /* when the last beat came; 0: none yet */
    char said[128];     /* BYE's reason */
    uint64_t oom_kills; /* in its group before its birth */
    /* Both grow as needed: most workers have none, and there may be a thousand. */
    char (*monitors)[CONTRACT_NAME_MAX];
    size_t monitor_count;
    struct worker_request *requests;
    size_t request_count, request_cap;
};

extern struct worker_process_context {
    uv_loop_t *loop;
    struct node *root;
    uint64_t started_ms; /* clock_mono_ms, of the master */
    size_t monitors;     /* of all workers */
    struct worker_process_settings settings;
} worker_context;

/* From here on the process is watched: whatever fails is a death that its end tells. Descriptors below 0 are not there. */
void worker_watch(struct worker_process *p, const struct spawn_result *born);

/* Name of a worker's type: of its program. */
const char *worker_type_name(enum worker_type type);

/* Arms the process' one timer: the nearest of its deadline and its requests'. */
void worker_arm(struct worker_process *p);
void worker_expect(struct worker_process *p, enum worker_deadline what, uint64_t within_ms);

/* SIGKILL to the whole group. */
void worker_kill(struct worker_process *p);

/* Kills a worker for what it did; the supervisor hears of it. */
void worker_fault(struct worker_process *p, int fault);

/* One frame of the link. */
void worker_says(struct worker_process *p, struct slice frame);

/* Answers every request whose time is up. */
void worker_requests_expire(struct worker_process *p, uint64_t now_ms);
uint64_t worker_requests_next(const struct worker_process *p);

/* The worker's answer to one of them. */
void worker_requests_reply(struct worker_process *p, const struct link_reply *reply);

/* Answers all of them with status 1 and this text. */
void worker_requests_fail(struct worker_process *p, const char *text);

#endif
