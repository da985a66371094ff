/*
 * worker_private.h: what the files of the skeleton share, and no worker type may see.
 *
 * worker_main.c    main(): environment, signals, the loop
 * worker_life.c    phases, deadlines, the ways out
 * worker_enter.c  before a worker of the user's own: as whom, and within which limits
 * worker_link.c    the link to the master: what comes in, and sending on it
 * worker_report.c  counters, doing, trouble, beats, answers
 * worker_asked.c   requests of other workers
 * worker_hands.c   tasks: what the type is told of them, and says
 * worker_peers.c   peers, frames, generations
 * worker_settings.c the settings map
 * worker_crash.c   signal handlers: backtrace at a crash, end when the master is gone and the loop hangs
 */
#ifndef WORKERS_WORKER_PRIVATE_H
#define WORKERS_WORKER_PRIVATE_H

#include "common/proof.h"
#include "common/stream.h"
#include "workers/skeleton/worker.h"
#include "workers/skeleton/worker_limits.h"
#include "workers/skeleton/worker_mailbox.h"
#include "workers/skeleton/worker_tasks.h"
#include "workers/skeleton/worker_trace.h"

/* ---- settings ---- */

#define WORKER_SETTINGS_MAX 4096

struct worker_setting {
    const char *name;
    const char *value;
};

struct worker_settings {
    struct worker_setting *list; /* by name */
    size_t count;
    char *text; /* holds every name and value */
};

/*
 * Reads CONFIG's map into *s, which is empty before. Returns 0; -EBADMSG when it is no map of text to text, or a name
 * is there twice; -E2BIG above WORKER_SETTINGS_MAX; -ENOMEM. On failure *s stays empty.
 */
int worker_settings_read(struct worker_settings *s, struct slice map);
void worker_settings_fini(struct worker_settings *s);

/* NULL when there is none. */
const char *worker_settings_find(const struct worker_settings *s, const char *name);

void worker_settings_each(const struct worker_settings *s, const char *prefix,
                          void (*fn)(const char *name, const char *value, void *ctx), void *ctx);

/* ---- peers ---- */

struct worker_peer_entry;
struct worker_early;

/* Incarnations that went, so that their late frames are told from early ones of an incarnation yet unknown. */
#define WORKER_GONE_MAX 64

struct worker_gone {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
};

/* Who sends frames of another MESSAGE_VERSION and is no peer of ours, or not yet. */
struct worker_foreign {
    char name[CONTRACT_NAME_MAX];
    uint64_t generation, version;
    uint64_t seen_at; /* clock_mono_ms; 0: nobody */
};

struct worker_peers {
    struct worker_peer_entry *first, *last; /* in order of arrival */
    struct worker_early *early_first, *early_last;
    struct worker_early_room {
        size_t count, bytes;
    } early[2]; /* without proof, and with it: who has none takes no room from who has */
    uint64_t early_lost_at; /* one has found no room; clock_mono_ms, 0: none */
    bool proves;            /* we have said PROVES, with `key` */
    unsigned char key[PROOF_KEY_SIZE];
    struct worker_foreign foreign; /* the last of them */
    /* Frames of a live peer have vanished before this one. Need not return. */
    void (*on_gap)(struct worker *w, const struct worker_peer *from, uint64_t missing);
    /* Those of a custom worker are not in order; no more of this incarnation are believed. */
    void (*on_lie)(struct worker *w, const struct worker_peer *from, const char *what);
    uint64_t longest_wait_ms; /* of a frame, since the last tick */
    uint64_t complained_at;   /* of an unreadable frame; clock_mono_ms */
    size_t gone_next;
    struct worker_gone gone[WORKER_GONE_MAX]; /* last: see struct worker */
};

/* A frame from the mailbox. */
void worker_peers_frame(struct worker *w, struct slice frame);
/* `proof` goes into each frame to it, and its own must have theirs; 0: there are none between it and us. */
void worker_peers_up(struct worker *w, const struct link_up *up, uint64_t proof);
void worker_peers_down(struct worker *w, const struct link_down *down);
/* Once a second: gives up frames whose sender was never announced. */
void worker_peers_tick(struct worker *w);
void worker_peers_fini(struct worker *w);

/* ---- the worker ---- */

#define WORKER_TROUBLE_SIZE 512

enum worker_phase {
    WORKER_GREETING, /* HELLO sent, CONFIG awaited */
    WORKER_STARTING, /* init ran or runs, READY not sent */
    WORKER_READY,
    WORKER_DRAINING,
    WORKER_SETTLING, /* the type has finished, and is not called any more; what it has settled is not heard yet */
    WORKER_ENDING,
};

/* A request that is not answered yet, and when its answer comes too late. */
struct worker_late {
    uint64_t id;
    uint64_t at; /* worker_loop's time */
};

/*
 * What one that only waits writes comes first, what it does not last: of a thousand helpers each page that is written
 * is four megabytes.
 */
struct worker {
    const struct worker_ops *ops;
    void *state;
    char name[CONTRACT_NAME_MAX];
    uint64_t generation;
    enum worker_phase phase;
    bool hold_ready;
    bool initialised; /* init was called: fini is owed */
    bool orphan;      /* the link is gone */

    uv_loop_t loop;
    struct stream link;
    uv_timer_t beat_timer;
    uv_timer_t end_timer; /* until CONFIG, and from STOP on: the end whatever happens */
    uv_signal_t term_signal;
    uint64_t end_at; /* worker_loop's time; 0: none */
    uv_timer_t late_timer;
    struct worker_late *late; /* of a type that says why it is late */
    size_t late_count, late_capacity;

    struct worker_settings settings;
    struct transport *transport;
    uint64_t memory_restart;    /* bytes; 0: any */
    struct worker_asked *asked; /* by other workers, and not answered yet */
    size_t asked_count;
    uint64_t asked_last;
    struct worker_takes *takes; /* of ops->tasks; NULL: there are none */
    unsigned settling;          /* ticks in that phase */
    struct buffer message;      /* worker_compose */
    struct buffer frame;        /* link messages */

    uint64_t counters[COUNTER_COUNT];
    bool reported[COUNTER_COUNT]; /* was ever not 0, told as a gauge, or declared */
    uint64_t beat_at;             /* clock_mono_ms of the last beat */
    struct buffer last_beat;      /* as sent */
    uint64_t quiet_beats;         /* that had nothing to say, in a row */
    uint64_t rest_ms;             /* CONTRACT_REST; 0: it never rests */
    bool idle;                    /* worker_rest was called in this tick */
    bool trimmed;                 /* worker_trim has been here */
    bool rests;                   /* the next tick comes only when it must beat */
    bool said_bye;
    char doing[128];
    struct worker_peers peers;
    char trouble[WORKER_TROUBLE_SIZE];
    char last_words[1024];
    char peer_trouble[WORKER_TROUBLE_SIZE]; /* comes first: it may well be the cause of the other */
};

/* ---- link ---- */

extern const struct stream_events worker_link_events;

/* Sends what w->frame holds; ends the process when the master does not read. After the link's end: does nothing. */
void worker_link_send(struct worker *w);
bool worker_link_try_send(struct worker *w); /* false: it is lost, which has been logged */
void worker_link_hello(struct worker *w);
void worker_link_bye(struct worker *w, const char *reason);

/* Has the master end a custom worker whose frames cannot be believed. */
void worker_link_blame(struct worker *w, const struct worker_peer *peer, const char *reason);

/* Says PROVES, when it can; before READY. */
void worker_link_prove(struct worker *w);

/* ---- reports ---- */

void worker_report_start(struct worker *w);

/* Something has happened: who rests ticks within a second. */
void worker_wake(struct worker *w);

/* A request has come that the client waits for so long; it is answered. worker_late.c */
void worker_late_add(struct worker *w, uint64_t id, uint64_t deadline_ms);
void worker_late_end(struct worker *w, uint64_t id);

/* Right before READY: the master reads both at once, and knows what is wrong before it counts the worker as ready. */
void worker_report_ready(struct worker *w);

/* The skeleton's own worker_trouble, which no type of worker ends. */
void worker_peer_trouble(struct worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the next beat tells; "" for none. */
const char *worker_trouble_told(const struct worker *w);

/* Answers the one request the skeleton understands: `json` with {"log_level":"…"}. False: it is not that one. */
bool worker_answer_log_level(struct worker *w, const struct link_request *request);

/* ---- tasks ---- */

/* After init. Without memory the process ends. */
void worker_hands_open(struct worker *w);
void worker_hands_close(struct worker *w);
void worker_hands_up(struct worker *w, struct worker_peer *peer);
/* True: an answer to a question of the tasks' own, which is nobody else's affair. */
bool worker_hands_down(struct worker *w, const struct worker_peer *peer, struct slice reason);
/* Whether it was of tasks, and could be read. */
bool worker_hands_message(struct worker *w, struct worker_peer *from, uint64_t type,
                          struct unpack *u);
/* Once a second. */
void worker_hands_tick(struct worker *w);
/* Nothing more is taken. */
void worker_hands_stop(struct worker *w);
/* Something that was settled has not been heard, by somebody who is there to hear. */
bool worker_hands_owe(const struct worker *w);

/* Gives back what the start took, once, after READY. */
void worker_trim(struct worker *w);

/* ---- requests of other workers: worker_asked.c ---- */

bool worker_asked_message(struct worker *w, struct worker_peer *from, bool custom,
                          struct unpack *u);
/* False: it is none of these, and the master's. */
bool worker_asked_reply(struct worker *w, uint64_t id, enum control_status status,
                        struct slice body);
void worker_asked_fini(struct worker *w);

/* Has the type answer it. */
void worker_link_serve(struct worker *w, const struct link_request *request);

/* ---- life ---- */

/* Reads one CONFIG from the link, and becomes the user's own worker, `program`; never the type that this one is. */
_Noreturn void worker_enter(struct worker *w, const char *program);

/* Started as a seed (proto/seed_order.h). */
bool worker_seed_is_wanted(void);

/* Forks workers on order. Returns in each of them, which begins as one that was executed; never in the seed. */
void worker_seed_serve(void);

/* CONFIG has come. */
void worker_configure(struct worker *w, struct slice settings);

/*
 * STOP, SIGTERM or the link's end: drains, and ends the process after `limit_ms` whatever happens.
 * Repeated: the shorter limit.
 */
void worker_stop(struct worker *w, uint64_t limit_ms, const char *why);

/* SETTLING: ends when there is nothing to wait for any more. Harmless in other phases. */
void worker_settled(struct worker *w);

/* Arms the timer that ends the process. */
void worker_end_within(struct worker *w, uint64_t limit_ms);

/* After the loop has ended: fini, BYE, the last frames, and everything closed. */
void worker_close(struct worker *w);

/* ---- signals ---- */

/*
 * Crashes print a backtrace; the master's death ends us within CONTRACT_ORPHAN_MS even when the loop hangs. Call once,
 * first thing: from then on a master that dies is noticed, whatever happened before.
 */
void worker_crash_setup(void);

/* Part of it; again after a change of the user, which takes the signal away (prctl(2), PR_SET_PDEATHSIG). */
void worker_crash_watch_parent(void);

/* The end of a worker whose time is up, safe in a signal handler: with its process group, when it leads one. */
_Noreturn void worker_crash_end(void);

/* uv_loop_init, which says so when descriptors are short. Negative errno. */
int worker_open_loop(uv_loop_t *loop);

#endif
