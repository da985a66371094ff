/* cache_second.c: see cache_second.h. */
#include "workers/cache/cache_second.h"

#include "proto/cache/cache_ring_answer.h"
#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "workers/cache/cache_second_batch.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_FLIGHTS   8                  /* requests of each kind that are not answered */
#define SECOND_BYTES     ((size_t)1 << 20)  /* of one, or one object */
#define SECOND_DROPS_MAX ((size_t)16 << 20) /* bytes of what is to be dropped */
#define SECOND_RETRY_MS  200                /* between two tries of what was refused */
#define SECOND_TICK_MS   100
#define SECOND_WHY_SIZE  512

struct cache_second {
    struct cache_second_options options;
    uv_timer_t timer;
    uint64_t mark; /* 0: it has not joined */
    uint64_t last_token;
    struct second_list copies, drops; /* in the order in which they were made */
    struct second_batch *making;      /* drops that no request has yet; NULL: none */
    size_t drop_bytes;
    uint64_t drop_end;
    uint64_t skips;    /* of cache_db, as they were last seen */
    uint64_t skip_end; /* up to there the log must be synced for them; 0: it is */
    uint64_t end;      /* all up to there have a copy */
    uint64_t least;    /* and nothing more has before all up to there have */
    uint64_t since_ms; /* uv_now: something was copied then, or the first was to be */
    bool busy;         /* something is to be copied, as of the last turn's end */
    bool searches;
    char why[SECOND_WHY_SIZE];
};

/* ---- how far it is ---- */

static uint64_t second_now(const struct cache_second *s)
{
    return uv_now(s->options.loop);
}

static bool second_is_idle(const struct cache_second *s)
{
    return !s->searches && s->end == cache_db_copy_end(s->options.db);
}

static bool second_is_synced(const struct cache_second *s, uint64_t log_end)
{
    return s->options.log_synced == NULL || s->options.log_synced(s->options.ctx, log_end);
}

static uint64_t second_log_end(const struct cache_second *s)
{
    return s->options.log_end != NULL ? s->options.log_end(s->options.ctx) : 0;
}

/* What was stored before it was copied is in the log for good. */
static bool second_has_skipped(struct cache_second *s)
{
    uint64_t skips = cache_db_copy_skips(s->options.db);
    if (skips != s->skips)
        s->skip_end = second_log_end(s);
    s->skips = skips;
    if (s->skip_end > 0 && second_is_synced(s, s->skip_end))
        s->skip_end = 0;
    return s->skip_end == 0;
}

/*
 * The first change without a copy is the first of the oldest request, or, where all are answered, the first that is in
 * none. While not all is known that is to be copied, nothing is said.
 */
static void second_reckon(struct cache_second *s)
{
    bool skipped = second_has_skipped(s);
    uint64_t next = cache_db_copy_next(s->options.db);
    const struct second_batch *b = s->copies.first;
    uint64_t first = b != NULL && (next == 0 || b->number < next) ? b->number : next;
    uint64_t end = first > 0 ? first - 1 : cache_db_copy_end(s->options.db);
    if (skipped && !s->searches && end >= s->least && end > s->end) {
        s->end = end;
        s->since_ms = second_now(s);
        s->why[0] = '\0';
    }
    if (!s->busy)
        s->since_ms = second_now(s);
    s->busy = !second_is_idle(s);
}

uint64_t cache_second_end(const struct cache_second *s)
{
    return s->end;
}

bool cache_second_is_late(const struct cache_second *s)
{
    return s->busy && second_now(s) - s->since_ms >= s->options.timeout_ms;
}

const char *cache_second_trouble(const struct cache_second *s)
{
    return !cache_second_is_late(s) ? ""
           : s->why[0] != '\0'      ? s->why
                               : "Redis has not said that it keeps them: the manager's trouble "
                                 "says why (platoonctl status)";
}

/* ---- copying ---- */

static struct cache_ring_object second_object(const struct cache_object *o)
{
    return (struct cache_ring_object){.expiry_ms = cache_object_expiry(o),
                                      .form = o->form,
                                      .deleted = o->gone,
                                      .value = cache_object_value(o)};
}

static void second_put(struct second_batch *b, struct buffer *copies, const struct cache_object *o)
{
    struct cache_ring_object object = second_object(o);
    cache_ring_put_copy(copies, cache_object_key(o), o->version, &object);
    cache_ring_put_drop(&b->keys, cache_object_key(o), o->version);
    b->count++;
}

/* Those of its keys that are still to be copied, as they are now. */
static void second_fill(struct cache_second *s, struct second_batch *b, struct slice list,
                        struct buffer *copies)
{
    struct cache_ring_copy copy;
    while (copies->len < SECOND_BYTES && cache_ring_take_copy(&list, &copy)) {
        const struct cache_object *o = cache_db_copy_find(s->options.db, copy.key);
        if (o != NULL)
            second_put(b, copies, o);
    }
    buffer_append_slice(&b->rest, list);
}

/* The same, once more; what has become more than one request takes is its rest. False: memory is short. */
static bool second_fill_again(struct cache_second *s, struct second_batch *b, struct buffer *copies)
{
    struct second_batch old = *b;
    b->keys = b->rest = BUFFER_EMPTY;
    b->count = 0;
    second_fill(s, b, buffer_slice(&old.keys), copies);
    buffer_append_slice(&b->rest, buffer_slice(&old.rest));
    bool good = buffer_ok(copies) && buffer_ok(&b->keys) && buffer_ok(&b->rest);
    struct second_batch *gone = good ? &old : b;
    buffer_fini(&gone->keys);
    buffer_fini(&gone->rest);
    if (!good)
        *b = old;
    return good;
}

/* Its rest is what it has now. False: it had none. */
static bool second_take_rest(struct second_batch *b)
{
    buffer_fini(&b->keys);
    b->keys = b->rest;
    b->rest = BUFFER_EMPTY;
    b->token = b->at_ms = 0;
    return b->keys.len > 0;
}

/* False: memory is short, or it cannot be sent; it is tried again. */
static bool second_send(struct cache_second *s, struct second_batch *b, struct slice copies,
                        bool drops)
{
    uint64_t token = s->last_token + 1;
    struct buffer *out = s->options.compose(s->options.ctx);
    if (drops)
        message_ring_drop_pack(
            out, &(struct message_ring_drop){.token = token, .mark = s->mark, .copies = copies});
    else
        message_ring_copy_pack(
            out, &(struct message_ring_copy){.token = token, .mark = s->mark, .copies = copies});
    bool sent = s->options.send(s->options.ctx);
    b->token = sent ? token : 0;
    b->at_ms = sent ? 0 : second_now(s) + SECOND_RETRY_MS;
    s->last_token += sent;
    return sent;
}

/* False: it is over, for nothing of it is to be copied any more. */
static bool second_try_again(struct cache_second *s, struct second_batch *b)
{
    struct buffer copies = BUFFER_EMPTY;
    bool good;
    do
        good = second_fill_again(s, b, &copies);
    while (good && b->count == 0 && second_take_rest(b));
    if (!good)
        b->at_ms = second_now(s) + SECOND_RETRY_MS;
    else if (b->count > 0)
        second_send(s, b, buffer_slice(&copies), false);
    buffer_fini(&copies);
    return !good || b->count > 0;
}

/* What waits is sent first. False: some of it still waits. */
static bool second_send_waiting(struct cache_second *s)
{
    struct second_list waiting = s->copies;
    bool all = true;
    if (waiting.first == NULL)
        return true;
    second_init_list(&s->copies);
    for (struct second_batch *b = waiting.first, *next; b != NULL; b = next) {
        next = b->next;
        bool due = b->token == 0 && b->at_ms <= second_now(s);
        if (due && !second_try_again(s, b)) {
            second_free_batch(b);
            continue;
        }
        second_push(&s->copies, b);
        all = all && b->token != 0;
    }
    return all;
}

/*
 * What is acknowledged from now on waits until all that is dirty has a copy: it may be the only Redis that the next one
 * to look has.
 */
static void second_anew(struct cache_second *s)
{
    second_clear(&s->copies);
    cache_db_copy_anew(s->options.db);
    s->searches = true;
}

/* The next to be copied. False: there is nothing, or it cannot be sent now. */
static bool second_send_next(struct cache_second *s)
{
    struct cache_db *db = s->options.db;
    struct buffer copies = BUFFER_EMPTY;
    struct second_batch *b = cache_db_copy_next(db) != 0 ? calloc(1, sizeof *b) : NULL;
    uint64_t number;
    const struct cache_object *o;
    if (b == NULL)
        return false;
    while (b->count < CACHE_RING_CALL_MAX && copies.len < SECOND_BYTES &&
           (o = cache_db_copy_take(db, &number)) != NULL) {
        b->number = b->count == 0 ? number : b->number;
        second_put(b, &copies, o);
    }
    second_push(&s->copies, b);
    bool sent = buffer_ok(&copies) && buffer_ok(&b->keys) &&
                second_send(s, b, buffer_slice(&copies), false);
    if (!buffer_ok(&b->keys)) /* what it was of is not known any more */
        second_anew(s);
    buffer_fini(&copies);
    return sent;
}

static void second_copy(struct cache_second *s)
{
    if (s->mark == 0 || !second_send_waiting(s))
        return;
    while (s->copies.count < SECOND_FLIGHTS && second_send_next(s))
        continue;
}

/* ---- dropping ---- */

/* Memory is short for what must be known: it stays in Redis, and is dropped once this node has joined as another. */
void cache_second_drop(struct cache_second *s, struct slice key, uint64_t version)
{
    struct second_batch *b = s->making;
    if (b != NULL && (b->count == CACHE_RING_CALL_MAX || b->keys.len >= SECOND_BYTES)) {
        second_push(&s->drops, b);
        s->making = b = NULL;
    }
    if (b == NULL && (b = s->making = calloc(1, sizeof *b)) == NULL)
        return;
    size_t before = b->keys.len;
    cache_ring_put_drop(&b->keys, key, version);
    b->count++;
    b->number = ++s->drop_end;
    b->log_end = second_log_end(s);
    s->drop_bytes += b->keys.len - before;
}

static void second_send_drops(struct cache_second *s)
{
    size_t flying = 0;
    if (s->making != NULL) {
        second_push(&s->drops, s->making);
        s->making = NULL;
    }
    for (struct second_batch *b = s->drops.first; s->mark != 0 && b != NULL; b = b->next) {
        if (flying++ == SECOND_FLIGHTS)
            return;
        if (b->token == 0 && (b->at_ms > second_now(s) || !second_is_synced(s, b->log_end) ||
                              !second_send(s, b, buffer_slice(&b->keys), true)))
            return; /* in their order */
    }
}

uint64_t cache_second_drop_end(const struct cache_second *s)
{
    return s->drop_end;
}

uint64_t cache_second_dropped(const struct cache_second *s)
{
    const struct second_batch *b = s->drops.first != NULL ? s->drops.first : s->making;
    return b != NULL ? b->number - b->count : s->drop_end;
}

bool cache_second_is_full(const struct cache_second *s)
{
    return s->drop_bytes > SECOND_DROPS_MAX;
}

/* ---- answers ---- */

/* Of another session it is asked again in that one. */
static void second_refused(struct cache_second *s, struct second_batch *b,
                           const struct message_ring_copied *m)
{
    b->token = 0;
    b->at_ms = second_now(s) + SECOND_RETRY_MS;
    if (m->why.len > 0)
        slice_copy(m->why, s->why, sizeof s->why);
}

static void second_on_copied(struct cache_second *s, struct second_batch *b)
{
    struct slice list = buffer_slice(&b->keys);
    struct cache_ring_copy copy;
    while (cache_ring_take_copy(&list, &copy))
        cache_db_copied(s->options.db, copy.key, copy.version);
    if (b->rest.len > 0)
        second_take_rest(b);
    else
        second_free_batch(second_pull(&s->copies, b->token));
}

static struct second_batch *second_find(const struct second_list *l, uint64_t token)
{
    struct second_batch *b = l->first;
    while (b != NULL && b->token != token)
        b = b->next;
    return b;
}

bool cache_second_on_message(struct cache_second *s, uint64_t type, struct unpack *u)
{
    struct message_ring_copied m;
    if (type != MESSAGE_RING_COPIED || !message_ring_copied_unpack(u, &m) || m.token == 0)
        return false;
    struct second_batch *copies = second_find(&s->copies, m.token);
    struct second_batch *drops = second_find(&s->drops, m.token);
    if (copies == NULL && drops == NULL)
        return true; /* of an earlier session */
    if (m.result != CACHE_RING_OK) {
        second_refused(s, copies != NULL ? copies : drops, &m);
    } else if (copies != NULL) {
        second_on_copied(s, copies);
    } else {
        s->drop_bytes -= drops->keys.len;
        second_free_batch(second_pull(&s->drops, m.token));
    }
    return true;
}

/* ---- life ---- */

/* It wakes the loop: what waits is tried again, and who waits for too long is told, at the end of that turn. */
static void second_on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void second_set_timer(struct cache_second *s)
{
    bool needed = !second_is_idle(s) || s->drops.first != NULL || s->making != NULL;
    if (needed && !uv_is_active((uv_handle_t *)&s->timer))
        uv_timer_start(&s->timer, second_on_timer, SECOND_TICK_MS, SECOND_TICK_MS);
    else if (!needed)
        uv_timer_stop(&s->timer);
}

bool cache_second_turn(struct cache_second *s)
{
    bool searched = s->searches;
    s->searches = cache_db_copy_work(s->options.db);
    if (searched && !s->searches)
        s->least = cache_db_copy_end(s->options.db);
    second_copy(s);
    second_send_drops(s);
    second_reckon(s);
    second_set_timer(s);
    return s->searches;
}

void cache_second_joined(struct cache_second *s, uint64_t mark, bool anew)
{
    s->mark = mark;
    second_recall(&s->copies);
    second_recall(&s->drops);
    if (anew)
        second_anew(s);
}

void cache_second_parted(struct cache_second *s)
{
    s->mark = 0;
    second_recall(&s->copies);
    second_recall(&s->drops);
}

struct cache_second *cache_second_new(const struct cache_second_options *options)
{
    struct cache_second *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->options = *options;
    second_init_list(&s->copies);
    second_init_list(&s->drops);
    uv_timer_init(options->loop, &s->timer);
    s->timer.data = s;
    s->since_ms = uv_now(options->loop);
    return s;
}

static void second_on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void cache_second_free(struct cache_second *s)
{
    if (s == NULL)
        return;
    second_clear(&s->copies);
    second_clear(&s->drops);
    second_free_batch(s->making);
    uv_close((uv_handle_t *)&s->timer, second_on_closed);
}
