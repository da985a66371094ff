/* redis_answers.c: see redis_answers.h. */
#include "common/redis/redis_answers.h"

#include <string.h>

#define ANSWERS_KEEP       65536u /* bytes of memory that stay */
#define ANSWERS_DIGITS_MAX 18     /* of a length */
#define ANSWERS_I64_MAX    19     /* of a number */

/* All digits, and not more of them; `from` is where they begin. */
static bool answers_is_number(struct slice line, size_t from, size_t digits_max)
{
    if (line.len == from || line.len - from > digits_max)
        return false;
    for (size_t i = from; i < line.len; i++)
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
    return true;
}

/* Of "$5", "*2"; -1: nil. False: it is none. */
static bool answers_length(struct slice line, int64_t *length)
{
    *length = -1;
    if (line.len == 3 && line.ptr[1] == '-' && line.ptr[2] == '1')
        return true;
    if (!answers_is_number(line, 1, ANSWERS_DIGITS_MAX))
        return false;
    *length = 0;
    for (size_t i = 1; i < line.len; i++)
        *length = 10 * *length + (line.ptr[i] - '0');
    return true;
}

/* By its first byte, before the rest of it has come: what is none need not end. */
static bool answers_is_kind(char kind)
{
    return kind == '+' || kind == '-' || kind == ':' || kind == '$' || kind == '*';
}

/* The line that begins at r->at, without its end. MORE, or BAD. */
static enum redis_answers_result answers_line(struct redis_answers *r, struct slice all,
                                              struct slice *line)
{
    if (r->at < all.len && !answers_is_kind(all.ptr[r->at]))
        return REDIS_ANSWERS_BAD;
    size_t from = r->searched > r->at ? r->searched : r->at;
    const char *end = from < all.len ? memchr(all.ptr + from, '\n', all.len - from) : NULL;
    r->searched = end != NULL ? 0 : all.len;
    if (end == NULL)
        return REDIS_ANSWERS_MORE;
    *line = slice_make(all.ptr + r->at, (size_t)(end - all.ptr) - r->at);
    if (line->len < 2 || line->ptr[line->len - 1] != '\r')
        return REDIS_ANSWERS_BAD;
    line->len--;
    return REDIS_ANSWERS_WHOLE;
}

/* Behind the line of a bulk string stand its bytes and a line's end. */
static enum redis_answers_result answers_bulk(struct redis_answers *r, struct slice all,
                                              struct slice line)
{
    int64_t length;
    size_t next = r->at + line.len + 2;
    if (!answers_length(line, &length))
        return REDIS_ANSWERS_BAD;
    if (length >= 0) {
        if (all.len - next < 2 || (uint64_t)length > all.len - next - 2)
            return REDIS_ANSWERS_MORE;
        next += (size_t)length + 2;
        if (memcmp(all.ptr + next - 2, "\r\n", 2) != 0)
            return REDIS_ANSWERS_BAD;
    }
    r->at = next;
    return REDIS_ANSWERS_WHOLE;
}

/* MORE: what it consists of comes next. */
static enum redis_answers_result answers_array(struct redis_answers *r, struct slice line)
{
    int64_t length;
    if (!answers_length(line, &length) || (length > 0 && r->depth == REDIS_ANSWERS_DEPTH))
        return REDIS_ANSWERS_BAD;
    r->at += line.len + 2;
    if (length <= 0)
        return REDIS_ANSWERS_WHOLE;
    r->left[r->depth++] = (uint64_t)length;
    return REDIS_ANSWERS_MORE;
}

static enum redis_answers_result answers_number(struct redis_answers *r, struct slice line)
{
    if (!answers_is_number(line, line.ptr[1] == '-' ? 2 : 1, ANSWERS_I64_MAX))
        return REDIS_ANSWERS_BAD;
    r->at += line.len + 2;
    return REDIS_ANSWERS_WHOLE;
}

/* One line, or bulk string, and all arrays that end with it. True: *result says what there is to say. */
static bool answers_step(struct redis_answers *r, struct slice all,
                         enum redis_answers_result *result)
{
    struct slice line;
    *result = answers_line(r, all, &line);
    if (*result != REDIS_ANSWERS_WHOLE)
        return true;
    switch (line.ptr[0]) {
    case ':':
        *result = answers_number(r, line);
        break;
    case '$':
        *result = answers_bulk(r, all, line);
        break;
    case '*':
        *result = answers_array(r, line);
        if (*result == REDIS_ANSWERS_MORE)
            return false;
        break;
    default: /* any text */
        r->at += line.len + 2;
    }
    if (*result != REDIS_ANSWERS_WHOLE)
        return true;
    while (r->depth > 0 && --r->left[r->depth - 1] == 0)
        r->depth--;
    return r->depth == 0;
}

/* Not all of what is there is one whole answer: what came stays until the rest does. */
static enum redis_answers_result answers_hold(struct redis_answers *r, struct slice *fresh)
{
    if (r->from > 0)
        buffer_consume(&r->held, r->from);
    r->from = 0;
    if (fresh->len > 0)
        buffer_append_slice(&r->held, *fresh);
    fresh->len = 0;
    return buffer_ok(&r->held) ? REDIS_ANSWERS_MORE : REDIS_ANSWERS_SHORT;
}

enum redis_answers_result redis_answers_next(struct redis_answers *r, struct slice *fresh,
                                             struct slice *answer)
{
    bool held = redis_answers_held(r) > 0;
    if (!held) {
        buffer_reset(&r->held, ANSWERS_KEEP);
        r->from = 0;
    } else if (fresh->len > 0 && answers_hold(r, fresh) != REDIS_ANSWERS_MORE) {
        return REDIS_ANSWERS_SHORT;
    }
    struct slice all = held ? slice_make(r->held.data + r->from, redis_answers_held(r)) : *fresh;
    enum redis_answers_result result;
    while (!answers_step(r, all, &result))
        ;
    if (result == REDIS_ANSWERS_MORE)
        return answers_hold(r, fresh);
    if (result != REDIS_ANSWERS_WHOLE)
        return result;
    *answer = slice_make(all.ptr, r->at);
    if (held)
        r->from += r->at;
    else
        *fresh = slice_make(fresh->ptr + r->at, fresh->len - r->at);
    r->at = 0;
    return REDIS_ANSWERS_WHOLE;
}

void redis_answers_clear(struct redis_answers *r)
{
    r->from = r->held.len;
    r->at = r->searched = 0;
    r->depth = 0;
}

void redis_answers_fini(struct redis_answers *r)
{
    buffer_fini(&r->held);
    *r = (struct redis_answers){.from = 0};
}
