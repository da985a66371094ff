/*
 * filter_run.h: what makes a resource's versions: a command, one run of it at a time.
 *
 * filter.c          the worker type: what the store says, and is told
 * filter_steps.c    what it makes: its resource, or, of a what-if's, any of its snapshot
 * filter_run.c      a run: its process, what it reads and says, its time, its end and that of what it left
 * filter_program.c  the command as its section has it: words, environment, limits, all ready before a fork
 */
#ifndef WORKERS_SNAPSHOT_FILTER_RUN_H
#define WORKERS_SNAPSHOT_FILTER_RUN_H

#include "common/child_process.h"
#include "proto/snapshot/snapshot_limits.h"
#include "workers/skeleton/worker_limits.h"

/* ---- filter_program.c ---- */

#define FILTER_WORDS_MAX 512

struct filter_program {
    const char *argv[FILTER_WORDS_MAX + 1]; /* settings' */
    const char *dir;
    struct worker_limits limits;
    gid_t *groups; /* of its user; NULL: it has none of its own */
    size_t group_count;
    char **environment;
    size_t variables; /* of it, without what a run adds */
};

/*
 * From the settings PREFIX.*; `resource` and, of a what-if's, that it is one are among its variables. What cannot be
 * had ends the process.
 */
void filter_program_read(struct filter_program *p, struct worker *w, const char *prefix,
                         const char *resource, bool whatif);
void filter_program_free(struct filter_program *p);

/*
 * Starts it for a run as of that commit. 0, or a negative errno with one line in `why`. Waits for exec, not longer.
 */
int filter_program_start(struct filter_program *p, const char *commit, struct child_process *child,
                         struct buffer *why);

/* ---- filter_run.c ---- */

enum filter_outcome { FILTER_BYTES, FILTER_UNCHANGED, FILTER_FAILED };

struct filter_run;

struct filter_limits {
    uint64_t size_min, size_max, timeout_ms, stop_ms;
};

/* ---- filter_steps.c ---- */

struct filter_step {
    const char *name; /* of the resource; a setting */
    struct filter_program program;
    struct filter_limits limits;
};

struct filter_steps {
    struct filter_step *list;
    size_t count;
    bool whatifs;
};

/* From the settings. What cannot be had ends the process. */
void filter_steps_read(struct filter_steps *steps, struct worker *w);
void filter_steps_free(struct filter_steps *steps);

/* The one that a RUN names ("": the worker's own). NULL: it has none such. */
struct filter_step *filter_steps_find(const struct filter_steps *steps, struct slice name);

/* ---- a run ---- */

struct filter_events {
    /* It would read on: answered by filter_run_feed or, when there is no more, filter_run_fed. */
    void (*on_want)(void *ctx);
    /*
     * It has ended, and all that came of it is gone. `bytes` and `error` live until the call returns; the run is freed
     * behind it.
     */
    void (*on_end)(void *ctx, enum filter_outcome outcome, const char *error, struct slice bytes,
                   struct slice said, uint64_t duration_ms);
    void *ctx;
};

/* Never NULL: where memory is short the process ends. on_want and on_end are called from the loop, never from here. */
struct filter_run *filter_run_new(struct worker *w, struct filter_program *program,
                                  const char *commit, const struct filter_limits *limits,
                                  const struct filter_events *events);

/* Further bytes for its stdin, taken over: *bytes is empty then. */
void filter_run_feed(struct filter_run *run, struct buffer *bytes);

/* Its stdin ends here. */
void filter_run_fed(struct filter_run *run);

/* It is ended: TERM, and KILL stop_ms later. `why` becomes its error. on_end follows. */
void filter_run_stop(struct filter_run *run, const char *why);

/* At once, without on_end; the worker is about to end itself. */
void filter_run_kill(struct filter_run *run);

#endif
