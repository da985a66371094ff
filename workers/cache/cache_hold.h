/*
 * cache_hold.h: a client's command that waits for the store, or to be told whose its keys are, and what the connection
 * has sent behind it.
 *
 * Runs in a cache node that has a store. The dispatcher (command_dispatch.c) asks here before it runs a command; one
 * that must wait is kept here as a copy, its client parked, and run when all its keys are known (cache_park.h). While
 * it waits, what has come behind it is read ahead and its loads are begun, so that a pipeline of cold keys takes about
 * one round trip; executed it is in order, later. Nothing is read ahead of a client that is not authenticated.
 *
 * Bounds: HOLD_COMMANDS read ahead; CACHE_PARK_AHEAD keys; the time of cache_park.h; and some rounds, when what one
 * command needs does not fit into memory together. Of what a client had sent when one of its commands was refused
 * because its time was over, nothing waits as long again: it is refused at once while the store does not answer, or
 * takes nothing, so that a pipeline waits once.
 */
#ifndef WORKERS_CACHE_HOLD_H
#define WORKERS_CACHE_HOLD_H

#include "workers/cache/cache_park.h"
#include "workers/cache/command/command.h"

enum cache_hold {
    CACHE_HOLD_GO,      /* it may run */
    CACHE_HOLD_WAITS,   /* it is kept: nothing is answered now */
    CACHE_HOLD_REFUSED, /* its error is written */
    CACHE_HOLD_DONE,    /* so is its reply */
    CACHE_HOLD_AWAY,    /* another node runs it: its reply will be written (cache_forward.h) */
};

struct cache_held;
struct command_queued;

/* Whether its keys are known. One that is queued in a transaction waits for none: they are loaded ahead. */
enum cache_hold cache_hold_keys(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count);

/* There is no room for what it writes. */
enum cache_hold cache_hold_room(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count);

/* Until it is known whose that cell is (cache_member.h). */
enum cache_hold cache_hold_cell(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count, uint64_t cell);

/* What waits in the one waits in the other from now on. */
void cache_hold_move(struct cache_client *from, struct cache_client *to);

/* A command that surely has not run is looked at anew (command_resume), with so much time. Its copy is taken. */
enum cache_hold cache_hold_again(struct cache_client *c, const struct command_queued *q,
                                 uint64_t timeout_ms);

/* Until an object is stored, at most so long (0: as long as anything waits); answered with 1 then. */
enum cache_hold cache_hold_stored(struct cache_client *c, const struct cache_command *command,
                                  const struct slice *words, size_t count, uint64_t timeout_ms);

/* Until the manager has said whose its key is, the second word; then `tell` writes its reply. */
enum cache_hold cache_hold_owner(struct cache_client *c, const struct cache_command *command,
                                 const struct slice *words, size_t count,
                                 void (*tell)(struct cache_client *c,
                                              const struct cache_member_owner *owner));

/* The command that waited, to be looked at again; its copy. NULL: there is none, or it waits still. */
struct command_queued *cache_hold_command(const struct cache_client *c);

/* What its waiting came to: GO: look again. */
enum cache_hold cache_hold_came(struct cache_client *c);

/* Until when its command may wait (uv_now); 0: it does not. */
uint64_t cache_hold_deadline(const struct cache_client *c);

/* The client has none any more; to be freed (NULL is allowed) when the command has run. */
struct cache_held *cache_hold_take(struct cache_client *c);
void cache_hold_free(struct cache_held *held);

/* The client ends. */
void cache_hold_forget(struct cache_client *c);

/* What a command that is to run later will need is loaded until then, as far as it is ours. */
void cache_hold_ahead(struct cache_client *c, const struct slice *words, size_t count);

/* Reads ahead in what its parked client has sent (cache_client.in). */
void cache_hold_look_ahead(struct cache_client *c);

#endif
