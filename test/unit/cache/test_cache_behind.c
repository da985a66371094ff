/*
 * test_cache_behind.c: what is dirty goes to the store, when it is due and once at a time, and what the store says of
 * it is judged (workers/cache/cache_behind.h).
 */
#include "test/unit/cache/store_fake.h"
#include "workers/cache/backing/backing_retry.h"
#include "workers/cache/cache_behind.h"

#define START_US  INT64_C(1700000000000000)
#define DELAY_MS  5000
#define IDLE_MS   60000
#define DIRTY_MAX 2000
#define PARALLEL  4

static struct cache_db *db;
static struct store_fake store;
static struct cache_behind *behind;
static int64_t now_us;
static uint64_t mono_ms;
static unsigned changes;
static unsigned passed; /* versions that were stored, and not the newest */

static void on_change(void *ctx)
{
    (void)ctx;
    changes++;
}

static void on_stored(void *ctx, struct slice key, uint64_t version)
{
    (void)ctx;
    ck_assert(version < cache_db_dirty_version(db, key));
    passed++;
}

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = DIRTY_MAX,
                                             .stored = true,
                                             .volatiles = "tmp:*"};
    const struct cache_behind_options behind_options = {.write_delay_ms = DELAY_MS,
                                                        .idle_ms = IDLE_MS,
                                                        .retry_max_ms = 10000,
                                                        .timeout_ms = 1000,
                                                        .parallel = PARALLEL,
                                                        .on_change = on_change,
                                                        .on_stored = on_stored};
    db = cache_db_new(&options, key);
    store_fake_init(&store);
    behind = cache_behind_new(NULL, db, &store.backing, &behind_options);
    ck_assert(db != NULL && behind != NULL);
    now_us = START_US;
    mono_ms = 1;
    changes = passed = 0;
    cache_db_begin(db, now_us, 1);
}

static void tear_down(void)
{
    cache_behind_free(behind);
    store_fake_fini(&store);
    cache_db_free(db);
}

static void pass(uint64_t ms)
{
    now_us += (int64_t)ms * 1000;
    mono_ms += ms;
    cache_behind_work(behind, now_us, mono_ms);
}

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(cache_db_set(db, slice_of(key), slice_of(value), CACHE_NEVER, 0), CACHE_OK);
}

static void del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
}

static bool is_dirty(const char *key)
{
    return cache_db_is_dirty(db, slice_of(key));
}

static struct backing_call *call_of(const char *key)
{
    struct backing_call *call = store_fake_call(&store, key);
    ck_assert_msg(call != NULL, "nothing is put of %s", key);
    return call;
}

/* NULL: nothing, or a deletion. */
static void expect_stored(const char *key, const char *value)
{
    const struct store_object *o = store_fake_find(&store, slice_of(key));
    bool there = o != NULL && !o->meta.deleted;
    ck_assert_msg(there == (value != NULL), "%s is %d", key, there);
    if (there)
        ck_assert(slice_is(slice_make(o->value, o->value_len), value));
}

/* It looks whether the store answers before anything leaves memory. */
static void pass_and_look(uint64_t ms)
{
    pass(ms);
    store_fake_take_all(&store);
    pass(0);
}

START_TEST(after_write_delay_the_newest)
{
    set("a", "1");
    pass(DELAY_MS - 1);
    set("a", "2");
    ck_assert_uint_eq(store_fake_count(&store), 0);
    pass(1);
    store_fake_take(call_of("a"));
    expect_stored("a", "2");
    ck_assert(!is_dirty("a"));
    ck_assert_uint_eq(changes, 1);
    pass(10 * DELAY_MS);
    ck_assert_uint_eq(store.started, 1);
    ck_assert_uint_eq(cache_behind_counts(behind)->stores, 1);
}
END_TEST

/* Nor do those behind it wait until the clock is where it was. */
START_TEST(a_clock_that_is_set_back)
{
    const int64_t back_us = INT64_C(3600) * 1000000;
    set("a", "1");
    now_us -= back_us;
    cache_db_begin(db, now_us, 1);
    set("b", "1");
    cache_behind_work(behind, now_us, 1);
    store_fake_take(call_of("a"));
    ck_assert_uint_eq(store_fake_count(&store), 0);
    now_us += INT64_C(1000) * DELAY_MS;
    cache_behind_work(behind, now_us, DELAY_MS + 1);
    store_fake_take(call_of("b"));
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
}
END_TEST

START_TEST(one_put_a_key)
{
    set("a", "1");
    pass(DELAY_MS);
    set("a", "2");
    pass(2 * DELAY_MS);
    ck_assert(!cache_behind_ask(behind, slice_of("b")));
    ck_assert_uint_eq(store_fake_count(&store), 1);
    store_fake_take(call_of("a"));
    expect_stored("a", "1");
    ck_assert(is_dirty("a") && passed == 1);
    pass(DELAY_MS - 1);
    ck_assert_uint_eq(store_fake_count(&store), 0);
    pass(1);
    set("a", "3");
    ck_assert(cache_behind_ask(behind, slice_of("a")));
    store_fake_take(call_of("a"));
    pass(0); /* it had been asked for */
    store_fake_take(call_of("a"));
    expect_stored("a", "3");
    ck_assert(!is_dirty("a") && passed == 2);
}
END_TEST

START_TEST(asked_for_before_its_time)
{
    set("a", "1");
    set("b", "1");
    ck_assert(cache_behind_ask(behind, slice_of("b")));
    pass(0);
    ck_assert_uint_eq(store_fake_count(&store), 1);
    store_fake_take(call_of("b"));
    ck_assert(!cache_behind_ask(behind, slice_of("b")));
    cache_behind_all(behind);
    pass(0);
    store_fake_take(call_of("a"));
    pass(1);
    set("a", "2");
    pass(1);
    ck_assert_uint_eq(store_fake_count(&store), 0);
    cache_behind_hurry(behind, true);
    pass(1);
    store_fake_take(call_of("a"));
}
END_TEST

START_TEST(deletions_too)
{
    set("a", "1");
    pass(DELAY_MS);
    store_fake_take_all(&store);
    del("a");
    ck_assert(is_dirty("a"));
    pass(DELAY_MS);
    ck_assert(call_of("a")->put.meta.deleted);
    store_fake_take_all(&store);
    expect_stored("a", NULL);
    ck_assert(!is_dirty("a") && cache_db_knows(db, slice_of("a")));
    ck_assert_ptr_null(cache_db_peek(db, slice_of("a")));
}
END_TEST

/* What the store has nothing of, and will not, vanishes; once it is under way, it is deleted there. */
START_TEST(what_ends_before_it_was_stored)
{
    for (int i = 0; i < 3; i++) {
        cache_db_learn_absent(db, slice_of("a"), 0);
        cache_db_set(db, slice_of("a"), slice_of("1"), now_us / 1000 + DELAY_MS / 2, 0);
        if (i == 1)
            del("a");
        pass(DELAY_MS);
        ck_assert_uint_eq(store.started, 0);
        ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    }
    set("a", "1");
    pass(DELAY_MS);
    struct backing_call *call = call_of("a");
    del("a");
    ck_assert(is_dirty("a"));
    store_fake_take(call);
    pass(DELAY_MS);
    store_fake_take_all(&store);
    expect_stored("a", NULL);
}
END_TEST

START_TEST(as_many_as_there_may_be)
{
    char key[8];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%d", i);
        set(key, "1");
    }
    pass(DELAY_MS);
    ck_assert_uint_eq(store_fake_count(&store), PARALLEL);
    store_fake_take(call_of("0"));
    pass(0);
    ck_assert_uint_eq(store_fake_count(&store), PARALLEL);
    for (int i = 0; i < 3; i++) {
        store_fake_take_all(&store);
        pass(0);
    }
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
}
END_TEST

/* Above dirty_max all goes, at once. */
START_TEST(more_than_dirty_max)
{
    char value[DIRTY_MAX / 5], key[8];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "%d", i);
        set(key, value);
        pass(1);
        ck_assert_uint_eq(store_fake_count(&store) > 0, i >= 5);
    }
    while (store_fake_count(&store) > 0) {
        store_fake_take(store.calls);
        pass(1);
    }
    ck_assert_uint_le(cache_db_dirt(db).bytes, DIRTY_MAX / 2);
}
END_TEST

/* A store that is away gets one call at a time, with pauses, until it answers. */
START_TEST(away)
{
    char key[8];
    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "%d", i);
        set(key, "1");
    }
    pass(DELAY_MS);
    while (store_fake_count(&store) > 0)
        store_fake_answer(store.calls, BACKING_AWAY, false);
    size_t started = store.started;
    unsigned most = 0;
    for (int i = 0; i < 600; i++) {
        pass(100);
        most = store_fake_count(&store) > most ? (unsigned)store_fake_count(&store) : most;
        while (store_fake_count(&store) > 0)
            store_fake_answer(store.calls, BACKING_AWAY, false);
        if (i == 10)
            ck_assert_str_eq(cache_behind_trouble(behind), "the fake says so");
    }
    ck_assert_uint_eq(most, 1);
    ck_assert_uint_le(store.started - started, 25);
    ck_assert_uint_ge(store.started - started, 8);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 10);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    for (int i = 0; i < 300; i++) {
        pass(100);
        store_fake_take_all(&store);
    }
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    ck_assert_str_eq(cache_behind_trouble(behind), "");
}
END_TEST

/* One that the store never takes, while it takes others: a dead letter, and it stops nobody. */
START_TEST(one_that_never_goes)
{
    char key[16];
    set("bad", "1");
    for (int i = 0; i < 2000 && cache_db_dirt(db).dead == 0; i++) {
        snprintf(key, sizeof key, "%d", i % 20);
        set(key, "1");
        cache_behind_ask(behind, slice_of(key));
        pass(100);
        if (store_fake_call(&store, "bad") != NULL)
            store_fake_answer(call_of("bad"), BACKING_AWAY, false);
        store_fake_take_all(&store);
        ck_assert_uint_le(cache_db_dirt(db).keys, 2);
    }
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    ck_assert(!is_dirty("bad") && !cache_behind_ask(behind, slice_of("bad")));
    ck_assert_str_eq(cache_behind_why(behind, slice_of("bad")), "the fake says so");
    ck_assert(slice_is(cache_object_value(cache_db_peek(db, slice_of("bad"))), "1"));
}
END_TEST

/* It fails alone, and there is nothing else; then there is: it must not be all that is ever probed. */
START_TEST(one_that_never_goes_among_few)
{
    set("bad", "1");
    for (int i = 0; i < 600; i++) {
        pass(100);
        while (store_fake_count(&store) > 0)
            store_fake_answer(store.calls, BACKING_AWAY, false);
    }
    set("good", "1");
    for (int i = 0; i < 300 && is_dirty("good"); i++) {
        pass(100);
        if (store_fake_call(&store, "bad") != NULL)
            store_fake_answer(call_of("bad"), BACKING_AWAY, false);
        store_fake_take_all(&store);
    }
    expect_stored("good", "1");
}
END_TEST

/* A prefix that the store forbids, before one that it takes: however many there are. */
START_TEST(many_that_are_forbidden_stop_nothing)
{
    char key[16];
    unsigned rounds = 0;
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "bad%d", i);
        set(key, "1");
    }
    pass(1);
    set("good", "1");
    for (; is_dirty("good"); rounds++) {
        ck_assert_uint_lt(rounds, 100);
        pass(DELAY_MS);
        for (struct backing_call *c = store.calls, *next; c != NULL; c = next) {
            next = c->next;
            if (c->put.key[0] == 'b')
                store_fake_answer(c, BACKING_FORBIDDEN, false);
            else
                store_fake_take(c);
        }
    }
    expect_stored("good", "1");
}
END_TEST

/* Each second call fails, whichever object it is of: none is at fault, and no person is needed when it is over. */
START_TEST(a_store_that_fails_now_and_then_makes_no_dead_letters)
{
    char key[16];
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        snprintf(key, sizeof key, "k%d", round % 60);
        set(key, "1");
        cache_behind_ask(behind, slice_of(key));
        pass(20);
        for (struct backing_call *c = store.calls, *next; c != NULL; c = next) {
            next = c->next;
            random = random * 1664525 + 1013904223;
            if (random >> 31 != 0)
                store_fake_answer(c, BACKING_AWAY, false);
            else
                store_fake_take(c);
        }
        ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    }
    ck_assert_uint_gt(cache_behind_counts(behind)->errors, 500);
}
END_TEST

START_TEST(refused_is_a_dead_letter_until_it_is_written)
{
    set("a", "1");
    pass(DELAY_MS);
    store_fake_answer(call_of("a"), BACKING_REFUSED, false);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
    ck_assert_uint_eq(cache_db_dirt(db).bytes, 0);
    ck_assert_ptr_eq(cache_db_dead(db, NULL), cache_db_peek(db, slice_of("a")));
    ck_assert_ptr_null(cache_db_dead(db, cache_db_dead(db, NULL)));
    pass(100 * DELAY_MS); /* nor is it forgotten */
    ck_assert_uint_eq(store.started, 1);
    ck_assert_ptr_nonnull(cache_db_peek(db, slice_of("a")));
    set("a", "2");
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    pass(DELAY_MS);
    store_fake_take_all(&store);
    expect_stored("a", "2");
}
END_TEST

START_TEST(newer_is_a_dead_letter)
{
    struct store_object other = {.key = "a", .key_len = 1, .value = "other", .value_len = 5};
    bool was;
    other.meta.version = (uint64_t)now_us * 2;
    store_fake_do(&store, &other, NULL);
    cache_db_learn_absent(db, slice_of("a"), 0);
    set("a", "1");
    pass(DELAY_MS);
    store_fake_take_all(&store);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    ck_assert_ptr_nonnull(strstr(cache_behind_why(behind, slice_of("a")), "newer"));
    ck_assert(cache_behind_retry(behind, slice_of("a")));
    pass(0);
    store_fake_take_all(&store);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    set("a", "2"); /* above the store's version */
    pass(DELAY_MS);
    store_fake_take_all(&store);
    expect_stored("a", "2");
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    ck_assert(!cache_behind_retry(behind, slice_of("a")));
    ck_assert_int_eq(cache_db_dead_drop(db, slice_of("a"), &was), CACHE_OK);
    ck_assert(!was);
}
END_TEST

/* By a clock that was ahead: nobody here knew of it when it was written, and nobody else is there to write. */
START_TEST(newer_than_what_was_written_blindly)
{
    struct store_object other = {.key = "a", .key_len = 1, .value = "other", .value_len = 5};
    for (int i = 0; i < 2; i++) {
        other.meta.version = (uint64_t)now_us * 2 + (uint64_t)i * 1000;
        store_fake_do(&store, &other, NULL);
        set("a", "1");
        if (i == 1)
            del("a");
        pass(DELAY_MS);
        store_fake_take_all(&store);
        pass(0);
        store_fake_take_all(&store);
        expect_stored("a", i == 0 ? "1" : NULL);
        ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
        ck_assert(!is_dirty("a"));
        pass_and_look(2 * IDLE_MS);
    }
}
END_TEST

/* Its time is over: the deletion must not go over what somebody else has written. */
START_TEST(a_dead_letter_expires)
{
    struct store_object other = {.key = "a", .key_len = 1, .value = "other", .value_len = 5};
    other.meta.version = (uint64_t)now_us * 2;
    store_fake_do(&store, &other, NULL);
    cache_db_learn_absent(db, slice_of("a"), 0);
    cache_db_set(db, slice_of("a"), slice_of("1"), now_us / 1000 + 2 * DELAY_MS, 0);
    pass(DELAY_MS);
    store_fake_take_all(&store);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 1);
    pass(2 * DELAY_MS);
    ck_assert(!cache_db_knows(db, slice_of("a")));
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
    pass(2 * DELAY_MS);
    expect_stored("a", "other");
}
END_TEST

START_TEST(a_dead_letter_is_dropped)
{
    bool was;
    set("a", "1");
    pass(DELAY_MS);
    store_fake_answer(call_of("a"), BACKING_REFUSED, false);
    ck_assert_int_eq(cache_db_dead_drop(db, slice_of("a"), &was), CACHE_OK);
    ck_assert(was && !cache_db_knows(db, slice_of("a")));
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
}
END_TEST

/* Done, and the answer was lost; then the same again, and what has come meanwhile. */
START_TEST(lost_answers)
{
    set("a", "1");
    pass(DELAY_MS);
    store_fake_answer(call_of("a"), BACKING_AWAY, true);
    ck_assert(is_dirty("a"));
    set("a", "2");
    pass(10000);
    store_fake_take(call_of("a"));
    store_fake_arrive(&store);
    expect_stored("a", "2");
    ck_assert(!is_dirty("a"));
}
END_TEST

START_TEST(what_nobody_uses_leaves_memory)
{
    set("tmp:1", "1");
    set("a", "1");
    pass(DELAY_MS);
    store_fake_take_all(&store);
    set("b", "1");
    pass(IDLE_MS / 2);
    store_fake_take_all(&store);
    ck_assert_ptr_nonnull(cache_db_read(db, slice_of("b")));
    pass_and_look(IDLE_MS / 2 + 1000);
    ck_assert(!cache_db_knows(db, slice_of("a")) && cache_db_knows(db, slice_of("b")));
    pass_and_look(IDLE_MS);
    ck_assert(!cache_db_knows(db, slice_of("b")));
    ck_assert_ptr_nonnull(cache_db_peek(db, slice_of("tmp:1")));
}
END_TEST

/* By a clock that does not jump, whatever is done to the other: how long it was not used is no time of day. */
START_TEST(a_clock_that_jumps_makes_nothing_idle)
{
    const int64_t year_us = INT64_C(31536000) * 1000000;
    set("a", "1");
    pass(DELAY_MS);
    store_fake_take_all(&store);
    now_us += year_us;
    pass_and_look(1000);
    ck_assert(cache_db_knows(db, slice_of("a")));
    ck_assert_ptr_nonnull(cache_db_read(db, slice_of("a")));
    now_us -= 2 * year_us;
    pass_and_look(IDLE_MS - 1000);
    ck_assert(cache_db_knows(db, slice_of("a")));
    pass_and_look(2000);
    ck_assert(!cache_db_knows(db, slice_of("a")));
}
END_TEST

/* Also when nobody has met it: nothing is put, nothing is loaded, and what left memory could not be read. */
START_TEST(nothing_leaves_memory_while_the_store_is_away)
{
    set("a", "1");
    pass(DELAY_MS);
    store_fake_take_all(&store);
    pass(2 * IDLE_MS);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(store_fake_count(&store), 1); /* one at a time */
        store_fake_answer(call_of("a"), i % 2 == 0 ? BACKING_AWAY : BACKING_FORBIDDEN, false);
        pass(10);
        ck_assert_uint_eq(store_fake_count(&store), 0); /* after a pause */
        pass(30000);
    }
    ck_assert(cache_db_knows(db, slice_of("a")));
    store_fake_take_all(&store);
    pass(0);
    ck_assert(!cache_db_knows(db, slice_of("a")));
    ck_assert_uint_eq(store.started, 1);
}
END_TEST

START_TEST(memory_is_short)
{
    set("a", "1");
    store.short_of_memory = true;
    for (int i = 0; i < 3; i++)
        pass(DELAY_MS);
    ck_assert_uint_eq(store.started, 0);
    store.short_of_memory = false;
    pass(DELAY_MS);
    store_fake_answer(call_of("a"), BACKING_AWAY, false);
    store.short_of_memory = true;
    pass(10000);
    store.short_of_memory = false;
    pass(10000);
    store_fake_take_all(&store);
    ck_assert(!is_dirty("a"));
}
END_TEST

SUITE_MAIN_WITH("cache_behind", set_up, tear_down, after_write_delay_the_newest,
                a_clock_that_is_set_back, one_put_a_key, asked_for_before_its_time, deletions_too,
                what_ends_before_it_was_stored, as_many_as_there_may_be, more_than_dirty_max, away,
                one_that_never_goes, one_that_never_goes_among_few,
                refused_is_a_dead_letter_until_it_is_written, newer_is_a_dead_letter,
                newer_than_what_was_written_blindly, a_dead_letter_expires,
                a_dead_letter_is_dropped, lost_answers, what_nobody_uses_leaves_memory,
                a_clock_that_jumps_makes_nothing_idle,
                nothing_leaves_memory_while_the_store_is_away, many_that_are_forbidden_stop_nothing,
                a_store_that_fails_now_and_then_makes_no_dead_letters, memory_is_short)
