/*
 * erlang_control.h: what nodes say to each other once they are connected: control messages, as
 * https://www.erlang.org/doc/apps/erts/erl_dist_protocol has them.
 *
 * Runs in erlang workers. Pure. A frame is empty (a tick), or the byte 112, a control tuple, and, of some, the message
 * that it is about. What is read lives as long as the frame.
 */
#ifndef WORKERS_ERLANG_CONTROL_H
#define WORKERS_ERLANG_CONTROL_H

#include "workers/erlang/erlang_term.h"

enum erlang_control_kind {
    ERLANG_CONTROL_NONE,    /* of no use to us: nobody waits for anything */
    ERLANG_CONTROL_TICK,    /* the other one lives */
    ERLANG_CONTROL_MESSAGE, /* for a process, or a name, of ours */
    ERLANG_CONTROL_LINK,    /* `from` wants to be linked with `to` */
    ERLANG_CONTROL_UNLINK,  /* the same taken back, and to be acknowledged: `id` */
    ERLANG_CONTROL_MONITOR, /* `from` wants to hear of `to`'s end: `id` is its reference */
};

struct erlang_control {
    enum erlang_control_kind kind;
    struct slice from, to, id; /* terms; empty where there is none */
    struct erlang_atom name;   /* of whom it is for, when that is a name; else empty */
    struct slice message;      /* one term, of MESSAGE */
};

/* False: it is none, and who sends it speaks another protocol. */
bool erlang_control_read(struct slice frame, struct erlang_control *c);

/* Each appends one frame. `to` and `from` are terms as they were read; `message` is one term. */
void erlang_control_send(struct buffer *out, struct slice to, struct slice message);

/* What a node says of a process that it does not have, to who links itself with it, monitors or unlinks it. */
void erlang_control_refuse(struct buffer *out, const struct erlang_control *c);

#endif
