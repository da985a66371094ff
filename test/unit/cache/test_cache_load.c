/* test_cache_load.c: loads of a cache node: one a key, bounded, tried again for as long as somebody waits. */
#include "test/unit/cache/backing_fake.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_load.h"

static uv_loop_t loop;
static struct cache_db *db;
static struct cache_loads *loads;

struct waiter {
    struct cache_load_wait wait; /* the first */
    int told;
    char refused[256];
    struct waiter *next; /* left when this one is told */
};

static void on_go(struct cache_load_wait *w, const char *refused)
{
    struct waiter *waiter = (struct waiter *)w;
    waiter->told++;
    snprintf(waiter->refused, sizeof waiter->refused, "%s", refused != NULL ? refused : "");
    if (waiter->next != NULL)
        cache_load_leave(&waiter->next->wait);
}

static void wait_for(struct waiter *w, const char *key)
{
    w->wait.go = on_go;
    ck_assert(cache_load_wait(loads, slice_of(key), &w->wait));
}

static void set_up(void)
{
    static const uint8_t key[16] = "sixteen bytes!!";
    struct cache_db_options options = {.memory_max = (size_t)64 << 20,
                                       .object_max = 1000,
                                       .dirty_max = (size_t)1 << 20,
                                       .evict = true,
                                       .stored = true};
    fake_set_up();
    uv_loop_init(&loop);
    db = cache_db_new(&options, key);
    cache_db_begin(db, 1000000 * INT64_C(1000), 0); /* ms: 1000000 */
    struct cache_load_options o = {.db = db,
                                   .backing = &fake.head,
                                   .loop = &loop,
                                   .hash_key = key,
                                   .parallel = 4,
                                   .timeout_ms = 1000,
                                   .retry_max_ms = 100,
                                   .who = "cache/test/node.1"};
    loads = cache_loads_new(&o);
    ck_assert(db != NULL && loads != NULL);
}

static void tear_down(void)
{
    cache_loads_free(loads);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 0);
    cache_db_free(db);
}

/* The loop goes on until that call is made. */
static void until_made(size_t made)
{
    for (int i = 0; i < 10000 && fake.made[FAKE_GET] < made; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_uint_eq(fake.made[FAKE_GET], made);
}

static const char *value_of(const char *key)
{
    static char text[1024];
    const struct cache_object *o = cache_db_peek(db, slice_of(key));
    if (o == NULL)
        return NULL;
    ck_assert(slice_copy(cache_object_value(o), text, sizeof text));
    return text;
}

START_TEST(one_load_a_key)
{
    struct waiter a = {0}, b = {0}, c = {0};
    cache_load_ahead(loads, slice_of("k"));
    wait_for(&a, "k");
    wait_for(&b, "k");
    wait_for(&c, "other");
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    fake_have("k", "v", 7);
    ck_assert(a.told == 1 && b.told == 1 && c.told == 0);
    ck_assert_str_eq(a.refused, "");
    ck_assert_str_eq(value_of("k"), "v");
    fake_absent("other", 0);
    ck_assert_int_eq(c.told, 1);
    ck_assert_ptr_null(value_of("other"));
    ck_assert(cache_db_knows(db, slice_of("other")));
    ck_assert_uint_eq(cache_loads_count(loads), 0);
}
END_TEST

/* Written, stored and evicted while a load was under way: what comes is older, and must not be in memory. */
START_TEST(what_was_overtaken_is_asked_for_again)
{
    struct waiter w = {0};
    wait_for(&w, "a");
    ck_assert_int_eq(
        cache_db_set(db, slice_of("a"), slice_of("new"), CACHE_NEVER, CACHE_FORM_BYTES), CACHE_OK);
    const struct cache_object *o = cache_db_take(db, INT64_MAX);
    uint64_t version = o->version;
    cache_db_stored(db, slice_of("a"), version, false);
    cache_db_begin(db, 2000000 * INT64_C(1000), 1000000);
    cache_db_idle(db, 1000, true);
    ck_assert(!cache_db_knows(db, slice_of("a")));
    fake_have("a", "old", 5);
    ck_assert_int_eq(w.told, 0);
    ck_assert(!cache_db_knows(db, slice_of("a")));
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    fake_have("a", "new", version);
    ck_assert_int_eq(w.told, 1);
    ck_assert(slice_is(cache_object_value(cache_db_peek(db, slice_of("a"))), "new"));
}
END_TEST

START_TEST(what_has_expired_is_absent)
{
    struct waiter a = {0}, b = {0};
    wait_for(&a, "old");
    wait_for(&b, "new");
    fake_have_until("old", "v", 7, 1000000);
    fake_have_until("new", "v", 7, 1000001);
    ck_assert_ptr_null(value_of("old"));
    ck_assert(cache_db_knows(db, slice_of("old")));
    ck_assert_str_eq(value_of("new"), "v");
}
END_TEST

START_TEST(the_rest_waits_in_order)
{
    char key[8];
    struct waiter last = {0};
    for (int i = 0; i < 9; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cache_load_ahead(loads, slice_of(key));
    }
    wait_for(&last, "last");
    ck_assert_uint_eq(fake.made[FAKE_GET], 4);
    for (int i = 0; i < 9; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_ptr_nonnull(fake_find(FAKE_GET, key));
        fake_have(key, "v", 1);
    }
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "last"));
    fake_have("last", "v", 1);
    ck_assert_int_eq(last.told, 1);
}
END_TEST

/* Away: again and again while somebody waits; who looked ahead is forgotten. */
START_TEST(tried_again_for_who_waits)
{
    struct waiter a = {0};
    wait_for(&a, "k");
    cache_load_ahead(loads, slice_of("ahead"));
    fake_fail("ahead", BACKING_AWAY, "no route\nto it");
    ck_assert_uint_eq(cache_loads_count(loads), 1);
    ck_assert_str_eq(cache_loads_trouble(loads), "no route to it");
    for (size_t i = 1; i <= 6; i++) {
        fake_fail("k", BACKING_FORBIDDEN, "no key");
        ck_assert_int_eq(a.told, 0);
        until_made(i + 2);
    }
    cache_load_ahead(loads, slice_of("ahead")); /* not while it fails */
    ck_assert_uint_eq(fake.made[FAKE_GET], 8);
    fake_have("k", "v", 1);
    ck_assert_int_eq(a.told, 1);
    ck_assert_str_eq(cache_loads_trouble(loads), "");
    ck_assert_uint_eq(cache_loads_stats(loads)->failed, 7);
}
END_TEST

/* While the store fails it is asked one at a time; its first answer lets all go. */
START_TEST(a_store_that_is_away_is_not_hammered)
{
    static struct waiter w[20];
    char key[8];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        wait_for(&w[i], key);
    }
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "k%d", i);
        if (fake_find(FAKE_GET, key) != NULL)
            fake_fail(key, BACKING_AWAY, "away");
    }
    size_t made = fake.made[FAKE_GET];
    ck_assert_uint_le(made, 8);
    until_made(made + 1);
    for (int i = 0; i < 20; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 1);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        if (fake_find(FAKE_GET, key) != NULL) {
            fake_have(key, "v", 1);
            break;
        }
    }
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 4);
}
END_TEST

START_TEST(who_leaves_is_not_told)
{
    struct waiter a = {0}, b = {0}, c = {0};
    wait_for(&a, "k");
    wait_for(&b, "k");
    wait_for(&c, "k");
    a.next = &b;
    fake_have("k", "v", 1);
    ck_assert(a.told == 1 && b.told == 0 && c.told == 1);
    cache_load_leave(&b.wait); /* twice does no harm */
    wait_for(&a, "other");
    cache_load_leave(&a.wait);
    fake_have("other", "v", 1);
    ck_assert_int_eq(a.told, 1);
    ck_assert_uint_eq(cache_loads_count(loads), 0);
}
END_TEST

/* What waits for its turn, or pauses, is not asked for when its key is known by then: the store may be behind. */
START_TEST(what_is_known_is_not_asked_for)
{
    static struct waiter w[6];
    struct waiter paused = {0};
    char key[8];
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "k%d", i);
        wait_for(&w[i], key);
    }
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 4);
    ck_assert_int_eq(cache_db_set(db, slice_of("k4"), slice_of("mine"), CACHE_NEVER, 0), CACHE_OK);
    fake_absent("k0", 0);
    ck_assert_ptr_null(fake_find(FAKE_GET, "k4"));
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "k5"));
    ck_assert_int_eq(w[4].told, 1);
    wait_for(&paused, "p");
    for (int i = 1; i < 6; i++) {
        snprintf(key, sizeof key, "k%d", i);
        if (i != 4)
            fake_absent(key, 0);
    }
    fake_fail("p", BACKING_AWAY, "away");
    ck_assert_int_eq(cache_db_set(db, slice_of("p"), slice_of("mine"), CACHE_NEVER, 0), CACHE_OK);
    for (int i = 0; i < 5000 && paused.told == 0; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    ck_assert_int_eq(paused.told, 1);
    ck_assert_ptr_null(fake_find(FAKE_GET, "p"));
}
END_TEST

/* Nobody asks any more: the last one is tried on, and no other, so that the trouble ends with its cause. */
START_TEST(the_trouble_ends_with_its_cause)
{
    struct waiter a = {0}, b = {0};
    wait_for(&a, "k");
    wait_for(&b, "l");
    fake_fail("k", BACKING_AWAY, "away");
    fake_fail("l", BACKING_AWAY, "away");
    cache_load_leave(&a.wait);
    cache_load_leave(&b.wait);
    ck_assert_uint_eq(cache_loads_count(loads), 1);
    until_made(3);
    ck_assert_str_eq(cache_loads_trouble(loads), "away");
    fake_fail("l", BACKING_AWAY, "still");
    until_made(4);
    fake_absent("l", 0);
    ck_assert_str_eq(cache_loads_trouble(loads), "");
    ck_assert_uint_eq(cache_loads_count(loads), 0);
    ck_assert(a.told == 0 && b.told == 0);
}
END_TEST

/* Who waits goes first, however much was begun ahead before; what was is given up when it is too old. */
START_TEST(who_waits_goes_first)
{
    struct waiter a = {0};
    char key[8];
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cache_load_ahead(loads, slice_of(key));
    }
    wait_for(&a, "k19");
    ck_assert_ptr_null(fake_find(FAKE_GET, "k19"));
    fake_absent("k0", 0);
    fake_absent("k19", 0);
    ck_assert_int_eq(a.told, 1);
    for (int i = 0; i < 1100; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    fake_absent("k1", 0);
    ck_assert_uint_eq(cache_loads_count(loads), 3); /* those under way */
    fake_absent("k2", 0);
    fake_absent("k3", 0);
    fake_absent("k4", 0);
    ck_assert_uint_eq(cache_loads_count(loads), 0);
}
END_TEST

/* A store that asks for ten minutes is asked again in the longest pause, for somebody waits. */
START_TEST(a_long_pause_is_not_waited_out)
{
    struct waiter a = {0};
    struct backing_answer later = {
        .result = BACKING_AWAY, .why = "S3 says 503", .retry_after_ms = 600000};
    wait_for(&a, "k");
    for (size_t i = 1; i <= 6; i++) {
        fake_answer(fake_find(FAKE_GET, "k"), &later);
        until_made(i + 1);
    }
    fake_absent("k", 0);
    ck_assert_int_eq(a.told, 1);
}
END_TEST

START_TEST(what_cannot_be_had)
{
    struct waiter a = {0}, b = {0}, c = {0};
    static char large[(20 << 20) + 1];
    wait_for(&a, "k");
    wait_for(&b, "large");
    fake_fail("k", BACKING_REFUSED, "its text is damaged");
    ck_assert_str_eq(a.refused, "ERR the store of cache/test/node.1 does not give this object: its "
                                "text is damaged");
    memset(large, 'x', 2000); /* from before object_max was lowered */
    fake_have("large", large, 1);
    ck_assert(b.told == 1 && b.refused[0] == '\0');
    ck_assert_uint_eq(cache_db_peek(db, slice_of("large"))->value_len, 2000);
    memset(large, 'x', sizeof large - 1);
    wait_for(&c, "larger");
    fake_have("larger", large, 1);
    ck_assert_ptr_nonnull(strstr(c.refused, "ERR the object that the store has is larger"));
    ck_assert_str_eq(cache_loads_trouble(loads), ""); /* the store is well */
}
END_TEST

/* What is begun ahead leaves room for those who wait. */
START_TEST(bounded)
{
    static struct cache_load_wait waits[CACHE_LOADS_MAX];
    size_t count = 0;
    char key[16];
    for (int i = 0; i < CACHE_LOADS_MAX; i++) {
        snprintf(key, sizeof key, "k%d", i);
        cache_load_ahead(loads, slice_of(key));
    }
    ck_assert_uint_eq(cache_loads_count(loads), CACHE_LOADS_AHEAD_MAX + 4);
    for (snprintf(key, sizeof key, "w0");
         count < CACHE_LOADS_MAX && cache_load_wait(loads, slice_of(key), &waits[count]); count++)
        snprintf(key, sizeof key, "w%zu", count + 1);
    ck_assert_uint_eq(count, CACHE_LOADS_MAX - CACHE_LOADS_AHEAD_MAX - 4);
    ck_assert_uint_eq(cache_loads_count(loads), CACHE_LOADS_MAX);
    ck_assert(cache_load_wait(loads, slice_of("k7"), &waits[count]));
    for (size_t i = 0; i <= count; i++)
        cache_load_leave(&waits[i]);
}
END_TEST

START_TEST(without_memory_for_a_call)
{
    struct waiter a = {0};
    fake.short_of_memory = true;
    wait_for(&a, "k");
    ck_assert_ptr_nonnull(strstr(cache_loads_trouble(loads), "no more memory"));
    fake.short_of_memory = false;
    until_made(1);
    fake_have("k", "v", 1);
    ck_assert_int_eq(a.told, 1);
}
END_TEST

START_TEST(freed_in_the_middle)
{
    static struct waiter a, b; /* they are left when the loads are freed */
    wait_for(&a, "k");
    wait_for(&b, "paused");
    fake_fail("paused", BACKING_AWAY, "away");
}
END_TEST

SUITE_MAIN_WITH("cache_load", set_up, tear_down, one_load_a_key,
                what_was_overtaken_is_asked_for_again, what_has_expired_is_absent,
                the_rest_waits_in_order, tried_again_for_who_waits,
                a_store_that_is_away_is_not_hammered, who_leaves_is_not_told,
                what_is_known_is_not_asked_for, the_trouble_ends_with_its_cause,
                who_waits_goes_first, a_long_pause_is_not_waited_out, what_cannot_be_had, bounded,
                without_memory_for_a_call, freed_in_the_middle)
