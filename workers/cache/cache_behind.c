/* cache_behind.c: see cache_behind.h. */
#include "workers/cache/cache_behind.h"

#include "common/clock.h"
#include "common/log.h"
#include "workers/cache/backing/backing_retry.h"
#include "workers/cache/cache_pace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BEHIND_TICK_MS      100u
#define BEHIND_QUIET_MS     5000u /* while there is nothing to do: a node without work sleeps */
#define BEHIND_FAILED_MAX   1024u /* objects that wait for another try; others join the dirty again */
#define BEHIND_AWAY_FEW     4u /* so many must be taken for each that is AWAY, or it is the store */
#define BEHIND_ASKED_MS     30000u /* a store that asks for more time is looked at before */
#define BEHIND_FLYING_BYTES ((size_t)16 << 20) /* copied for the store at once, if it is not one */
#define BEHIND_LETTERS      256u               /* dead letters of which the reason is known */
#define BEHIND_LOGGED       10u                /* of them a second in the log */
#define BEHIND_SHORT_MS     100u               /* memory was: try again then */
#define BEHIND_SURE_MS      500u               /* what has answered so lately can be asked */

/* One object that is being stored, or waits for another try. The value is a copy: it may be written meanwhile. */
struct behind_put {
    struct behind_put *next;
    struct cache_behind *b;
    struct backing_call *call; /* NULL: it waits */
    char *value;
    size_t value_len, key_len;
    struct backing_meta meta;
    unsigned failures;     /* in a row */
    uint64_t others_taken; /* by the store before the first of them */
    uint64_t others_away;  /* calls that were AWAY before that */
    uint64_t at_ms;        /* when it is tried again */
    bool asked;            /* what was written meanwhile is due at once */
    char key[];
};

struct behind_list {
    struct behind_put *first, **end;
    unsigned count;
};

/* Why one is a dead letter. */
struct behind_letter {
    char *text; /* its key, and behind that the reason with a NUL */
    size_t key_len;
};

/* Whether the store could be asked for what leaves memory: it is, for one that would. */
struct behind_sure {
    struct backing_call *call; /* NULL: none is under way */
    uint64_t until_ms;         /* it is sure */
    uint64_t at_ms;            /* not asked before that, */
    unsigned failures;         /* for so many have failed in a row */
};

struct cache_behind {
    struct cache_db *db;
    struct backing *store;
    struct cache_behind_options options;
    struct cache_behind_counts counts;
    uv_timer_t timer;
    bool timed;
    bool quiet;  /* the timer goes slowly */
    bool leaves; /* something is to leave memory, or not all has been looked at */
    uint64_t mono_ms;
    struct behind_list flying, failed;
    size_t flying_bytes;
    struct cache_pace pace;
    uint64_t probes, random;
    uint64_t aways; /* calls that were AWAY */
    int64_t all_ms; /* what got dirty until then is due */
    bool hurry;
    bool pressed; /* there was more than may be: until half of that is left */
    struct behind_sure sure;
    char why[BACKING_WHY_SIZE];
    struct behind_letter letters[BEHIND_LETTERS];
    unsigned letter_next;
    uint64_t logged_ms; /* the second that is counted */
    unsigned logged;
};

/* ---- clocks ---- */

static uint64_t behind_now(struct cache_behind *b)
{
    if (b->timed)
        b->mono_ms = clock_mono_ms();
    return b->mono_ms;
}

static int64_t behind_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Spreads pauses, no more; without a clock always the same. */
static uint32_t behind_random(struct cache_behind *b)
{
    b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(b->random >> 32);
}

static void behind_on_timer(uv_timer_t *timer);

static void behind_set_timer(struct cache_behind *b, bool quiet, uint64_t first_ms)
{
    b->quiet = quiet;
    uv_timer_start(&b->timer, behind_on_timer, first_ms, quiet ? BEHIND_QUIET_MS : BEHIND_TICK_MS);
}

static bool behind_has_work(const struct cache_behind *b)
{
    return b->flying.count > 0 || b->failed.count > 0 || b->sure.call != NULL || b->leaves ||
           b->logged > 0 || cache_db_dirt(b->db).keys > 0;
}

static void behind_on_timer(uv_timer_t *timer)
{
    struct cache_behind *b = timer->data;
    cache_behind_work(b, behind_wall_us(), clock_mono_ms());
    bool quiet = !behind_has_work(b);
    if (quiet != b->quiet)
        behind_set_timer(b, quiet, quiet ? BEHIND_QUIET_MS : BEHIND_TICK_MS);
}

/* In the next round of the loop: what this one has written is in the log then. */
static void behind_soon(struct cache_behind *b)
{
    if (b->timed)
        behind_set_timer(b, false, 0);
}

/* ---- lists ---- */

static void behind_push(struct behind_list *list, struct behind_put *p)
{
    p->next = NULL;
    *list->end = p;
    list->end = &p->next;
    list->count++;
}

static void behind_pull(struct behind_list *list, struct behind_put *p)
{
    struct behind_put **link = &list->first;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    if (list->end == &p->next)
        list->end = link;
    list->count--;
}

static struct slice behind_key(const struct behind_put *p)
{
    return slice_make(p->key, p->key_len);
}

static struct behind_put *behind_find(const struct behind_list *list, struct slice key)
{
    struct behind_put *p = list->first;
    while (p != NULL && !slice_equal(behind_key(p), key))
        p = p->next;
    return p;
}

/* ---- dead letters ---- */

static struct behind_letter *behind_letter(const struct cache_behind *b, struct slice key)
{
    for (unsigned i = 0; i < BEHIND_LETTERS; i++) {
        const struct behind_letter *l = &b->letters[i];
        if (l->text != NULL && slice_equal(slice_make(l->text, l->key_len), key))
            return (struct behind_letter *)(uintptr_t)l;
    }
    return NULL;
}

/* A second is over: how many it has not named. */
static void behind_log_more(struct cache_behind *b)
{
    if (b->logged == 0 || behind_now(b) - b->logged_ms < 1000)
        return;
    if (b->logged > BEHIND_LOGGED)
        log_warn("dead-letters", "more=%u remedy=\"see platoonctl cache dead\"",
                 b->logged - BEHIND_LOGGED);
    b->logged = 0;
}

/* A store that refuses all of it must not fill the log of the host. */
static void behind_log_letter(struct cache_behind *b, struct slice key, const char *why)
{
    behind_log_more(b);
    if (b->logged++ == 0)
        b->logged_ms = behind_now(b);
    if (b->logged <= BEHIND_LOGGED)
        log_warn("dead-letter", "key=%s reason=%s", log_quote(key), log_quote_text(why));
}

static void behind_note_letter(struct cache_behind *b, struct slice key, const char *why)
{
    struct behind_letter *l = behind_letter(b, key);
    if (l == NULL)
        l = &b->letters[b->letter_next++ % BEHIND_LETTERS];
    size_t size = strlen(why) + 1;
    free(l->text);
    l->text = malloc(key.len + size); /* without memory its reason is not known, that is all */
    l->key_len = key.len;
    if (l->text != NULL) {
        memcpy(l->text, key.ptr, key.len);
        memcpy(l->text + key.len, why, size);
    }
    behind_log_letter(b, key, why);
}

const char *cache_behind_why(const struct cache_behind *b, struct slice key)
{
    const struct behind_letter *l = behind_letter(b, key);
    return l != NULL ? l->text + l->key_len
           : cache_db_is_dead(b->db, key)
               ? "not known any more: of the last 256 it is; a retry tells it"
               : "";
}

bool cache_behind_retry(struct cache_behind *b, struct slice key)
{
    bool was = cache_db_dead_retry(b->db, key);
    behind_soon(b);
    return was;
}

/* ---- answers ---- */

static void behind_end(struct behind_put *p)
{
    free(p->value);
    free(p);
}

/* It is under way no more. */
static void behind_land(struct cache_behind *b, struct behind_put *p)
{
    behind_pull(&b->flying, p);
    b->flying_bytes -= p->value_len;
    cache_db_charge(b->db, -(ptrdiff_t)p->value_len);
    free(p->value);
    p->value = NULL;
    p->call = NULL;
}

static void behind_is_sure(struct cache_behind *b)
{
    b->sure.until_ms = behind_now(b) + BEHIND_SURE_MS;
    b->sure.failures = 0;
    b->sure.at_ms = 0;
}

static void behind_taken(struct cache_behind *b, struct behind_put *p)
{
    cache_pace_answered(&b->pace);
    behind_is_sure(b);
    b->counts.stores++;
    if (!cache_db_stored(b->db, behind_key(p), p->meta.version, p->asked) &&
        b->options.on_stored != NULL)
        b->options.on_stored(b->options.ctx, behind_key(p), p->meta.version);
    behind_end(p);
}

static void behind_dead(struct cache_behind *b, struct behind_put *p,
                        const struct backing_answer *answer)
{
    uint64_t above = answer->result == BACKING_NEWER ? answer->meta.version : 0;
    char why[BACKING_WHY_SIZE];
    snprintf(why, sizeof why, "%s", answer->why);
    if (answer->result == BACKING_NEWER && why[0] == '\0')
        snprintf(why, sizeof why,
                 "the store has version %" PRIu64 ", which is newer than %" PRIu64
                 ": somebody else has written it",
                 above, p->meta.version);
    if (cache_db_give_up(b->db, behind_key(p), p->meta.version, above))
        behind_note_letter(b, behind_key(p), why);
    behind_end(p);
}

/*
 * Others that the store took since its first failure, which speak against this object. Where not only this one is AWAY
 * it is the store that fails now and then, and none of them is at fault.
 */
static uint64_t behind_others(const struct cache_behind *b, const struct behind_put *p,
                              enum backing_result result)
{
    uint64_t taken = b->counts.stores - p->others_taken;
    uint64_t away = b->aways - p->others_away;
    uint64_t others = away > p->failures ? away - p->failures : 0;
    return result == BACKING_AWAY && others * BEHIND_AWAY_FEW > taken ? 0 : taken;
}

static void behind_again(struct cache_behind *b, struct behind_put *p,
                         const struct backing_answer *answer)
{
    uint64_t now = behind_now(b), max = b->options.retry_max_ms;
    uint64_t most = max > BEHIND_ASKED_MS ? max : BEHIND_ASKED_MS;
    uint64_t asked = answer->retry_after_ms < most ? answer->retry_after_ms : most;
    if (p->failures == 0) {
        p->others_taken = b->counts.stores;
        p->others_away = b->aways;
    }
    p->failures++;
    b->aways += answer->result == BACKING_AWAY;
    if (backing_retry_is_dead(answer->result, p->failures, behind_others(b, p, answer->result))) {
        behind_dead(b, p, answer);
        return;
    }
    cache_pace_failed(&b->pace, now, asked, max, behind_random(b));
    snprintf(b->why, sizeof b->why, "%s", answer->why);
    p->at_ms = now + backing_retry_pause(p->failures, asked, max, behind_random(b));
    if (b->failed.count < BEHIND_FAILED_MAX) {
        behind_push(&b->failed, p);
        return;
    }
    cache_db_give_back(b->db, behind_key(p), false);
    behind_end(p);
}

static void behind_on_answer(const struct backing_answer *answer, void *ctx)
{
    struct behind_put *p = ctx;
    struct cache_behind *b = p->b;
    if (b->timed)
        cache_db_begin(b->db, behind_wall_us(), behind_now(b));
    behind_land(b, p);
    b->counts.errors += answer->result != BACKING_DONE;
    switch (answer->result) {
    case BACKING_DONE:
        behind_taken(b, p);
        break;
    case BACKING_NEWER:
    case BACKING_REFUSED:
        cache_pace_answered(&b->pace);
        behind_dead(b, p, answer);
        break;
    default:
        behind_again(b, p, answer);
    }
    behind_soon(b);
    if (b->options.on_change != NULL)
        b->options.on_change(b->options.ctx);
}

/* ---- what leaves memory ---- */

static void behind_on_sure(const struct backing_answer *answer, void *ctx)
{
    struct cache_behind *b = ctx;
    struct behind_sure *s = &b->sure;
    s->call = NULL;
    if (answer->result == BACKING_AWAY || answer->result == BACKING_FORBIDDEN)
        s->at_ms = behind_now(b) + backing_retry_pause(++s->failures, answer->retry_after_ms,
                                                       b->options.retry_max_ms, behind_random(b));
    else
        behind_is_sure(b);
}

/*
 * What is clean leaves memory only while the store answers, or it could not be read: also one that nothing is put into,
 * nor loaded from, may have been away for long.
 */
static void behind_idle(struct cache_behind *b)
{
    struct behind_sure *s = &b->sure;
    bool sure = b->pace.failures == 0 && b->mono_ms < s->until_ms;
    struct slice key = cache_db_idle(b->db, b->options.idle_ms, sure);
    b->leaves = key.len > 0 || !cache_db_idle_is_over(b->db);
    if (key.len > 0 && !sure && s->call == NULL && b->mono_ms >= s->at_ms &&
        b->store->ops->get(b->store, key, b->options.timeout_ms, behind_on_sure, b, &s->call) != 0)
        s->at_ms = b->mono_ms + BEHIND_SHORT_MS;
}

/* ---- putting ---- */

/* False: memory is short, and it is not under way. */
static bool behind_fly(struct cache_behind *b, struct behind_put *p, const struct cache_object *o)
{
    struct slice value = cache_object_value(o);
    p->meta = (struct backing_meta){.version = o->version,
                                    .expiry_ms = cache_object_expiry(o),
                                    .form = o->form,
                                    .deleted = o->gone};
    p->value = malloc(value.len + 1);
    if (p->value == NULL)
        return false;
    p->value_len = value.len;
    memcpy(p->value, value.ptr, value.len);
    if (b->store->ops->put(b->store, behind_key(p), slice_make(p->value, value.len), &p->meta,
                           b->options.timeout_ms, behind_on_answer, p, &p->call) != 0) {
        free(p->value);
        p->value = NULL;
        return false;
    }
    behind_push(&b->flying, p);
    b->flying_bytes += p->value_len;
    cache_db_charge(b->db, (ptrdiff_t)p->value_len);
    return true;
}

/* What was taken. False: nothing was, or memory is short. */
static bool behind_start_one(struct cache_behind *b, const struct cache_object *o)
{
    if (o == NULL)
        return false;
    struct slice key = cache_object_key(o);
    struct behind_put *p = malloc(sizeof *p + key.len);
    if (p != NULL) {
        *p = (struct behind_put){.b = b, .key_len = key.len};
        memcpy(p->key, key.ptr, key.len);
        if (behind_fly(b, p, o))
            return true;
        behind_end(p);
    }
    cache_db_give_back(b->db, key, true);
    return false;
}

/* The next that is due. */
static bool behind_start(struct cache_behind *b, int64_t until_ms)
{
    return behind_start_one(b, cache_db_take(b->db, until_ms));
}

/* Its newest version, once more. */
static bool behind_restart(struct cache_behind *b, struct behind_put *p)
{
    const struct cache_object *o = cache_db_taken(b->db, behind_key(p));
    behind_pull(&b->failed, p);
    if (o == NULL) {
        behind_end(p);
        return true;
    }
    if (behind_fly(b, p, o))
        return true;
    p->at_ms = behind_now(b) + BEHIND_SHORT_MS;
    behind_push(&b->failed, p);
    return false;
}

/* One that has failed, and whose pause is over. */
static bool behind_start_failed(struct cache_behind *b)
{
    struct behind_put *p = b->failed.first;
    while (p != NULL && p->at_ms > b->mono_ms)
        p = p->next;
    return p != NULL && behind_restart(b, p);
}

/*
 * In turn what is next, what has failed, and what is last: else one object that never goes would be all that is ever
 * tried, or all those of one kind, which the store forbids, before those that it takes.
 */
static bool behind_probe(struct cache_behind *b, int64_t until_ms)
{
    unsigned turn = b->probes++ % 3;
    bool fresh = turn != 1;
    if (turn == 2 && behind_start_one(b, cache_db_take_last(b->db)))
        return true;
    if (fresh && behind_start(b, until_ms))
        return true;
    if (b->failed.first != NULL)
        return behind_restart(b, b->failed.first);
    return !fresh && behind_start(b, until_ms);
}

/* What got dirty until then is due. */
static int64_t behind_until(struct cache_behind *b)
{
    enum cache_dirtiness dirt = cache_db_dirtiness(b->db);
    if (dirt != CACHE_DIRTY_SOME)
        b->pressed = dirt == CACHE_DIRTY_TOO_MUCH;
    if (b->hurry || b->pressed || cache_db_is_full(b->db))
        return INT64_MAX;
    int64_t until_ms = cache_db_now_ms(b->db) - (int64_t)b->options.write_delay_ms;
    return until_ms > b->all_ms ? until_ms : b->all_ms;
}

static void behind_pump(struct cache_behind *b)
{
    int64_t until_ms = behind_until(b);
    bool pauses = cache_pace_pauses(&b->pace), more = true;
    unsigned room = cache_pace_room(&b->pace, b->mono_ms, b->flying.count, b->options.parallel);
    for (; more && room > 0; room--) {
        if (b->flying_bytes >= BEHIND_FLYING_BYTES)
            break;
        more = pauses ? behind_probe(b, until_ms)
                      : behind_start_failed(b) || behind_start(b, until_ms);
    }
}

void cache_behind_work(struct cache_behind *b, int64_t wall_us, uint64_t mono_ms)
{
    b->mono_ms = mono_ms;
    cache_db_begin(b->db, wall_us, mono_ms);
    behind_log_more(b);
    if (cache_db_is_written(b->db))
        behind_pump(b);
    if (b->options.idle_ms > 0)
        behind_idle(b);
}

/* ---- from outside ---- */

bool cache_behind_ask(struct cache_behind *b, struct slice key)
{
    if (!cache_db_ask(b->db, key))
        return false;
    struct behind_put *flying = behind_find(&b->flying, key),
                      *failed = behind_find(&b->failed, key);
    if (flying != NULL)
        flying->asked = true;
    if (failed != NULL)
        failed->at_ms = 0;
    behind_soon(b);
    return true;
}

void cache_behind_tick(struct cache_behind *b)
{
    if (b->quiet)
        behind_on_timer(&b->timer);
}

void cache_behind_turn(struct cache_behind *b)
{
    if (b->quiet && cache_db_dirt(b->db).keys > 0)
        behind_soon(b);
}

void cache_behind_all(struct cache_behind *b)
{
    b->all_ms = cache_db_now_ms(b->db);
    for (struct behind_put *p = b->flying.first; p != NULL; p = p->next)
        p->asked = true;
    for (struct behind_put *p = b->failed.first; p != NULL; p = p->next)
        p->asked = true;
    behind_soon(b);
}

void cache_behind_hurry(struct cache_behind *b, bool on)
{
    b->hurry = on;
    behind_soon(b);
}

const char *cache_behind_trouble(const struct cache_behind *b)
{
    return cache_pace_pauses(&b->pace) ? b->why : "";
}

const struct cache_behind_counts *cache_behind_counts(const struct cache_behind *b)
{
    return &b->counts;
}

struct cache_behind *cache_behind_new(uv_loop_t *loop, struct cache_db *db, struct backing *store,
                                      const struct cache_behind_options *options)
{
    struct cache_behind *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->db = db;
    b->store = store;
    b->options = *options;
    b->flying.end = &b->flying.first;
    b->failed.end = &b->failed.first;
    b->all_ms = INT64_MIN;
    b->timer.data = b;
    b->timed = loop != NULL && uv_timer_init(loop, &b->timer) == 0;
    b->random = b->timed ? uv_hrtime() : 0;
    behind_soon(b);
    return b;
}

static void behind_on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void cache_behind_free(struct cache_behind *b)
{
    if (b == NULL)
        return;
    for (struct behind_put *p = b->flying.first, *next; p != NULL; p = next) {
        next = p->next;
        b->store->ops->cancel(p->call);
        cache_db_charge(b->db, -(ptrdiff_t)p->value_len);
        behind_end(p);
    }
    for (struct behind_put *p = b->failed.first, *next; p != NULL; p = next) {
        next = p->next;
        behind_end(p);
    }
    if (b->sure.call != NULL)
        b->store->ops->cancel(b->sure.call);
    for (unsigned i = 0; i < BEHIND_LETTERS; i++)
        free(b->letters[i].text);
    if (b->timed)
        uv_close((uv_handle_t *)&b->timer, behind_on_closed);
    else
        free(b);
}
