/*
 * port.h: what the files of the port worker share: a program in any language as an actor.
 *
 * port.c         its life, and what the tree tells it: messages, peers, requests
 * port_wire.c    its stdin and stdout: JSON lines or msgpack frames
 * port_actions.c what it says: send, monitor, link, call, reply, start, timer …
 * port_queue.c   what it takes from queues, delivers to them, and hears of them
 *
 * What is said both ways: PROTOCOL.md, Actors in any language.
 */
#ifndef WORKERS_PORT_H
#define WORKERS_PORT_H

#include "workers/program/program_run.h"

#include <jansson.h>

#define PORT_FRAME_MAX (1024u * 1024) /* one line or frame of the program's */
#define PORT_READ_SIZE 65536
#define PORT_TOLD_SIZE 65536 /* so much is not kept for the end of the loop's turn */
#define PORT_QUEUE_MAX                                                                             \
    (16u * 1024 * 1024) /* what it may leave unread, beside tasks: these have a window */
#define PORT_TASK_MAX      (16u * 1024 * 1024) /* one line or frame that it is told of a task */
#define PORT_BEHIND_MAX    (1024u * 1024)      /* and so much before what may be dropped is */
#define PORT_DEPTH_MAX     2048 /* what it says may be nested so deep, as jansson lets lines be */
#define PORT_WAITING_MAX   1000 /* messages for workers that are not there yet */
#define PORT_WAITING_BYTES (16u * 1024 * 1024) /* and all of them together */
#define PORT_CALLS_MAX     1000
#define PORT_TIMERS_MAX    1000
#define PORT_ERRORS_MAX                                                                            \
    100 /* malformed, in a row; then it says nothing else: one that echoes would go on for ever */
#define PORT_UNDONE_MAX 100 /* told one by one each second; the others as one number */
#define PORT_ID_MAX     128

/* A message for somebody who is not up yet. */
struct port_waiting {
    struct port_waiting *next;
    char to[CONTRACT_NAME_MAX];
    uint64_t token; /* of a call; 0: a plain message */
    bool link;      /* a link instead */
    char text[];
};

/* A question that is not answered yet. */
struct port_call {
    struct port_call *next;
    uint64_t token;
    uint64_t deadline_ms; /* clock_mono_ms */
    char to[CONTRACT_NAME_MAX];
    char id[PORT_ID_MAX];
};

/* A child that was asked for. */
struct port_start {
    struct port_start *next;
    uint64_t token;
    char id[PORT_ID_MAX];
};

/* A delivery that is not answered yet. */
struct port_delivery {
    struct port_delivery *next;
    uint64_t token;
    char id[PORT_ID_MAX];
};

struct port_timer {
    struct port_timer *next;
    struct port *port;
    uv_timer_t timer;
    char id[PORT_ID_MAX];
};

struct port {
    struct program_life life;
    struct worker *w;
    struct program_streams streams;
    bool msgpack;
    uv_pipe_t in, out; /* its stdin, its stdout */
    struct buffer said;
    bool waits;    /* for memory to read into, or to understand what was read */
    bool short_of; /* memory, when it was last cut into lines or frames */
    struct port_waiting *waiting;
    size_t waiting_count, waiting_bytes;
    struct port_call *calls;
    size_t call_count;
    struct port_start *starts;
    size_t start_count;
    struct port_timer *timers;
    size_t timer_count;
    struct port_delivery *deliveries;
    size_t delivery_count;
    struct buffer told; /* it leaves in one write, at the end of the loop's turn */
    size_t told_tasks;  /* bytes of tasks' events in it */
    size_t told_from;   /* where the event begins that is being written */
    uv_prepare_t turn;
    size_t task_bytes; /* of tasks' events that it has not read; those in `told` too */
    uint64_t last_token;
    unsigned errors; /* malformed since the last thing it said that was not */
    uint64_t undone; /* since the last tick: could not be done, and not by its fault */
};

/* ---- port_wire.c ---- */

/* Takes the streams over and reads. On failure the process ends. */
void port_wire_open(struct port *p);
void port_wire_close(struct port *p);

/*
 * Tells the program one event; takes the reference, which may be NULL (memory is short: the process ends). A program
 * that does not read ends the process.
 */
void port_tell(struct port *p, json_t *event);

/*
 * An event that its caller writes himself, without its end: the buffer where it belongs, and what it came to. Of a task
 * it may leave as many unread as its window says: returns the bytes of the line or frame; more than PORT_TASK_MAX: it
 * has not been told. Nothing else may be told in between.
 */
struct buffer *port_tell_begin(struct port *p);
size_t port_tell_end(struct port *p, bool task);

/* All that it was told leaves now. */
void port_flush(struct port *p);

/* Of an event as JSON or msgpack, as the program reads it. */
void port_encode(const struct port *p, const json_t *event, struct buffer *out);

/* Tells it that what it said is malformed: {"event":"error","text":…}. Too many in a row end the process. */
void port_complain(struct port *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Tells it that something well said cannot be done now: the other one is away, deaf or unknown. That never ends it, or
 * whoever stops would end all that write to it; and it is bounded, or an answer to each would be one more thing that
 * it has to read.
 */
void port_undone(struct port *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Once a second: how many were not told one by one. */
void port_wire_tick(struct port *p);

/* True when it has left so much unread that what may be dropped is. */
bool port_is_behind(const struct port *p);

/* A JSON value as text; NULL when memory is short. Freed by the caller. */
char *port_text(const json_t *value);

/* Text of JSON that came from another worker; null when it is none. */
json_t *port_value(struct slice text);

/* ---- port_actions.c ---- */

/* One object that the program said. */
void port_act(struct port *p, const json_t *said);

/* Sends what waited for this peer, or, when nobody has that name, says so. */
void port_actions_up(struct port *p, struct worker_peer *peer);
void port_actions_down(struct port *p, const char *name, struct slice reason);

/* The answer to one of its calls. */
void port_actions_answer(struct port *p, const struct message_answer *m);

/* What became of a child that it asked for. */
void port_actions_started(struct port *p, const struct link_started *m);

/* Once a second: calls whose time is up. */
void port_actions_tick(struct port *p);
void port_actions_close(struct port *p);

/* ---- port_queue.c ---- */

/* worker_ops.on_task, on_lost, on_delivered and on_published. */
void port_on_task(struct worker *w, void *state, const struct worker_task *task);
void port_on_lost(struct worker *w, void *state, const struct worker_task *task);
void port_on_delivered(struct worker *w, void *state, const struct worker_delivered *m);
bool port_on_published(struct worker *w, void *state, struct slice topic, struct slice body);
void port_queue_close(struct port *p);

void port_act_done(struct port *p, const json_t *said);
void port_act_again(struct port *p, const json_t *said);
void port_act_bury(struct port *p, const json_t *said);
void port_act_deliver(struct port *p, const json_t *said);

#endif
