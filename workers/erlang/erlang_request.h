/*
 * erlang_request.h: what a message of an Erlang client asks for: ERLANG.md, Messages.
 *
 * Runs in erlang workers. Pure: a message is one term, and what is read of it are parts of it.
 */
#ifndef WORKERS_ERLANG_REQUEST_H
#define WORKERS_ERLANG_REQUEST_H

#include "workers/erlang/erlang_term.h"

enum erlang_request_kind {
    ERLANG_REQUEST_NONE,    /* nothing that is understood */
    ERLANG_REQUEST_NODES,   /* {get_nodes, Pid} */
    ERLANG_REQUEST_SET,     /* {s, Id, Value} */
    ERLANG_REQUEST_GET,     /* {g, true | false, Id, Pid, _} */
    ERLANG_REQUEST_PERSIST, /* {p, Id} */
    ERLANG_REQUEST_SEND,    /* {Pid, send, Command}, {send, Command}, {send, Command, Pid} */
    ERLANG_REQUEST_PING,    /* what net_adm:ping/1 asks net_kernel */
};

struct erlang_request {
    enum erlang_request_kind kind;
    struct slice id, value, command; /* terms */
    bool strong;                     /* of GET */
    struct slice pid;                /* whom to answer; empty: nobody */
    struct slice tag;                /* of PING: what the answer begins with */
    struct erlang_atom node;         /* where `pid` is */
};

/* `message`: one whole term. */
void erlang_request_read(struct slice message, struct erlang_request *r);

#endif
