/*
 * cache_node_worker.h: what the files of the worker type cache-node share: its state.
 *
 * Runs in a cache node. cache_node.c puts it together and lives through its life; cache_node_start.c reads what it
 * starts with; cache_node_ring.c puts it into its ring; cache_node_tell.c tells the master how it does. Nobody else
 * includes it: what clients, turns and commands know of a node is cache_node.h.
 */
#ifndef WORKERS_CACHE_NODE_WORKER_H
#define WORKERS_CACHE_NODE_WORKER_H

#include "common/siphash.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_load.h"
#include "workers/cache/cache_mail.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_second.h"
#include "workers/cache/cache_trouble.h"
#include "workers/cache/memory/cache_trim.h"

#include <limits.h>

#define NODE_SECRET_SIZE 4096

struct cache_peers;

struct node {
    struct worker *w;
    struct cache_node cache;
    struct cache_mail mail;
    struct cache_log_found found;
    char damaged[PATH_MAX + 512]; /* of the log, and what helps; "": nothing */
    struct cache_trim trim;
    struct backing *store; /* behind it; NULL: none */
    char dir[PATH_MAX];
    char secret[NODE_SECRET_SIZE];
    struct cache_stats told; /* counters as the master knows them */
    struct cache_node_counts told_counts;
    struct cache_load_stats told_loads;
    struct cache_behind_counts told_stores;
    uint64_t told_forwarded;
    struct cache_trouble trouble;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    char workers[CONTRACT_NAME_MAX]; /* the branch of those that talk with the store */
    struct cache_peers *peers;       /* the other nodes of its ring; NULL: there is none */
    struct worker_peer *manager;     /* NULL: it is not there */
    struct buffer *message;          /* to it, at hand */
    char *address;                   /* where other nodes reach it */
    char identity[PATH_MAX];         /* file of who it is in its ring */
    void (*finish)(struct node *n);  /* ends it when nothing is to be waited for any more */
    uint64_t drain_ms;               /* when it began */
    int hold;
    bool draining, leaves, left; /* it has asked to leave its ring; it has been answered */
};

/* The number behind the dot of the worker's name. */
uint64_t node_number(const struct node *n);

/* ---- cache_node_ring.c; each does nothing where there is no ring, but for its address ---- */

/* Whether what is dirty has a second copy. */
bool node_copies(const struct node *n);

/* Before the log is replayed. */
void node_open_ring(struct node *n);
void node_close_ring(struct node *n);
void node_ring_on_up(struct node *n, struct worker_peer *peer);
void node_ring_on_down(struct node *n, const struct worker_peer *peer);
bool node_ring_on_message(struct node *n, const struct worker_peer *from, uint64_t type,
                          struct unpack *u);
bool node_has_left(struct node *n);

/* Its text, NULL for an empty one. */
const char *node_setting(const struct node *n, const char *name);

/* What does not let it start ends the process (worker_exit), with why. */
void node_read_settings(struct node *n);
void node_take_dir(struct node *n); /* STATE_DIR/cache/NAME/node.N, made and locked */

/* Once a second: counters, gauges, trouble. */
void node_tell(struct node *n);

/* It ends: what it leaves unstored, and why, is a line of the log. */
void node_tell_unstored(const struct node *n);

#endif
