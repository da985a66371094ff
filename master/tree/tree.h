/*
 * tree.h: the supervision tree's nodes: what each is, what is wanted of it, what it does.
 *
 * Runs in the master. A branch is a supervisor and only a node; a leaf is a worker and, while it runs, one
 * process. This file holds data and look-ups. Who starts and stops is supervisor.h; how a process is born and
 * talked to is process.h.
 */
#ifndef MASTER_TREE_H
#define MASTER_TREE_H

#include "common/buffer.h"
#include "common/log.h"
#include "common/proof.h"
#include "master/tree/node_counters.h"
#include "master/tree/policy.h"
#include "proto/contract.h"
#include "proto/worker_types.h"

struct process; /* master/process/process.h */

enum node_kind { NODE_BRANCH, NODE_WORKER };

/* State of a worker. A branch has the state of its worst child (node_state). Order: best to worst for that purpose. */
/* clang-format off */
#define NODE_STATE_LIST(X)                                                                         \
    X(READY, "has said READY")                                                                     \
    X(STOPPED, "no process, none wanted")                                                          \
    X(DRAINING, "told to stop, finishing what is in flight")                                       \
    X(STARTING, "a process exists, or waits its turn, and has not said READY")                     \
    X(BACKOFF, "died; the next try is scheduled")                                                  \
    X(FATAL, "cannot work without a person: configuration error")
/* clang-format on */

enum node_state {
#define X(NAME, doc) NODE_##NAME,
    NODE_STATE_LIST(X)
#undef X
};

/* What the last reload has done to a node. */
enum node_change { NODE_UNCHANGED, NODE_ADDED, NODE_CHANGED };

/*
 * The fields that every pass over the tree looks at stand first, in one or two lines of the cache: with a thousand
 * workers the rest is 2 MB that a pass must not touch.
 */
struct node {
    enum node_kind kind;
    enum node_state state;
    bool wanted_up;
    bool retired; /* no longer in the configuration: stopped, then freed by the supervisor */
    bool
        finished; /* transient or temporary, and it ended on purpose: as good as READY for who waits for it */
    bool ended; /* temporary or transient, not on purpose, and it stays down */
    bool
        is_short; /* the machine was short of something when it was to be started: no death of its own */
    bool
        unstable; /* too many ends in a row (POLICY_UNSTABLE_ENDS): not ready, whatever its state */
    bool was_ready; /* this incarnation has said READY */
    bool child; /* temporary child of the sibling `owner` (child.h): has one life, then retires */
    uint32_t
        pool; /* siblings of one number are one pool: started and stopped side by side; 0: none */
    struct process *process; /* NULL when there is none */
    /* being stopped to be started again: with all that carry the same node here; else NULL */
    struct node *cycle;
    uint32_t cycle_busy; /* how many that carry this node there have yet to go */
    bool cycle_counted;  /* this one is among its cycle's cycle_busy */
    struct node *parent;
    struct node **children;
    size_t child_count;
    bool has_children; /* a branch that has had a temporary child below it */
    uint64_t
        next_start_ms; /* clock_mono_ms; a worker's in BACKOFF; a branch's after it was escalated */
    uint64_t failures; /* deaths in a row without a stable run: the exponent of the back-off */
    uint64_t
        deaths; /* ends in a row that it was started again after; a long run or an order forgets them */
    struct node **after; /* not started before all these are READY; beyond the order of the tree */
    size_t after_count;

    char name[CONTRACT_NAME_MAX];

    /* branch */
    enum policy_strategy strategy;
    struct restart_window window;

    /* worker */
    enum worker_type type;
    char group[CONTRACT_NAME_MAX]; /* drain it belongs to: its peers are told of it; "" for none */
    enum config_kind section_kind; /* of the section that gave birth to it */
    char section[CONTRACT_NAME_MAX]; /* its title, for `ask`; "" for none */
    char owner[CONTRACT_NAME_MAX];   /* of a child */
    uint64_t refused;                /* children it was denied since the last line of log */
    uint64_t refused_ms;             /* clock_mono_ms of that line; 0: none yet */
    char *argument;                  /* of a child, else NULL */
    char *executable;                /* of a custom worker, else NULL */
    bool enters;          /* with one, and a user or group: becomes it by CONTRACT_ENTER */
    bool program;         /* born of a program section */
    bool ended_orderly;   /* its last incarnation: exit 0 */
    uint64_t ready_at_ms; /* clock_mono_ms */
    uint64_t newborn;     /* the supervisor's count that it is in until it says HELLO; 0: none */
    enum policy_restart restart;
    struct policy_limits limits;
    uint64_t ready_timeout_ms;
    uint64_t stop_timeout_ms;
    struct buffer settings; /* the CONFIG map, packed once */
    uint64_t generation;
    char address[160]; /* of its mailbox, while READY */
    bool proves;       /* this incarnation has said PROVES, with: */
    unsigned char proof_key[PROOF_KEY_SIZE];

    /* both: what a reload makes of it (tree_merge.h) */
    struct node *twin; /* the same name in the other tree, while two are compared */
    enum node_change change;

    /* both: history, and what is told of it */
    enum log_level
        log_level; /* of the workers at or below it, as the configuration or a person wants it */
    uint64_t restarts;
    uint64_t state_since_ms; /* clock_mono_ms */
    uint64_t started_ms;     /* clock_mono_ms of this incarnation */
    /* obituary; "" when it never died; while `deaths` counts, that of a death and not of a stop since */
    char last_exit[512];
    char doing[128]; /* from its beats */
    char trouble[512];
    struct node_counters counters;
};

const char *node_state_name(enum node_state state);

/*
 * State of a worker, or worst state among a branch's workers that have not finished; an empty branch is READY.
 * Temporary children come and go: no branch is unready because of one.
 */
enum node_state node_state(const struct node *n);

/*
 * True when every worker at or below the node is READY or has finished (is STOPPED or FATAL, respectively): what the
 * order of a start waits for.
 */
bool node_is_up(const struct node *n);

/*
 * Who keeps it, or one below it, from ever being ready unless a person acts: itself, which has given up or whose one
 * run is over, or one that it waits for (`after`). NULL: there is hope.
 */
const struct node *node_hopeless(const struct node *n);

/* False while somebody at or below it dies again and again. */
bool node_is_stable(const struct node *n);

/*
 * What people and probes are told, by whatever way they ask: everybody at or below it is up and stable, and none that
 * is READY reports trouble. A worker for which it is false has a problem (tree_picture.h), and the other way round.
 */
bool node_is_ready(const struct node *n);

/* A temporary child that comes or goes: no branch is unready because of it. */
bool node_is_passing(const struct node *n);
bool node_is_stopped(const struct node *n);

/* The node of that path, or NULL. "platoon" and "" name the root. */
struct node *tree_find(struct node *root, struct slice name);

/* The name nearest to a mistyped one (edit distance), or NULL when none is near. Points into the tree. */
const char *tree_nearest(struct node *root, struct slice name);

/*
 * The first READY worker of a type (its program's name) and section ("" matches any), or the one of that name; NULL
 * when there is none.
 */
struct node *tree_first_ready(struct node *root, struct slice type, struct slice section);

/* The same in any state. */
struct node *tree_first(struct node *root, struct slice type, struct slice section);

/* Calls fn for each worker at or below n, in start order. */
void tree_each_worker(struct node *n, void (*fn)(struct node *worker, void *ctx), void *ctx);

/* Frees the node and all below it. Accepts NULL. */
void tree_free(struct node *n);

#endif
