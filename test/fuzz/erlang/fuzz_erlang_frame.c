/*
 * fuzz_erlang_frame.c: what a connected node may send: a frame, its control tuple, the message and what it asks for;
 * terms as objects and back, as names, and as commands; and what a cache node answers to a get.
 */
#include "workers/erlang/erlang_answer.h"
#include "workers/erlang/erlang_command.h"
#include "workers/erlang/erlang_control.h"
#include "workers/erlang/erlang_request.h"
#include "workers/erlang/erlang_value.h"
#include "workers/erlang/erlang_write.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* What is an object comes back as the term it was, but that strings may be written in the other of their two ways. */
static void try_value(struct slice term)
{
    struct buffer value = BUFFER_EMPTY, again = BUFFER_EMPTY, string = BUFFER_EMPTY;
    enum erlang_form form;
    erlang_value_from_term(term, &form, &value);
    erlang_value_to_term(buffer_slice(&value), form, &again);
    struct slice back = buffer_slice(&again), in = back;
    bool same = form == ERLANG_FORM_STRING
                    ? erlang_term_string(&in, &string) && in.len == 0 &&
                          slice_equal(buffer_slice(&string), buffer_slice(&value))
                    : slice_equal(back, term);
    if (buffer_ok(&value) && buffer_ok(&again) && !same)
        abort();
    buffer_fini(&value);
    buffer_fini(&again);
    buffer_fini(&string);
}

/* A name's own name is the same: it is in its one form by then. */
static void try_key(struct slice term)
{
    struct buffer key = BUFFER_EMPTY, again = BUFFER_EMPTY;
    erlang_key_from_term(term, &key);
    struct slice bytes = buffer_slice(&key);
    if (buffer_ok(&key) && erlang_term_tag(term) != ERLANG_TAG_BINARY &&
        erlang_term_is_whole(bytes)) {
        struct slice inner = slice_make(bytes.ptr + 1, bytes.len - 1);
        erlang_key_from_term(inner, &again);
        if (buffer_ok(&again) && erlang_term_tag(inner) == erlang_term_tag(term) &&
            erlang_term_tag(inner) == ERLANG_TAG_SMALL_TUPLE &&
            !slice_equal(buffer_slice(&again), bytes))
            abort();
    }
    buffer_fini(&key);
    buffer_fini(&again);
}

static void try_command(struct slice term)
{
    struct erlang_command c;
    const char *why = NULL;
    if (erlang_command_read(term, &c, &why) != 0) {
        if (why == NULL)
            abort();
        return;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < c.count; i++)
        bytes += c.words[i].len;
    if (c.count == 0 || bytes != c.bytes.len)
        abort();
    erlang_command_fini(&c);
}

/* Whatever is a term may be asked about in every way. */
static void try_term(struct slice in)
{
    struct slice term;
    if (!erlang_term_take(&in, &term))
        return;
    try_value(term);
    try_key(term);
    try_command(term);
    struct erlang_request r;
    erlang_request_read(term, &r);
    if (r.kind == ERLANG_REQUEST_GET && (r.pid.len == 0 || r.node.len > ERLANG_ATOM_MAX))
        abort();
}

static void try_frame(struct slice frame)
{
    struct erlang_control c;
    struct buffer out = BUFFER_EMPTY;
    if (!erlang_control_read(frame, &c))
        return;
    erlang_control_refuse(&out, &c);
    if (c.kind == ERLANG_CONTROL_MESSAGE) {
        if (out.len > 0)
            abort();
        try_term(c.message);
        erlang_control_send(&out, c.to, c.message);
    }
    struct erlang_control said;
    if (out.len > 0 && buffer_ok(&out) && !erlang_control_read(buffer_slice(&out), &said))
        abort();
    buffer_fini(&out);
}

static void try_answer(struct slice text)
{
    struct buffer room = BUFFER_EMPTY;
    struct slice value;
    enum erlang_form form;
    bool found;
    if (erlang_answer_read(text, &room, &found, &value, &form) && erlang_form_name(form) == NULL)
        abort();
    buffer_fini(&room);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice all = slice_make(data, size);
    try_frame(all);
    try_term(all);
    try_answer(all);
    return 0;
}
