/*
 * upgrade.h: the master execs its new binary and takes its children over: the same pids, nothing
 * restarted, nothing lost.
 *
 * Runs in the master, the old one and the new. The old one writes its state (upgrade_state.h) into a memory file and
 * asks the new binary, as a child, whether it can read it and the configuration; only when that says yes, and nothing
 * is on its way to any worker, it execs. Descriptors stay open, children stay children, bytes that have come of an
 * unfinished frame travel along. What does not: control clients, log lines kept for `logs`, moves kept for `watch`, and
 * requests to workers that are not answered yet.
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include "master/master.h"

/*
 * Called once: with NULL when the new binary has agreed and the exec follows as soon as all is quiet; else with one
 * line that says why nothing was changed.
 */
typedef void (*upgrade_answer_fn)(const char *why, void *ctx);

/*
 * Begins an upgrade to the binary that is now where ours was started from. Returns 0, and fn is called later; or an
 * exit code of control.h, with one line in `error`: a reload, restart or upgrade is going on, the file has changed
 * since, or there is no such binary.
 */
int upgrade_begin(struct master *m, upgrade_answer_fn fn, void *ctx, struct buffer *error);

/* Forgets the caller of upgrade_begin; the upgrade goes on. */
void upgrade_forget(const void *ctx);

/* The control socket, which stands above the verb that begins an upgrade, as far as an upgrade needs it. */
struct upgrade_control {
    int (*fd)(void);        /* the listening descriptor, which goes over to the new master */
    bool (*is_quiet)(void); /* every client has been sent all that it was answered */
};

/* Once, before upgrade_begin. Must live as long as the master. */
void upgrade_setup(const struct upgrade_control *control);

/* Where the program is, for upgrade_begin: once, first thing in main. */
void upgrade_remember_program(void);

/* ---- the new master ---- */

/* What a descriptor holds. */
struct upgrade {
    struct buffer bytes;
    uint64_t lock_fd, listener_fd, started_ms, upgrades, request_id, boot;
    char instance[PREFLIGHT_INSTANCE_SIZE];
    size_t nodes_at; /* in bytes */
    uint64_t nodes;
    uint64_t children, last_line, last_event;
    struct slice lines, events; /* in bytes */
};

/* The new binary while it looks at the state, for the reaper to spare; 0: there is none. */
pid_t upgrade_probe_pid(void);

/*
 * Reads it. False, with the reason in `error`, when it cannot be read or is of another version.
 * upgrade_fini in either case.
 */
bool upgrade_read(struct upgrade *u, int fd, struct buffer *error);
void upgrade_fini(struct upgrade *u);

/*
 * Looks whether every worker that runs has its place in m->root; temporary children are given theirs. False
 * with one line in `error`.
 */
bool upgrade_fits(const struct upgrade *u, struct master *m, struct buffer *error);

/* Before the first line is logged: what `logs` and `watch` show goes on where it was. */
void upgrade_restore(const struct upgrade *u);

/*
 * After supervisor_init, before the loop runs: the tree becomes what it was. What the new configuration
 * tells otherwise is restarted.
 */
void upgrade_adopt(const struct upgrade *u, struct master *m);

#endif
