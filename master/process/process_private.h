/*
 * process_private.h: what the files behind process.h share.
 *
 * process.c   birth, deadlines, end
 * process_flow.c      how much of the master's time a worker's link may take
 * process_says.c      what a worker says on its link
 * process_requests.c  requests to it and their answers
 * process_upgrade.c   from one master to the next
 */
#ifndef MASTER_PROCESS_PRIVATE_H
#define MASTER_PROCESS_PRIVATE_H

#include "common/cgroup.h"
#include "common/stream.h"
#include "master/logs/collect.h"
#include "master/process/spawn.h"
#include "master/process/process.h"
#include "proto/link.h"

#define PROCESS_MONITORS_MAX 1024
#define PROCESS_REQUESTS_MAX 256
#define PROCESS_ADDRESS_MAX  sizeof((struct node *)NULL)->address

enum process_deadline {
    PROCESS_NONE,
    PROCESS_HELLO,  /* it has not said HELLO */
    PROCESS_READY,  /* nor READY */
    PROCESS_BEAT,   /* it must be heard of again */
    PROCESS_STOP,   /* told to stop, SIGTERM follows */
    PROCESS_KILL,   /* signalled, SIGKILL follows */
    PROCESS_UNLINK, /* its link has ended; so should it */
};

/* What a worker's link has cost, see process_flow.c. */
struct process_flow {
    uint64_t debt_us, settled_ms; /* as of clock_mono_ms settled_ms */
    uint64_t resume_ms;           /* it is not read until then; 0: it is read */
    uint64_t behind_ms;           /* since when more waits than we read; 0: no */
    bool unread;                  /* it is not read because it does not read */
    bool asked_for;               /* the frame that is being read answers one of ours */
};

struct process_pending {
    uint64_t id;
    uint64_t deadline_ms; /* clock_mono_ms */
    process_answer_fn fn;
    void *ctx;
};

struct process {
    struct node *node; /* NULL after its end, while handles close */
    pid_t pid;
    int pidfd;
    struct stream link;
    bool linked;
    struct process_flow flow;
    struct collect_stream *output;
    enum log_level log_level; /* it was last told */
    uv_poll_t exit_poll;
    uv_timer_t timer;
    int open_handles;
    enum process_deadline waiting_for;
    uint64_t deadline_ms; /* clock_mono_ms */
    enum policy_doubt doubt;
    uint64_t timer_ms; /* when the timer is to come, clock_mono_ms */
    bool greeted;
    bool configured;    /* CONFIG was sent at its birth */
    bool unwatched;     /* we had no memory to hear it: its end is none of its own */
    uint64_t beat_ms;   /* when the last beat came; 0: none yet */
    uint64_t rest_ms;   /* it was told that it may be silent for so long */
    char said[384];     /* BYE's reason */
    char killed[192];   /* why the master kills it; empty: it does not */
    uint64_t oom_kills; /* in its group before its birth */
    /* Both grow as needed: most workers have none, and there may be a thousand. */
    char (*monitors)[CONTRACT_NAME_MAX];
    size_t monitor_count;
    size_t asked; /* of them by itself */
    struct process_pending *requests;
    size_t request_count, request_cap;
};

extern struct process_context {
    uv_loop_t *loop;
    size_t monitors; /* of all workers */
    size_t behind;   /* workers whose link has more to say than is read */
    struct process_settings settings;
    const struct process_readers *readers;
} process_context;

/* Where that incarnation's mailbox must be, as text for its peers. False when no socket can be there: too long. */
bool process_mailbox_address(const struct node *n, char address[PROCESS_ADDRESS_MAX]);

/*
 * From here on the process is watched: whatever fails is a death that its end tells. Descriptors below 0 are not
 * there. Negative errno: its end could not be seen; it has been killed, its descriptors are closed, and its zombie is
 * reaper.c's.
 */
int process_watch(struct process *p, const struct spawn_result *born);

/* Arms the process' one timer: the nearest of its deadline and its requests'. */
void process_arm(struct process *p);
void process_expect(struct process *p, enum process_deadline what, uint64_t within_ms);

/* SIGKILL to the whole group. */
void process_kill(struct process *p);

/*
 * Notes why the master ends it, for its obituary, before it does: the first reason stays. False, so that who reads a
 * message can return it.
 */
bool process_blame(struct process *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Kills a worker for what it did, with process_blame's cause, which the log tells. */
void process_fault(struct process *p);

/* The group that memory_max gives it, or its program. */
bool process_group(const struct node *n, char group[CGROUP_PATH_SIZE]);

/* ---- process_flow.c ---- */

/* One frame has been read, or a child of its own has come or gone, which has cost so much. */
void process_flow_charge(struct process *p, uint64_t us, uint64_t now_ms);

/* Of a temporary child: it comes and goes for its owner, who may ask for them without end. */
void process_charge_owner(const struct node *n, uint64_t us);

/* Goes on reading when it is time. */
void process_flow_look(struct process *p, uint64_t now_ms);

/* The process is no more. */
void process_flow_end(struct process *p);

/* Sends CONFIG; what cannot be told ends the worker. */
void process_configure(struct process *p);

/* One frame of the link. */
void process_says(struct process *p, struct slice frame);

/* Answers every request whose time is up. */
void process_requests_expire(struct process *p, uint64_t now_ms);
uint64_t process_requests_next(const struct process *p);

/* The worker's answer to one of them. */
void process_requests_reply(struct process *p, const struct link_reply *reply);

/* Answers all of them with status 1 and this text. */
void process_requests_fail(struct process *p, const char *text);

#endif
