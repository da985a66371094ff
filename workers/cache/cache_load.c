/* cache_load.c: see cache_load.h. */
#include "workers/cache/cache_load_private.h"

#include "workers/cache/backing/backing_retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOADS_IN_A_ROW 4 /* failures, and the store is asked one at a time */
#define LOADS_NEVER    UINT64_MAX
#define LOADS_STALE_MS 30000 /* a trouble that nobody has met for so long is none any more */

/* ---- trying ---- */

static void loads_pump(struct cache_loads *loads, bool tells);

static void loads_on_timer(uv_timer_t *timer)
{
    struct cache_loads *loads = timer->data;
    uint64_t now = uv_now(loads->options.loop);
    loads->wake_ms = LOADS_NEVER;
    for (struct cache_load *l = loads->lists[LOAD_PAUSED].first, *next; l != NULL; l = next) {
        next = l->next;
        if (l->due_ms <= now)
            cache_load_become(l, LOAD_QUEUED);
    }
    loads_pump(loads, true);
}

static void loads_wake_at(struct cache_loads *loads, uint64_t at_ms)
{
    uint64_t now = uv_now(loads->options.loop);
    if (at_ms >= loads->wake_ms)
        return;
    loads->wake_ms = at_ms;
    uv_timer_start(&loads->timer, loads_on_timer, at_ms > now ? at_ms - now : 0, 0);
}

/* The one that begins next, or NULL. */
static struct cache_load *loads_next(const struct cache_loads *loads)
{
    struct cache_load *waited = loads->lists[LOAD_QUEUED].first;
    return waited != NULL ? waited : loads->lists[LOAD_AHEAD].first;
}

/* When the timer is to look again. */
static void loads_set_timer(struct cache_loads *loads)
{
    for (const struct cache_load *l = loads->lists[LOAD_PAUSED].first; l != NULL; l = l->next)
        loads_wake_at(loads, l->due_ms);
    if (loads_next(loads) != NULL && loads->in_a_row >= LOADS_IN_A_ROW &&
        loads->lists[LOAD_RUNNING].count == 0)
        loads_wake_at(loads, loads->probe_ms);
}

/* Somebody waits: a store that asks for more than the longest pause is asked all the same, once in that. */
static uint64_t loads_pause(const struct cache_loads *loads, unsigned failures, uint64_t asked_ms)
{
    uint64_t max = loads->options.retry_max_ms;
    return backing_retry_pause(failures, asked_ms < max ? asked_ms : max, max,
                               (uint32_t)(uv_hrtime() >> 4));
}

/* One line. */
static void load_flatten(char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\r' || *text == '\n')
            *text = ' ';
}

/* `met`: by somebody who waits for it. */
static void loads_say(struct cache_loads *loads, const char *why, bool met)
{
    if (met || loads->why[0] == '\0')
        loads->said_ms = uv_now(loads->options.loop);
    snprintf(loads->why, sizeof loads->why, "%s", why);
    load_flatten(loads->why);
}

static bool load_is_known(enum backing_result result)
{
    return result == BACKING_DONE || result == BACKING_ABSENT;
}

static bool load_is_needless(const struct cache_load *l)
{
    const struct cache_load_options *o = &l->all->options;
    return o->place != NULL ? o->place->knows(o->ctx, cache_load_key(l))
                            : cache_db_knows(o->db, cache_load_key(l));
}

/* What the store has answered is in memory. One whose time is over is none. */
static enum cache_fault load_learn(struct cache_load *l, const struct backing_answer *a)
{
    const struct cache_load_options *o = &l->all->options;
    struct cache_db *db = o->db;
    if (o->place != NULL)
        return o->place->learn(o->ctx, cache_load_key(l), a);
    bool there =
        a->result == BACKING_DONE && !a->meta.deleted && a->meta.expiry_ms > cache_db_now_ms(db);
    if (!there)
        return cache_db_learn_absent(db, cache_load_key(l), a->meta.version);
    return cache_db_learn(db, cache_load_key(l), a->value, a->meta.version, a->meta.expiry_ms,
                          (enum cache_form)(a->meta.form & 3));
}

/* Nobody waits for it, and it is tried on to see when the store is back; one such is enough. */
static bool load_is_probe(const struct cache_load *l)
{
    return l->first == NULL && cache_loads_trouble(l->all)[0] != '\0' &&
           cache_loads_count(l->all) == 1;
}

/* Forgotten, or once more after a pause. */
static void load_again(struct cache_load *l, uint64_t asked_ms)
{
    struct cache_loads *loads = l->all;
    l->failures++;
    if (l->first == NULL && !load_is_probe(l)) {
        cache_load_end(l, NULL);
        return;
    }
    l->due_ms = uv_now(loads->options.loop) + loads_pause(loads, l->failures, asked_ms);
    cache_load_become(l, LOAD_PAUSED);
}

/* The store works: who pauses because it did not is tried now. */
static void loads_work(struct cache_loads *loads)
{
    bool failed = loads->why[0] != '\0';
    loads->in_a_row = 0;
    loads->why[0] = '\0';
    for (struct cache_load *l; failed && (l = loads->lists[LOAD_PAUSED].first) != NULL;)
        cache_load_become(l, LOAD_QUEUED);
}

static void loads_fail(struct cache_loads *loads, const char *why, uint64_t asked_ms, bool met)
{
    loads->stats.failed++;
    loads->in_a_row++;
    loads_say(loads, why, met);
    if (loads->in_a_row >= LOADS_IN_A_ROW)
        loads->probe_ms = uv_now(loads->options.loop) +
                          loads_pause(loads, loads->in_a_row - LOADS_IN_A_ROW + 1, asked_ms);
}

/* This object cannot be had, whatever is tried. */
static void load_refuse(struct cache_load *l, const char *why)
{
    char text[LOADS_WHY_SIZE];
    snprintf(text, sizeof text, "ERR the store of %s does not give this object: %s",
             l->all->options.who, why);
    load_flatten(text);
    cache_load_end(l, text);
}

static void load_too_large(struct cache_load *l)
{
    cache_load_end(
        l, "ERR the object that the store has is larger than any that a node takes (20 MB)");
}

/* It came, and is learned; or there is no room for it now. */
static void load_take(struct cache_load *l, const struct backing_answer *answer)
{
    struct cache_loads *loads = l->all;
    loads->stats.loads++;
    loads_work(loads);
    enum cache_fault fault = load_learn(l, answer);
    if (fault == CACHE_OK) {
        cache_load_end(l, NULL);
    } else if (fault == CACHE_FAULT_LARGE) {
        load_too_large(l);
    } else {
        l->fault = fault;
        load_again(l, 0);
    }
}

/*
 * Its key was written meanwhile, and may have been stored and have left memory again: what comes may be older than
 * that. So it counts for nothing, and is asked for once more by who waits.
 */
static void load_overtaken(struct cache_load *l)
{
    struct cache_loads *loads = l->all;
    loads->stats.loads++;
    loads_work(loads);
    if (l->first == NULL || load_is_needless(l))
        cache_load_end(l, NULL);
    else
        cache_load_become(l, LOAD_QUEUED);
}

static uint64_t load_claim(const struct cache_load *l)
{
    const struct cache_load_options *o = &l->all->options;
    return o->claim != NULL ? o->claim(o->ctx, cache_load_key(l)) : 1;
}

/* It is not under way any more. True: its key was touched meanwhile. */
static bool load_landed(struct cache_load *l)
{
    l->call = NULL;
    if (l->watches)
        cache_db_unwatch(l->all->options.db, &l->watch);
    l->watches = false;
    return l->watch.touched;
}

/* From now on it is known when its key is touched. False: memory is short. */
static bool load_watch(struct cache_load *l)
{
    l->watch = (struct cache_watch){.key = cache_load_key(l)};
    if (l->all->options.place == NULL)
        l->watches = cache_db_watch(l->all->options.db, &l->watch);
    return l->watches || l->all->options.place != NULL;
}

static void load_on_answer(const struct backing_answer *answer, void *ctx)
{
    struct cache_load *l = ctx;
    struct cache_loads *loads = l->all;
    bool overtaken = load_landed(l) || load_claim(l) != l->claim;
    if (loads->options.on_answer != NULL)
        loads->options.on_answer(loads->options.ctx);
    if (load_is_known(answer->result) && overtaken) {
        load_overtaken(l);
    } else if (load_is_known(answer->result)) {
        load_take(l, answer);
    } else if (answer->result == BACKING_REFUSED) {
        loads->stats.failed++;
        load_refuse(l, answer->why);
    } else {
        loads_fail(loads, answer->why, answer->retry_after_ms, l->first != NULL);
        load_again(l, answer->retry_after_ms);
    }
    loads_pump(loads, true);
}

/* Who waits is told now, or, while somebody is in the middle of asking, by the timer. */
static void load_not_needed(struct cache_load *l, bool tells)
{
    if (tells || l->first == NULL) {
        cache_load_end(l, NULL);
        return;
    }
    l->due_ms = uv_now(l->all->options.loop);
    cache_load_become(l, LOAD_PAUSED);
}

/*
 * While it was queued, or paused, its key may have been written: then nothing is asked for, for what the store has may
 * be older, and might come when what was written is stored and has left memory. So it is when it is not ours: whoever
 * waits looks again, and sees whose.
 */
static void load_try(struct cache_load *l, bool tells)
{
    struct cache_loads *loads = l->all;
    const struct cache_load_options *o = &loads->options;
    l->claim = load_claim(l);
    if (l->claim == 0 || load_is_needless(l)) {
        load_not_needed(l, tells);
        return;
    }
    cache_load_become(l, LOAD_RUNNING);
    if (load_watch(l) && o->backing->ops->get(o->backing, cache_load_key(l), o->timeout_ms,
                                              load_on_answer, l, &l->call) == 0)
        return;
    load_landed(l);
    loads_fail(loads, "the system has no more memory for a load", 0, l->first != NULL);
    load_again(l, 0);
}

/* Begun ahead so long ago that whoever it was for waits for nothing any more. */
static bool load_is_old(const struct cache_load *l)
{
    return uv_now(l->all->options.loop) - l->begun_ms >= l->all->options.timeout_ms;
}

/* What may begin now does. `tells`: from the loop, so that who waits may be told. */
static void loads_pump(struct cache_loads *loads, bool tells)
{
    for (struct cache_load *l; (l = loads_next(loads)) != NULL;) {
        bool fails = loads->in_a_row >= LOADS_IN_A_ROW;
        if (loads->lists[LOAD_RUNNING].count >= (fails ? 1 : loads->options.parallel) ||
            (fails && uv_now(loads->options.loop) < loads->probe_ms))
            break;
        if (l->first == NULL && (fails || load_is_old(l)) && !load_is_probe(l))
            cache_load_end(l, NULL);
        else
            load_try(l, tells);
    }
    loads_set_timer(loads);
}

/* Under way, and somebody has written its key: who waits need not wait for the store. */
static struct cache_load *loads_known(const struct cache_loads *loads)
{
    struct cache_load *l = loads->lists[LOAD_RUNNING].first;
    while (l != NULL && !(l->first != NULL && l->watch.touched && load_is_needless(l)))
        l = l->next;
    return l;
}

void cache_loads_turn(struct cache_loads *loads)
{
    for (struct cache_load *l; (l = loads_known(loads)) != NULL;) {
        struct cache_load_wait *w = l->first;
        cache_load_unwait(w);
        w->go(w, NULL);
    }
}

/* ---- asking ---- */

void cache_load_overtake(struct cache_loads *loads, struct slice key)
{
    struct cache_load *l = *cache_load_find(loads, key, siphash(key, loads->hash_key));
    if (l != NULL)
        l->watch.touched = true;
}

void cache_load_ahead(struct cache_loads *loads, struct slice key)
{
    if (cache_loads_trouble(loads)[0] == '\0' &&
        loads->lists[LOAD_AHEAD].count < CACHE_LOADS_AHEAD_MAX &&
        cache_load_get(loads, key) != NULL)
        loads_pump(loads, false);
}

bool cache_load_wait(struct cache_loads *loads, struct slice key, struct cache_load_wait *w)
{
    struct cache_load *l = cache_load_get(loads, key);
    if (l == NULL)
        return false;
    w->load = l;
    w->next = NULL;
    w->prev = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = w;
    l->last = w;
    if (l->state == LOAD_AHEAD)
        cache_load_become(l, LOAD_QUEUED);
    loads_pump(loads, false);
    return true;
}

/* One that is not under way is of no use any more when the last one leaves, but to see when the store is back. */
void cache_load_leave(struct cache_load_wait *w)
{
    struct cache_load *l = w->load;
    if (l == NULL)
        return;
    cache_load_unwait(w);
    if (l->first == NULL && l->state != LOAD_RUNNING && !load_is_probe(l))
        cache_load_end(l, NULL);
}

enum cache_fault cache_load_fault(const struct cache_load_wait *w)
{
    return w->load != NULL ? w->load->fault : CACHE_OK;
}

bool cache_load_is_slow(struct cache_loads *loads, struct slice key)
{
    const struct cache_load *l = *cache_load_find(loads, key, siphash(key, loads->hash_key));
    return l != NULL && uv_now(loads->options.loop) - l->begun_ms >= loads->options.timeout_ms;
}

/* ---- how it does ---- */

const char *cache_loads_trouble(const struct cache_loads *loads)
{
    bool stale = uv_now(loads->options.loop) - loads->said_ms > LOADS_STALE_MS;
    return stale ? "" : loads->why;
}

void cache_loads_overdue(struct cache_loads *loads)
{
    char why[128];
    snprintf(why, sizeof why, "it has not answered for %" PRIu64 " ms: see what the store does",
             loads->options.timeout_ms);
    if (cache_loads_trouble(loads)[0] == '\0')
        loads_say(loads, why, true);
}

const struct cache_load_stats *cache_loads_stats(const struct cache_loads *loads)
{
    return &loads->stats;
}

/* ---- life ---- */

struct cache_loads *cache_loads_new(const struct cache_load_options *options)
{
    struct cache_loads *loads = calloc(1, sizeof *loads);
    if (loads == NULL)
        return NULL;
    loads->options = *options;
    loads->wake_ms = LOADS_NEVER;
    memcpy(loads->hash_key, options->hash_key, sizeof loads->hash_key);
    loads->timer.data = loads;
    uv_timer_init(options->loop, &loads->timer);
    return loads;
}

static void loads_on_close(uv_handle_t *handle)
{
    free(handle->data);
}

void cache_loads_free(struct cache_loads *loads)
{
    if (loads == NULL)
        return;
    for (unsigned i = 0; i < LOAD_STATES; i++)
        for (struct cache_load *l; (l = loads->lists[i].first) != NULL;) {
            if (l->call != NULL)
                loads->options.backing->ops->cancel(l->call);
            load_landed(l);
            while (l->first != NULL)
                cache_load_unwait(l->first);
            cache_load_remove(l);
            free(l);
        }
    uv_close((uv_handle_t *)&loads->timer, loads_on_close);
}
