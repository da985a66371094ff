/*
 * child_run.h: a process (child_process.h) on an event loop: what it is told and says, its time, its end.
 *
 * Runs in workers that start other people's programs for one thing. Bounded by its time; what it says is the caller's
 * to bound. Its exit ends the run, though its children hold its streams open: they are killed then, as after its time,
 * and with us.
 */
#ifndef COMMON_CHILD_RUN_H
#define COMMON_CHILD_RUN_H

#include "common/child_process.h"
#include "common/slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <uv.h>

struct child_run;

struct child_run_end {
    int status; /* of wait(2) */
    struct rusage usage;
    bool stopped;   /* by child_run_stop, */
    bool timed_out; /* or for its time was over */
    size_t
        left; /* of its processes, 5 s after its end: they sleep in the kernel, and go when they wake */
};

struct child_run_options {
    struct child_options child;
    struct slice input;       /* copied; it is told this, and then its standard input ends */
    uint64_t timeout_ms;      /* 0: any */
    uint64_t stop_timeout_ms; /* between SIGTERM and SIGKILL */
    /*
     * Others of the caller's run beside it: only its process group is killed behind it, not whatever came of it. For
     * programs that leave nothing behind.
     */
    bool beside;
    /* What comes on its standard output and error. Optional. */
    void (*on_out)(void *ctx, struct slice bytes);
    void (*on_err)(void *ctx, struct slice bytes);
    /* Once, when it has ended and all that it has said was told; the run is gone then. */
    void (*on_end)(void *ctx, const struct child_run_end *end);
    void *ctx;
};

/* Starts it. 0 and the run; or a negative errno: nothing is there, and on_end is not called. Blocks until exec. */
int child_run_start(uv_loop_t *loop, const struct child_run_options *o, struct child_run **out);

/* SIGTERM to its process group, and after stop_timeout SIGKILL. on_end follows. Again: nothing. */
void child_run_stop(struct child_run *r);

/* What it says on its standard output is not read until it is resumed: it waits. Its end is told behind that. */
void child_run_pause(struct child_run *r);
void child_run_resume(struct child_run *r);

/* Of who ends himself: it is killed, nothing of it is told any more, and the run goes when the loop has closed it. */
void child_run_abandon(struct child_run *r);

#endif
