/* erlang_write.c: see erlang_write.h. */
#include "workers/erlang/erlang_write.h"

#include "workers/erlang/erlang_term.h"

#define WRITE_STRING_MAX 65535u /* bytes, in the short way */

static void write_number(struct buffer *out, uint64_t value, unsigned width)
{
    while (width-- > 0)
        buffer_append_char(out, (char)(value >> (8 * width)));
}

static void write_tag(struct buffer *out, enum erlang_tag tag)
{
    buffer_append_char(out, (char)tag);
}

void erlang_write_version(struct buffer *out)
{
    buffer_append_char(out, (char)ERLANG_TERM_VERSION);
}

void erlang_write_tuple(struct buffer *out, unsigned arity)
{
    write_tag(out, ERLANG_TAG_SMALL_TUPLE);
    write_number(out, arity, 1);
}

void erlang_write_list(struct buffer *out, uint32_t count)
{
    write_tag(out, ERLANG_TAG_LIST);
    write_number(out, count, 4);
}

void erlang_write_nil(struct buffer *out)
{
    write_tag(out, ERLANG_TAG_NIL);
}

void erlang_write_atom(struct buffer *out, struct slice text)
{
    write_tag(out, ERLANG_TAG_SMALL_ATOM_UTF8);
    write_number(out, text.len, 1);
    buffer_append_slice(out, text);
}

/* Above 32 bits as a big number: its sign, and eight bytes, the lowest first. */
static void write_big(struct buffer *out, int64_t value)
{
    uint64_t digits = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    write_tag(out, ERLANG_TAG_SMALL_BIG);
    write_number(out, 8, 1);
    write_number(out, value < 0, 1);
    for (unsigned i = 0; i < 8; i++)
        write_number(out, digits >> (8 * i) & 0xff, 1);
}

void erlang_write_i64(struct buffer *out, int64_t value)
{
    if (value >= 0 && value <= 255) {
        write_tag(out, ERLANG_TAG_SMALL_INTEGER);
        write_number(out, (uint64_t)value, 1);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        write_tag(out, ERLANG_TAG_INTEGER);
        write_number(out, (uint64_t)value, 4);
    } else {
        write_big(out, value);
    }
}

void erlang_write_binary(struct buffer *out, struct slice bytes)
{
    write_tag(out, ERLANG_TAG_BINARY);
    write_number(out, bytes.len, 4);
    buffer_append_slice(out, bytes);
}

static void write_long_string(struct buffer *out, struct slice bytes)
{
    erlang_write_list(out, (uint32_t)bytes.len);
    char *to = buffer_reserve(out, 2 * bytes.len);
    for (size_t i = 0; to != NULL && i < bytes.len; i++) {
        to[2 * i] = (char)ERLANG_TAG_SMALL_INTEGER;
        to[2 * i + 1] = bytes.ptr[i];
    }
    out->len += to != NULL ? 2 * bytes.len : 0;
    erlang_write_nil(out);
}

void erlang_write_string(struct buffer *out, struct slice bytes)
{
    if (bytes.len == 0) {
        erlang_write_nil(out);
    } else if (bytes.len > WRITE_STRING_MAX) {
        write_long_string(out, bytes);
    } else {
        write_tag(out, ERLANG_TAG_STRING);
        write_number(out, bytes.len, 2);
        buffer_append_slice(out, bytes);
    }
}

void erlang_write_pid(struct buffer *out, struct slice node, uint32_t id, uint32_t serial,
                      uint32_t creation)
{
    write_tag(out, ERLANG_TAG_NEW_PID);
    erlang_write_atom(out, node);
    write_number(out, id, 4);
    write_number(out, serial, 4);
    write_number(out, creation, 4);
}
