/* erlang_term.c: see erlang_term.h. */
#include "workers/erlang/erlang_term.h"

#include <string.h>

/* Tags that only stand here: what is passed over. */
enum {
    TAG_BIT_BINARY = 77,
    TAG_NEW_PORT = 89,
    TAG_NEWER_REFERENCE = 90,
    TAG_FLOAT = 99,
    TAG_ATOM = 100,
    TAG_REFERENCE = 101,
    TAG_PORT = 102,
    TAG_LARGE_TUPLE = 105,
    TAG_LARGE_BIG = 111,
    TAG_NEW_FUN = 112,
    TAG_EXPORT = 113,
    TAG_NEW_REFERENCE = 114,
    TAG_SMALL_ATOM = 115,
    TAG_MAP = 116,
    TAG_FUN = 117,
    TAG_V4_PORT = 120,
};

#define TERM_REFERENCE_WORDS_MAX 5

/* ---- bytes ---- */

static bool term_bytes(struct slice *in, size_t len, struct slice *bytes)
{
    if (in->len < len)
        return false;
    *bytes = slice_make(in->ptr, len);
    *in = slice_make(in->ptr + len, in->len - len);
    return true;
}

/* A big-endian number of so many bytes. */
static bool term_number(struct slice *in, size_t len, uint64_t *value)
{
    struct slice bytes;
    if (!term_bytes(in, len, &bytes))
        return false;
    *value = 0;
    for (size_t i = 0; i < len; i++)
        *value = *value << 8 | (unsigned char)bytes.ptr[i];
    return true;
}

/* A number of `width` bytes, and so many bytes and `more` behind it. */
static bool term_counted(struct slice *in, size_t width, size_t more, struct slice *bytes)
{
    uint64_t len;
    return term_number(in, width, &len) && term_bytes(in, (size_t)len + more, bytes);
}

int erlang_term_tag(struct slice in)
{
    return in.len > 0 ? (unsigned char)in.ptr[0] : -1;
}

/* ---- atoms ---- */

/* Atoms of old releases are Latin-1. */
static void term_from_latin1(struct slice text, struct erlang_atom *atom)
{
    atom->len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x80)
            atom->text[atom->len++] = (char)(0xc0 | c >> 6);
        atom->text[atom->len++] = (char)(c < 0x80 ? c : (0x80 | (c & 0x3f)));
    }
    atom->text[atom->len] = '\0';
}

bool erlang_term_atom(struct slice *in, struct erlang_atom *atom)
{
    struct slice at = *in, text;
    int tag = erlang_term_tag(at);
    bool utf8 = tag == ERLANG_TAG_ATOM_UTF8 || tag == ERLANG_TAG_SMALL_ATOM_UTF8;
    bool small = tag == TAG_SMALL_ATOM || tag == ERLANG_TAG_SMALL_ATOM_UTF8;
    if (!utf8 && !small && tag != TAG_ATOM)
        return false;
    at = slice_make(at.ptr + 1, at.len - 1);
    if (!term_counted(&at, small ? 1 : 2, 0, &text) || text.len > (utf8 ? ERLANG_ATOM_MAX : 255u))
        return false;
    if (utf8) {
        memcpy(atom->text, text.ptr, text.len);
        atom->text[text.len] = '\0';
        atom->len = text.len;
    } else {
        term_from_latin1(text, atom);
    }
    *in = at;
    return true;
}

bool erlang_term_atom_is(const struct erlang_atom *atom, const char *text)
{
    return slice_is(slice_make(atom->text, atom->len), text);
}

static void term_put_atom(struct buffer *out, const struct erlang_atom *atom)
{
    bool small = atom->len < 256;
    buffer_append_char(out, (char)(small ? ERLANG_TAG_SMALL_ATOM_UTF8 : ERLANG_TAG_ATOM_UTF8));
    if (!small)
        buffer_append_char(out, (char)(atom->len >> 8));
    buffer_append_char(out, (char)atom->len);
    buffer_append(out, atom->text, atom->len);
}

/* ---- whole terms ---- */

/* A walk over one term: where it is, what is still to come, and where it is written to, if anywhere. */
struct walk {
    struct slice in;
    uint64_t pending; /* terms; each has at least one byte, so more of them than bytes are none */
    struct buffer *out;
};

static void walk_put(struct walk *w, const char *from)
{
    if (w->out != NULL)
        buffer_append(w->out, from, (size_t)(w->in.ptr - from));
}

static bool walk_atom(struct walk *w)
{
    struct erlang_atom atom;
    if (!erlang_term_atom(&w->in, &atom))
        return false;
    if (w->out != NULL)
        term_put_atom(w->out, &atom);
    return true;
}

/* So many bytes behind the tag, as they are. */
static bool walk_fixed(struct walk *w, size_t len)
{
    const char *from = w->in.ptr;
    struct slice bytes;
    if (!term_bytes(&w->in, 1 + len, &bytes))
        return false;
    walk_put(w, from);
    return true;
}

/* The same of a number of bytes that stands in `width` of them, and `more`. */
static bool walk_counted(struct walk *w, size_t width, size_t more)
{
    const char *from = w->in.ptr;
    struct slice bytes;
    if (!term_bytes(&w->in, 1, &bytes) || !term_counted(&w->in, width, more, &bytes))
        return false;
    walk_put(w, from);
    return true;
}

/* What names a node: the tag, the node's name, and so many bytes. */
static bool walk_named(struct walk *w, size_t len)
{
    struct slice bytes;
    const char *from = w->in.ptr;
    if (!term_bytes(&w->in, 1, &bytes))
        return false;
    walk_put(w, from);
    if (!walk_atom(w))
        return false;
    from = w->in.ptr;
    if (!term_bytes(&w->in, len, &bytes))
        return false;
    walk_put(w, from);
    return true;
}

/* A reference: how many words it has stands in front of the node's name. */
static bool walk_reference(struct walk *w, size_t creation)
{
    const char *from = w->in.ptr;
    struct slice bytes;
    uint64_t words;
    if (!term_bytes(&w->in, 1, &bytes) || !term_number(&w->in, 2, &words) ||
        words > TERM_REFERENCE_WORDS_MAX)
        return false;
    walk_put(w, from);
    if (!walk_atom(w))
        return false;
    from = w->in.ptr;
    if (!term_bytes(&w->in, creation + 4 * (size_t)words, &bytes))
        return false;
    walk_put(w, from);
    return true;
}

/* The tag and a count of `width` bytes: so many terms, and `more`, follow. */
static bool walk_several(struct walk *w, size_t width, unsigned each, unsigned more)
{
    const char *from = w->in.ptr;
    struct slice bytes;
    uint64_t count;
    if (!term_bytes(&w->in, 1, &bytes) || !term_number(&w->in, width, &count))
        return false;
    walk_put(w, from);
    w->pending += count * each + more;
    return true;
}

/* A fun: size, arity, a sum, index, how many variables; then module, two numbers, a pid, and these. */
static bool walk_new_fun(struct walk *w)
{
    struct slice bytes;
    uint64_t variables;
    if (w->out != NULL || !term_bytes(&w->in, 1 + 4 + 1 + 16 + 4, &bytes) ||
        !term_number(&w->in, 4, &variables))
        return false;
    w->pending += 4 + variables;
    return true;
}

static bool walk_one(struct walk *w)
{
    switch (erlang_term_tag(w->in)) {
    case ERLANG_TAG_SMALL_INTEGER:
        return walk_fixed(w, 1);
    case ERLANG_TAG_INTEGER:
        return walk_fixed(w, 4);
    case ERLANG_TAG_NEW_FLOAT:
        return walk_fixed(w, 8);
    case TAG_FLOAT:
        return walk_fixed(w, 31);
    case ERLANG_TAG_NIL:
        return walk_fixed(w, 0);
    case TAG_ATOM:
    case TAG_SMALL_ATOM:
    case ERLANG_TAG_ATOM_UTF8:
    case ERLANG_TAG_SMALL_ATOM_UTF8:
        return walk_atom(w);
    case ERLANG_TAG_STRING:
        return walk_counted(w, 2, 0);
    case ERLANG_TAG_BINARY:
        return walk_counted(w, 4, 0);
    case TAG_BIT_BINARY:
        return walk_counted(w, 4, 1);
    case ERLANG_TAG_SMALL_BIG:
        return walk_counted(w, 1, 1);
    case TAG_LARGE_BIG:
        return walk_counted(w, 4, 1);
    case ERLANG_TAG_SMALL_TUPLE:
        return walk_several(w, 1, 1, 0);
    case TAG_LARGE_TUPLE:
        return walk_several(w, 4, 1, 0);
    case ERLANG_TAG_LIST:
        return walk_several(w, 4, 1, 1);
    case TAG_MAP:
        return walk_several(w, 4, 2, 0);
    case ERLANG_TAG_PID:
        return walk_named(w, 9);
    case ERLANG_TAG_NEW_PID:
    case TAG_V4_PORT:
        return walk_named(w, 12);
    case TAG_PORT:
    case TAG_REFERENCE:
        return walk_named(w, 5);
    case TAG_NEW_PORT:
        return walk_named(w, 8);
    case TAG_NEW_REFERENCE:
        return walk_reference(w, 1);
    case TAG_NEWER_REFERENCE:
        return walk_reference(w, 4);
    case TAG_EXPORT:
        w->pending += 3;
        return walk_fixed(w, 0);
    case TAG_NEW_FUN:
        return walk_new_fun(w);
    case TAG_FUN:
        return w->out == NULL && walk_several(w, 4, 1, 4);
    default:
        return false;
    }
}

static bool walk_all(struct walk *w)
{
    for (w->pending = 1; w->pending > 0; w->pending--)
        if (w->pending > w->in.len || !walk_one(w))
            return false;
    return true;
}

bool erlang_term_take(struct slice *in, struct slice *term)
{
    struct walk w = {.in = *in};
    if (!walk_all(&w))
        return false;
    *term = slice_make(in->ptr, in->len - w.in.len);
    *in = w.in;
    return true;
}

bool erlang_term_copy(struct slice *in, struct buffer *out)
{
    struct walk w = {.in = *in, .out = out};
    size_t before = out->len;
    if (!walk_all(&w)) {
        out->len = before;
        return false;
    }
    *in = w.in;
    return true;
}

bool erlang_term_is_whole(struct slice bytes)
{
    struct slice term;
    if (erlang_term_tag(bytes) != ERLANG_TERM_VERSION)
        return false;
    bytes = slice_make(bytes.ptr + 1, bytes.len - 1);
    return erlang_term_take(&bytes, &term) && bytes.len == 0;
}

/* ---- terms of a kind ---- */

/* The tag, when it is this one. */
static bool term_is(struct slice *in, int tag)
{
    struct slice bytes;
    return erlang_term_tag(*in) == tag && term_bytes(in, 1, &bytes);
}

bool erlang_term_tuple(struct slice *in, uint32_t *arity)
{
    struct slice at = *in;
    uint64_t count;
    bool small = term_is(&at, ERLANG_TAG_SMALL_TUPLE);
    if ((!small && !term_is(&at, TAG_LARGE_TUPLE)) || !term_number(&at, small ? 1 : 4, &count))
        return false;
    *arity = (uint32_t)count;
    *in = at;
    return true;
}

/* Up to eight bytes, the lowest first, behind the sign. */
static bool term_big(struct slice digits, int64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = digits.len; i > 1; i--) {
        if (sum >> 56 != 0)
            return false;
        sum = sum << 8 | (unsigned char)digits.ptr[i - 1];
    }
    bool negative = digits.ptr[0] != 0;
    if (sum > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

bool erlang_term_i64(struct slice *in, int64_t *value)
{
    struct slice at = *in, digits;
    uint64_t number = 0;
    bool read = false;
    if (term_is(&at, ERLANG_TAG_SMALL_INTEGER)) {
        read = term_number(&at, 1, &number);
        *value = (int64_t)number;
    } else if (term_is(&at, ERLANG_TAG_INTEGER)) {
        read = term_number(&at, 4, &number);
        *value = (int32_t)(uint32_t)number;
    } else if (term_is(&at, ERLANG_TAG_SMALL_BIG)) {
        read = term_counted(&at, 1, 1, &digits) && term_big(digits, value);
    }
    if (read)
        *in = at;
    return read;
}

bool erlang_term_float(struct slice *in, double *value)
{
    struct slice at = *in;
    uint64_t bits;
    if (!term_is(&at, ERLANG_TAG_NEW_FLOAT) || !term_number(&at, 8, &bits))
        return false;
    memcpy(value, &bits, sizeof *value);
    *in = at;
    return true;
}

bool erlang_term_binary(struct slice *in, struct slice *bytes)
{
    struct slice at = *in;
    if (!term_is(&at, ERLANG_TAG_BINARY) || !term_counted(&at, 4, 0, bytes))
        return false;
    *in = at;
    return true;
}

bool erlang_term_list(struct slice *in, uint32_t *count)
{
    struct slice at = *in;
    uint64_t number;
    if (!term_is(&at, ERLANG_TAG_LIST) || !term_number(&at, 4, &number) || number > at.len)
        return false;
    *count = (uint32_t)number;
    *in = at;
    return true;
}

/* A list of bytes, each with its tag, and [] behind them. */
static bool term_long_string(struct slice *in, struct buffer *out)
{
    struct slice at = *in;
    uint32_t count;
    if (!erlang_term_list(&at, &count) || at.len < 2 * (size_t)count + 1)
        return false;
    for (size_t i = 0; i < count; i++)
        if ((unsigned char)at.ptr[2 * i] != ERLANG_TAG_SMALL_INTEGER)
            return false;
    if ((unsigned char)at.ptr[2 * (size_t)count] != ERLANG_TAG_NIL)
        return false;
    char *to = buffer_reserve(out, count);
    for (size_t i = 0; to != NULL && i < count; i++)
        to[i] = at.ptr[2 * i + 1];
    out->len += to != NULL ? count : 0;
    *in = slice_make(at.ptr + 2 * (size_t)count + 1, at.len - 2 * (size_t)count - 1);
    return true;
}

bool erlang_term_string(struct slice *in, struct buffer *out)
{
    struct slice at = *in, text;
    if (term_is(&at, ERLANG_TAG_NIL)) {
        *in = at;
        return true;
    }
    if (!term_is(&at, ERLANG_TAG_STRING))
        return term_long_string(in, out);
    if (!term_counted(&at, 2, 0, &text))
        return false;
    buffer_append_slice(out, text);
    *in = at;
    return true;
}

bool erlang_term_pid(struct slice *in, struct slice *pid, struct erlang_atom *node)
{
    struct slice at = *in, rest;
    bool new = term_is(&at, ERLANG_TAG_NEW_PID);
    if ((!new && !term_is(&at, ERLANG_TAG_PID)) || !erlang_term_atom(&at, node) ||
        !term_bytes(&at, new ? 12 : 9, &rest))
        return false;
    *pid = slice_make(in->ptr, in->len - at.len);
    *in = at;
    return true;
}
