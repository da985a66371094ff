/* cache_hold.c: see cache_hold.h. */
#include "workers/cache/cache_hold.h"

#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_owner.h"
#include "workers/cache/cache_reads_command.h"
#include "workers/cache/command/command_keys.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_transaction.h"

#include <stdlib.h>

#define HOLD_ROUNDS     8 /* over all keys of a command, when some are gone again by the end of each */
#define HOLD_COMMANDS   64   /* read ahead */
#define HOLD_LOOK_BELOW 32   /* looked again when fewer are left */
#define HOLD_LINE_MAX   1024 /* an inline command that is read ahead */

struct cache_held {
    struct cache_parked parked; /* the first */
    struct cache_client *client;
    struct command_queued *command;
    struct command_keys at, ahead; /* what is looked at; what is loaded before it is needed */
    size_t looked, begun;          /* keys of this round behind them */
    size_t bytes;                  /* of the objects of those that were looked at */
    struct slice key;              /* the one that was waited for */
    unsigned rounds;
    bool missed; /* some key of this round was not known */
    bool stored; /* it waited until an object was stored, and it is */
    bool told;   /* it waited to be told whose its key is, and was: parked.owner */
    void (*tell)(struct cache_client *c, const struct cache_member_owner *owner);
    bool refused; /* `why` says it */
    char why[CACHE_PARK_WHY_SIZE];
};

/* ---- waiting ---- */

static void hold_on_go(struct cache_parked *p, const char *refused)
{
    struct cache_held *held = (struct cache_held *)p;
    held->refused = refused != NULL;
    if (refused != NULL)
        snprintf(held->why, sizeof held->why, "%s", refused);
    held->stored = p->what == CACHE_PARKED_STORED;
    held->told = p->what == CACHE_PARKED_OWNER;
    held->client->parked = 0;
    cache_client_go_on(held->client);
}

static void hold_round(struct cache_held *held)
{
    const struct command_queued *q = held->command;
    command_keys_start(&held->at, held->client, q->command, q->words, q->count);
    held->ahead = held->at;
    held->looked = held->begun = held->bytes = 0;
    held->missed = false;
}

/* Of another node's command not longer than that one waits for it. */
static uint64_t hold_time(const struct cache_client *c, uint64_t timeout_ms)
{
    uint64_t now = uv_now(c->node->loop);
    if (c->until_ms == 0)
        return timeout_ms;
    uint64_t left = c->until_ms > now ? c->until_ms - now : 1;
    return timeout_ms == 0 || left < timeout_ms ? left : timeout_ms;
}

/* NULL: memory is short, or too much waits. */
static struct cache_held *hold_new(struct cache_client *c, const struct cache_command *command,
                                   const struct slice *words, size_t count, uint64_t timeout_ms)
{
    struct cache_held *held = calloc(1, sizeof *held);
    if (held == NULL)
        return NULL;
    held->command = command_queued_new(command, words, count);
    if (held->command == NULL || !cache_node_may_wait(c->node, held->command->bytes)) {
        free(held->command);
        free(held);
        return NULL;
    }
    c->node->waiting += held->command->bytes;
    held->client = c;
    c->held = held;
    cache_park_begin(c->node->park, &held->parked, hold_time(c, timeout_ms), hold_on_go);
    hold_round(held);
    return held;
}

static enum cache_hold hold_waits(struct cache_client *c)
{
    c->parked = 1;
    return CACHE_HOLD_WAITS;
}

static enum cache_hold hold_refuse(struct cache_client *c, const char *why)
{
    resp_error(&c->reply, "%s", why);
    return CACHE_HOLD_REFUSED;
}

/* What the client had sent by then does not wait as long again. */
static enum cache_hold hold_refuse_held(struct cache_held *held)
{
    if (cache_park_is_over(&held->parked))
        held->client->late = held->client->in.len;
    return hold_refuse(held->client, held->why);
}

/* Why there is none. */
static void hold_none(struct cache_client *c, const struct slice *words, size_t count)
{
    size_t bytes = sizeof(struct command_queued) + count * sizeof *words;
    for (size_t i = 0; i < count; i++)
        bytes += words[i].len;
    command_fault(c, cache_node_may_wait(c->node, bytes) ? CACHE_FAULT_MEMORY : CACHE_FAULT_OOM);
}

/* The one there is, or a new one. NULL: memory is short, or too much waits, and the error is written. */
static struct cache_held *hold_get(struct cache_client *c, const struct cache_command *command,
                                   const struct slice *words, size_t count)
{
    struct cache_held *held = c->held != NULL ? c->held : hold_new(c, command, words, count, 0);
    if (held == NULL)
        hold_none(c, words, count);
    return held;
}

/* ---- keys ---- */

/* Of a bounded read that asks nobody there is a copy. */
static bool hold_knows(const struct cache_client *c, struct slice key)
{
    return c->reads == CACHE_STRONG     ? cache_db_knows(c->node->db, key)
           : c->reads == CACHE_EVENTUAL ? cache_reads_knows(c->node->reads, key)
                                        : true;
}

/* Whether it becomes a copy. */
static bool hold_copies(const struct cache_client *c, struct slice key)
{
    return c->reads == CACHE_EVENTUAL && !cache_reads_owns(c->node->reads, key);
}

static bool hold_load(struct cache_held *held, struct slice key)
{
    return hold_copies(held->client, key) ? cache_park_copy(&held->parked, key, held->why)
                                          : cache_park_load(&held->parked, key, held->why);
}

static void hold_ahead(const struct cache_node *n, enum cache_consistency how, struct slice key)
{
    if (how == CACHE_EVENTUAL)
        cache_park_ahead_copy(n->park, key);
    else
        cache_park_ahead(n->park, key);
}

/* Loads are begun for the keys behind the one that is waited for. */
static void hold_load_ahead(struct cache_held *held)
{
    struct slice key;
    while (held->begun < held->looked + CACHE_PARK_AHEAD && command_keys_next(&held->ahead, &key)) {
        held->begun++;
        if (held->begun > held->looked)
            hold_ahead(held->client->node, held->client->reads, key);
    }
}

/* A key that was known when it was looked at is not any more. */
static bool hold_has_lost(const struct cache_held *held)
{
    const struct command_queued *q = held->command;
    struct command_keys keys;
    struct slice key;
    command_keys_start(&keys, held->client, q->command, q->words, q->count);
    for (size_t left = held->looked; left > 0 && command_keys_next(&keys, &key); left--)
        if (!hold_knows(held->client, key))
            return true;
    return false;
}

/*
 * What came for it so far was more than memory has, and some of it is gone again: so it will be, however often it is
 * loaded. When none is gone, keys came twice.
 */
static bool hold_is_too_much(struct cache_held *held, struct slice key)
{
    const struct cache_node *n = held->client->node;
    const struct cache_object *o = cache_db_peek(n->db, key);
    held->bytes += o != NULL ? o->value_len : 0;
    if (held->bytes <= n->options.memory_max)
        return false;
    held->bytes = 0;
    return hold_has_lost(held);
}

static enum cache_hold hold_refuse_too_much(struct cache_held *held)
{
    cache_park_too_much(held->client->node->park, held->why);
    return hold_refuse(held->client, held->why);
}

/* GO: all of this round were known when they were looked at. */
static enum cache_hold hold_look(struct cache_held *held)
{
    struct cache_client *c = held->client;
    struct slice key = held->key;
    held->key = slice_of("");
    if (key.len > 0 && hold_is_too_much(held, key))
        return hold_refuse_too_much(held);
    while (command_keys_next(&held->at, &key)) {
        held->looked++;
        bool known = hold_knows(c, key);
        if (known && hold_is_too_much(held, key))
            return hold_refuse_too_much(held);
        if (known)
            continue;
        held->missed = true;
        if (!hold_load(held, key))
            return hold_refuse_held(held);
        held->key = key;
        hold_load_ahead(held);
        return hold_waits(c);
    }
    return CACHE_HOLD_GO;
}

/* Round by round, until one finds all of them known at once. */
static enum cache_hold hold_go_on(struct cache_held *held)
{
    for (;;) {
        enum cache_hold result = hold_look(held);
        if (result != CACHE_HOLD_GO || !held->missed)
            return result;
        if (++held->rounds == HOLD_ROUNDS)
            return hold_refuse_too_much(held);
        held->parked.lost = hold_has_lost(held);
        hold_round(held);
    }
}

/* EXEC will need them. */
static void hold_ahead_of(struct cache_client *c, struct command_keys *keys)
{
    struct slice key;
    for (size_t left = CACHE_PARK_AHEAD; left > 0 && command_keys_next(keys, &key); left--)
        cache_park_ahead(c->node->park, key);
}

/* Of what came before a command of its was refused: it has waited already. */
static bool hold_is_late(const struct cache_client *c, struct slice key)
{
    struct cache_loads *loads =
        hold_copies(c, key) ? cache_reads_loads(c->node->reads) : cache_park_loads(c->node->park);
    return c->late > 0 && (cache_loads_trouble(loads)[0] != '\0' || cache_load_is_slow(loads, key));
}

/* `key`: the first of its keys that is not known. */
static enum cache_hold hold_begin(struct cache_client *c, const struct cache_command *command,
                                  const struct slice *words, size_t count, struct slice key)
{
    char why[CACHE_PARK_WHY_SIZE];
    if (hold_is_late(c, key)) {
        cache_park_refuse(c->node->park, why);
        return hold_refuse(c, why);
    }
    if (c->late > 0 && cache_db_room(c->node->db) != CACHE_OK) {
        command_fault(c, CACHE_FAULT_OOM);
        return CACHE_HOLD_REFUSED;
    }
    struct cache_held *held = hold_get(c, command, words, count);
    return held != NULL ? hold_go_on(held) : CACHE_HOLD_REFUSED;
}

enum cache_hold cache_hold_keys(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    if (!command_has_keys(c, command) || c->multi_bad)
        return CACHE_HOLD_GO;
    command_keys_start(&keys, c, command, words, count);
    if (c->multi && command->run != command_exec) {
        if ((command->flags & COMMAND_AT_ONCE) == 0)
            hold_ahead_of(c, &keys);
        return CACHE_HOLD_GO; /* of WATCH: it is refused */
    }
    if (c->held != NULL)
        return hold_go_on(c->held);
    while (command_keys_next(&keys, &key))
        if (!hold_knows(c, key))
            return hold_begin(c, command, words, count, key);
    return CACHE_HOLD_GO;
}

/* ---- room, and the store ---- */

enum cache_hold cache_hold_room(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count)
{
    if (c->held == NULL && c->late > 0) {
        command_fault(c, CACHE_FAULT_OOM);
        return CACHE_HOLD_REFUSED;
    }
    struct cache_held *held = hold_get(c, command, words, count);
    if (held == NULL)
        return CACHE_HOLD_REFUSED;
    if (!cache_park_room(&held->parked, held->why))
        return hold_refuse_held(held);
    return hold_waits(c);
}

enum cache_hold cache_hold_cell(struct cache_client *c, const struct cache_command *command,
                                const struct slice *words, size_t count, uint64_t cell)
{
    char why[CACHE_PARK_WHY_SIZE];
    if (c->from != 0 && cache_member_is_withheld(c->node->member, cell))
        return hold_refuse(c, CACHE_OWNER_WAITS "the object's owner changes: ask again");
    if (c->held == NULL && c->late > 0 && !cache_member_serves(c->node->member)) {
        cache_park_refuse_ring(c->node->park, why);
        return hold_refuse(c, why);
    }
    struct cache_held *held = hold_get(c, command, words, count);
    if (held == NULL)
        return CACHE_HOLD_REFUSED;
    if (!cache_park_cell(&held->parked, cell, held->why))
        return hold_refuse_held(held);
    return hold_waits(c);
}

enum cache_hold cache_hold_again(struct cache_client *c, const struct command_queued *q,
                                 uint64_t timeout_ms)
{
    if (hold_new(c, q->command, q->words, q->count, timeout_ms) != NULL)
        return CACHE_HOLD_GO;
    hold_none(c, q->words, q->count);
    return CACHE_HOLD_REFUSED;
}

/* It waits, or its error is written. */
static enum cache_hold hold_parked(struct cache_held *held, bool waits)
{
    struct cache_client *c = held->client;
    if (waits)
        return hold_waits(c);
    resp_error(&c->reply, "%s", held->why);
    cache_hold_free(cache_hold_take(c));
    return CACHE_HOLD_REFUSED;
}

enum cache_hold cache_hold_stored(struct cache_client *c, const struct cache_command *command,
                                  const struct slice *words, size_t count, uint64_t timeout_ms)
{
    char why[CACHE_PARK_WHY_SIZE];
    if (c->late > 0 && cache_behind_trouble(c->node->behind)[0] != '\0') {
        cache_park_refuse(c->node->park, why);
        return hold_refuse(c, why);
    }
    struct cache_held *held = hold_new(c, command, words, count, timeout_ms);
    if (held != NULL)
        return hold_parked(held,
                           cache_park_stored(&held->parked, held->command->words[1], held->why));
    hold_none(c, words, count);
    return CACHE_HOLD_REFUSED;
}

enum cache_hold cache_hold_owner(struct cache_client *c, const struct cache_command *command,
                                 const struct slice *words, size_t count,
                                 void (*tell)(struct cache_client *c,
                                              const struct cache_member_owner *owner))
{
    struct cache_held *held = hold_new(c, command, words, count, 0);
    if (held != NULL) {
        held->tell = tell;
        return hold_parked(held, cache_park_owner(&held->parked, words[1], held->why));
    }
    hold_none(c, words, count);
    return CACHE_HOLD_REFUSED;
}

/* ---- the end ---- */

struct command_queued *cache_hold_command(const struct cache_client *c)
{
    return c->held != NULL && c->parked == 0 ? c->held->command : NULL;
}

enum cache_hold cache_hold_came(struct cache_client *c)
{
    struct cache_held *held = c->held;
    if (held->refused)
        return hold_refuse_held(held);
    if (held->told)
        held->tell(c, &held->parked.owner);
    else if (held->stored)
        resp_i64(&c->reply, 1);
    else
        return CACHE_HOLD_GO;
    return CACHE_HOLD_DONE;
}

uint64_t cache_hold_deadline(const struct cache_client *c)
{
    return c->held != NULL ? c->held->parked.deadline_ms : 0;
}

struct cache_held *cache_hold_take(struct cache_client *c)
{
    struct cache_held *held = c->held;
    c->held = NULL;
    return held;
}

void cache_hold_move(struct cache_client *from, struct cache_client *to)
{
    to->held = cache_hold_take(from);
    to->parked = from->parked;
    from->parked = 0;
    to->held->client = to;
}

void cache_hold_free(struct cache_held *held)
{
    if (held == NULL)
        return;
    held->client->node->waiting -= held->command->bytes;
    free(held->command);
    free(held);
}

void cache_hold_forget(struct cache_client *c)
{
    struct cache_held *held = cache_hold_take(c);
    if (held != NULL)
        cache_park_leave(&held->parked);
    cache_hold_free(held);
}

/* ---- looking ahead ---- */

struct hold_look {
    struct cache_client *client;
    struct resp_request request;
    size_t at;   /* of cache_client.in */
    size_t left; /* keys that may still be loaded */
};

/* One that came as a line: read as a copy, for its quotes are taken away where it stands. */
static enum resp_result hold_read_line(struct hold_look *l, const struct resp_limits *limits,
                                       size_t *used, char line[HOLD_LINE_MAX])
{
    const struct buffer *in = &l->client->in;
    size_t len = in->len - l->at < HOLD_LINE_MAX ? in->len - l->at : HOLD_LINE_MAX;
    const char *error;
    memcpy(line, in->data + l->at, len);
    return resp_request_read(&l->request, limits, line, len, used, &error);
}

/* The next command; false: there is none that is whole and right. */
static bool hold_read(struct hold_look *l, char line[HOLD_LINE_MAX])
{
    struct resp_limits limits = {.words_max = HOLD_COMMANDS * CACHE_PARK_AHEAD,
                                 .word_max = l->client->node->options.object_max,
                                 .trusted = true};
    const struct buffer *in = &l->client->in;
    size_t used = 0;
    const char *error;
    l->request.at = 0;
    enum resp_result result = in->data[l->at] == '*'
                                  ? resp_request_read(&l->request, &limits, in->data + l->at,
                                                      in->len - l->at, &used, &error)
                                  : hold_read_line(l, &limits, &used, line);
    l->at += used;
    return result == RESP_REQUEST_WHOLE;
}

/* Words before the command, where another node's client has sent it. */
static size_t hold_wrap(const struct cache_client *c, const struct slice *words, size_t count)
{
    bool wrapped = c->node->member != NULL && count > CACHE_OWNER_FOR_WORDS &&
                   command_is(words[0], CACHE_OWNER_FOR);
    return wrapped ? CACHE_OWNER_FOR_WORDS : 0;
}

/* What needs nothing of the store needs to be ours all the same: whose its keys are is asked at once, too. */
static void hold_ask_at(struct hold_look *l, const struct cache_command *command,
                        const struct slice *words, size_t count)
{
    struct command_keys keys;
    struct slice key;
    command_keys_start_all(&keys, NULL, command, words, count);
    while (l->left > 0 && command_keys_next(&keys, &key)) {
        l->left--;
        cache_member_look_ahead(l->client->node->member, key);
    }
}

static void hold_look_at(struct hold_look *l, const struct slice *words, size_t count)
{
    size_t wrap = hold_wrap(l->client, words, count);
    words += wrap;
    count -= wrap;
    const struct cache_command *container,
        *command = count > 0
                       ? command_named(l->client->node->commands->table, words, count, &container)
                       : NULL;
    struct command_keys keys;
    struct slice key;
    uint64_t ms;
    if (command == NULL || !command_takes(command, count))
        return;
    enum cache_consistency how = cache_reads_asked(l->client, command, words, count, &ms);
    command_keys_start(&keys, NULL, command, words, count);
    size_t left = l->left;
    while (l->left > 0 && command_keys_next(&keys, &key)) {
        l->left--;
        if (wrap == 0 || cache_member_owns(l->client->node->member, key)) /* not claimed */
            hold_ahead(l->client->node, how, key);
    }
    if (wrap == 0 && l->left == left && l->client->node->member != NULL)
        hold_ask_at(l, command, words, count);
}

void cache_hold_ahead(struct cache_client *c, const struct slice *words, size_t count)
{
    struct hold_look l = {.client = c, .left = CACHE_PARK_AHEAD};
    hold_look_at(&l, words, count);
}

void cache_hold_look_ahead(struct cache_client *c)
{
    char line[HOLD_LINE_MAX];
    const struct cache_held *held = c->held;
    if (held == NULL || c->parked == 0 || c->in.len == 0 || !c->trusted ||
        c->ahead >= HOLD_LOOK_BELOW || cache_park_is_stopping(c->node->park))
        return;
    size_t begun = held->begun > held->looked ? held->begun - held->looked : 0;
    struct hold_look l = {.client = c, .left = CACHE_PARK_AHEAD - begun};
    unsigned count = 0;
    while (count < HOLD_COMMANDS && l.left > 0 && l.at < c->in.len && hold_read(&l, line)) {
        hold_look_at(&l, l.request.words, l.request.count);
        count++;
    }
    c->ahead = count;
    resp_request_fini(&l.request);
}
