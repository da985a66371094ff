/*
 * seed.h: births without exec: of each type that runs programs the master keeps one process of the worker's program, a
 * seed, that forks the workers of that type (proto/seed_order.h).
 *
 * Runs in the master, on its main thread. An exec with its dynamic linking is most of a birth, and of the memory of a
 * helper that only waits for its program; a thousand forks of one process share both. A seed is planted when
 * POLICY_SEED_BIRTHS of its type have been born, so that who runs a few programs has no process more than before. It is
 * never needed: one that dies, is late, says what it should not, or cannot fork is done without, and that birth is an
 * exec. It dies with the master.
 *
 * Workers of one seed have the same addresses and stack canary, which a crash loop would let an attacker guess (Bittau
 * et al., "Hacking Blind", 2014): so the first that crashes is the last of its seed (seed_crashed). Only of helpers,
 * too: programs are executed as ever.
 */
#ifndef MASTER_SEED_H
#define MASTER_SEED_H

#include "master/process/spawn.h"
#include "proto/worker_types.h"

#include <uv.h>

/* Who has that child of ours already, worker or not? Once, before the first birth. */
void seed_setup(bool (*taken)(pid_t pid));

/*
 * As spawn_worker, by the seed of that type where there is one and it does it. Waits at most POLICY_SEED_MS longer.
 * `request->program` is what the seed executes.
 */
int seed_spawn(uv_loop_t *loop, enum worker_type type, const struct spawn_request *request,
               struct spawn_result *result);

/* A worker of that type was killed by that signal: another seed, if it is a crash. */
void seed_crashed(enum worker_type type, int signal);

/* Ends all of them: before the master does, or becomes another. Later births plant new ones. */
void seed_stop(void);

/* It is one: its end is seen here. */
bool seed_is(pid_t pid);

#endif
