/* cache_forward_answer.c: what the answer of another node means. See cache_forward_private.h. */
#include "workers/cache/cache_forward_private.h"

#include "workers/cache/cache_reads_command.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_transaction.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- texts ---- */

void forward_fail(struct forward_slot *s, const char *format, ...)
{
    char text[1024];
    struct resp_reply error = {.version = 2};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    resp_error(&error, "%s", text);
    buffer_fini(&s->answer);
    s->answer = error.out;
    s->state = FORWARD_ANSWERED;
}

/* From one token to the next: a line, and what it says that follows. Beyond the end where it is none. */
static size_t forward_token(struct slice answer, size_t at)
{
    const char *end = memchr(answer.ptr + at, '\n', answer.len - at);
    size_t next = end != NULL ? (size_t)(end - answer.ptr) + 1 : answer.len;
    if (answer.ptr[at] != '$' || next - at < 4 || answer.ptr[at + 1] == '-')
        return next;
    size_t len = 0;
    for (size_t i = at + 1; i < next - 2; i++)
        len = 10 * len + (size_t)(answer.ptr[i] - '0');
    return len <= answer.len - next ? next + len + 2 : answer.len;
}

void forward_translate(struct buffer *out, struct slice answer, int version)
{
    if (version == 2) {
        buffer_append_slice(out, answer);
        return;
    }
    for (size_t at = 0, next; at < answer.len; at = next) {
        next = forward_token(answer, at);
        bool nil = next - at == 5 && memcmp(answer.ptr + at + 1, "-1\r\n", 4) == 0 &&
                   (answer.ptr[at] == '$' || answer.ptr[at] == '*');
        if (nil)
            buffer_append_text(out, "_\r\n");
        else
            buffer_append(out, answer.ptr + at, next - at);
    }
}

/* ---- answers ---- */

static bool forward_writes(const struct forward_slot *s)
{
    return (s->command->command->flags & COMMAND_WRITE) != 0;
}

/* Redis is asked again whose its keys are. */
static void forward_moved(struct forward_slot *s, uint32_t owner)
{
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, NULL, s->command->command, s->command->words, s->command->count);
    while (command_keys_next(&keys, &key))
        cache_member_moved(s->forward->node->member, key, owner);
}

/* Behind the pause that is due, that is: what is looked at again has some time left. */
static bool forward_is_over(const struct forward_slot *s)
{
    return uv_now(s->forward->node->loop) + forward_pause(s) >= s->deadline_ms;
}

/* To be looked at again, as long as there is time. */
static void forward_repeat(struct forward_slot *s, const char *why)
{
    if (forward_is_over(s))
        forward_fail(s, "TRYAGAIN %s", why);
    else
        s->state = FORWARD_AGAIN;
}

/*
 * It surely has not run: the object has moved, or its owner, whose other commands would wait behind it, has to wait
 * for something. Redis says as before that it is that one's: it is not asked, and no owner is to claim anew what it
 * has given up meanwhile. Who waits until an object is stored is told so by the answer of the next time.
 */
static void forward_sent_back(struct forward_slot *s, struct slice answer)
{
    char text[512];
    bool waits;
    struct slice why = cache_forward_moved_why(answer, &waits);
    snprintf(text, sizeof text, "%.*s", (int)why.len, why.ptr);
    s->waits = waits;
    s->unreached = s->unreached || waits;
    s->waited_at = waits ? s->parts[0].owner : s->waited_at;
    if (!waits)
        forward_moved(s, s->parts[0].owner);
    forward_repeat(s, text);
}

/* It was not stored when it was asked for first, and is: what PLATOON.DUMP … WAIT would say that had waited there. */
static bool forward_is_stored(const struct forward_slot *s, struct slice answer)
{
    return s->waited_at != 0 && s->command->command->run == command_platoon_dump &&
           slice_is(answer, ":0\r\n");
}

/*
 * Who said that it was not stored gives it up when it is, and not before; but one that is gone may have kept it, and
 * whoever has the object since knows nothing of that.
 */
static const char *forward_stored(const struct forward_slot *s, uint32_t owner)
{
    bool known =
        owner == s->waited_at || cache_member_is_live(s->forward->node->member, s->waited_at);
    return known ? ":1\r\n" : "-" CACHE_FORWARD_NOT_KNOWN "\r\n";
}

/* The next version of an answer to PLATOON.WATCH: a bulk. False: it is none. */
static bool forward_version(struct slice answer, size_t *at, uint64_t *version)
{
    size_t end = *at < answer.len ? forward_token(answer, *at) : *at;
    struct slice token = slice_make(answer.ptr + *at, end - *at);
    const char *line = token.len > 0 ? memchr(token.ptr, '\n', token.len) : NULL;
    size_t head = line != NULL ? (size_t)(line - token.ptr) + 1 : 0;
    if (token.len < 1 || token.ptr[0] != '$' || head == 0 || token.len < head + 3)
        return false;
    *version = 0;
    for (size_t i = head; i < token.len - 2; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9')
            return false;
        *version = 10 * *version + (uint64_t)(token.ptr[i] - '0');
    }
    *at = end;
    return true;
}

/* What it watches is kept by this node; the answer is WATCH's own. An error stays one. */
static void forward_watched(struct forward_slot *s)
{
    struct slice answer = buffer_slice(&s->answer);
    const char *line = answer.len > 0 ? memchr(answer.ptr, '\n', answer.len) : NULL;
    size_t at = line != NULL ? (size_t)(line - answer.ptr) + 1 : 0;
    uint64_t version;
    if (s->state != FORWARD_ANSWERED || s->command->command->run != command_watch ||
        answer.len == 0 || answer.ptr[0] != '*')
        return;
    for (size_t i = 1; i < s->command->count; i++)
        if (!forward_version(answer, &at, &version) ||
            !command_seen_add(s->client, s->command->words[i], version)) {
            forward_fail(s, "OOM the system has no more memory for this node");
            return;
        }
    buffer_clear(&s->answer);
    buffer_append_text(&s->answer, "+OK\r\n");
}

static void forward_take_copy(struct forward_slot *s, struct slice answer)
{
    struct resp_reply reply = {.version = s->client->reply.version};
    struct slice key = s->command->words[s->command->command->first];
    if (!cache_reads_take(s->forward->node->reads, key, answer, s->copied, &reply, NULL)) {
        forward_fail(s, "ERR another node gave no answer to what it was asked for");
        return;
    }
    s->answer = reply.out;
    s->state = FORWARD_ANSWERED;
}

/* To a number that stands at the end of `out`, from there on; what is none (an error) stays as it is. */
static void forward_add(struct buffer *out, size_t from, int64_t sum)
{
    int64_t number = 0;
    if (sum == 0 || !buffer_ok(out) || out->len < from + 4 || out->data[from] != ':' ||
        !command_read_i64(slice_make(out->data + from + 1, out->len - from - 3), &number))
        return;
    out->len = from;
    buffer_printf(out, ":%" PRId64 "\r\n", number + sum);
}

void cache_forward_complete(struct cache_client *c, size_t from)
{
    const struct forward_slot *redo = c->away->redo;
    struct buffer *out = &c->reply.out;
    if (redo == NULL || !buffer_ok(out))
        return;
    if (forward_is_stored(redo, slice_make(out->data + from, out->len - from))) {
        out->len = from;
        buffer_append_text(out, forward_stored(redo, cache_member_incarnation(c->node->member)));
    }
    forward_add(out, from, redo->sum);
}

/*
 * Its owner has let it wait in vain for as long as it may: what its client had sent by then does not wait as long
 * again, there as here.
 */
static void forward_look_late(struct forward_slot *s, struct slice answer)
{
    const struct cache_forward *f = s->forward;
    bool vain = (answer.len > 10 && memcmp(answer.ptr, "-TRYAGAIN ", 10) == 0) ||
                (answer.len > 5 && memcmp(answer.ptr, "-OOM ", 5) == 0);
    uint64_t margin = cache_forward_margin(f->timeout_ms);
    if (vain && uv_now(f->node->loop) + margin >= s->deadline_ms)
        s->client->late = s->client->in.len;
}

static void forward_take_whole(struct forward_slot *s, struct slice answer)
{
    forward_look_late(s, answer);
    if (cache_forward_is_moved(answer)) {
        forward_sent_back(s, answer);
        return;
    }
    if (s->copied.ms != 0 && answer.len > 0 && answer.ptr[0] != '-') {
        forward_take_copy(s, answer);
        return;
    }
    if (forward_is_stored(s, answer))
        answer = slice_of(forward_stored(s, s->parts[0].owner));
    forward_translate(&s->answer, answer, s->client->reply.version);
    forward_add(&s->answer, 0, s->sum);
    s->state = FORWARD_ANSWERED;
}

/* A part that surely has not run, or only reads. */
static void forward_undo(struct forward_slot *s, size_t part, const char *why, size_t len)
{
    char text[1024];
    int written = snprintf(text, sizeof text, "TRYAGAIN %.*s", (int)len, why);
    size_t all = (size_t)written < sizeof text ? (size_t)written : sizeof text - 1;
    cache_split_undo(&s->split, part, slice_make(text, all));
}

static void forward_part_moved(struct forward_slot *s, size_t part, struct slice answer)
{
    bool waits;
    struct slice why = cache_forward_moved_why(answer, &waits);
    s->waits = s->waits || waits;
    s->unreached = s->unreached || waits;
    if (!waits)
        forward_moved(s, s->parts[part].owner);
    forward_undo(s, part, why.ptr, why.len);
}

static void forward_take_part(struct forward_slot *s, size_t part, struct slice answer)
{
    if (cache_forward_is_moved(answer)) {
        forward_part_moved(s, part, answer);
        return;
    }
    int rc = cache_split_take(&s->split, part, answer, FORWARD_ANSWER_MAX);
    if (rc == 0) {
        forward_charge(s, answer.len);
        return;
    }
    cache_split_fail(&s->split, part,
                     slice_of(rc == -EMSGSIZE
                                  ? "ERR the answer is larger than 64 MB: ask for less at a time"
                              : rc == -ENOMEM ? "OOM the system has no more memory for this node"
                                              : "ERR another node gave no answer to its part"));
}

/*
 * It is now what is left of it: the parts that are undone. What the others have done is not done again: DEL would say
 * that there was nothing, MSET undo what was written since. Values are asked for anew, all of them: they only are read,
 * and their order is that of the whole command. False: memory is short.
 */
static bool forward_leave_rest(struct forward_slot *s)
{
    if (s->split.join == CACHE_SPLIT_JOIN_VALUES)
        return true;
    struct slice *words = malloc(s->command->count * sizeof *words);
    size_t count = words != NULL ? cache_split_rest(&s->split, s->command->words, words) : 0;
    struct command_queued *rest =
        words != NULL ? command_queued_new(s->command->command, words, count) : NULL;
    free(words);
    if (rest == NULL)
        return false;
    s->sum += s->split.sum;
    free(s->command);
    s->command = rest;
    return true;
}

/* All parts are answered. */
static void forward_join(struct forward_slot *s)
{
    if (cache_split_may_go_on(&s->split) && !forward_is_over(s) && forward_leave_rest(s)) {
        s->state = FORWARD_AGAIN;
        return;
    }
    struct resp_reply reply = {.version = s->client->reply.version};
    s->split.sum += s->sum;
    cache_split_write(&s->split, &reply);
    s->answer = reply.out;
    s->state = FORWARD_ANSWERED;
}

static void forward_unanswered(struct forward_slot *s, size_t part, bool ran, const char *why)
{
    char text[1024];
    bool unsure = ran && forward_writes(s);
    if (ran && s->command->command->run == command_platoon_dump && s->command->count == 4)
        s->waited_at = s->parts[part].owner;
    snprintf(text, sizeof text, "TRYAGAIN %s%s", why, unsure ? "; it may have been done" : "");
    if (s->owner == 0 && unsure) {
        cache_split_fail(&s->split, part, slice_of(text));
    } else if (s->owner == 0) {
        s->unreached = true;
        forward_undo(s, part, why, strlen(why));
    } else if (unsure) {
        forward_fail(s, "%s", text);
    } else {
        s->unreached = true;
        forward_repeat(s, why);
    }
}

/*
 * What was confirmed before it ran, and came while it was away, is no copy any more: dropped when it was sent (so that
 * nothing older is read meanwhile), and again when it is answered, also when nobody knows whether it ran.
 */
static void forward_wrote(const struct forward_slot *s)
{
    const struct command_queued *q = s->command;
    if (s->forward->node->reads != NULL)
        cache_reads_wrote(s->forward->node->reads, NULL, q->command, q->words, q->count);
}

bool forward_take(enum cache_peer_result result, struct slice answer, const char *why,
                  struct forward_part *part)
{
    struct forward_slot *s = part->slot;
    s->out--;
    if (s->out == 0)
        forward_wrote(s);
    if (s->client == NULL) {
        if (s->out == 0)
            forward_free_slot(s);
        return false;
    }
    if (result != CACHE_PEER_ANSWERED)
        forward_unanswered(s, part->index, result == CACHE_PEER_UNKNOWN, why);
    else if (s->owner != 0)
        forward_take_whole(s, answer);
    else
        forward_take_part(s, part->index, answer);
    if (s->out > 0)
        return false;
    if (s->owner == 0)
        forward_join(s);
    forward_watched(s);
    forward_charge(s, s->answer.len); /* it may be kept behind others */
    s->client->away->out--;
    return true;
}

/* ---- its end ---- */

void forward_charge(struct forward_slot *s, size_t bytes)
{
    s->charged += bytes;
    s->node->waiting += bytes;
}

void forward_free_slot(struct forward_slot *s)
{
    if (s->charged > 0)
        s->node->waiting -= s->charged;
    cache_split_fini(&s->split);
    buffer_fini(&s->answer);
    free(s->command);
    if (s->spare)
        spares_give(&s->forward->spares, s);
    else
        free(s);
}
