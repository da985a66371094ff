/*
 * preflight.h: everything that can be found wrong before the first process is started.
 *
 * Runs in the master, once, at start-up; may block on the file system. Each failure is one line that names object,
 * cause and remedy. Takes the locks of both places, sweeps what a dead master left behind, reads identity and boot.
 */
#ifndef MASTER_PREFLIGHT_H
#define MASTER_PREFLIGHT_H

#include "common/buffer.h"
#include "common/cgroup.h"
#include "master/config/config.h"
#include "master/tree/tree.h"

#define PREFLIGHT_INSTANCE_SIZE 17 /* 16 hex digits and NUL */

/* What it answers: worth another try, or only a change of the configuration helps. */
enum {
    PREFLIGHT_PASSING =
        0, /* what is missing may come: whoever needs it is tried again, and nothing is refused */
    PREFLIGHT_ERROR = CONTRACT_EXIT_TEMPORARY,
    PREFLIGHT_CONFIG = CONTRACT_EXIT_CONFIG
};

/* On which occasion it is looked. */
enum preflight_when {
    PREFLIGHT_START,
    PREFLIGHT_RUNNING, /* before a running master takes it over: ports in use are its own servers' */
    PREFLIGHT_CHECK,   /* --check: nothing is made, and who runs may run on */
};

struct preflight {
    char runtime_dir[108];
    char state_dir[4096];
    char libexec_dir[4096];
    char instance[PREFLIGHT_INSTANCE_SIZE];
    uint64_t boot;
    char cgroup[CGROUP_PATH_SIZE]; /* delegation.h; "": none */
    int lock_fd;                   /* of runtime_dir, held for the life of the master; -1 before */
    int state_lock_fd; /* of state_dir: what belongs to the data must not go with the sockets */
};

/*
 * Directories, lock, sweep, identity. Returns 0, or an exit code (1, or 78 for what only a change of the configuration
 * can mend) with the line in `error`. On 0 the locks are held until preflight_release.
 */
int preflight_take(struct preflight *p, const struct config *c, struct buffer *error);

/* What follows from the configuration alone: the directories. 0, or an exit code with a line in `error`. */
int preflight_places(struct preflight *p, const struct config *c, struct buffer *error);

/*
 * After an upgrade: state_lock_fd as the last master has left it open, or taken. `probe`: that one still runs, and is
 * our parent. 0, or an exit code with a line in `error`.
 */
int preflight_resume(struct preflight *p, bool probe, struct buffer *error);

/* False when somebody has removed runtime_dir: what stands under its name is another's, or nobody's. */
bool preflight_has_runtime_dir(const struct preflight *p);

/*
 * With the tree built: mailbox paths short enough, worker programs and embedded servers' programs present, ports free,
 * what the sections name there. Every finding is a "file:line: what" of its own: in `error`, or, when it may pass, in
 * `warnings` (NULL: not asked for). Returns 0, 1 or 78.
 */
int preflight_check_tree(const struct preflight *p, const struct config *c, struct node *root,
                         enum preflight_when when, struct buffer *error, struct buffer *warnings);

/* ---- for the systems' own looks (PREFLIGHTS in proto/systems.h) ---- */

struct preflight_findings {
    const struct preflight *p;
    const struct config *c;
    enum preflight_when when;
    struct buffer *error, *warnings;
    int warned;
    int code;
    bool missing[WORKER_TYPE_COUNT];
    const char *longest; /* name of a worker */
};

struct preflight_entry {
    enum config_kind kind;
    void (*look)(const struct config_section *s, struct preflight_findings *f);
};

/* Once, before the first preflight_check_tree. The list lives as long as the process. */
void preflight_register(const struct preflight_entry *list, size_t count);

/* Adds a finding about a key of a section: PREFLIGHT_PASSING, _ERROR or _CONFIG. NULL: about the platoon section. */
void preflight_found(struct preflight_findings *f, int code, const struct config_section *s,
                     const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/*
 * Where log lines go: `log_path`, or what is usual for `log_to`; "" for stderr. False: the path does not fit.
 */
bool preflight_log_path(const struct config *c, const char *state_dir, char *path, size_t size);

/* As execvp would find it. 0, or a negative errno. */
int preflight_find_program(const char *program);

/* Removes the pid file, and lets the locks go. */
void preflight_release(struct preflight *p);

#endif
