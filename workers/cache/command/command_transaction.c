/*
 * command_transaction.c: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * Runs in a cache node. Commands never wait (what EXEC needs is there before it runs), so a transaction is its
 * commands one after the other; nothing comes in between. What is queued and watched is the client's own copy, and
 * counts against the node's memory.
 */
#include "workers/cache/command/command_transaction.h"

#include "workers/cache/cache_member.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_stats.h"

#include <stdlib.h>

/* ---- the queue ---- */

unsigned command_queued_flags(const struct cache_client *c)
{
    return c->queued != NULL ? c->queued->flags : 0;
}

struct command_queued *command_queued_new(const struct cache_command *command,
                                          const struct slice *words, size_t count)
{
    size_t bytes = sizeof(struct command_queued) + count * sizeof(struct slice);
    for (size_t i = 0; i < count; i++)
        bytes += words[i].len;
    struct command_queued *q = malloc(bytes);
    if (q == NULL)
        return NULL;
    *q = (struct command_queued){.command = command, .bytes = bytes, .count = count};
    char *to = (char *)&q->words[count];
    for (size_t i = 0; i < count; i++) {
        memcpy(to, words[i].ptr, words[i].len);
        q->words[i] = slice_make(to, words[i].len);
        to += words[i].len;
    }
    return q;
}

static bool command_queue_add(struct cache_client *c, struct command_queued *q)
{
    if (c->queued == NULL && (c->queued = calloc(1, sizeof *c->queued)) == NULL)
        return false;
    struct cache_queue *queue = c->queued;
    if (queue->last != NULL)
        queue->last->next = q;
    else
        queue->first = q;
    queue->last = q;
    queue->count++;
    queue->flags |= q->command->flags;
    cache_db_charge(c->node->db, (ptrdiff_t)q->bytes);
    return true;
}

static void command_queue_free(struct cache_client *c, struct cache_queue *queue)
{
    for (struct command_queued *q = queue != NULL ? queue->first : NULL, *next; q != NULL;
         q = next) {
        next = q->next;
        cache_db_charge(c->node->db, -(ptrdiff_t)q->bytes);
        free(q);
    }
    free(queue);
}

static bool command_touched(const struct cache_client *c)
{
    for (const struct cache_watch *w = c->watches; w != NULL; w = w->next_of_client)
        if (w->touched)
            return true;
    return false;
}

/* What EXEC will refuse anyway is not kept. */
void command_queue(struct cache_client *c, const struct cache_command *command,
                   const struct slice *words, size_t count)
{
    if (!c->multi_bad && !command_touched(c)) {
        struct command_queued *q = command_queued_new(command, words, count);
        if (q == NULL || !command_queue_add(c, q)) {
            free(q);
            c->multi_bad = true;
            command_fault(c, CACHE_FAULT_MEMORY);
            return;
        }
    }
    resp_status(&c->reply, "QUEUED");
}

/* ---- watching ---- */

static size_t command_watch_bytes(const struct cache_watch *w)
{
    return sizeof *w + w->key.len;
}

static bool command_watches(const struct cache_client *c, struct slice key)
{
    for (const struct cache_watch *w = c->watches; w != NULL; w = w->next_of_client)
        if (slice_equal(w->key, key))
            return true;
    return false;
}

/* By which its cell is this node's; 0: there is no ring. */
static uint64_t command_claim(const struct cache_client *c, struct slice key)
{
    return c->node->member != NULL ? cache_member_claim(c->node->member, key) : 0;
}

/* False: memory is short. */
static bool command_watch_key(struct cache_client *c, struct slice key)
{
    if (command_watches(c, key))
        return true;
    cache_db_peek(c->node->db, key); /* what has expired by now does not touch it later */
    struct cache_watch *w = malloc(sizeof *w + key.len);
    if (w == NULL)
        return false;
    memcpy(w + 1, key.ptr, key.len);
    *w = (struct cache_watch){.next_of_client = c->watches,
                              .key = slice_make(w + 1, key.len),
                              .claim = command_claim(c, key)};
    if (!cache_db_watch(c->node->db, w)) {
        free(w);
        return false;
    }
    cache_db_charge(c->node->db, (ptrdiff_t)command_watch_bytes(w));
    c->watches = w;
    return true;
}

bool command_seen_add(struct cache_client *c, struct slice key, uint64_t version)
{
    struct cache_seen *s = malloc(sizeof *s + key.len);
    if (s == NULL)
        return false;
    memcpy(s + 1, key.ptr, key.len);
    *s =
        (struct cache_seen){.next = c->seen, .version = version, .key = slice_make(s + 1, key.len)};
    cache_db_charge(c->node->db, (ptrdiff_t)(sizeof *s + key.len));
    c->seen = s;
    return true;
}

static void command_unsee_all(struct cache_client *c)
{
    struct cache_seen *s = c->seen;
    c->seen = NULL;
    while (s != NULL) {
        struct cache_seen *next = s->next;
        cache_db_charge(c->node->db, -(ptrdiff_t)(sizeof *s + s->key.len));
        free(s);
        s = next;
    }
}

static void command_unwatch_all(struct cache_client *c)
{
    struct cache_watch *w = c->watches;
    c->watches = NULL;
    command_unsee_all(c);
    while (w != NULL) {
        struct cache_watch *next = w->next_of_client;
        cache_db_unwatch(c->node->db, w);
        cache_db_charge(c->node->db, -(ptrdiff_t)command_watch_bytes(w));
        free(w);
        w = next;
    }
}

void command_watch(struct cache_client *c, const struct slice *words, size_t count)
{
    if (c->multi) {
        resp_error(&c->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 1; i < count && !command_touched(c); i++)
        if (!command_watch_key(c, words[i])) {
            command_fault(c, CACHE_FAULT_MEMORY);
            return;
        }
    resp_status(&c->reply, "OK");
}

void command_unwatch(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    command_unwatch_all(c);
    resp_status(&c->reply, "OK");
}

/* ---- the transaction ---- */

void command_forget(struct cache_client *c)
{
    command_queue_free(c, c->queued);
    c->queued = NULL;
    c->multi = false;
    c->multi_bad = false;
    command_unwatch_all(c);
}

void command_multi(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    if (c->multi) {
        resp_error(&c->reply, "ERR MULTI calls can not be nested");
        return;
    }
    c->multi = true;
    resp_status(&c->reply, "OK");
}

void command_discard(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    if (!c->multi) {
        resp_error(&c->reply, "ERR DISCARD without MULTI");
        return;
    }
    command_forget(c);
    resp_status(&c->reply, "OK");
}

/* Its cell is another node's, or was meanwhile: it may have been written there. */
static bool command_has_left(const struct cache_client *c, const struct cache_watch *w)
{
    uint64_t claim = command_claim(c, w->key);
    return c->node->member != NULL && (claim == 0 || claim != w->claim);
}

bool command_is_touched(struct cache_client *c)
{
    bool left = false;
    for (const struct cache_watch *w = c->watches; w != NULL; w = w->next_of_client) {
        cache_db_peek(c->node->db, w->key);
        left = left || command_has_left(c, w);
    }
    return left || command_touched(c);
}

/* What was another node's when it was watched is what it was there. */
static bool command_is_seen_again(const struct cache_client *c)
{
    for (const struct cache_seen *s = c->seen; s != NULL; s = s->next)
        if (cache_db_seen(c->node->db, s->key) != s->version)
            return false;
    return true;
}

static void command_run_all(struct cache_client *c, struct cache_queue *queue)
{
    resp_array(&c->reply, queue != NULL ? queue->count : 0);
    for (struct command_queued *q = queue != NULL ? queue->first : NULL; q != NULL; q = q->next) {
        c->node->counts.commands++;
        command_call(c, q->command, q->words, q->count);
    }
}

void command_exec(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    if (!c->multi) {
        resp_error(&c->reply, "ERR EXEC without MULTI");
        return;
    }
    bool touched = command_is_touched(c) || !command_is_seen_again(c);
    if (touched || c->multi_bad) {
        if (c->multi_bad)
            resp_error(&c->reply, "EXECABORT Transaction discarded because of previous errors.");
        else
            resp_nil_array(&c->reply);
        command_forget(c);
        return;
    }
    struct cache_queue *queue = c->queued;
    c->queued = NULL;
    command_forget(c);
    command_run_all(c, queue);
    command_queue_free(c, queue);
}
