/* cache_forward.c: see cache_forward.h. */
#include "workers/cache/cache_forward_private.h"

#include "workers/cache/cache_reads_command.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_transaction.h"

#include <stdlib.h>

#define FORWARD_OF_CLIENT                                                                          \
    "ERR what is about the connection (CLIENT, HELLO, AUTH, READONLY, READWRITE) is not allowed "  \
    "in a transaction of another node's objects: send it before MULTI"

/* ---- slots ---- */

/* How long it may take: as long as anything, or as PLATOON.DUMP … WAIT says. */
static uint64_t forward_patience(const struct command_queued *q, const struct cache_forward *f)
{
    int64_t ms = 0;
    bool given = q->command->run == command_platoon_dump && q->count == 4 &&
                 command_read_i64(q->words[3], &ms) && ms > 0 && (uint64_t)ms < f->timeout_ms;
    return given ? (uint64_t)ms : f->timeout_ms;
}

/* What is left of its time, counted from when it came: it may have waited, or been away before. */
static uint64_t forward_deadline(const struct cache_client *c, const struct command_queued *q)
{
    const struct cache_forward *f = c->node->forward;
    uint64_t held = cache_hold_deadline(c), own = uv_now(f->node->loop) + forward_patience(q, f);
    return held != 0 && held < own ? held : own;
}

/* What is away waits as what is held here does, and counts as that; one that is looked at again did before. */
static bool forward_has_room(const struct cache_client *c, const struct command_queued *q)
{
    bool redo = c->away != NULL && c->away->redo != NULL;
    return q == NULL || redo || cache_node_may_wait(c->node, q->bytes);
}

/* NULL: memory is short. Most have one part. */
static struct forward_slot *forward_slot_take(struct cache_forward *f, size_t parts)
{
    if (parts != 1)
        return calloc(1, sizeof(struct forward_slot) + parts * sizeof(struct forward_part));
    struct forward_slot *s = spares_take(&f->spares);
    if (s != NULL)
        memset(s, 0, f->spares.size);
    return s;
}

static struct forward_slot *forward_slot_new(struct cache_client *c, struct command_queued *q,
                                             size_t parts)
{
    struct cache_forward *f = c->node->forward;
    bool room = forward_has_room(c, q);
    struct forward_slot *s = room ? forward_slot_take(f, parts) : NULL;
    if (c->away == NULL && s != NULL && q != NULL)
        c->away = calloc(1, sizeof *c->away);
    if (s == NULL || q == NULL || c->away == NULL) {
        free(q);
        free(s);
        command_fault(c, room ? CACHE_FAULT_MEMORY : CACHE_FAULT_OOM);
        return NULL;
    }
    s->node = c->node;
    forward_charge(s, q->bytes);
    s->forward = f;
    s->spare = parts == 1;
    s->client = c;
    s->command = q;
    s->out = parts;
    s->deadline_ms = forward_deadline(c, q);
    s->tries = c->away->redo != NULL ? c->away->redo->tries : 0;
    s->again = s->tries > 0 && !c->away->redo->waits;
    s->waited_at = s->tries > 0 ? c->away->redo->waited_at : 0;
    s->sum = s->tries > 0 ? c->away->redo->sum : 0;
    s->hushed = c->reply_off || c->reply_skip;
    for (size_t i = 0; i < parts; i++)
        s->parts[i] = (struct forward_part){.slot = s, .index = i};
    if (f->node->reads != NULL)
        cache_reads_wrote(f->node->reads, NULL, q->command, q->words, q->count);
    return s;
}

static void forward_append(struct cache_away *a, struct forward_slot *s)
{
    *(a->last != NULL ? &a->last->next : &a->first) = s;
    a->last = s;
}

/* Behind the client's others; one that is looked at again, before them. */
static void forward_link(struct cache_client *c, struct forward_slot *s)
{
    struct cache_away *a = c->away;
    a->owner = a->count == 0 || a->out == 0 ? s->owner : a->owner;
    a->count++;
    a->out++;
    if (a->redo != NULL) {
        s->next = a->first;
        a->first = s;
        a->last = a->last != NULL ? a->last : s;
    } else {
        forward_append(a, s);
    }
}

void cache_forward_behind(struct cache_client *c, size_t from)
{
    struct cache_away *a = c->away;
    struct buffer *out = &c->reply.out;
    if (a == NULL || a->first == NULL || a->redo != NULL || !buffer_ok(out) || out->len == from)
        return;
    struct forward_slot *s = calloc(1, sizeof *s);
    if (s == NULL) {
        out->failed = true; /* it ends with its turn */
        return;
    }
    buffer_append(&s->answer, out->data + from, out->len - from);
    out->len = from;
    s->client = c;
    s->state = FORWARD_ANSWERED;
    a->count++;
    forward_append(a, s);
}

/* ---- sending ---- */

static void forward_drain(struct cache_client *c);

/* One part of one is answered, or is not. */
static void forward_on_answer(enum cache_peer_result result, struct slice answer, const char *why,
                              void *ctx)
{
    struct forward_part *part = ctx;
    struct forward_slot *s = part->slot;
    if (!forward_take(result, answer, why, part))
        return;
    if (s->sent)
        forward_drain(s->client);
    else
        forward_later(s->client, 0);
}

/* NULL, or why not: words for an error. */
static const char *forward_send(struct forward_slot *s, size_t part, uint32_t owner,
                                const struct slice *words, size_t count)
{
    uint64_t now = uv_now(s->forward->node->loop);
    struct cache_forward_way way = {.owner = owner,
                                    .lane = s->client->id,
                                    .timeout_ms = s->deadline_ms > now ? s->deadline_ms - now : 1,
                                    .again = s->again,
                                    .late = s->client->late > 0};
    s->parts[part].owner = owner;
    return cache_forward_send(s->forward, &way, words, count, forward_on_answer, &s->parts[part]);
}

/* What was not sent at all surely did not run; what never can be is not tried again. */
static void forward_not_sent(struct forward_slot *s, size_t part, const char *why)
{
    if (why[0] == '-')
        forward_on_answer(CACHE_PEER_ANSWERED, slice_of(why), "", &s->parts[part]);
    else
        forward_on_answer(CACHE_PEER_AWAY, slice_of(""), why, &s->parts[part]);
}

/* It stands for the one that was looked at again. */
static void forward_is_sent(struct cache_client *c, struct forward_slot *s)
{
    struct forward_slot *redo = c->away->redo;
    s->sent = true;
    c->away->redo = NULL;
    if (redo != NULL)
        forward_free_slot(redo);
}

/* Its client waits for it; it sends these words. */
static enum cache_hold forward_one(struct cache_client *c, struct forward_slot *s,
                                   const struct slice *words, size_t count, uint32_t owner)
{
    s->owner = owner;
    forward_link(c, s);
    const char *why = forward_send(s, 0, owner, words, count);
    if (why != NULL)
        forward_not_sent(s, 0, why);
    forward_is_sent(c, s);
    return CACHE_HOLD_AWAY;
}

/* Takes the copy. */
static enum cache_hold forward_whole(struct cache_client *c, struct command_queued *q,
                                     uint32_t owner)
{
    struct forward_slot *s = forward_slot_new(c, q, 1);
    return s != NULL ? forward_one(c, s, q->words, q->count, owner) : CACHE_HOLD_REFUSED;
}

enum cache_hold cache_forward_whole(struct cache_client *c, const struct cache_command *command,
                                    const struct slice *words, size_t count, uint32_t owner)
{
    return forward_whole(c, command_queued_new(command, words, count), owner);
}

enum cache_hold cache_forward_exec(struct cache_client *c, uint32_t owner)
{
    if ((command_queued_flags(c) & COMMAND_OF_CLIENT) != 0) {
        resp_error(&c->reply, "%s", FORWARD_OF_CLIENT);
        return CACHE_HOLD_REFUSED;
    }
    struct command_queued *q = command_exec_words(c);
    enum cache_hold result = forward_whole(c, q, owner);
    if (result == CACHE_HOLD_AWAY)
        command_forget(c);
    return result;
}

enum cache_hold cache_forward_copy(struct cache_client *c, const struct cache_command *command,
                                   const struct slice *words, size_t count, uint32_t owner)
{
    struct slice asked[] = {slice_of("PLATOON.COPY"), words[command->first]};
    struct forward_slot *s = forward_slot_new(c, command_queued_new(command, words, count), 1);
    if (s == NULL)
        return CACHE_HOLD_REFUSED;
    s->copied = cache_reads_ask(c->node->reads);
    return forward_one(c, s, asked, 2, owner);
}

static const char *forward_send_part(struct forward_slot *s, size_t part, const struct slice *words)
{
    size_t count = cache_split_count(&s->split, part);
    struct slice *own = malloc(count * sizeof *own);
    if (own == NULL)
        return "the system has no more memory for this node";
    cache_split_words(&s->split, part, words, own);
    const char *why = forward_send(s, part, s->split.parts[part].owner, own, count);
    free(own);
    return why;
}

enum cache_hold cache_forward_parts(struct cache_client *c, const struct cache_command *command,
                                    const struct slice *words, size_t count,
                                    struct cache_split *split)
{
    struct forward_slot *s =
        forward_slot_new(c, command_queued_new(command, words, count), split->count);
    if (s == NULL) {
        cache_split_fini(split);
        return CACHE_HOLD_REFUSED;
    }
    s->split = *split;
    *split = (struct cache_split){0};
    forward_link(c, s);
    for (size_t i = 0, parts = s->split.count; i < parts; i++) {
        const char *why = forward_send_part(s, i, s->command->words);
        if (why != NULL)
            forward_not_sent(s, i, why);
    }
    forward_is_sent(c, s);
    return CACHE_HOLD_AWAY;
}

/* ---- a client's order ---- */

/* It asks no other node, so it would be done at once. */
static bool forward_stays(const struct cache_client *c, const struct cache_command *command,
                          const struct slice *words, size_t count)
{
    struct cache_reads *reads = c->node->reads;
    uint64_t ms;
    enum cache_consistency how = cache_reads_asked(c, command, words, count, &ms);
    return how == CACHE_EVENTUAL ||
           (how == CACHE_BOUNDED && cache_reads_is_fresh(reads, words[command->first], ms));
}

bool cache_forward_may_join(struct cache_client *c, const struct cache_command *command,
                            const struct slice *words, size_t count)
{
    const struct cache_away *a = c->away;
    struct command_keys keys;
    struct slice key;
    size_t same = 0;
    if (command == NULL || !command_takes(command, count) || !c->trusted || c->large || c->multi ||
        (command->flags & COMMAND_AT_ONCE) != 0 || command_is_crooked(command, count) ||
        a->owner == 0 || a->out != a->count || a->count >= FORWARD_AWAY_MAX || a->redo != NULL ||
        forward_stays(c, command, words, count))
        return false;
    command_keys_start_all(&keys, c, command, words, count);
    for (; command_keys_next(&keys, &key); same++)
        if (cache_stray_may_be(key) || cache_member_owner(c->node->member, key) != a->owner)
            return false;
    return same > 0;
}

static void forward_reply(struct cache_client *c, struct forward_slot *s)
{
    if (!s->hushed)
        buffer_append_slice(&c->reply.out, buffer_slice(&s->answer));
    c->reply.out.failed = c->reply.out.failed || !buffer_ok(&s->answer);
}

/* The first of them leaves. */
static struct forward_slot *forward_pop(struct cache_away *a)
{
    struct forward_slot *s = a->first;
    a->first = s->next;
    a->last = a->first != NULL ? a->last : NULL;
    a->count--;
    return s;
}

static void forward_flush(struct cache_client *c)
{
    struct cache_away *a = c->away;
    while (a->first != NULL && a->first->state == FORWARD_ANSWERED && a->redo == NULL) {
        struct forward_slot *s = forward_pop(a);
        forward_reply(c, s);
        forward_free_slot(s);
    }
}

/* Nothing of it is away any more. */
static void forward_settle(struct cache_client *c)
{
    forward_unpause(c);
    free(c->away);
    c->away = NULL;
    c->stalled = false;
}

void cache_forward_go_on(struct cache_client *c)
{
    struct cache_away *a = c->away;
    if (a == NULL)
        return;
    if (a->redo != NULL) {
        forward_free_slot(a->redo);
        a->redo = NULL;
    }
    forward_flush(c);
    if (a->first == NULL)
        forward_settle(c);
    else if (a->out == 0)
        forward_later(c, 0);
}

static void forward_drain(struct cache_client *c)
{
    struct cache_turn *t = &c->node->turn;
    cache_turn_begin(t);
    cache_turn_lend(t, &c->reply.out);
    forward_flush(c);
    cache_turn_ready(c);
    struct cache_away *a = c->away;
    if (a->redo != NULL)
        return;
    if (a->first == NULL) {
        forward_settle(c);
        cache_client_go_on(c);
    } else if (a->out == 0) {
        forward_again(c);
    }
}

void cache_forward_forget(struct cache_client *c)
{
    struct cache_away *a = c->away;
    if (a == NULL)
        return;
    forward_unpause(c);
    if (a->redo != NULL)
        forward_free_slot(a->redo);
    while (a->first != NULL) {
        struct forward_slot *s = forward_pop(a);
        s->client = NULL;
        if (s->state != FORWARD_OUT)
            forward_free_slot(s);
    }
    free(a);
    c->away = NULL;
}

/* ---- life ---- */

uint64_t cache_forward_count(const struct cache_forward *f)
{
    return f->count;
}

struct cache_forward *cache_forward_new(struct cache_node *n, struct cache_peers *peers,
                                        uint64_t timeout_ms)
{
    struct cache_forward *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->node = n;
    f->spares =
        SPARES(sizeof(struct forward_slot) + sizeof(struct forward_part), FORWARD_SPARES_MAX);
    f->peers = peers;
    f->timeout_ms = timeout_ms;
    f->timer.data = f;
    f->drain = forward_drain;
    f->go_on = cache_forward_go_on;
    uv_timer_init(n->loop, &f->timer);
    return f;
}

static void forward_on_close(uv_handle_t *handle)
{
    struct cache_forward *f = handle->data;
    spares_fini(&f->spares);
    free(f);
}

void cache_forward_free(struct cache_forward *f)
{
    if (f == NULL)
        return;
    buffer_fini(&f->scratch);
    uv_close((uv_handle_t *)&f->timer, forward_on_close);
}
