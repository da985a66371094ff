/*
 * erlang_term.h: terms in Erlang's external format, read from bytes that anybody may have written.
 *
 * Runs in erlang workers. Pure. libei's own decoders (ei_decode_*) do not know where their input ends, so what comes
 * over the wire is read here: no byte behind the slice is touched, nothing is allocated, nothing recurses. The format:
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist. Without the distribution's atom cache, which a C node does not
 * agree to, and without compression.
 *
 * Each function takes what it has read off *in; when it returns false, *in is where it was.
 */
#ifndef WORKERS_ERLANG_TERM_H
#define WORKERS_ERLANG_TERM_H

#include "common/buffer.h"

/* In front of every term that stands alone. */
#define ERLANG_TERM_VERSION 131

#define ERLANG_ATOM_MAX 1020 /* bytes in UTF-8, of 255 characters */

/* The tags that others than erlang_term.c look at. */
enum erlang_tag {
    ERLANG_TAG_NEW_FLOAT = 70,
    ERLANG_TAG_NEW_PID = 88,
    ERLANG_TAG_SMALL_INTEGER = 97,
    ERLANG_TAG_INTEGER = 98,
    ERLANG_TAG_PID = 103,
    ERLANG_TAG_SMALL_TUPLE = 104,
    ERLANG_TAG_NIL = 106,
    ERLANG_TAG_STRING = 107,
    ERLANG_TAG_LIST = 108,
    ERLANG_TAG_BINARY = 109,
    ERLANG_TAG_SMALL_BIG = 110,
    ERLANG_TAG_ATOM_UTF8 = 118,
    ERLANG_TAG_SMALL_ATOM_UTF8 = 119,
};

/* An atom's text, in UTF-8, with a NUL behind it (there may be others in it). */
struct erlang_atom {
    size_t len;
    char text[ERLANG_ATOM_MAX + 1];
};

/* The first byte of the term; -1: there is none. */
int erlang_term_tag(struct slice in);

/* One whole term, of any kind; *term is its bytes. */
bool erlang_term_take(struct slice *in, struct slice *term);

/*
 * The same, appended to `out` with every atom in the one form that all releases since 20 read: the same term of two
 * releases is the same bytes then. False also for a term with a fun in it, whose bytes count themselves.
 */
bool erlang_term_copy(struct slice *in, struct buffer *out);

/* The version byte and one whole term behind it, and nothing else. */
bool erlang_term_is_whole(struct slice bytes);

/* The head of a tuple; its elements follow. */
bool erlang_term_tuple(struct slice *in, uint32_t *arity);

bool erlang_term_atom(struct slice *in, struct erlang_atom *atom);
bool erlang_term_atom_is(const struct erlang_atom *atom, const char *text);

/* One that fits. */
bool erlang_term_i64(struct slice *in, int64_t *value);

bool erlang_term_float(struct slice *in, double *value);

bool erlang_term_binary(struct slice *in, struct slice *bytes);

/*
 * A string: [], what the format calls one, or a list of nothing but bytes, as one of more than 65535 is written. Its
 * bytes are appended to `out` (failure of memory is the buffer's); nothing is when it is none.
 */
bool erlang_term_string(struct slice *in, struct buffer *out);

/* The head of a list that is not empty; its elements follow, and behind them its tail. */
bool erlang_term_list(struct slice *in, uint32_t *count);

/* A process id, whole; *node is the name of its node. */
bool erlang_term_pid(struct slice *in, struct slice *pid, struct erlang_atom *node);

#endif
