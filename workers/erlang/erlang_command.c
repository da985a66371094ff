/* erlang_command.c: see erlang_command.h. */
#include "workers/erlang/erlang_command.h"

#include "workers/erlang/erlang_term.h"
#include "workers/erlang/erlang_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define COMMAND_DEPTH_MAX 16

#define COMMAND_USAGE                                                                              \
    "a command is a list of atoms, strings, binaries and numbers, such as "                        \
    "[set, \"walrus\", \"bubbles\"]"

/* ---- words ---- */

static bool command_iodata(struct slice *in, struct buffer *out, unsigned depth);

static bool command_iolist(struct slice *in, struct buffer *out, unsigned depth)
{
    uint32_t count;
    if (depth == COMMAND_DEPTH_MAX || !erlang_term_list(in, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int64_t byte;
        if (!erlang_term_i64(in, &byte)) {
            if (!command_iodata(in, out, depth + 1))
                return false;
        } else if (byte < 0 || byte > 255) {
            return false;
        } else {
            buffer_append_char(out, (char)byte);
        }
    }
    return command_iodata(in, out, depth + 1); /* its tail */
}

static bool command_iodata(struct slice *in, struct buffer *out, unsigned depth)
{
    struct slice bytes;
    if (!erlang_term_binary(in, &bytes))
        return erlang_term_string(in, out) || command_iolist(in, out, depth);
    buffer_append_slice(out, bytes);
    return true;
}

static bool command_word(struct slice *in, struct buffer *out)
{
    struct erlang_atom atom;
    int64_t number;
    double real;
    if (erlang_term_atom(in, &atom))
        buffer_append(out, atom.text, atom.len);
    else if (erlang_term_i64(in, &number))
        buffer_printf(out, "%" PRId64, number);
    else if (erlang_term_float(in, &real))
        buffer_printf(out, "%.17g", real);
    else
        return command_iodata(in, out, 0);
    return true;
}

/* Where each word is, once their bytes stay where they are. */
static void command_place(struct erlang_command *c)
{
    const char *at = c->bytes.data;
    for (size_t i = 0; i < c->count; i++) {
        c->words[i] = slice_make(at, c->words[i].len);
        at = at != NULL ? at + c->words[i].len : NULL;
    }
}

static bool command_words(struct slice *in, struct erlang_command *c)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t before = c->bytes.len;
        if (!command_word(in, &c->bytes))
            return false;
        c->words[i].len = c->bytes.len - before;
    }
    return erlang_term_tag(*in) == ERLANG_TAG_NIL && in->len == 1;
}

int erlang_command_read(struct slice term, struct erlang_command *c, const char **why)
{
    uint32_t count = 0;
    *c = (struct erlang_command){.count = 0};
    bool list = erlang_term_list(&term, &count) && count > 0;
    c->words = list ? calloc(count, sizeof *c->words) : NULL;
    c->count = c->words != NULL ? count : 0;
    bool read = c->words != NULL && command_words(&term, c);
    int rc = list && (c->words == NULL || !buffer_ok(&c->bytes)) ? -ENOMEM : read ? 0 : -EINVAL;
    if (rc == 0) {
        command_place(c);
        return 0;
    }
    *why = rc == -ENOMEM ? "memory is short: try again" : COMMAND_USAGE;
    erlang_command_fini(c);
    return rc;
}

void erlang_command_fini(struct erlang_command *c)
{
    free(c->words);
    buffer_fini(&c->bytes);
    *c = (struct erlang_command){.count = 0};
}

/* ---- replies ---- */

static bool command_reply(struct buffer *out, const redisReply *r, size_t end, unsigned depth);

static bool command_array(struct buffer *out, const redisReply *r, size_t end, unsigned depth)
{
    if (r->elements > 0)
        erlang_write_list(out, (uint32_t)r->elements);
    for (size_t i = 0; i < r->elements; i++)
        if (!command_reply(out, r->element[i], end, depth + 1))
            return false;
    erlang_write_nil(out);
    return true;
}

/* An error among others, as in what EXEC answers. */
static void command_inner_error(struct buffer *out, const redisReply *r)
{
    erlang_write_tuple(out, 2);
    erlang_write_atom(out, slice_of("error"));
    erlang_write_binary(out, slice_make(r->str, (size_t)r->len));
}

static bool command_reply(struct buffer *out, const redisReply *r, size_t end, unsigned depth)
{
    if (depth == COMMAND_DEPTH_MAX)
        return false;
    switch (r->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
        if (out->len + (size_t)r->len > end)
            return false;
        erlang_write_binary(out, slice_make(r->str, (size_t)r->len));
        break;
    case REDIS_REPLY_INTEGER:
        erlang_write_i64(out, r->integer);
        break;
    case REDIS_REPLY_NIL:
        erlang_write_atom(out, slice_of("undefined"));
        break;
    case REDIS_REPLY_ERROR:
        command_inner_error(out, r);
        break;
    case REDIS_REPLY_ARRAY:
        return command_array(out, r, end, depth);
    default:
        return false;
    }
    return out->len <= end;
}

void erlang_command_error(struct buffer *out, const char *text)
{
    erlang_write_tuple(out, 2);
    erlang_write_atom(out, slice_of("error"));
    erlang_write_binary(out, slice_of(text));
}

void erlang_command_answer(struct buffer *out, const redisReply *reply, size_t max)
{
    size_t before = out->len;
    if (reply->type == REDIS_REPLY_ERROR) {
        command_inner_error(out, reply);
        return;
    }
    erlang_write_tuple(out, 2);
    erlang_write_atom(out, slice_of("ok"));
    if (command_reply(out, reply, before + max, 0) || !buffer_ok(out))
        return;
    out->len = before;
    erlang_command_error(out, "the command has run, but its reply is too large, or nested too "
                              "deeply, to be sent: ask for less at a time");
}
