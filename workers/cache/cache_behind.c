/* cache_behind.c: what is put, and when. See cache_behind.h. */
#include "workers/cache/cache_behind_private.h"

#include "common/clock.h"

#include <stdlib.h>
#include <time.h>

#define BEHIND_TICK_MS      100u
#define BEHIND_QUIET_MS     5000u /* while there is nothing to do: a node without work sleeps */
#define BEHIND_FLYING_BYTES ((size_t)16 << 20) /* copied for the store at once, if it is not one */

/* ---- clocks ---- */

uint64_t cache_behind_now(struct cache_behind *b)
{
    if (b->timed)
        b->mono_ms = clock_mono_ms();
    return b->mono_ms;
}

int64_t cache_behind_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint32_t cache_behind_random(struct cache_behind *b)
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
    cache_behind_work(b, cache_behind_wall_us(), clock_mono_ms());
    bool quiet = !behind_has_work(b);
    if (quiet != b->quiet)
        behind_set_timer(b, quiet, quiet ? BEHIND_QUIET_MS : BEHIND_TICK_MS);
}

void cache_behind_soon(struct cache_behind *b)
{
    if (b->timed)
        behind_set_timer(b, false, 0);
}

/* ---- lists ---- */

void cache_behind_push(struct behind_list *list, struct behind_put *p)
{
    p->next = NULL;
    *list->end = p;
    list->end = &p->next;
    list->count++;
}

void cache_behind_pull(struct behind_list *list, struct behind_put *p)
{
    struct behind_put **link = &list->first;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    if (list->end == &p->next)
        list->end = link;
    list->count--;
}

static struct behind_put *behind_find(const struct behind_list *list, struct slice key)
{
    struct behind_put *p = list->first;
    while (p != NULL && !slice_equal(cache_behind_key(p), key))
        p = p->next;
    return p;
}

void cache_behind_end(struct behind_put *p)
{
    free(p->value);
    free(p);
}

/* ---- one of a key at a time ---- */

static struct slice behind_real_key(const struct behind_put *p)
{
    return cache_stray_key(cache_behind_key(p));
}

/*
 * Whether another object of that real key goes first: it is under way, or older and waits for another try. Else what
 * this node has put last would have the one before it refused, as if somebody else had written it. What was under way
 * when its object became a stray has none any more: it is not tried again, and its answer not taken for that of an
 * object that has the key since. It is met here, for the stray comes by, or that object, while the stray is there.
 */
static bool behind_must_wait(struct cache_behind *b, const struct behind_put *p)
{
    bool waits = false;
    struct behind_put *next;
    if (cache_db_strays(b->db).count == 0)
        return false;
    for (struct behind_put *o = b->flying.first; o != NULL; o = o->next) {
        waits = waits || slice_equal(behind_real_key(o), behind_real_key(p));
        o->lost = o->lost || slice_equal(cache_behind_key(o), cache_behind_key(p));
    }
    for (struct behind_put *o = b->failed.first; o != NULL; o = next) {
        next = o->next;
        if (!slice_equal(behind_real_key(o), behind_real_key(p)))
            continue;
        bool same = slice_equal(cache_behind_key(o), cache_behind_key(p));
        if (!same && (waits || cache_db_taken(b->db, cache_behind_key(o)) != NULL)) {
            waits = waits || o->meta.version < p->meta.version;
            continue;
        }
        cache_behind_pull(&b->failed, o);
        cache_behind_end(o);
    }
    return waits;
}

/* Of a stray: whose its key is. */
static enum cache_may_put behind_may(const struct cache_behind *b, const struct behind_put *p)
{
    if (b->options.may_put == NULL || !cache_stray_is(cache_behind_key(p)))
        return CACHE_MAY_PUT;
    return b->options.may_put(b->options.ctx, behind_real_key(p));
}

void cache_behind_wait(struct cache_behind *b, struct behind_put *p, uint64_t pause_ms)
{
    p->at_ms = cache_behind_now(b) + pause_ms;
    if (b->failed.count < BEHIND_FAILED_MAX) {
        cache_behind_push(&b->failed, p);
        return;
    }
    cache_db_give_back(b->db, cache_behind_key(p), false);
    cache_behind_end(p);
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
    if (b->store->ops->put(b->store, behind_real_key(p), slice_make(p->value, value.len), &p->meta,
                           b->options.timeout_ms, cache_behind_on_answer, p, &p->call) != 0) {
        free(p->value);
        p->value = NULL;
        return false;
    }
    cache_behind_push(&b->flying, p);
    b->flying_bytes += p->value_len;
    cache_db_charge(b->db, (ptrdiff_t)p->value_len);
    return true;
}

/* What the store has of it. */
static void behind_look(struct cache_behind *b, struct behind_put *p)
{
    if (b->store->ops->get(b->store, behind_real_key(p), b->options.timeout_ms,
                           cache_behind_on_look, p, &p->call) == 0)
        cache_behind_push(&b->flying, p);
    else
        cache_behind_wait(b, p, BEHIND_SHORT_MS);
}

/* True: it is not put now. */
static bool behind_is_put_off(struct cache_behind *b, struct behind_put *p)
{
    enum cache_may_put may = behind_may(b, p);
    if (may == CACHE_MAY_PUT && behind_must_wait(b, p))
        may = CACHE_MAY_WAIT;
    if (may == CACHE_MAY_LOOK)
        behind_look(b, p);
    else if (may == CACHE_MAY_WAIT)
        cache_behind_wait(b, p, BEHIND_SHORT_MS);
    return may != CACHE_MAY_PUT;
}

/* What was taken; it may have to wait. False: nothing was, or memory is short. */
static bool behind_start_one(struct cache_behind *b, const struct cache_object *o)
{
    if (o == NULL)
        return false;
    struct slice key = cache_object_key(o);
    struct behind_put *p = malloc(sizeof *p + key.len);
    if (p != NULL) {
        *p = (struct behind_put){.b = b, .key_len = key.len, .meta.version = o->version};
        memcpy(p->key, key.ptr, key.len);
        if (behind_is_put_off(b, p) || behind_fly(b, p, o))
            return true;
        cache_behind_end(p);
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
    const struct cache_object *o = cache_db_taken(b->db, cache_behind_key(p));
    cache_behind_pull(&b->failed, p);
    if (o == NULL) {
        cache_behind_end(p);
        return true;
    }
    if (behind_is_put_off(b, p) || behind_fly(b, p, o))
        return true;
    p->at_ms = cache_behind_now(b) + BEHIND_SHORT_MS;
    cache_behind_push(&b->failed, p);
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

/* What has to wait takes no room; but there are no more of those looked at than may wait for another try. */
static void behind_pump(struct cache_behind *b)
{
    int64_t until_ms = behind_until(b);
    bool pauses = cache_pace_pauses(&b->pace), more = true;
    unsigned room = cache_pace_room(&b->pace, b->mono_ms, b->flying.count, b->options.parallel);
    unsigned most = b->flying.count + room;
    for (unsigned n = 0; more && b->flying.count < most && n < room + BEHIND_FAILED_MAX; n++) {
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
    cache_behind_log_more(b);
    if (b->options.may != NULL && !b->options.may(b->options.ctx))
        return;
    if (cache_db_is_written(b->db))
        behind_pump(b);
    if (b->options.idle_ms > 0)
        cache_behind_idle(b);
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
    cache_behind_soon(b);
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
        cache_behind_soon(b);
}

void cache_behind_all(struct cache_behind *b)
{
    b->all_ms = cache_db_now_ms(b->db);
    for (struct behind_put *p = b->flying.first; p != NULL; p = p->next)
        p->asked = true;
    for (struct behind_put *p = b->failed.first; p != NULL; p = p->next)
        p->asked = true;
    cache_behind_soon(b);
}

void cache_behind_hurry(struct cache_behind *b, bool on)
{
    b->hurry = on;
    cache_behind_soon(b);
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
    cache_behind_soon(b);
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
        cache_behind_end(p);
    }
    for (struct behind_put *p = b->failed.first, *next; p != NULL; p = next) {
        next = p->next;
        cache_behind_end(p);
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
