/* job_pickle_read.c: Python pickles of what JSON has. See job_pickle.h. Opcodes: Lib/pickletools.py of Python. */
#include "workers/jobs/job_pickle.h"

#include <errno.h>
#include <stdlib.h>

/* A value on the pickle's stack; a mark has none. */
struct item {
    json_t *value;
    unsigned depth; /* levels of nesting within it */
};

struct reader {
    const unsigned char *at, *end;
    struct buffer stack; /* of struct item */
    struct buffer memo;  /* of json_t *, texts only: who names a container again may name itself */
    size_t again;
    int error;
};

static bool fail(struct reader *r, int error)
{
    if (r->error == 0)
        r->error = error;
    return false;
}

static struct item *items(struct reader *r)
{
    return (void *)r->stack.data;
}

static size_t height(const struct reader *r)
{
    return r->stack.len / sizeof(struct item);
}

static bool number(struct reader *r, size_t bytes, uint64_t *value)
{
    if ((size_t)(r->end - r->at) < bytes)
        return fail(r, -EINVAL);
    *value = 0;
    for (size_t i = 0; i < bytes; i++)
        *value |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    return true;
}

/* Takes the reference; NULL is none, because memory is short or the value is none of JSON's. */
static bool push(struct reader *r, json_t *value, unsigned depth)
{
    struct item item = {.value = value, .depth = depth};
    if (value == NULL || depth > JOB_PICKLE_DEPTH) {
        json_decref(value);
        return fail(r, -EINVAL);
    }
    buffer_append(&r->stack, &item, sizeof item);
    if (buffer_ok(&r->stack))
        return true;
    json_decref(value);
    return fail(r, -ENOMEM);
}

static bool push_mark(struct reader *r)
{
    struct item mark = {.value = NULL};
    buffer_append(&r->stack, &mark, sizeof mark);
    return buffer_ok(&r->stack) || fail(r, -ENOMEM);
}

/* ---- numbers and texts ---- */

static bool push_int(struct reader *r, size_t bytes, bool is_signed)
{
    uint64_t n;
    if (!number(r, bytes, &n))
        return false;
    if (is_signed && bytes < 8 && bytes > 0 && (n >> (8 * bytes - 1)) != 0)
        n |= UINT64_MAX << (8 * bytes);
    return push(r, json_integer((json_int_t)n), 0);
}

static bool push_long(struct reader *r)
{
    uint64_t bytes;
    return number(r, 1, &bytes) && (bytes <= 8 ? push_int(r, bytes, true) : fail(r, -EINVAL));
}

static bool push_real(struct reader *r)
{
    uint64_t bits = 0;
    double d;
    if (r->end - r->at < 8)
        return fail(r, -EINVAL);
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | *r->at++;
    memcpy(&d, &bits, sizeof d);
    return push(r, json_real(d), 0);
}

static bool push_text(struct reader *r, size_t bytes)
{
    uint64_t len;
    if (!number(r, bytes, &len))
        return false;
    if (len > (uint64_t)(r->end - r->at))
        return fail(r, -EINVAL);
    r->at += len;
    return push(r, json_stringn((const char *)r->at - len, len), 0);
}

/* ---- what was named ---- */

static bool name_top(struct reader *r, size_t bytes, bool next)
{
    uint64_t at = r->memo.len / sizeof(json_t *);
    json_t *none = NULL;
    if ((!next && !number(r, bytes, &at)) || height(r) == 0)
        return fail(r, -EINVAL);
    /* Python numbers them in order: what lies far behind the last is not Python's. */
    size_t count = r->memo.len / sizeof(json_t *);
    if (at > count + 1)
        return fail(r, -EINVAL);
    while (r->memo.len / sizeof(json_t *) <= at && buffer_ok(&r->memo))
        buffer_append(&r->memo, &none, sizeof none);
    if (!buffer_ok(&r->memo))
        return fail(r, -ENOMEM);
    json_t **memo = (void *)r->memo.data, *top = items(r)[height(r) - 1].value;
    json_decref(memo[at]);
    memo[at] = json_is_string(top) ? json_incref(top) : NULL;
    return true;
}

static bool push_named(struct reader *r, size_t bytes)
{
    uint64_t at;
    if (!number(r, bytes, &at))
        return false;
    json_t **memo = (void *)r->memo.data;
    if (at >= r->memo.len / sizeof(json_t *) || memo[at] == NULL)
        return fail(r, -EINVAL);
    r->again += json_string_length(memo[at]) + 1;
    return r->again <= JOB_PICKLE_AGAIN_MAX ? push(r, json_incref(memo[at]), 0) : fail(r, -EINVAL);
}

/* ---- containers ---- */

static bool add_item(struct item *to, const struct item *item)
{
    if (to->depth < item->depth + 1)
        to->depth = item->depth + 1;
    return to->depth <= JOB_PICKLE_DEPTH && json_array_append(to->value, item->value) == 0;
}

static bool add_pair(struct item *to, const struct item *pair)
{
    const char *name = pair[0].value != NULL ? json_string_value(pair[0].value) : NULL;
    if (name == NULL || strlen(name) != json_string_length(pair[0].value))
        return false;
    if (to->depth < pair[1].depth + 1)
        to->depth = pair[1].depth + 1;
    return to->depth <= JOB_PICKLE_DEPTH && json_object_set(to->value, name, pair[1].value) == 0;
}

static void drop_to(struct reader *r, size_t count)
{
    for (size_t i = count; i < height(r); i++)
        json_decref(items(r)[i].value);
    r->stack.len = count * sizeof(struct item);
}

/* What stands from `from` on goes into the container below `below`, an array or (pairs) an object. */
static bool add(struct reader *r, size_t below, size_t from, bool pairs)
{
    size_t count = height(r);
    if (below == 0 || from > count || (pairs && (count - from) % 2 != 0))
        return fail(r, -EINVAL);
    struct item *to = &items(r)[below - 1];
    if (to->value == NULL || (pairs ? !json_is_object(to->value) : !json_is_array(to->value)))
        return fail(r, -EINVAL);
    for (size_t i = from; i < count; i += pairs ? 2 : 1) {
        const struct item *item = &items(r)[i];
        if (item->value == NULL || (pairs && item[1].value == NULL) ||
            !(pairs ? add_pair(to, item) : add_item(to, item)))
            return fail(r, -EINVAL);
    }
    drop_to(r, below);
    return true;
}

/* The place of the last mark; height: there is none, and that has failed. */
static size_t mark(struct reader *r)
{
    for (size_t i = height(r); i > 0; i--)
        if (items(r)[i - 1].value == NULL)
            return i - 1;
    fail(r, -EINVAL);
    return height(r);
}

static bool add_marked(struct reader *r, bool pairs)
{
    size_t at = mark(r);
    return r->error == 0 && add(r, at, at + 1, pairs);
}

/* The last `count` become one; a mark, when there is one, stands before them. */
static bool tuple(struct reader *r, size_t count, bool marked)
{
    struct item all = {.value = json_array()};
    if (all.value == NULL || count + marked > height(r)) {
        json_decref(all.value);
        return fail(r, all.value == NULL ? -ENOMEM : -EINVAL);
    }
    size_t from = height(r) - count;
    bool ok = true;
    all.depth = 1;
    for (size_t i = from; i < height(r) && ok; i++)
        ok = items(r)[i].value != NULL && add_item(&all, &items(r)[i]);
    if (!ok) {
        json_decref(all.value);
        return fail(r, -EINVAL);
    }
    drop_to(r, from - marked);
    return push(r, all.value, all.depth);
}

static bool tuple_marked(struct reader *r)
{
    size_t at = mark(r);
    return r->error == 0 && tuple(r, height(r) - at - 1, true);
}

/* ---- opcodes ---- */

static bool step_value(struct reader *r, unsigned char op)
{
    switch (op) {
    case 'N':
        return push(r, json_null(), 0);
    case 0x88:
        return push(r, json_true(), 0);
    case 0x89:
        return push(r, json_false(), 0);
    case 'K':
        return push_int(r, 1, false);
    case 'M':
        return push_int(r, 2, false);
    case 'J':
        return push_int(r, 4, true);
    case 0x8a:
        return push_long(r);
    case 'G':
        return push_real(r);
    case 0x8c:
        return push_text(r, 1);
    case 'X':
        return push_text(r, 4);
    case 0x8d:
        return push_text(r, 8);
    case ']':
    case ')':
        return push(r, json_array(), 1);
    case '}':
        return push(r, json_object(), 1);
    default: /* objects, imports, calls, bytes, sets: nothing that JSON has */
        return fail(r, -EINVAL);
    }
}

static bool step(struct reader *r, unsigned char op)
{
    uint64_t ignored;
    switch (op) {
    case 0x95: /* a frame, whose length says nothing that the end does not */
        return number(r, 8, &ignored);
    case '(':
        return push_mark(r);
    case 0x94:
        return name_top(r, 0, true);
    case 'q':
        return name_top(r, 1, false);
    case 'r':
        return name_top(r, 4, false);
    case 'h':
        return push_named(r, 1);
    case 'j':
        return push_named(r, 4);
    case 'a':
        return add(r, height(r) > 0 ? height(r) - 1 : 0, height(r) > 0 ? height(r) - 1 : 0, false);
    case 'e':
        return add_marked(r, false);
    case 's':
        return add(r, height(r) > 1 ? height(r) - 2 : 0, height(r) > 1 ? height(r) - 2 : 0, true);
    case 'u':
        return add_marked(r, true);
    case 't':
        return tuple_marked(r);
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple(r, op - 0x84u, false);
    default:
        return step_value(r, op);
    }
}

int job_pickle_read(struct slice pickle, json_t **out)
{
    const unsigned char *bytes = (const void *)pickle.ptr;
    if (pickle.len < 3 || bytes[0] != 0x80 || bytes[1] < 2 || bytes[1] > 5)
        return -EINVAL;
    struct reader r = {.at = bytes + 2, .end = bytes + pickle.len};
    bool ended = false;
    while (r.error == 0 && !ended && r.at < r.end) {
        unsigned char op = *r.at++;
        ended = op == '.';
        if (!ended)
            step(&r, op);
    }
    if (r.error == 0 && (!ended || r.at != r.end || height(&r) != 1 || items(&r)[0].value == NULL))
        r.error = -EINVAL;
    if (r.error == 0)
        *out = json_incref(items(&r)[0].value);
    drop_to(&r, 0);
    for (size_t i = 0; i < r.memo.len / sizeof(json_t *); i++)
        json_decref(((json_t **)(void *)r.memo.data)[i]);
    buffer_fini(&r.stack);
    buffer_fini(&r.memo);
    return r.error;
}
