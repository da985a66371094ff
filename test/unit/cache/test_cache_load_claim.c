/*
 * test_cache_load_claim.c: loads of a node in a ring: each is for the claim by which its key was ours when it was asked
 * for (workers/cache/cache_load.h).
 */
#include "test/unit/cache/backing_fake.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_load.h"

static uv_loop_t loop;
static struct cache_db *db;
static struct cache_loads *loads;
static struct cache_load_wait waiter;
static uint64_t number; /* of the claim; 0: not ours */
static int told;
static char refused[256];

static uint64_t claim(void *ctx, struct slice key)
{
    (void)ctx;
    return key.len > 0 ? number : 0;
}

static void on_go(struct cache_load_wait *w, const char *why)
{
    (void)w;
    told++;
    snprintf(refused, sizeof refused, "%s", why != NULL ? why : "");
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
    cache_db_begin(db, 1000000 * INT64_C(1000), 0);
    struct cache_load_options o = {.db = db,
                                   .backing = &fake.head,
                                   .loop = &loop,
                                   .hash_key = key,
                                   .parallel = 1,
                                   .timeout_ms = 1000,
                                   .retry_max_ms = 100,
                                   .who = "cache/test/node.1",
                                   .claim = claim};
    loads = cache_loads_new(&o);
    ck_assert(db != NULL && loads != NULL);
    number = 5;
    waiter.go = on_go;
}

static void tear_down(void)
{
    cache_loads_free(loads);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    cache_db_free(db);
}

static void until_told(void)
{
    while (told == 0 && uv_run(&loop, UV_RUN_ONCE) != 0)
        continue;
    ck_assert_int_eq(told, 1);
    ck_assert_str_eq(refused, "");
}

START_TEST(of_the_same_claim)
{
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    fake_have("k", "v", 7);
    ck_assert_int_eq(told, 1);
    ck_assert(cache_db_knows(db, slice_of("k")));
}
END_TEST

/* Not ours: nothing is asked, and who waits looks again; not before the call returns. */
START_TEST(not_ours)
{
    number = 0;
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    ck_assert_int_eq(told, 0);
    until_told();
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    cache_load_ahead(loads, slice_of("a"));
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    ck_assert_uint_eq(cache_loads_count(loads), 0);
}
END_TEST

/* Ours by another claim when it comes: somebody else had it in between, so it is asked for anew. */
START_TEST(of_another_claim)
{
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    number = 6;
    fake_have("k", "old", 7);
    ck_assert_int_eq(told, 0);
    ck_assert(!cache_db_knows(db, slice_of("k")));
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    fake_have("k", "new", 8);
    ck_assert_int_eq(told, 1);
    ck_assert(slice_is(cache_object_value(cache_db_peek(db, slice_of("k"))), "new"));
}
END_TEST

/* An absence too; and of what was asked ahead nothing is kept, nor asked again. */
START_TEST(absent_and_ahead)
{
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    number = 6;
    fake_absent("k", 0);
    ck_assert_int_eq(told, 0);
    ck_assert(!cache_db_knows(db, slice_of("k")));
    cache_load_leave(&waiter);
    number = 7;
    fake_have("k", "v", 7);
    ck_assert_uint_eq(fake.made[FAKE_GET], 2);
    ck_assert_uint_eq(cache_loads_count(loads), 0);
    ck_assert(!cache_db_knows(db, slice_of("k")));
}
END_TEST

/* Not ours any more when it comes: who waits looks again, and sees whose. */
START_TEST(not_ours_any_more)
{
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    number = 0;
    fake_have("k", "v", 7);
    if (told == 0)
        until_told();
    ck_assert_int_eq(told, 1);
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    ck_assert(!cache_db_knows(db, slice_of("k")));
}
END_TEST

/* What waits in line is asked for by the claim of when its turn comes. */
START_TEST(in_line)
{
    struct cache_load_wait other = {.go = on_go};
    ck_assert(cache_load_wait(loads, slice_of("a"), &other));
    ck_assert(cache_load_wait(loads, slice_of("k"), &waiter));
    ck_assert_uint_eq(fake.made[FAKE_GET], 1);
    number = 6;
    fake_absent("a", 0); /* of another claim: asked anew, behind the other */
    ck_assert_int_eq(told, 0);
    fake_have("k", "v", 7);
    ck_assert_int_eq(told, 1);
    ck_assert(cache_db_knows(db, slice_of("k")));
    fake_absent("a", 0);
    ck_assert_int_eq(told, 2);
}
END_TEST

SUITE_MAIN_WITH("cache_load_claim", set_up, tear_down, of_the_same_claim, not_ours,
                of_another_claim, absent_and_ahead, not_ours_any_more, in_line)
