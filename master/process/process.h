/*
 * worker_process.h: one worker process as the master sees it: born, greeted, asked, watched, stopped, buried.
 *
 * Runs in the master. Believes nothing a worker says: what cannot be read ends that worker and nobody else. Never blocks.
 */
#ifndef MASTER_WORKER_PROCESS_H
#define MASTER_WORKER_PROCESS_H

#include "common/process_usage.h"
#include "master/tree/tree.h"

#include <sys/types.h>
#include <uv.h>

struct worker_process_settings {
    const char *runtime_dir;
    const char *libexec_dir;
    const char *cgroup; /* where workers' groups are made; "": nowhere */
    uint64_t hang_timeout_ms;
};

/* Once, before the first spawn. The strings and the root must live as long as there are processes. */
void worker_process_setup(uv_loop_t *loop, struct node *root,
                          const struct worker_process_settings *settings);

/* The process layer of supervisor_ops. */
int worker_process_spawn(struct node *worker);
void worker_process_stop(struct node *worker);
void worker_process_force(struct node *worker);

pid_t worker_process_pid(const struct worker_process *p);

/* What it uses now, with `family` all its descendants too (a command worker is nothing beside its program). */
void worker_process_usage(const struct worker_process *p, bool family, struct process_usage *usage);

/* Sends one link frame. 0, or negative: nobody there, or the worker does not read and is killed for it. */
int worker_process_send(struct node *worker, const struct buffer *frame);

/* What it must know could not be sent: the process is killed, and its successor is told everything afresh. Without a process: nothing. */
void worker_process_untold(struct node *worker);

/* The node's log_level has changed: its worker, if there is one, is told, and its lines are let through accordingly. */
void worker_process_set_level(struct node *worker);

/* ---- from one master to the next (upgrade.h) ---- */

struct upgrade_worker;

/* True when nothing is on its way to it. */
bool worker_process_is_quiet(const struct node *worker);

/* Its pidfd, link and output, for the exec; -1 for what is not there. */
void worker_process_fds(const struct node *worker, int fds[3]);

/* Appends the worker, with its process if it has one, as upgrade_state.h says. */
void worker_process_save(const struct node *worker, struct buffer *out);

/* Takes over its process, whose descriptors are open. 0 or a negative errno. */
int worker_process_adopt(struct node *worker, const struct upgrade_worker *m);

/* The number of the last request; a new master goes on from there, because late answers carry old ones. */
uint64_t worker_process_last_request(void);
void worker_process_set_last_request(uint64_t id);

/* ---- requests ---- */

/* `status` is one of control.h's; `body` one msgpack value (a str on failure) that lives until the call returns. */
typedef void (*worker_answer_fn)(uint64_t status, struct slice body, void *ctx);

/*
 * Hands a READY worker a REQUEST. `args` is a packed array of bin; `deadline_ms` counts from now. On 0 fn is called exactly once, never
 * before this returns: with the worker's answer; with status 1 and "<name> died before it answered: <obituary>"; or with 124
 * at the deadline. Negative errno: fn is not called (-ENOTCONN: not READY; -EMSGSIZE; -ENOBUFS: does not read; -ENOMEM).
 */
int worker_process_request(struct node *worker, struct slice verb, struct slice args,
                           uint64_t deadline_ms, worker_answer_fn fn, void *ctx);

/* Forgets every request of this ctx to this worker: fn will not be called any more. Harmless when there is none. */
void worker_process_cancel(struct node *worker, const void *ctx);

/* From now on it is told UP and DOWN of that name. False when memory is short, or it has asked for too many. Without a process: true. */
bool worker_process_monitor(struct node *watcher, const char *name);

/* False while nobody has asked for anybody: then there is nobody to look for. */
bool worker_process_any_monitor(void);

/* True when `watcher` has asked for UP and DOWN of that name (MONITOR). */
bool worker_process_monitors(const struct node *watcher, const char *name);

#endif
