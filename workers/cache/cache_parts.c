/* cache_parts.c: see cache_parts.h. */
#include "workers/cache/cache_parts.h"

#include "common/text.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_reads.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTS_AT_ONCE   2  /* times without a pause: an object has moved */
#define PARTS_PAUSE_MS  5u /* then that, and twice as long each time */
#define PARTS_PAUSE_MAX 100u
#define PARTS_SHORT     "OOM the system has no more memory for this node"

/* One that is under way. One allocation: its key follows. */
struct cache_part {
    struct cache_part *next, *prev;
    struct cache_parts *parts; /* NULL: nobody waits for it any more */
    struct cache_node *node;
    size_t index;
    uint32_t owner;
    bool writes, stores;           /* stores: it waits until its object is stored */
    struct cache_reads_when asked; /* for a copy, if it is */
    size_t key_len;
    char key[];
};

/* ---- what an answer says ---- */

static void parts_fail(struct cache_parts *p, const char *why, const char *more)
{
    if (p->why[0] == '\0')
        snprintf(p->why, sizeof p->why, "TRYAGAIN %s%s", why, more);
}

/* A line of an answer without its type and its end. */
static struct slice parts_line(struct slice answer)
{
    size_t len = answer.len;
    while (len > 1 && (answer.ptr[len - 1] == '\n' || answer.ptr[len - 1] == '\r'))
        len--;
    return slice_make(answer.ptr + 1, len - 1);
}

/* $LENGTH, the bytes; nil is no value. False: it is none. */
static bool parts_take_value(struct cache_parts *p, struct slice answer)
{
    const char *end = memchr(answer.ptr, '\n', answer.len);
    uint64_t len;
    if (end == NULL)
        return false;
    struct slice line = parts_line(slice_make(answer.ptr, (size_t)(end + 1 - answer.ptr)));
    if (slice_is(line, "-1"))
        return true;
    size_t from = (size_t)(end + 1 - answer.ptr);
    if (text_parse_u64(line, &len) != 0 || answer.len - from != len + 2)
        return false;
    p->found = true;
    buffer_append(&p->value, answer.ptr + from, (size_t)len);
    if (!buffer_ok(&p->value))
        snprintf(p->why, sizeof p->why, "%s", PARTS_SHORT);
    return true;
}

/* What PLATOON.COPY is answered: a value as well, and a copy (cache_reads.h). */
static bool parts_take_copy(struct cache_parts *p, const struct cache_part *part,
                            struct slice answer)
{
    struct resp_reply value = {.version = 2};
    bool taken = cache_reads_take(p->node->reads, slice_make(part->key, part->key_len), answer,
                                  part->asked, &value, &p->form) &&
                 (!buffer_ok(&value.out) || parts_take_value(p, buffer_slice(&value.out)));
    if (!buffer_ok(&value.out))
        snprintf(p->why, sizeof p->why, "%s", PARTS_SHORT);
    buffer_fini(&value.out);
    return taken;
}

static bool parts_take_number(struct cache_parts *p, struct slice answer)
{
    uint64_t number;
    if (text_parse_u64(parts_line(answer), &number) != 0 || number > INT32_MAX)
        return false;
    p->sum += (int64_t)number;
    return true;
}

/* False: it is no answer to what was sent. */
static bool parts_take(struct cache_parts *p, const struct cache_part *part, struct slice answer)
{
    struct slice line;
    switch (answer.len > 0 ? answer.ptr[0] : '\0') {
    case '-':
        line = parts_line(answer);
        if (p->why[0] == '\0')
            snprintf(p->why, sizeof p->why, "%.*s", (int)line.len, line.ptr);
        return true;
    case ':':
        return parts_take_number(p, answer);
    case '$':
        return parts_take_value(p, answer);
    case '*':
        return p->node->reads != NULL && parts_take_copy(p, part, answer);
    default:
        return slice_is(answer, "+OK\r\n");
    }
}

/* ---- what has become of one ---- */

static bool parts_are_late(const struct cache_parts *p)
{
    return uv_now(p->node->loop) >= p->deadline_ms;
}

static void parts_again(struct cache_parts *p, size_t index, const char *why)
{
    p->states[index].state = CACHE_PART_AGAIN;
    p->again = true;
    if (parts_are_late(p))
        parts_fail(p, why, "");
}

static void parts_not_answered(struct cache_parts *p, const struct cache_part *part, bool sent,
                               const char *why)
{
    p->unreached = true;
    if (sent && part->writes)
        parts_fail(p, why, "; it may have been done");
    parts_again(p, part->index, why);
    if (sent && part->stores) /* it may have waited there */
        p->states[part->index].waited_at = part->owner;
}

/* It has not run. Redis is asked again whose the key is, but where its owner just has to wait for something. */
static void parts_moved(struct cache_parts *p, const struct cache_part *part, struct slice answer)
{
    char text[512];
    bool waits;
    struct slice why = cache_forward_moved_why(answer, &waits);
    snprintf(text, sizeof text, "%.*s", (int)why.len, why.ptr);
    p->unreached = p->unreached || waits;
    if (!waits)
        cache_member_moved(p->node->member, slice_make(part->key, part->key_len), part->owner);
    parts_again(p, part->index, text);
    if (waits)
        p->states[part->index] =
            (struct cache_part_at){.state = CACHE_PART_LATER, .waited_at = part->owner};
}

bool cache_parts_is_unsure(const struct cache_parts *p, size_t index)
{
    uint32_t at = index < p->count ? p->states[index].waited_at : 0;
    return at != 0 && !cache_member_is_live(p->node->member, at);
}

/* As cache_forward_answer.c has it: it was not stored where it was, and is not to be stored where it is now. */
static void parts_know_stored(struct cache_parts *p, const struct cache_part *part,
                              struct slice answer)
{
    bool clean = part->stores && slice_is(answer, ":0\r\n");
    if (clean && p->states[part->index].waited_at != part->owner &&
        cache_parts_is_unsure(p, part->index) && p->why[0] == '\0')
        snprintf(p->why, sizeof p->why, "%s", CACHE_FORWARD_NOT_KNOWN);
}

static void parts_answered(struct cache_parts *p, const struct cache_part *part,
                           struct slice answer)
{
    if (cache_forward_is_moved(answer)) {
        parts_moved(p, part, answer);
    } else {
        if (!parts_take(p, part, answer))
            snprintf(p->why, sizeof p->why, "ERR another node gave no answer to its part");
        parts_know_stored(p, part, answer);
        p->states[part->index].state = CACHE_PART_DONE;
    }
}

/* A copy of what is written there is none any more: when it is sent, and when it is answered. */
static void parts_wrote(const struct cache_part *part)
{
    if (part->writes && part->node->reads != NULL)
        cache_reads_drop(part->node->reads, slice_make(part->key, part->key_len));
}

/* NULL: not any more. */
static void parts_leave(struct cache_part *part)
{
    struct cache_parts *p = part->parts;
    *(part->prev != NULL ? &part->prev->next : &p->out) = part->next;
    if (part->next != NULL)
        part->next->prev = part->prev;
    p->out_count--;
    part->parts = NULL;
}

static void parts_on_answer(enum cache_peer_result result, struct slice answer, const char *why,
                            void *ctx)
{
    struct cache_part *part = ctx;
    struct cache_parts *p = part->parts;
    parts_wrote(part);
    if (p != NULL) {
        parts_leave(part);
        if (result == CACHE_PEER_ANSWERED)
            parts_answered(p, part, answer);
        else
            parts_not_answered(p, part, result == CACHE_PEER_UNKNOWN, why);
    }
    free(part);
    if (p == NULL || p->out_count > 0)
        return;
    p->rests = p->again;
    p->tries += p->again;
    p->again = false;
    p->go(p->ctx);
}

/* ---- sending ---- */

/* False: memory is short. */
static bool parts_have(struct cache_parts *p, size_t index)
{
    size_t count = p->count > 0 ? p->count : 1;
    while (count <= index)
        count *= 2;
    if (count == p->count)
        return true;
    struct cache_part_at *grown = realloc(p->states, count * sizeof *grown);
    if (grown == NULL)
        return false;
    for (size_t i = p->count; i < count; i++)
        grown[i] = (struct cache_part_at){.state = CACHE_PART_NONE};
    p->states = grown;
    p->count = count;
    return true;
}

/* NULL: memory is short. */
static struct cache_part *parts_new(struct cache_parts *p, size_t index, struct slice key)
{
    struct cache_part *part = parts_have(p, index) ? calloc(1, sizeof *part + key.len) : NULL;
    if (part == NULL)
        return NULL;
    part->parts = p;
    part->node = p->node;
    part->index = index;
    part->key_len = key.len;
    memcpy(part->key, key.ptr, key.len);
    part->next = p->out;
    if (p->out != NULL)
        p->out->prev = part;
    p->out = part;
    p->out_count++;
    return part;
}

void cache_parts_send(struct cache_parts *p, size_t index, uint32_t owner,
                      const struct slice *words, size_t count, bool writes)
{
    uint64_t now = uv_now(p->node->loop);
    struct cache_part *part = parts_new(p, index, words[1]);
    if (part == NULL) {
        snprintf(p->why, sizeof p->why, "%s", PARTS_SHORT);
        return;
    }
    bool again = p->states[index].state == CACHE_PART_AGAIN;
    part->owner = owner;
    part->writes = writes;
    part->stores = slice_is(words[0], "PLATOON.DUMP") && count == 4;
    if (p->node->reads != NULL && slice_is(words[0], "PLATOON.COPY"))
        part->asked = cache_reads_ask(p->node->reads);
    parts_wrote(part);
    struct cache_forward_way way = {.owner = owner,
                                    .timeout_ms = p->deadline_ms > now ? p->deadline_ms - now : 1,
                                    .again = again};
    const char *why =
        cache_forward_send(p->node->forward, &way, words, count, parts_on_answer, part);
    p->states[index].state = CACHE_PART_OUT;
    if (why == NULL)
        return;
    parts_leave(part);
    if (why[0] == '-')
        parts_answered(p, part, slice_of(why));
    else
        parts_not_answered(p, part, false, why);
    free(part);
}

uint64_t cache_parts_pause(const struct cache_parts *p)
{
    bool some = p->again || p->rests;
    if (!some || (p->tries <= PARTS_AT_ONCE && !p->unreached))
        return 0;
    uint64_t pause = PARTS_PAUSE_MS << (p->tries < 5 ? p->tries : 5);
    return pause < PARTS_PAUSE_MAX ? pause : PARTS_PAUSE_MAX;
}

/* ---- all of a call's ---- */

enum cache_part_state cache_parts_state(const struct cache_parts *p, size_t index)
{
    return index < p->count ? p->states[index].state : CACHE_PART_NONE;
}

struct cache_parts *cache_parts_new(struct cache_node *n, uint64_t deadline_ms,
                                    void (*go)(void *ctx), void *ctx)
{
    struct cache_parts *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->node = n;
    p->deadline_ms = deadline_ms;
    p->go = go;
    p->ctx = ctx;
    return p;
}

void cache_parts_free(struct cache_parts *p)
{
    if (p == NULL)
        return;
    while (p->out != NULL)
        parts_leave(p->out);
    free(p->states);
    buffer_fini(&p->value);
    free(p);
}
