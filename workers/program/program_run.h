/*
 * program_run.h: a program of any kind under a worker: what command and port workers share.
 *
 * program_life.c   its life: start, exit, stop, too much memory
 * program_start.c  clone, prctl, exec; end of the process group
 * program_environment.c what it finds in its environment
 * program_ready.c  when it counts as ready
 * program_output.c what it prints, when this worker must see it
 * program_notify.c what it tells as it would tell systemd
 */
#ifndef WORKERS_PROGRAM_H
#define WORKERS_PROGRAM_H

#include "workers/skeleton/worker_limits.h"

#include <sys/types.h>

#define PROGRAM_ARGS_MAX 512

struct program_spec {
    const char **argv;         /* NULL-terminated; strings are the settings' */
    const char **env;          /* NAME=value each, added to ours */
    const char *dir;           /* NULL or "": unchanged */
    const char *notify_socket; /* its $NOTIFY_SOCKET; NULL: none */
    int notify_fd;             /* kept open for the program, named in $NOTIFY_FD; -1: none */
    int output_fd;             /* where its stdout and stderr go; -1: where ours go */
    int lock_fd; /* kept open by the program: what it works on is held as long as it lives; -1: none */
    int in_fd, out_fd; /* its stdin, and its stdout before output_fd; -1: as ours */
    const struct worker_limits *limits; /* only until it runs */
};

/*
 * Starts the program in our process group; what it prints goes where our own stderr goes, to the master's log. It dies
 * with us (PR_SET_PDEATHSIG). Waits for exec, not longer. Returns 0 and the pid; or a negative errno, and in `what` the
 * setting it is about, "" for the program itself.
 */
int program_start(struct worker *w, const struct program_spec *program, pid_t *pid, char what[64]);

/* Appends why program_start has failed with that errno, over `what`: object, cause, remedy. Looks at files. */
void program_fault_say(const struct program_spec *program, int error, const char *what,
                       struct buffer *out);

/* True when another try may do without a change of the configuration. */
bool program_fault_passes(int error);

/*
 * The program's environment; with NULL a probe's, which is ours without what is the master's affair. One block, the
 * caller's to free, that points into ours and into the settings. NULL: no memory.
 */
char **program_environment_new(struct worker *w, const struct program_spec *program);

/* NULL: it is not in there. */
const char *program_environment_find(char *const *environment, const char *name);

/* Kills everybody in our process group but us, when we lead one: what the program has left behind. */
void program_kill_group(void);

/* ---- what it prints, what it tells ---- */

struct program_output;

/*
 * Reads what the program prints when `how` is "log:TEXT" or command.log_file or command.reason is set: *program_fd is
 * the program's end then, to be closed after its start. NULL and -1: nobody need see it. On failure the process ends.
 */
struct program_output *program_output_new(struct worker *w, const char *how, int *program_fd);

/* Once a second: goes on with what memory was short for. Accepts NULL. */
void program_output_tick(struct program_output *o);

/* Whether that has nothing to do before the program prints something. */
bool program_output_is_idle(const struct program_output *o);

/* Reads what is there without waiting: the last words, before the end is told. Accepts NULL, as does free. */
void program_output_drain(struct program_output *o);

/* What it said last behind the mark of command.reason; "" when it has said nothing so. */
const char *program_output_reason(const struct program_output *o);
void program_output_free(struct program_output *o);

/* Its file anew, where there is one and its name leads elsewhere now. 0, or a negative errno: the old one is kept. */
int program_output_reopen(struct program_output *o);

struct program_notify;

/* A socket for the program; calls worker_ready when it says READY=1. On failure the process ends. */
struct program_notify *program_notify_new(struct worker *w);

/* What the program finds in $NOTIFY_SOCKET. NULL without one. */
const char *program_notify_address(const struct program_notify *n);
void program_notify_free(struct program_notify *n);

/* ---- readiness ---- */

struct program_ready;

/*
 * Watches for what `how` says (PROTOCOL.md, Command workers) and calls worker_ready once. `probe` is the probe's
 * argv. On failure the process ends
 * with CONTRACT_EXIT_CONFIG. *notify_fd gets the program's end of the pipe for "fd", else -1. NULL: there is nothing to
 * watch, because somebody else will say so.
 */
struct program_ready *program_ready_new(struct worker *w, const char *how, const char *const *probe,
                                        int *notify_fd);

/* True while a probe runs, which is a child of ours that libuv waits for. Accepts NULL. */
bool program_ready_is_probing(const struct program_ready *r);

/* Stops watching. Accepts NULL. Memory goes when the loop has closed the handles. */
void program_ready_free(struct program_ready *r);

/* ---- life ---- */

/* The ends of a program's stdin and stdout that are ours. */
struct program_streams {
    int in, out;
};

/* A memory_max that its group keeps. */
struct program_memory {
    uint64_t max;
    uint64_t oom_kills; /* in its group before its start */
    char cgroup[CGROUP_PATH_SIZE];
};

struct program_life {
    struct worker *w;
    struct program_spec spec;
    const char **probe;
    struct program_ready *ready;
    struct program_output *output;
    struct program_notify *notify;
    uint64_t memory_restart; /* bytes; 0: any */
    char over[160];          /* why it is being ended: it used more */
    uint64_t over_since_ms;
    pid_t pid; /* 0: none */
    int pidfd;
    uv_poll_t exit_poll;
    uv_signal_t child_signal; /* of those that were adopted */
    int stop_signal;
    uint64_t started_ms;
    struct program_memory *memory; /* NULL: it has no memory_max */
};

/*
 * Starts the program that the command.* settings describe; in worker_ops.prepare, before there is a second thread. `p`
 * is zeroed. With `streams` its stdin and stdout are pipes whose other ends are the caller's; without, its stdin is
 * /dev/null and its stdout our log. What fails ends the process.
 */
void program_life_begin(struct program_life *p, struct worker *w, struct program_streams *streams);

/* Answers "signal" NUMBER; false: it is another request. */
bool program_life_answer(struct program_life *p, const struct link_request *request);

/* worker_ops.on_tick, drain and fini. */
void program_life_tick(struct program_life *p);
void program_life_stop(struct program_life *p);
void program_life_end(struct program_life *p);

#endif
