/*
 * test_cache_behind_property.c: random writes, deletions and expiries; answers lost, late, or that say AWAY; memory
 * short; kills and replays of the real log; another store; objects that are lost to the ring and ours again
 * (workers/cache/cache_behind.h). What is in memory is what was acknowledged; what is not, the store has, or a stray
 * says; in the end the store has all of it; and no older version ever wins there.
 */
#include "test/unit/cache/cache_log_fixture.h"
#include "test/unit/cache/cache_property.h"
#include "test/unit/cache/store_fake.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_db_private.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#define KEYS     14
#define VOLATILE 12 /* and those behind it */
#define START_US INT64_C(1700000000000000)

struct known {
    bool is;
    uint64_t number; /* which its value says */
    size_t tails;
    int64_t expiry_ms;
};

static const uint8_t hash_key[16] = {7};
static struct log_fixture dirs[2];
static unsigned dir;
static struct cache_db *db;
static struct cache_log *node_log;
static struct cache_behind *behind;
static struct store_fake store;
static struct known now[KEYS], acknowledged[KEYS];
static uint64_t newest_there[KEYS]; /* number of what the store has had */
static uint64_t last_number;
static int64_t now_us;
static unsigned stores, kills, loads, moves, strays, second_strays;
static char store_name[32];

static struct slice key_of(unsigned i)
{
    static char text[KEYS][16];
    snprintf(text[i], sizeof text[i], i < VOLATILE ? "key:%u" : "tmp:%u", i);
    return slice_of(text[i]);
}

static uint64_t mono_ms(void)
{
    return (uint64_t)(now_us - START_US) / 1000 + 1;
}

static void opened(void)
{
    static const struct cache_log_events events = {.on_expected = cache_db_expect,
                                                   .on_records = cache_db_replay,
                                                   .is_alive = cache_db_is_alive,
                                                   .on_moved = cache_db_moved};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 300,
                                             .stored = true,
                                             .volatiles = "tmp:*"};
    const struct cache_behind_options behind_options = {.write_delay_ms = 300,
                                                        .idle_ms = 2000,
                                                        .retry_max_ms = 500,
                                                        .timeout_ms = 100,
                                                        .parallel = 4};
    const struct cache_log_options log_options = {
        .dir = dirs[dir].dir, .segment_max = 4096, .fsync = CACHE_LOG_NO, .store = store_name};
    struct cache_log_found found;
    char why[512] = "";
    snprintf(store_name, sizeof store_name, "store %u", moves);
    db = cache_db_new(&options, hash_key);
    cache_db_begin(db, now_us, mono_ms());
    MUST(cache_log_open(&dirs[dir].loop, &log_options, &events, db, NULL, &found, &node_log, why,
                        sizeof why) == 0);
    MUST(found.damaged == 0);
    cache_db_attach(db, node_log);
    behind = cache_behind_new(NULL, db, &store.backing, &behind_options);
    MUST(behind != NULL);
}

static void closed(void)
{
    cache_behind_free(behind);
    cache_log_close(node_log);
    cache_db_free(db);
    uv_run(&dirs[dir].loop, UV_RUN_DEFAULT);
}

static void set_up(void)
{
    log_fixture_init(&dirs[0]);
    log_fixture_init(&dirs[1]);
    store_fake_init(&store);
    now_us = START_US;
    opened();
}

static void tear_down(void)
{
    closed();
    store_fake_fini(&store);
    log_fixture_fini(&dirs[0]);
    log_fixture_fini(&dirs[1]);
}

/* ---- the node ---- */

struct strays_of {
    struct slice key;
    unsigned count;
};

static void on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    struct strays_of *s = ctx;
    struct slice key = cache_object_key(cache_table_at(t, handle));
    s->count += cache_stray_is(key) && slice_equal(cache_stray_key(key), s->key);
}

static unsigned strays_of(unsigned i)
{
    struct strays_of s = {.key = key_of(i)};
    uint64_t cursor = 0;
    if (cache_db_strays(db).count == 0)
        return 0;
    do
        cursor = cache_table_scan(db->table, cursor, on_seen, &s);
    while (cursor != 0);
    return s.count;
}

/* What the store says of a key that memory knows nothing of; not before it has what was written here. */
static bool load(unsigned i)
{
    if (strays_of(i) > 0)
        return false;
    const struct store_object *o = store_fake_find(&store, key_of(i));
    enum cache_fault fault = o == NULL ? cache_db_learn_absent(db, key_of(i), 0)
                             : o->meta.deleted
                                 ? cache_db_learn_absent(db, key_of(i), o->meta.version)
                                 : cache_db_learn(db, key_of(i), slice_make(o->value, o->value_len),
                                                  o->meta.version, o->meta.expiry_ms, o->meta.form);
    loads += fault == CACHE_OK;
    return fault == CACHE_OK;
}

static bool is_there(const struct known *k)
{
    return k->is && k->expiry_ms > now_us / 1000;
}

static struct slice value_of(const struct known *k)
{
    static char text[STORE_BYTES];
    int len = snprintf(text, sizeof text, "%" PRIu64 " ", k->number);
    for (size_t i = 0; i < k->tails; i++)
        text[len++] = '+';
    return slice_make(text, (size_t)len);
}

static void expect(unsigned i)
{
    const struct cache_object *o = cache_db_peek(db, key_of(i));
    MUST((o != NULL) == is_there(&now[i]));
    if (o == NULL)
        return;
    MUST(slice_equal(cache_object_value(o), value_of(&now[i])));
    MUST(cache_object_expiry(o) == now[i].expiry_ms);
}

static int64_t some_expiry(void)
{
    return cache_random(2) == 0 ? CACHE_NEVER : now_us / 1000 + 1 + cache_random(800);
}

static void step_set(unsigned i)
{
    struct known next = {true, ++last_number, 0, some_expiry()};
    if (cache_db_set(db, key_of(i), value_of(&next), next.expiry_ms, 0) == CACHE_OK)
        now[i] = next;
}

static void step_change(unsigned i, unsigned what)
{
    struct known next = now[i];
    bool was;
    size_t len;
    if (!cache_db_knows(db, key_of(i)) && !load(i))
        return;
    expect(i);
    if (what == 0) {
        if (cache_db_delete(db, key_of(i), &was) == CACHE_OK) {
            MUST(was == is_there(&now[i]));
            now[i].is = false;
        }
    } else if (what == 1 && is_there(&next) && next.tails < 50) {
        next.tails++;
        next.number = now[i].number;
        if (cache_db_append(db, key_of(i), slice_of("+"), &len) == CACHE_OK)
            now[i] = next;
    } else if (what == 2 && is_there(&next)) {
        next.expiry_ms = some_expiry();
        if (cache_db_expire(db, key_of(i), next.expiry_ms) == CACHE_OK)
            now[i] = next;
    }
}

static void step_estrange(unsigned i)
{
    uint32_t handle = cache_table_find(db->table, key_of(i), cache_db_hash(db, key_of(i)));
    unsigned before = strays_of(i);
    if (handle == 0)
        return;
    enum cache_fault fault = cache_db_estrange(db, handle);
    unsigned more = strays_of(i) - before;
    MUST(more <= 1);
    MUST((cache_table_find(db->table, key_of(i), cache_db_hash(db, key_of(i))) == 0) ==
         (fault == CACHE_OK));
    strays += more;
    second_strays += more == 1 && before > 0;
    now[i].is = now[i].is && (i < VOLATILE || fault != CACHE_OK);
}

static void step(void)
{
    unsigned i = cache_random(KEYS), what = cache_random(8);
    bool short_of_memory = cache_random(6) == 0;
    if (short_of_memory)
        short_memory_fail(1 + cache_random(4), cache_random(2) == 0);
    if (what < 4)
        step_set(i);
    else if (what < 7)
        step_change(i, what - 4);
    if (cache_random(9) == 0)
        step_estrange(i);
    if (what == 7 || cache_random(4) == 0)
        cache_behind_ask(behind, key_of(i));
    if (cache_random(4) == 0) /* what is not in the log yet must not go */
        cache_behind_work(behind, now_us, mono_ms());
    short_memory_fail(0, false);
}

static void acknowledge(void)
{
    MUST(cache_log_flush(node_log) == 0);
    memcpy(acknowledged, now, sizeof now);
}

/* Its process is gone, and what it had not written with it; requests go on their way. */
static void kill_it(void)
{
    for (struct backing_call *c = store.calls; c != NULL; c = c->next)
        if (cache_random(2) == 0)
            store_fake_do(&store, &c->put, NULL);
    log_fixture_copy(&dirs[dir], &dirs[1 - dir]);
    closed();
    dir = 1 - dir;
    memcpy(now, acknowledged, sizeof now);
    opened();
    kills++;
}

/* Its log gets another store, which is empty; what memory had let go of stays in the other. */
static void move_it(void)
{
    for (unsigned i = 0; i < KEYS; i++)
        if (!cache_db_knows(db, key_of(i)) && !load(i))
            return;
    acknowledge();
    log_fixture_copy(&dirs[dir], &dirs[1 - dir]);
    closed();
    dir = 1 - dir;
    store_fake_fini(&store);
    store_fake_init(&store);
    memset(newest_there, 0, sizeof newest_there);
    moves++;
    opened();
    for (unsigned i = 0; i < KEYS; i++)
        if (is_there(&now[i]))
            expect(i);
}

/* ---- the store ---- */

/* Of two of one life the one with the greater number is newer. */
static void expect_newer(void)
{
    for (unsigned i = 0; i < VOLATILE; i++) {
        const struct store_object *o = store_fake_find(&store, key_of(i));
        if (o == NULL || o->meta.deleted)
            continue;
        uint64_t number = strtoull(o->value, NULL, 10);
        MUST(number >= newest_there[i]);
        newest_there[i] = number;
    }
    for (unsigned i = VOLATILE; i < KEYS; i++)
        MUST(store_fake_find(&store, key_of(i)) == NULL);
}

static void answer_one(void)
{
    struct backing_call *call = store.calls;
    for (uint32_t skip = cache_random(3); skip > 0 && call->next != NULL; skip--)
        call = call->next;
    unsigned how = cache_random(10);
    stores++;
    if (how < 5) {
        store_fake_take(call);
    } else if (how < 7) {
        store_fake_do(&store, &call->put, NULL); /* the answer is lost */
        store_fake_answer(call, BACKING_AWAY, false);
    } else {
        store_fake_answer(call, how == 9 ? BACKING_FORBIDDEN : BACKING_AWAY, how == 7);
    }
}

static void store_turn(void)
{
    for (uint32_t i = cache_random(4); i > 0 && store.calls != NULL; i--)
        answer_one();
    if (cache_random(4) == 0)
        store_fake_arrive(&store);
    expect_newer();
}

/* ---- */

static void turn(void)
{
    now_us += (int64_t)cache_random(60000);
    cache_behind_work(behind, now_us, mono_ms());
    for (uint32_t i = cache_random(6); i > 0; i--)
        step();
    store_turn();
    cache_db_work(db);
    cache_log_clean(node_log, 1000);
    if (cache_random(30) == 0) {
        kill_it();
        if (cache_random(5) != 0)
            move_it();
        return;
    }
    acknowledge();
    for (unsigned i = 0; i < KEYS; i++)
        if (cache_db_knows(db, key_of(i)))
            expect(i);
}

/* What was put before a kill, and not known to be, may have passed over its stray. */
static bool is_overtaken(const struct cache_object *o)
{
    const struct store_object *there =
        store_fake_find(&store, cache_stray_key(cache_object_key(o)));
    return cache_stray_is(cache_object_key(o)) && there != NULL && there->meta.version > o->version;
}

static void retry_dead_letters(void)
{
    const struct cache_object *o;
    bool was = false;
    while ((o = cache_db_dead(db, NULL)) != NULL)
        if (is_overtaken(o))
            MUST(cache_db_dead_drop(db, cache_object_key(o), &was) == CACHE_OK && was);
        else
            MUST(cache_behind_retry(behind, cache_object_key(o)));
}

/* The store takes all again, and has it soon. */
static void settle(void)
{
    cache_behind_hurry(behind, true);
    for (int i = 0; cache_db_dirt(db).keys + cache_db_dirt(db).dead > 0; i++) {
        MUST(i < 200);
        retry_dead_letters();
        now_us += 600000;
        cache_behind_work(behind, now_us, mono_ms());
        store_fake_take_all(&store);
        acknowledge();
    }
    cache_behind_hurry(behind, false);
    while (store_fake_arrive(&store))
        ;
    expect_newer();
    MUST(cache_db_dirt(db).bytes == 0);
    MUST(cache_db_strays(db).count == 0);
}

static void expect_all_stored(void)
{
    for (unsigned i = 0; i < VOLATILE; i++) {
        const struct store_object *o = store_fake_find(&store, key_of(i));
        bool there = o != NULL && !o->meta.deleted && o->meta.expiry_ms > now_us / 1000;
        MUST(there == is_there(&now[i]));
        if (!there)
            continue;
        MUST(slice_equal(slice_make(o->value, o->value_len), value_of(&now[i])));
        MUST(o->meta.expiry_ms == now[i].expiry_ms);
    }
}

START_TEST(the_store_has_what_was_acknowledged)
{
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 150; i++)
            turn();
        settle();
        expect_all_stored();
    }
    ck_assert_uint_gt(kills, 100);
    ck_assert_uint_gt(moves, 20);
    ck_assert_uint_gt(stores, 2000);
    ck_assert_uint_gt(loads, 100);
    ck_assert_uint_gt(strays, 500);
    ck_assert_uint_gt(second_strays, 50);
}
END_TEST

/* Of a log that has just been opened, whose first record needs memory; whatever it would have become. */
START_TEST(a_refused_write_leaves_the_old_one)
{
    const struct slice old = slice_of("what it was before");
    const struct slice values[] = {slice_of("a bit shorter"),
                                   slice_of("longer than what it was before")};
    unsigned refused = 0;
    for (long nth = 1; nth < 5; nth++)
        for (int i = 0; i < 4; i++) {
            int64_t expiry_ms = i % 2 == 0 ? CACHE_NEVER : now_us / 1000 + 1000;
            MUST(cache_db_set(db, key_of(0), old, CACHE_NEVER, 0) == CACHE_OK);
            acknowledge();
            closed();
            opened();
            short_memory_fail(nth, true);
            bool done = cache_db_set(db, key_of(0), values[i / 2], expiry_ms, 0) == CACHE_OK;
            short_memory_fail(0, false);
            const struct cache_object *o = cache_db_peek(db, key_of(0));
            MUST(slice_equal(cache_object_value(o), done ? values[i / 2] : old));
            MUST(cache_object_expiry(o) == (done ? expiry_ms : CACHE_NEVER));
            refused += !done;
        }
    ck_assert_uint_gt(refused, 4);
}
END_TEST

/* Reads go on: what is loaded meanwhile gathers no records, and leaves memory again. */
START_TEST(loads_need_no_log)
{
    static char value[STORE_BYTES];
    char key[16];
    struct rlimit old, none = {0, RLIM_INFINITY};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    none.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    MUST(cache_db_set(db, key_of(0), slice_of("1"), CACHE_NEVER, 0) == CACHE_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    int rc = cache_log_flush(node_log);
    uint64_t bytes = cache_log_bytes(node_log);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "cold%d", i);
        MUST(cache_db_learn(db, slice_of(key), slice_make(value, sizeof value), 7, CACHE_NEVER,
                            CACHE_FORM_BYTES) == CACHE_OK);
        MUST(cache_db_peek(db, slice_of(key)) != NULL);
    }
    uint64_t more = cache_log_bytes(node_log) - bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_int_lt(rc, 0);
    ck_assert_uint_eq(more, 0);
    do
        cache_db_idle(db, 0, true);
    while (!cache_db_idle_is_over(db));
    ck_assert_uint_eq(cache_db_count(db), 1);
    acknowledge();
    closed();
    opened();
    ck_assert_uint_eq(cache_db_count(db), 1);
}
END_TEST

SUITE_MAIN_WITH("cache_behind_property", set_up, tear_down, the_store_has_what_was_acknowledged,
                a_refused_write_leaves_the_old_one, loads_need_no_log)
