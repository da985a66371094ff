/*
 * command.h: what the files of the command worker share.
 *
 * command.c        life of the program: start, exit, stop
 * command_start.c  fork, prctl, exec; end of the process group
 * command_ready.c  when it counts as ready
 */
#ifndef WORKERS_COMMAND_H
#define WORKERS_COMMAND_H

#include "workers/worker.h"

#include <sys/types.h>

#define COMMAND_ARGS_MAX 64

struct command_program {
    const char *argv[COMMAND_ARGS_MAX + 1]; /* NULL-terminated; strings are the settings' */
    const char *dir;                        /* NULL or "": unchanged */
    int notify_fd; /* kept open for the program, named in $NOTIFY_FD; -1: none */
};

/*
 * Starts the program in our process group; what it prints goes where our own stderr goes, to the master's log. It dies with
 * us (PR_SET_PDEATHSIG). Waits for exec, not longer. Returns 0 and the pid, or a negative errno of chdir or exec.
 */
int command_start(const struct command_program *program, pid_t *pid);

/* Kills everybody in our process group but us, when we lead one: what the program has left behind. */
void command_kill_group(void);

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
