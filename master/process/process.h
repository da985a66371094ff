/*
 * process.h: one worker process as the master sees it: born, greeted, asked, watched, stopped, buried.
 *
 * Runs in the master. Believes nothing a worker says: what cannot be read ends that worker and
 * nobody else. Never blocks.
 */
#ifndef MASTER_WORKER_PROCESS_H
#define MASTER_WORKER_PROCESS_H

#include "master/tree/death.h"
#include "master/tree/tree.h"

#include <sys/types.h>
#include <uv.h>

struct process_settings {
    const char *runtime_dir;
    const char *libexec_dir;
    const char *cgroup; /* where workers' groups are made; "": nowhere */
    uint64_t hang_timeout_ms;
};

/* Before the first spawn, and after each reload. The strings must live as long as there are processes. */
void process_setup(uv_loop_t *loop, const struct process_settings *settings);

/* A message on the link (proto/link.h) that is read elsewhere. */
struct process_message {
    uint64_t type;
    bool after_hello; /* before it, it is garbage */
    /*
     * The frame lives until the call returns. False: it cannot be read, or does not belong here; the worker is killed
     * for it.
     */
    bool (*read)(struct node *worker, struct slice frame);
};

/* Who hears of what the process layer itself has no use for. */
struct process_readers {
    const struct process_message *messages; /* one without `read` behind the last */
    /*
     * Of each death, in this order, NULL behind the last. Before them: the obituary is written and logged, the node
     * has forgotten its process, and who had asked it something has been answered.
     */
    const death_reader *deaths;
};

/* Once, before the first spawn; `readers` must live as long as there are processes. Without it nobody hears. */
void process_register(const struct process_readers *readers);

/* The process layer of supervisor_ops. */
int process_spawn(struct node *worker);
void process_stop(struct node *worker);
void process_force(struct node *worker);
void process_explain(const struct node *worker, int error, struct buffer *out);

pid_t process_pid(const struct process *p);

/* Sends one link frame. 0, or negative: nobody there, or the worker does not read and is killed for it. */
int process_send(struct node *worker, const struct buffer *frame);

/*
 * What it must know could not be sent: the process is killed, and its successor is told everything afresh.
 * Without a process: nothing.
 */
void process_untold(struct node *worker);

/* The node's log_level has changed: its worker, if there is one, is told, and its lines are let through accordingly. */
void process_set_level(struct node *worker);

/* Tells it to open its program's log file anew, if it has one (USR2). Nothing to be answered. */
void process_reopen_log(struct node *worker);

/* ---- from one master to the next (upgrade.h) ---- */

struct upgrade_worker;

/* True when nothing is on its way to it. */
bool process_is_quiet(const struct node *worker);

/* Its pidfd, link and output, for the exec; -1 for what is not there. */
void process_fds(const struct node *worker, int fds[3]);

/* Appends the worker, with its process if it has one, as upgrade_state.h says. */
void process_save(const struct node *worker, struct buffer *out);

/* Takes over its process, whose descriptors are open. 0 or a negative errno. */
int process_adopt(struct node *worker, const struct upgrade_worker *m);

/* The number of the last request; a new master goes on from there, because late answers carry old ones. */
uint64_t process_last_request(void);
void process_set_last_request(uint64_t id);

/* ---- requests ---- */

/* `status` is one of control.h's; `body` one msgpack value (a str on failure) that lives until the call returns. */
typedef void (*process_answer_fn)(uint64_t status, struct slice body, void *ctx);

/*
 * Hands a READY worker a REQUEST. `args` is a packed array of bin; `deadline_ms` counts from now. On 0 fn is called
 * exactly once, never before this returns: with the worker's answer; with status 1 and "<name> died before it answered:
 * <obituary>"; or with 124 at the deadline. Negative errno: fn is not called (-ENOTCONN: not READY; -EMSGSIZE;
 * -ENOBUFS: does not read; -ENOMEM).
 */
int process_request(struct node *worker, struct slice verb, struct slice args, uint64_t deadline_ms,
                    process_answer_fn fn, void *ctx);

/* Forgets every request of this ctx to this worker: fn will not be called any more. Harmless when there is none. */
void process_cancel(struct node *worker, const void *ctx);

/* Who wants to be told of whom. */
enum process_interest {
    PROCESS_ASKED,   /* it has asked for it (MONITOR) */
    PROCESS_WATCHED, /* the other has: whoever was told of its coming is told of its going */
};

/*
 * From now on it is told UP and DOWN of that name. False when memory is short, or there are too many: of each interest
 * PROCESS_MONITORS_MAX, so that others cannot use up what it may ask for. Without a process: true.
 */
bool process_monitor(struct node *watcher, const char *name, enum process_interest interest);

/* Ends it: it has asked for more than it may. */
void process_monitor_refused(struct node *watcher);

/* Ends it, for that reason. Harmless when it is ending, or has ended. */
void process_accused(struct node *worker, struct slice reason);

/* False while nobody has asked for anybody: then there is nobody to look for. */
bool process_any_monitor(void);

/* True when `watcher` is told UP and DOWN of that name, whoever asked. */
bool process_monitors(const struct node *watcher, const char *name);

#endif
