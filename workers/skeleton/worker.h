/*
 * worker.h: the skeleton every worker type stands on.
 *
 * Runs in every worker process. The skeleton (worker_main.c) owns main(): the link to the master (proto/contract.h),
 * configuration, signals, beats, the mailbox and peers, the orderly stop and the end when the master is gone. A type is
 * one file, or one prefix, that defines `worker_ops` and nothing else; it must not include another type.
 *
 * One thread, one loop: no callback may block for longer than a beat or two (worker_keepalive for known long jobs).
 */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include "common/buffer.h"
#include "common/unpack.h"
#include "proto/contract.h"
#include "proto/control.h"
#include "proto/counters.h"
#include "proto/link.h"
#include "proto/message.h"

#include <uv.h>

struct worker;

/*
 * A worker we were told about. Lives until its DOWN has been handled; `user` is the type's own memory,
 * which goes with it (free).
 */
struct worker_peer {
    char name[CONTRACT_NAME_MAX];
    char type[CONTRACT_NAME_MAX];
    uint64_t generation;
    struct transport_peer *transport; /* NULL when it has no mailbox */
    void *user;
    bool orderly; /* in on_down: it has ended on purpose */
};

/* What a type names that exchanges messages. Who does not is linked without nanomsg, and starts sooner. */
struct worker_mailbox;
extern const struct worker_mailbox worker_mailbox;

/* What a type names, beside its mailbox, that takes tasks, listens or delivers (Tasks, below). */
struct worker_tasks;
extern const struct worker_tasks worker_tasks;
struct worker_task;
struct worker_delivered;

struct worker_ops {
    const char *type; /* as in proto/worker_types.h */
    const struct worker_mailbox
        *mailbox; /* &worker_mailbox; NULL: nobody can send to it, nor it to them */
    const struct worker_tasks
        *tasks;        /* &worker_tasks; NULL: it takes none, hears nothing, delivers nothing */
    size_t state_size; /* zeroed memory handed to each callback as `state` */

    /*
     * Settings are here, the mailbox and its thread are not yet: the place to fork. 0, or an exit code, after
     * worker_trouble. Optional.
     */
    int (*prepare)(struct worker *w, void *state);
    /*
     * Settings are here. 0: READY is sent (unless the type called worker_hold_ready); else an exit
     * code, after worker_trouble.
     */
    int (*init)(struct worker *w, void *state);
    /* A peer's incarnation came or went; on_down before the on_up of its successor. Optional. */
    void (*on_up)(struct worker *w, void *state, struct worker_peer *peer);
    void (*on_down)(struct worker *w, void *state, struct worker_peer *peer, struct slice reason);
    /* A live peer has linked itself with us (worker_link). Told once for each incarnation of it. Optional. */
    void (*on_link)(struct worker *w, void *state, struct worker_peer *peer);
    /*
     * One message from a live peer. `u` stands at the message; unpack it with message_*_unpack. Returns false when it
     * could not be read or is of no known type: the rest of the frame is dropped and counted. JSON and REPLY messages
     * that a type does not want are logged by the skeleton (return false).
     */
    bool (*on_message)(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                       struct unpack *u);
    /*
     * One more task is in our hands, at most `window` of them; until worker_task_done, _again or _bury, which may be
     * called before this returns, or until on_lost. *task lives as long. None comes before READY, nor after a stop.
     * Without it tasks are left to others.
     */
    void (*on_task)(struct worker *w, void *state, const struct worker_task *task);
    /* That one is somebody else's: it took longer than work_max, or its lease ran out. Settling it is vain. Optional */
    void (*on_lost)(struct worker *w, void *state, const struct worker_task *task);
    /* What became of a worker_deliver: exactly once for each, and never before that returns. Optional. */
    void (*on_delivered)(struct worker *w, void *state, const struct worker_delivered *d);
    /*
     * Somebody has delivered a message whose topic one of `listens` matches: told at most once, and of none while
     * somebody was away. False: there is no room for it, and it is dropped, which is counted. Without it none are asked
     * for.
     */
    bool (*on_published)(struct worker *w, void *state, struct slice topic, struct slice body);
    /* A control request; answer with worker_reply, now or later, exactly once. NULL: "understands no requests". */
    void (*on_request)(struct worker *w, void *state, const struct link_request *request);
    /*
     * A request's client is about to give up, unanswered: true with the reason, one line with the remedy, when it is
     * somebody else who keeps us waiting. That is the answer then (CONTROL_TIMEOUT), and what is answered later is
     * dropped. Optional.
     */
    bool (*late)(struct worker *w, void *state, char *why, size_t size);
    /* The answer to a worker_child_start: its name, or why there is none. Lives until the call returns. */
    void (*on_started)(struct worker *w, void *state, const struct link_started *m);
    /* The answer to a worker_look. Lives until the call returns. */
    void (*on_tree)(struct worker *w, void *state, const struct link_tree *tree);
    /* Right after init and then once a second, before the beat: bring gauges and worker_doing up to date. Optional. */
    void (*on_tick)(struct worker *w, void *state);
    /*
     * Stop: take no new work, finish what is in flight, then worker_finished. NULL: nothing is ever in flight. Tasks
     * that are still in hands when we end are handed to others, as if they had not been handed to us.
     */
    void (*drain)(struct worker *w, void *state);
    /* Last call before exit: release what must be released. Optional. */
    void (*fini)(struct worker *w, void *state);
};

/* Each type defines it. */
extern const struct worker_ops worker_ops;

/* ---- who and where ---- */

uv_loop_t *worker_loop(struct worker *w);
const char *worker_name(const struct worker *w);
uint64_t worker_generation(const struct worker *w);

/* A setting by its full name ("drain.set", "redis.url", "platoon.runtime_dir"); NULL when there is none. */
const char *worker_setting(const struct worker *w, const char *name);

/* A number, span (ms), size (bytes) or bool (0, 1). The master has checked it; a missing one ends the process (78). */
uint64_t worker_setting_u64(const struct worker *w, const char *name);

/* The same of the list in which settings come several at a time ("takes.0.name", "takes.1.name" …): `what` of its ith
 * item, from 0. Who wants them all counts up until one that each item has is NULL. */
const char *worker_setting_item(const struct worker *w, const char *list, size_t i,
                                const char *what);
uint64_t worker_setting_item_u64(const struct worker *w, const char *list, size_t i,
                                 const char *what);

/* A setting that must exist and not be empty; else the process ends with CONTRACT_EXIT_CONFIG and says so. */
const char *worker_setting_text(const struct worker *w, const char *name);

/* Calls fn for every setting whose name starts with `prefix`, in name order. */
void worker_setting_each(const struct worker *w, const char *prefix,
                         void (*fn)(const char *name, const char *value, void *ctx), void *ctx);

/* ---- peers and messages ---- */

/* The live peer of that name, or NULL. */
struct worker_peer *worker_peer_find(struct worker *w, const char *name);

/* Walks the live peers: start with NULL; returns NULL at the end. Do not send to the walk's end: order is arrival. */
struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after);

/* Asks the master for UP and DOWN of a worker outside our group. on_up or on_down ("unknown name") follows. */
void worker_monitor(struct worker *w, struct slice name);

/*
 * Links us with a live peer: when it dies (not: ends on purpose), we end too, exit code 1. The peer hears of it
 * (on_link), and lives on when we die, unless it links itself with us as well: unlike Erlang/OTP's link/1, where one
 * asks for both, because here not everybody is of one program. Lasts for this incarnation of both. Returns as
 * worker_send.
 */
int worker_link(struct worker *w, struct worker_peer *peer);

/*
 * Asks the master for a temporary child: one more process of a program section that ours names in `may_start`, which is
 * told `argument` (no NUL, at most CONTRACT_ARGUMENT_MAX bytes; setting child.argument, or $PLATOON_ARGUMENT).
 * on_started follows with this id, then on_up when it is READY, and in any case, exactly once, on_down when it has
 * ended. It ends with us at the latest. Only after READY, and not by a child.
 */
void worker_child_start(struct worker *w, uint64_t id, struct slice program, struct slice argument);

/* Asks the master to stop that child of ours; on_down follows. Nothing happens when there is none of that name. */
void worker_child_stop(struct worker *w, struct slice name);

/* A cleared buffer to pack ONE message into with message_*_pack; valid until the next call. */
struct buffer *worker_compose(struct worker *w);

/*
 * Sends the composed message. It leaves with the others of this turn of the loop. Returns 0; -ENOTCONN without a
 * mailbox; -EMSGSIZE above MESSAGE_FRAME_MAX; -ENOBUFS when the peer does not keep up (credit should make that
 * impossible); -ENOMEM. 0 is no proof of arrival; but when it does not arrive and both sides live, the receiver notices
 * and ends itself (message.h).
 */
int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message);

/*
 * Makes a request of another worker, as platoonctl ask does; its answer comes as a message SAID with this token, once,
 * unless it dies: the type counts for itself what it has asked whom, and for how long. Words are its verb's. Returns as
 * worker_send.
 */
int worker_ask(struct worker *w, struct worker_peer *to, uint64_t token, uint64_t deadline_ms,
               const char *verb, size_t count, const struct slice *args);

/* Bytes that wait until the peer reads: who answers much asks before. */
size_t worker_queued(const struct worker *w, const struct worker_peer *to);

/*
 * As worker_send, for a message the peer would wait for in vain: on any error the process ends, and its successor
 * starts with a clean slate.
 */
void worker_must_send(struct worker *w, struct worker_peer *to, const struct buffer *message);

/* calloc for what on_up and on_message cannot do without: without memory the process ends (worker_exit_for). */
void *worker_must_alloc(struct worker *w, size_t size);

/* ---- tasks ---- */

/*
 * What a program section's `takes` names hands us its messages, one of them a task: at least once each, so doing one
 * twice must be as good as once. While we live what is in our hands is ours, however long that takes (unless work_max
 * says otherwise): leases are renewed for us, and neither the death of who has handed it out nor an absence of its
 * store gives it to another. When we die it is another's at once; after max_attempts it is a dead letter.
 */

/* Longest id with its NUL. */
#define WORKER_TASK_ID_SIZE (2 * CONTRACT_NAME_MAX + 24)

struct worker_task {
    char id[WORKER_TASK_ID_SIZE]; /* names it, in all that concerns it: "google/1764201600000001" */
    const char *queue;            /* the section it is of */
    uint64_t attempt;             /* 1 for the first hand-out of this message */
    int64_t at_ms;      /* when it was delivered, by the store's clock; -1: nobody knows */
    struct slice facet; /* whose it is */
    struct slice body;
};

/*
 * What has become of a task, by its id, which need not be task->id itself. False: there is none such in our hands (any
 * more), and nothing happens. From then on the task's memory is not ours. Who took it is told with the next turn of
 * the loop, and again until that is heard; when all of ours have ended, worker_finished waits for that, 2 s at most.
 *
 * done: it is gone for good. again: it is handed out again, not before so long (-1: after a pause that grows with its
 * attempts), or, after max_attempts, a dead letter. bury: a dead letter. `reason`: why, for people; NULL for none, at
 * most 200 bytes of it are kept.
 */
bool worker_task_done(struct worker *w, const char *id);
bool worker_task_again(struct worker *w, const char *id, int64_t after_ms, const char *reason);
bool worker_task_bury(struct worker *w, const char *id, const char *reason);

/* A message for whoever wants its topic. Nothing of it need live on when worker_deliver returns. */
struct worker_delivery {
    const char *backbone;      /* title of its section; NULL: that of what we take from */
    const struct slice *topic; /* NULL: by the backbone's template, over the body */
    const struct slice *facet; /* NULL: likewise */
    uint64_t after_ms;         /* not before so long */
    struct slice body;
};

/*
 * Delivers, to one of the backbone's workers, waiting for one up to 30 s. 0: *token, never 0 and of this incarnation
 * only, names what on_delivered will tell. -EINVAL: there is no backbone of such a name, or none is known; -ENOBUFS:
 * too many wait for their answer (10,000, or 64 MB that could not leave yet); -EMSGSIZE: it is above
 * MESSAGE_FRAME_MAX. Without memory the process ends.
 */
int worker_deliver(struct worker *w, const struct worker_delivery *d, uint64_t *token);

struct worker_delivered {
    uint64_t token;
    /*
     * Empty: it is queued. Else one line for people, "the message is not queued: …"; or, when nobody knows, one that
     * says "whether the message is queued is unknown": then delivering it again may queue it twice.
     */
    struct slice error;
    struct slice id;      /* of the message, the same in each queue */
    struct unpack queues; /* array of str: those that have it now; none: nobody wants the topic */
};

/* ---- telling ---- */

void worker_count(struct worker *w, enum counter counter, uint64_t more);
/*
 * How much there is of something now: from the first call on it is shown, also while it is 0. Of one that warns
 * (proto/systems.h, WARNINGS) the log says when that begins, and when it is over.
 */
void worker_gauge(struct worker *w, enum counter counter, uint64_t value);
/* That it counts this, though nothing was to be counted yet; of a histogram, by its first cell, all of it. */
void worker_declare(struct worker *w, enum counter counter);
/* One more of a histogram, that took so long. */
void worker_observe(struct worker *w, enum counter histogram, uint64_t ms);
uint64_t worker_counted(const struct worker *w, enum counter counter);

/*
 * Called in on_tick: nothing of this type needs the next one before something happens. Then, and when a type has no
 * on_tick, a worker without a mailbox is woken only as often as it must beat, every CONTRACT_REST; a request, a stop,
 * and whatever it counts or tells have it tick each second again.
 */
void worker_rest(struct worker *w);

/* One short phrase for the tree. */
void worker_doing(struct worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * What keeps the worker from its work, named with its remedy; shown in `tree` and `status`, and logged (warn) when it
 * is new, and again (info) when it is over. worker_trouble(w, "") ends it. Send it every time: repeats cost nothing.
 */
void worker_trouble(struct worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Answers a request. The body is one msgpack value, copied; empty means nil. When it is none, is nested deeper than
 * UNPACK_DEPTH_MAX levels or has too many bytes, the client gets an error that says so.
 */
void worker_reply(struct worker *w, uint64_t request_id, enum control_status status,
                  struct slice body);
void worker_reply_text(struct worker *w, uint64_t request_id, enum control_status status,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Asks the master for the tree; on_tree follows with this id. */
void worker_look(struct worker *w, uint64_t id);

/* ---- life ---- */

/*
 * Called in init: READY is sent by worker_ready later, not when init returns. With it goes what worker_trouble and
 * worker_doing have said until then: what keeps it from its work is to be said before.
 */
void worker_hold_ready(struct worker *w);
void worker_ready(struct worker *w);

/* True after STOP or the master's death: no new work. */
bool worker_stopping(const struct worker *w);

/* Milliseconds until what is in flight must have been finished, once worker_stopping is true; before that 0. */
uint64_t worker_stop_left_ms(const struct worker *w);

/*
 * Nothing is in flight any more: BYE and exit 0. Only after drain was called, which with `tasks` may be after 2 s more
 * (Tasks); but for fini the type is not called again.
 */
void worker_finished(struct worker *w);

/*
 * In fini: adds to what it says at its end, which the tree shows of it (BYE) and the log has (warn): what it could not
 * put in order.
 */
void worker_add_last_words(struct worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A beat from inside a job that is known to take long and makes progress. */
void worker_keepalive(struct worker *w);

/* Ends the process now: says why (BYE and a log line) and exits with `code`. Does not return. */
_Noreturn void worker_exit(struct worker *w, enum contract_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same for an errno (positive): says what could not be done, the cause, and for a shortage of this machine's, which
 * is nobody's fault and uses up no intensity (CONTRACT_EXIT_SHORT), what helps against it. `path`: what was to be
 * written; NULL for nothing.
 */
_Noreturn void worker_exit_for(struct worker *w, int error, const char *path, const char *format,
                               ...) __attribute__((format(printf, 4, 5)));

#endif
