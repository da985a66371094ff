/*
 * port.h: what the files of the port worker share: a program in any language as an actor.
 *
 * port.c         its life, and what the tree tells it: messages, peers, requests
 * port_wire.c    its stdin and stdout: JSON lines or msgpack frames
 * port_actions.c what it says: send, monitor, link, call, reply, start, timer …
 *
 * What is said both ways: PROTOCOL.md section 8.
 */
#ifndef WORKERS_PORT_H
#define WORKERS_PORT_H

#include "workers/program/program_run.h"

#include <jansson.h>

#define PORT_FRAME_MAX   (1024u * 1024)      /* one line or frame of the program's */
#define PORT_QUEUE_MAX   (16u * 1024 * 1024) /* what it may leave unread */
#define PORT_WAITING_MAX 1000                /* messages for workers that are not there yet */
#define PORT_CALLS_MAX   1000
#define PORT_TIMERS_MAX  1000
#define PORT_ERRORS_MAX                                                                            \
    100 /* in a row; then it says nothing else: a program that echoes would go on for ever */
#define PORT_ID_MAX 128

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
    struct port_waiting *waiting;
    size_t waiting_count;
    struct port_call *calls;
    size_t call_count;
    struct port_start *starts;
    size_t start_count;
    struct port_timer *timers;
    size_t timer_count;
    uint64_t last_token;
    unsigned errors; /* told since the last thing it said that could be done */
};

/* ---- port_wire.c ---- */

/* Takes the streams over and reads. On failure the process ends. */
void port_wire_open(struct port *p);
void port_wire_close(struct port *p);

/* Tells the program one event; takes the reference, which may be NULL (memory is short: the process ends). A program that does not read ends the process. */
void port_tell(struct port *p, json_t *event);

/* Tells it that what it said cannot be done: {"event":"error","text":…}. */
void port_complain(struct port *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

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

#endif
