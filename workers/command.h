/*
 * command.h: what the files of the command worker share.
 *
 * command.c        life of the program: start, exit, stop
 * command_limits.c whom it runs as, and within which limits
 * command_start.c  fork, prctl, exec; end of the process group
 * command_ready.c  when it counts as ready
 * command_output.c what it prints, when this worker must see it
 * command_notify.c what it tells as it would tell systemd
 */
#ifndef WORKERS_COMMAND_H
#define WORKERS_COMMAND_H

#include "workers/worker.h"

#include <sys/types.h>

#define COMMAND_ARGS_MAX 64

/* Whom the program runs as, and within which limits. */
struct command_limits {
    bool change_user;
    uid_t uid;
    gid_t gid;
    const char *user; /* for its further groups; NULL: only gid changes */
    bool change_group;
    int umask; /* -1: unchanged */
    int nice;
    struct command_rlimit {
        int resource;
        uint64_t value;
    } rlimits[3];
    size_t rlimit_count;
    bool no_new_privs;
};

struct command_program {
    const char *argv[COMMAND_ARGS_MAX + 1]; /* NULL-terminated; strings are the settings' */
    const char *env[COMMAND_ARGS_MAX + 1];  /* NAME=value each, added to ours */
    const char *dir;                        /* NULL or "": unchanged */
    int notify_fd; /* kept open for the program, named in $NOTIFY_FD; -1: none */
    int output_fd; /* where its stdout and stderr go; -1: where ours go */
    struct command_limits limits;
};

/* Reads command.user and its sisters. A user or group that does not exist ends the process (CONTRACT_EXIT_CONFIG). Looks into the user database: may block. */
void command_limits_read(struct worker *w, struct command_limits *limits);

/* In the child: applies them, rights last. Returns 0, or an errno and in *what the setting that could not be had. */
int command_limits_apply(const struct command_limits *limits, const char **what);

/*
 * Starts the program in our process group; what it prints goes where our own stderr goes, to the master's log. It dies with
 * us (PR_SET_PDEATHSIG). Waits for exec, not longer. Returns 0 and the pid; or a negative errno, and in `what` the setting it is about, "" for the program itself.
 */
int command_start(const struct command_program *program, pid_t *pid, char what[64]);

/* Kills everybody in our process group but us, when we lead one: what the program has left behind. */
void command_kill_group(void);

/* ---- what it prints, what it tells ---- */

struct command_output;

/*
 * Reads what the program prints when `how` is "log:TEXT" or command.log_file is set: *program_fd is the program's end then, to be closed after its start. NULL and -1: nobody need
 * see it. On failure the process ends.
 */
struct command_output *command_output_new(struct worker *w, const char *how, int *program_fd);

/* Reads what is there without waiting: the last words, before the end is told. Accepts NULL, as does free. */
void command_output_drain(struct command_output *o);
void command_output_free(struct command_output *o);

struct command_notify;

/* $NOTIFY_SOCKET for the program, in our environment; calls worker_ready when it says READY=1. On failure the process ends. */
struct command_notify *command_notify_new(struct worker *w);
void command_notify_free(struct command_notify *n);

/* ---- readiness ---- */

struct command_ready;

/*
 * Watches for what `how` says (PROTOCOL.md section 7) and calls worker_ready once. `probe` is the probe's argv. On failure the process ends
 * with CONTRACT_EXIT_CONFIG. *notify_fd gets the program's end of the pipe for "fd", else -1.
 */
struct command_ready *command_ready_new(struct worker *w, const char *how, const char *const *probe,
                                        int *notify_fd);

/* Stops watching. Accepts NULL. Memory goes when the loop has closed the handles. */
void command_ready_free(struct command_ready *r);

#endif
