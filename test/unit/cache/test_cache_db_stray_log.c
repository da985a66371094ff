/*
 * test_cache_db_stray_log.c: what is not ours any more and not stored yet stays so through deaths of the node and short
 * memory (workers/cache/cache_db_stray.c).
 */
#include "test/unit/cache/stray_db.h"

/* ---- the log ---- */

START_TEST(a_turn_is_whole)
{
    set("a", "1");
    flush();
    estrange("a");
    killed();
    expect_strays(0, 0);
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    estrange("a");
    flush();
    killed();
    expect_strays(1, 1);
    ck_assert_uint_eq(searched("a").all, 1);
}
END_TEST

/* Two segments share the turn, and the second is not written: it is as if nothing had been done. */
START_TEST(killed_between_two_segments)
{
    char value[1100];
    unsigned torn = 0;
    segment_max = 1024;
    again();
    memset(value, 'v', sizeof value);
    for (size_t len = 900; len < sizeof value; len += 4) {
        value[len] = '\0';
        set("a", value);
        flush();
        uint64_t version = version_of("a");
        size_t before = log_fixture_segment_count(&dirs[dir]);
        estrange("a");
        flush();
        size_t more = log_fixture_segment_count(&dirs[dir]) - before;
        closed();
        if (more > 1)
            ck_assert_int_eq(unlink(log_fixture_segment(&dirs[dir], -1)), 0);
        opened();
        bool old = handle_of(slice_of("a")) != 0;
        ck_assert_uint_eq(searched("a").count, old ? 0 : 1);
        torn += old;
        if (old)
            estrange("a");
        expect_stray("a", value, version);
        expect_strays(1, 1);
        flush();
        again();
        expect_strays(1, 1);
        ck_assert(cache_db_stored(db, take_key(), version, false));
        flush();
        ck_assert_uint_eq(searched("a").all, 0);
        value[len] = 'v';
    }
    ck_assert_uint_gt(torn, 0);
}
END_TEST

/* One that is under way is not touched by its twin. */
START_TEST(the_same_twice)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    struct slice key = take_key();
    pass(-1000); /* a clock that is set back, and a node that has forgotten what it has given */
    db->newest = version - 1;
    set("a", "1");
    ck_assert_uint_eq(version_of("a"), version);
    estrange("a");
    expect_strays(1, 1);
    ck_assert(cache_db_stored(db, key, version, false));
    expect_strays(0, 0);
    ck_assert_uint_eq(cache_db_dirt(db).keys, 0);
}
END_TEST

/* Cleaning moves it; what was superseded comes back in no way. */
START_TEST(the_log_is_cleaned)
{
    char key[16];
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    flush();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "k%d", i % 10);
        set(key, "value");
        flush();
        cache_log_clean(node_log, 1000);
    }
    ck_assert_uint_gt(stray_of("a")->segment, 1);
    flush();
    killed();
    expect_stray("a", "1", version);
    ck_assert_uint_eq(searched("a").all, 11);
}
END_TEST

/* ---- memory is short ---- */

START_TEST(memory_is_short)
{
    unsigned failed = 0;
    for (long nth = 1; nth < 12; nth++)
        for (int lasts = 0; lasts < 2; lasts++) {
            char key[16];
            snprintf(key, sizeof key, "k%ld%d", nth, lasts);
            set(key, "value");
            if (_i == 1)
                del(key);
            flush();
            again(); /* whose first record needs memory */
            uint64_t version = version_of(key);
            uint32_t handle = handle_of(slice_of(key));
            short_memory_fail(nth, lasts == 1);
            enum cache_fault fault = cache_db_estrange(db, handle);
            short_memory_fail(0, false);
            failed += fault != CACHE_OK;
            bool old = handle_of(slice_of(key)) != 0;
            ck_assert(old == (fault != CACHE_OK));
            ck_assert(!old || (version_of(key) == version &&
                               cache_table_at(db->table, handle_of(slice_of(key)))->dirty));
            if (old)
                estrange(key);
            expect_stray(key, _i == 1 ? NULL : "value", version);
            expect_strays(1, 1);
            ck_assert_uint_eq(cache_db_dirt(db).keys, 1);
            ck_assert_uint_eq(cache_db_count(db), 0);
            ck_assert(cache_db_stored(db, take_key(), version, false));
            ck_assert_uint_eq(cache_db_dirt(db).bytes, 0);
        }
    ck_assert_uint_gt(failed, 6);
}
END_TEST

/* Nor can the end of one be noted that nobody misses: then it is a dead letter, and its version is what it was. */
START_TEST(memory_is_short_when_it_is_overtaken)
{
    set_until("a", "1", now_us / 1000 + 1000);
    uint64_t version = version_of("a");
    estrange("a");
    pass(1000);
    cache_db_work(db);
    flush();
    again();
    struct slice key = take_key();
    short_memory_fail(1, true);
    bool dead = cache_db_give_up(db, key, version, version + 5);
    short_memory_fail(0, false);
    ck_assert(dead);
    expect_strays(1, 0);
    ck_assert_uint_eq(stray_of("a")->version, version);
}
END_TEST

/* It stays dirty where its end cannot be noted. */
START_TEST(memory_is_short_when_it_is_stored)
{
    set("a", "1");
    uint64_t version = version_of("a");
    estrange("a");
    flush();
    again();
    struct slice key = take_key();
    short_memory_fail(1, true);
    bool clean = cache_db_stored(db, key, version, true);
    short_memory_fail(0, false);
    ck_assert(!clean);
    expect_stray("a", "1", version);
    ck_assert(slice_equal(take_key(), key));
    ck_assert(cache_db_stored(db, key, version, true));
    expect_strays(0, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_turn_is_whole,
                                  killed_between_two_segments,
                                  the_same_twice,
                                  the_log_is_cleaned,
                                  memory_is_short_when_it_is_overtaken,
                                  memory_is_short_when_it_is_stored};
    Suite *suite = suite_create("cache_db_stray_log");
    TCase *tc = tcase_create("cache_db_stray_log");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, memory_is_short, 0, 2);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
