/* cache_turn.c: see cache_turn.h. */
#include "workers/cache/cache_turn.h"

#include "common/log.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/cache_park.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_second.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TURN_CLEAN_BYTES ((size_t)256 << 10)
#define TURN_ANEW_BYTES  ((size_t)1 << 20)

#define CACHE_TURN_WHY_SIZE 1024

/* ---- what the log has to do with replies ---- */

/* Puts an error where an answer stands. */
static void turn_take_back(const struct cache_turn_write *w, const char *why)
{
    struct buffer *out = &w->client->reply.out;
    w->client->log_end = w->client->copy = 0;
    if (w->from == w->to || !buffer_ok(out))
        return; /* CLIENT REPLY OFF */
    struct resp_reply error = {.version = 2};
    struct buffer tail = BUFFER_EMPTY;
    resp_error(&error, "%s", why);
    buffer_append(&tail, out->data + w->to, out->len - w->to);
    out->len = w->from;
    buffer_append_slice(out, buffer_slice(&error.out));
    buffer_append_slice(out, buffer_slice(&tail));
    out->failed = out->failed || !buffer_ok(&error.out) || !buffer_ok(&tail);
    buffer_fini(&error.out);
    buffer_fini(&tail);
}

/* From the last on, so that the places of those before stay. `reads`: those that have written nothing, too. */
static void turn_take_all_back(struct cache_turn *t, const char *why, bool reads)
{
    for (size_t i = t->write_count; i > 0; i--)
        if (t->writes[i - 1].client != NULL && (reads || t->writes[i - 1].end != 0))
            turn_take_back(&t->writes[i - 1], why);
    t->write_count = 0;
}

/* The log has not what was written. */
static void turn_take_writes_back(struct cache_turn *t, char why[CACHE_TURN_WHY_SIZE])
{
    snprintf(why, CACHE_TURN_WHY_SIZE, "MISCONF %s", cache_log_trouble(t->node->log));
    turn_take_all_back(t, why, false);
}

/*
 * Whether what was done is acknowledged: not when the lease is over by now, however short before it was not. What was
 * written stays written: it may have been done, and it may not.
 */
static bool turn_may_acknowledge(struct cache_turn *t, char why[CACHE_TURN_WHY_SIZE])
{
    struct cache_member *member = t->node->member;
    char text[CACHE_MEMBER_WHY_SIZE];
    if (member == NULL || (t->write_count == 0 && t->answers == NULL) ||
        cache_member_serves(member))
        return true;
    cache_member_why(member, text);
    snprintf(why, CACHE_TURN_WHY_SIZE, "TRYAGAIN the ring of %s: %s", t->node->options.name, text);
    turn_take_all_back(t, why, true);
    return false;
}

static bool turn_in_trouble(const struct cache_turn *t)
{
    return cache_log_trouble(t->node->log)[0] != '\0';
}

bool cache_turn_is_copied(const struct cache_turn *t, uint64_t copy)
{
    return t->node->second == NULL || copy <= cache_second_end(t->node->second);
}

/* Whether the log's thread, or second copies, have still to come so far before that is acknowledged. */
static bool turn_is_early(const struct cache_turn *t, uint64_t log_end, uint64_t copy)
{
    return (t->node->options.fsync == CACHE_LOG_ALWAYS && t->node->log != NULL &&
            log_end > cache_log_synced(t->node->log)) ||
           !cache_turn_is_copied(t, copy);
}

/* What is acknowledged for good can no longer be taken back: its client has other replies there now. */
static void turn_forget_synced(struct cache_turn *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->write_count; i++)
        if (t->writes[i].client != NULL && turn_is_early(t, t->writes[i].end, t->writes[i].copy))
            t->writes[kept++] = t->writes[i];
    t->write_count = kept;
}

/*
 * While the log cannot keep what fsync promises, further writes are refused, as Redis does; what is written already is
 * taken back only where that promise was "it is", not "within a second".
 */
static bool turn_flush(struct cache_turn *t, char why[CACHE_TURN_WHY_SIZE])
{
    bool always = t->node->options.fsync == CACHE_LOG_ALWAYS;
    if (t->node->log == NULL)
        return true;
    bool written = cache_log_flush(t->node->log) == 0;
    t->failed = !written || turn_in_trouble(t);
    bool kept = written && !(always && t->failed);
    if (!turn_may_acknowledge(t, why))
        return false;
    if (kept)
        turn_forget_synced(t);
    else
        turn_take_writes_back(t, why);
    return kept;
}

static bool turn_must_wait(const struct cache_turn *t, const struct cache_client *c)
{
    return !c->gone && turn_is_early(t, c->log_end, c->copy);
}

/* ---- second copies ---- */

static bool turn_is_late(const struct cache_turn *t, uint64_t copy, uint64_t at_ms)
{
    return !cache_turn_is_copied(t, copy) &&
           (cache_second_is_late(t->node->second) ||
            uv_now(t->node->loop) - at_ms >= t->node->options.timeout_ms);
}

/*
 * Who has waited too long is told so. All that waits of that client is taken back, from the last on: it is of one turn,
 * and places behind what is taken back would be others.
 */
static void turn_take_late_back(struct cache_turn *t)
{
    bool some = false;
    uint64_t round = ++t->late_round;
    for (size_t i = 0; i < t->write_count; i++) {
        const struct cache_turn_write *w = &t->writes[i];
        if (w->client == NULL || !turn_is_late(t, w->copy, w->at_ms))
            continue;
        w->client->late_round = round;
        some = true;
    }
    for (size_t i = some ? t->write_count : 0; i > 0; i--) {
        struct cache_turn_write *w = &t->writes[i - 1];
        if (w->client == NULL || w->client->late_round != round)
            continue;
        turn_take_back(w, CACHE_SECOND_REFUSED);
        w->client = NULL;
    }
}

/* Who is no client is told; `refused`: why not all that they wrote is acknowledged, NULL: it is. */
static void turn_tell_answers(struct cache_turn *t, const char *refused)
{
    struct cache_turn_answer *a = t->answers;
    t->answers = NULL;
    t->answer_count = 0;
    for (struct cache_turn_answer *next; a != NULL; a = next) {
        next = a->next;
        if (turn_is_late(t, a->copy, a->at_ms))
            a->go(a, CACHE_SECOND_REFUSED);
        else if (refused == NULL && turn_is_early(t, a->log_end, a->copy))
            cache_turn_answer(t, a);
        else
            a->go(a, a->log_end != 0 || a->copy != 0 ? refused : NULL);
    }
}

static void turn_end_client(struct cache_turn *t, struct cache_client *c)
{
    if (c->syncing && !c->gone)
        return;
    if (!turn_must_wait(t, c)) {
        cache_client_write(c);
        return;
    }
    c->syncing = true;
    c->next_syncing = t->syncing;
    t->syncing = c;
}

/* Those who wait no more have their replies. */
static void turn_go_on(struct cache_turn *t)
{
    struct cache_client *waiting = t->syncing;
    t->syncing = NULL;
    for (struct cache_client *c = waiting, *next; c != NULL; c = next) {
        next = c->next_syncing;
        c->syncing = false;
        if (turn_must_wait(t, c)) {
            c->syncing = true;
            c->next_syncing = t->syncing;
            t->syncing = c;
            continue;
        }
        cache_turn_more(c);
        cache_client_write(c);
    }
}

/*
 * A failed sync is tried again by the log; who waited for it is told. It comes in the middle of a turn, whose own
 * writes the log does not have yet: they wait for its end, and without always nobody waits for a sync.
 */
void cache_turn_synced(struct cache_turn *t)
{
    char why[CACHE_TURN_WHY_SIZE] = "";
    t->failed = turn_in_trouble(t);
    if (t->node->options.fsync != CACHE_LOG_ALWAYS)
        return;
    bool kept = turn_may_acknowledge(t, why) && !t->failed;
    if (!kept && why[0] == '\0')
        turn_take_writes_back(t, why);
    turn_tell_answers(t, kept ? NULL : why);
    turn_go_on(t);
    turn_forget_synced(t);
    if (t->more != NULL)
        uv_idle_start(&t->idle, t->idle.idle_cb);
}

/* ---- a turn ---- */

/* Those who could not execute all of what they have sent. */
static void turn_on_idle(uv_idle_t *idle)
{
    struct cache_turn *t = idle->data;
    struct cache_client *c = t->more;
    t->more = NULL;
    for (struct cache_client *next; c != NULL; c = next) {
        next = c->next_more;
        c->more = false;
        cache_client_go_on(c);
    }
}

/* True while there is more to do at once. */
static bool turn_work(struct cache_turn *t)
{
    cache_turn_begin(t);
    bool more = cache_db_work(t->node->db);
    if (t->node->park != NULL)
        cache_park_turn(t->node->park);
    if (t->node->member != NULL)
        more = cache_member_turn(t->node->member) || more;
    if (t->node->second != NULL)
        more = cache_second_turn(t->node->second) || more;
    if (t->node->behind != NULL)
        cache_behind_turn(t->node->behind);
    if (t->node->log != NULL)
        more = cache_log_clean(t->node->log, TURN_CLEAN_BYTES) || more;
    more = cache_db_rewrite(t->node->db, TURN_ANEW_BYTES) || more;
    return more;
}

void cache_turn_finish(struct cache_turn *t)
{
    char why[CACHE_TURN_WHY_SIZE];
    bool kept = turn_flush(t, why);
    if (t->node->second != NULL)
        turn_take_late_back(t);
    turn_tell_answers(t, kept ? NULL : why);
    if (t->node->second != NULL)
        turn_go_on(t);
    if (t->node->member != NULL)
        cache_member_written(t->node->member);
    while (t->ready != NULL) {
        struct cache_client *c = t->ready;
        t->ready = c->next_ready;
        c->ready = false;
        turn_end_client(t, c);
    }
    t->began = false;
}

static void turn_on_check(uv_check_t *check)
{
    struct cache_turn *t = check->data;
    bool more = turn_work(t);
    cache_turn_finish(t);
    if (more || t->more != NULL)
        uv_idle_start(&t->idle, turn_on_idle);
    else
        uv_idle_stop(&t->idle);
}

void cache_turn_tick(struct cache_turn *t)
{
    uint64_t dropped = t->dropped - t->dropped_before;
    t->dropped_before = t->dropped;
    if (dropped > 0)
        log_warn(
            "clients-dropped",
            "count=%" PRIu64
            " reason=\"more than 64 MB of replies that they did not read: ask for less at a time\"",
            dropped);
    if (t->node->log != NULL && cache_log_wants_rewrite(t->node->log))
        cache_db_rewrite_begin(t->node->db);
}

int cache_turn_start(struct cache_turn *t, struct cache_node *n)
{
    t->node = n;
    t->check.data = t->idle.data = t;
    int rc = uv_idle_init(n->loop, &t->idle);
    if (rc == 0)
        rc = uv_check_init(n->loop, &t->check);
    return rc == 0 ? uv_check_start(&t->check, turn_on_check) : rc;
}

void cache_turn_stop(struct cache_turn *t)
{
    uv_close((uv_handle_t *)&t->check, NULL);
    uv_close((uv_handle_t *)&t->idle, NULL);
}

void cache_turn_free(struct cache_turn *t)
{
    while (t->spare_count > 0)
        buffer_fini(&t->spares[--t->spare_count]);
    free(t->writes);
    t->writes = NULL;
    for (struct cache_turn_answer *a = t->answers, *next; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
    t->answers = NULL;
}
