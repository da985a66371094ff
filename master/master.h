/*
 * master.h: the one running master: its loop, configuration, tree, places and age.
 *
 * Runs in the master. Made by platoon.c before anything starts; everybody else reads it. One thread.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "master/config/config.h"
#include "master/start/preflight.h"
#include "master/tree/tree.h"

#include <uv.h>

struct master {
    uv_loop_t *loop;
    struct config *config;
    struct node *root;
    struct preflight paths; /* runtime_dir, state_dir, libexec_dir, instance, boot */
    uint64_t started_ms;    /* clock_mono_ms */
    uint64_t upgrades;      /* how often this process has gone over to a new binary */
    bool stopping;          /* master_shutdown was called */
    void (*on_fatal)(void); /* what on_fatal = exit does */
};

#endif
