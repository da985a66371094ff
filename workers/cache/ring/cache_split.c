/* cache_split.c: see cache_split.h. */
#include "workers/cache/ring/cache_split.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define SPLIT_DIGITS_MAX 18 /* of a number; no answer has a larger one */

/* ---- parts ---- */

enum cache_split_join cache_split_how(struct slice name, unsigned *step)
{
    static const struct {
        const char *name;
        enum cache_split_join join;
        unsigned step;
    } commands[] = {
#define X(name, join, step) {#name, CACHE_SPLIT_JOIN_##join, step},
        CACHE_SPLIT_COMMANDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strlen(commands[i].name) == name.len &&
            strncasecmp(commands[i].name, name.ptr, name.len) == 0) {
            *step = commands[i].step;
            return commands[i].join;
        }
    *step = 0;
    return CACHE_SPLIT_JOIN_NONE;
}

static bool split_is_one(const uint32_t *owners, size_t count)
{
    size_t i = 1;
    while (i < count && owners[i] == owners[0])
        i++;
    return i >= count;
}

/* The part of this owner, a new one perhaps; CACHE_SPLIT_OWNERS_MAX: one too many. */
static uint32_t split_part(struct cache_split *s, uint32_t owner)
{
    uint32_t part = 0;
    while (part < s->count && s->parts[part].owner != owner)
        part++;
    if (part == s->count && part < CACHE_SPLIT_OWNERS_MAX)
        s->parts[s->count++] = (struct cache_split_part){.owner = owner};
    return part;
}

/* Neighbours often have the same owner. */
static bool split_all(struct cache_split *s, const uint32_t *owners)
{
    for (size_t i = 0; i < s->keys; i++) {
        bool same = i > 0 && owners[i] == owners[i - 1];
        uint32_t part = same ? s->part_of[i - 1] : split_part(s, owners[i]);
        if (part == CACHE_SPLIT_OWNERS_MAX)
            return false;
        s->part_of[i] = part;
        s->parts[part].keys++;
    }
    s->left = s->count;
    return true;
}

enum cache_split_plan cache_split_plan(struct cache_split *s, struct slice name,
                                       const uint32_t *owners, size_t count)
{
    *s = (struct cache_split){.keys = count};
    if (split_is_one(owners, count)) {
        *s = (struct cache_split){0};
        return CACHE_SPLIT_WHOLE;
    }
    size_t most = count < CACHE_SPLIT_OWNERS_MAX ? count : CACHE_SPLIT_OWNERS_MAX;
    enum cache_split_plan plan = CACHE_SPLIT_CROSSES;
    s->join = cache_split_how(name, &s->step);
    if (s->join != CACHE_SPLIT_JOIN_NONE) {
        s->part_of = calloc(count, sizeof *s->part_of);
        s->parts = calloc(most, sizeof *s->parts);
        if (s->part_of == NULL || s->parts == NULL)
            plan = CACHE_SPLIT_NO_MEMORY;
        else if (split_all(s, owners))
            return CACHE_SPLIT_PARTS;
    }
    cache_split_fini(s);
    return plan;
}

void cache_split_fini(struct cache_split *s)
{
    for (size_t i = 0; i < s->count; i++)
        buffer_fini(&s->parts[i].answer);
    buffer_fini(&s->error);
    free(s->parts);
    free(s->part_of);
    *s = (struct cache_split){0};
}

size_t cache_split_count(const struct cache_split *s, size_t part)
{
    return 1 + (size_t)s->parts[part].keys * s->step;
}

void cache_split_words(const struct cache_split *s, size_t part, const struct slice *words,
                       struct slice *out)
{
    *out++ = words[0];
    for (size_t key = 0; key < s->keys; key++)
        for (unsigned i = 0; i < s->step && s->part_of[key] == part; i++)
            *out++ = words[1 + key * s->step + i];
}

/* ---- answers ---- */

/* A line's number behind its type; *at goes behind the line's end. */
static bool split_number(struct slice answer, size_t *at, int64_t *number)
{
    size_t i = *at, digits = 0;
    bool minus = i < answer.len && answer.ptr[i] == '-';
    int64_t n = 0;
    for (i += minus; i < answer.len && answer.ptr[i] >= '0' && answer.ptr[i] <= '9'; i++) {
        if (++digits > SPLIT_DIGITS_MAX)
            return false;
        n = 10 * n + (answer.ptr[i] - '0');
    }
    if (digits == 0 || answer.len - i < 2 || memcmp(answer.ptr + i, "\r\n", 2) != 0)
        return false;
    *at = i + 2;
    *number = minus ? -n : n;
    return true;
}

static bool split_has(struct slice answer, size_t at, const char *text)
{
    size_t len = strlen(text);
    return answer.len - at >= len && memcmp(answer.ptr + at, text, len) == 0;
}

/* One value: a bulk, or nothing in either version (value->ptr NULL). */
static bool split_value(struct slice answer, size_t *at, struct slice *value)
{
    int64_t len;
    *value = (struct slice){NULL, 0};
    if (split_has(answer, *at, "_\r\n")) {
        *at += 3;
        return true;
    }
    if (split_has(answer, *at, "$-1\r\n")) {
        *at += 5;
        return true;
    }
    if (!split_has(answer, *at, "$"))
        return false;
    ++*at;
    if (!split_number(answer, at, &len) || len < 0)
        return false;
    if ((uint64_t)len > answer.len - *at || !split_has(answer, *at + (size_t)len, "\r\n"))
        return false;
    *value = slice_make(answer.ptr + *at, (size_t)len);
    *at += (size_t)len + 2;
    return true;
}

/* As many values as it has keys, and nothing behind them. *first: where they begin. */
static bool split_is_values(struct slice answer, uint32_t keys, size_t *first)
{
    int64_t count;
    struct slice value;
    size_t at = 1;
    if (!split_has(answer, 0, "*") || !split_number(answer, &at, &count) || count != keys)
        return false;
    *first = at;
    for (uint32_t i = 0; i < keys; i++)
        if (!split_value(answer, &at, &value))
            return false;
    return at == answer.len;
}

/* Each key counts once at most. */
static bool split_is_sum(struct slice answer, uint32_t keys, int64_t *number)
{
    size_t at = 1;
    return split_has(answer, 0, ":") && split_number(answer, &at, number) && at == answer.len &&
           *number >= 0 && *number <= keys;
}

/* One line of text, not an empty one. */
static bool split_is_error(struct slice answer)
{
    if (answer.len <= 3 || answer.ptr[0] != '-' || !split_has(answer, answer.len - 2, "\r\n"))
        return false;
    for (size_t i = 1; i < answer.len - 2; i++)
        if (answer.ptr[i] == '\r' || answer.ptr[i] == '\n' || answer.ptr[i] == '\0')
            return false;
    return true;
}

/* Where its first value stands is kept with the copy. */
static int split_keep(struct cache_split *s, struct cache_split_part *part, struct slice answer,
                      size_t max)
{
    if (!split_is_values(answer, part->keys, &part->next))
        return -EBADMSG;
    if (max > 0 && (answer.len > max || s->held > max - answer.len))
        return -EMSGSIZE;
    buffer_append_slice(&part->answer, answer);
    if (!buffer_ok(&part->answer)) {
        buffer_fini(&part->answer);
        return -ENOMEM;
    }
    s->held += answer.len;
    return 0;
}

static int split_understand(struct cache_split *s, struct cache_split_part *part,
                            struct slice answer, size_t max)
{
    int64_t number = 0;
    switch (s->join) {
    case CACHE_SPLIT_JOIN_VALUES:
        return split_keep(s, part, answer, max);
    case CACHE_SPLIT_JOIN_SUM:
        if (!split_is_sum(answer, part->keys, &number))
            return -EBADMSG;
        s->sum += number;
        return 0;
    case CACHE_SPLIT_JOIN_OK:
        return slice_is(answer, "+OK\r\n") ? 0 : -EBADMSG;
    case CACHE_SPLIT_JOIN_NONE:
        break;
    }
    return -EBADMSG;
}

int cache_split_take(struct cache_split *s, size_t part, struct slice answer, size_t max)
{
    struct cache_split_part *p = &s->parts[part];
    if (p->answered)
        return -EALREADY;
    if (split_is_error(answer)) {
        cache_split_fail(s, part, slice_make(answer.ptr + 1, answer.len - 3));
        return 0;
    }
    int err = split_understand(s, p, answer, max);
    if (err == 0) {
        p->answered = true;
        s->left--;
    }
    return err;
}

void cache_split_fail(struct cache_split *s, size_t part, struct slice error)
{
    struct cache_split_part *p = &s->parts[part];
    if (p->answered)
        return;
    p->answered = true;
    s->left--;
    if (s->failed == 0 || cache_split_may_go_on(s)) {
        buffer_clear(&s->error);
        buffer_append_slice(&s->error, error);
    }
    s->failed++;
}

void cache_split_undo(struct cache_split *s, size_t part, struct slice error)
{
    struct cache_split_part *p = &s->parts[part];
    if (p->answered)
        return;
    p->answered = p->undone = true;
    s->left--;
    if (s->failed == 0)
        buffer_append_slice(&s->error, error);
    s->failed++;
    s->undone++;
}

size_t cache_split_rest(const struct cache_split *s, const struct slice *words, struct slice *out)
{
    struct slice *at = out;
    *at++ = words[0];
    for (size_t key = 0; key < s->keys; key++)
        for (unsigned i = 0; i < s->step && s->parts[s->part_of[key]].undone; i++)
            *at++ = words[1 + key * s->step + i];
    return (size_t)(at - out);
}

/* ---- the joined answer ---- */

static void split_write_values(struct cache_split *s, struct resp_reply *reply)
{
    resp_array(reply, s->keys);
    for (size_t key = 0; key < s->keys; key++) {
        struct cache_split_part *p = &s->parts[s->part_of[key]];
        struct slice value;
        if (split_value(buffer_slice(&p->answer), &p->next, &value) && value.ptr != NULL)
            resp_bulk(reply, value);
        else
            resp_nil(reply);
    }
}

static void split_write_error(struct cache_split *s, struct resp_reply *reply)
{
    if (buffer_ok(&s->error))
        resp_error(reply, "%.*s", (int)s->error.len, s->error.data);
    else
        resp_error(reply, "TRYAGAIN one of the owners of these keys has answered with an error, "
                          "for which there is no memory: give the cache's node more, or its "
                          "clients less");
}

void cache_split_write(struct cache_split *s, struct resp_reply *reply)
{
    if (s->failed > 0)
        split_write_error(s, reply);
    else if (s->join == CACHE_SPLIT_JOIN_VALUES)
        split_write_values(s, reply);
    else if (s->join == CACHE_SPLIT_JOIN_SUM)
        resp_i64(reply, s->sum);
    else
        resp_status(reply, "OK");
}
