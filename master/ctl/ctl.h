/*
 * ctl.h: one run of platoonctl: what was asked for, where the answer comes from, where it goes.
 *
 * Runs in platoonctl only. A handler asks the master, renders into `out` and returns the exit code; platoonctl.c writes
 * `out`. It must not print to stdout by itself: what could not be written must become an exit code in one place.
 */
#ifndef MASTER_CTL_CTL_H
#define MASTER_CTL_CTL_H

#include "master/ctl/ctl_args.h"
#include "master/ctl/ctl_client.h"

#include <jansson.h>

struct ctl {
    struct ctl_args args;
    struct ctl_client client;
    struct buffer out;
    uint64_t deadline;   /* clock_mono_ms, from --timeout or the verb's default */
    uint64_t timeout_ms; /* for messages */
    bool terminal;       /* stdout is one */
    bool color;
    bool draws;   /* moves of the cursor are its own: a live view, a bar */
    size_t width; /* columns */
};

/*
 * A verb's work: 0 or an exit code of CONTROL_STATUS_LIST; whoever returns another than 0 has said why (ctl_fail in
 * ctl_ask.h).
 */
typedef int (*ctl_handler)(struct ctl *c);

#endif
