/* erlang_request.c: see erlang_request.h. */
#include "workers/erlang/erlang_request.h"

#define REQUEST_ELEMENTS_MAX 5

/* A tuple taken apart. */
struct request_tuple {
    uint32_t arity;
    struct slice elements[REQUEST_ELEMENTS_MAX];
};

static bool request_tuple(struct slice term, struct request_tuple *t)
{
    if (!erlang_term_tuple(&term, &t->arity) || t->arity > REQUEST_ELEMENTS_MAX)
        return false;
    for (uint32_t i = 0; i < t->arity; i++)
        if (!erlang_term_take(&term, &t->elements[i]))
            return false;
    return true;
}

static bool request_is_atom(struct slice term, const char *text)
{
    struct erlang_atom atom;
    return erlang_term_atom(&term, &atom) && erlang_term_atom_is(&atom, text);
}

static bool request_pid(struct slice term, struct erlang_request *r)
{
    return erlang_term_pid(&term, &r->pid, &r->node);
}

static enum erlang_request_kind request_nodes(const struct request_tuple *t,
                                              struct erlang_request *r)
{
    return request_pid(t->elements[1], r) ? ERLANG_REQUEST_NODES : ERLANG_REQUEST_NONE;
}

static enum erlang_request_kind request_set(const struct request_tuple *t, struct erlang_request *r)
{
    r->id = t->elements[1];
    r->value = t->elements[2];
    return ERLANG_REQUEST_SET;
}

static enum erlang_request_kind request_get(const struct request_tuple *t, struct erlang_request *r)
{
    r->strong = request_is_atom(t->elements[1], "true");
    r->id = t->elements[2];
    if (!r->strong && !request_is_atom(t->elements[1], "false"))
        return ERLANG_REQUEST_NONE;
    return request_pid(t->elements[3], r) ? ERLANG_REQUEST_GET : ERLANG_REQUEST_NONE;
}

static enum erlang_request_kind request_persist(const struct request_tuple *t,
                                                struct erlang_request *r)
{
    r->id = t->elements[1];
    return ERLANG_REQUEST_PERSIST;
}

static enum erlang_request_kind request_send(const struct request_tuple *t,
                                             struct erlang_request *r)
{
    r->command = t->elements[1];
    return t->arity == 2 || request_pid(t->elements[2], r) ? ERLANG_REQUEST_SEND
                                                           : ERLANG_REQUEST_NONE;
}

/* {'$gen_call', {Pid, Tag}, {is_auth, Node}} */
static enum erlang_request_kind request_gen_call(const struct request_tuple *t,
                                                 struct erlang_request *r)
{
    struct request_tuple from, asked;
    if (!request_tuple(t->elements[1], &from) || !request_tuple(t->elements[2], &asked) ||
        from.arity != 2 || asked.arity != 2 || !request_is_atom(asked.elements[0], "is_auth"))
        return ERLANG_REQUEST_NONE;
    r->tag = from.elements[1];
    return request_pid(from.elements[0], r) ? ERLANG_REQUEST_PING : ERLANG_REQUEST_NONE;
}

static const struct request_row {
    const char *name;
    uint32_t arity;
    enum erlang_request_kind (*read)(const struct request_tuple *t, struct erlang_request *r);
} request_rows[] = {
    {"get_nodes", 2, request_nodes},    {"s", 3, request_set},     {"g", 5, request_get},
    {"p", 2, request_persist},          {"send", 2, request_send}, {"send", 3, request_send},
    {"$gen_call", 3, request_gen_call},
};

#define REQUEST_ROWS (sizeof request_rows / sizeof request_rows[0])

/* {Pid, send, Command}: the only one that begins with no atom. */
static enum erlang_request_kind request_send_of(const struct request_tuple *t,
                                                struct erlang_request *r)
{
    if (t->arity != 3 || !request_pid(t->elements[0], r) ||
        !request_is_atom(t->elements[1], "send"))
        return ERLANG_REQUEST_NONE;
    r->command = t->elements[2];
    return ERLANG_REQUEST_SEND;
}

void erlang_request_read(struct slice message, struct erlang_request *r)
{
    struct request_tuple t;
    r->kind = ERLANG_REQUEST_NONE;
    r->id = r->value = r->command = r->pid = r->tag = slice_of("");
    r->strong = false;
    r->node.len = 0;
    r->node.text[0] = '\0';
    if (!request_tuple(message, &t))
        return;
    r->kind = request_send_of(&t, r);
    for (size_t i = 0; i < REQUEST_ROWS && r->kind == ERLANG_REQUEST_NONE; i++)
        if (t.arity == request_rows[i].arity &&
            request_is_atom(t.elements[0], request_rows[i].name))
            r->kind = request_rows[i].read(&t, r);
}
