/*
 * test_cache_log_clean.c: the oldest segments are cleaned and go, and when the disk has lost something, all is written
 * anew (workers/cache/log/cache_log.h).
 */
#include "test/unit/cache/cache_log_fixture.h"

static struct log_fixture f;
static struct log_state before;

static void set_up(void)
{
    log_fixture_init(&f);
    log_fixture_open(&f);
}

static void tear_down(void)
{
    log_fixture_fini(&f);
}

static void flush(void)
{
    ck_assert_int_eq(cache_log_flush(f.log), 0);
}

static void turns(int count, size_t clean)
{
    for (int turn = 0; turn < count; turn++) {
        log_fixture_turn(&f, 200, clean);
        flush();
    }
}

static void reopen(void)
{
    before = f.state;
    log_fixture_close(&f);
    log_fixture_open(&f);
}

/* Cleans and syncs until there is no more to do. */
static void clean_all(void)
{
    for (int i = 0; i < 10000; i++) {
        bool more = cache_log_clean(f.log, 1000);
        flush();
        log_fixture_sync(&f);
        if (!more && !cache_log_clean(f.log, 1))
            break;
    }
    flush();
    log_fixture_settle(&f);
}

START_TEST(a_log_without_end_stays_small)
{
    f.options.segment_max = 2048;
    log_fixture_close(&f);
    log_fixture_open(&f);
    uint64_t most = 0;
    for (int i = 0; i < 3000; i++) {
        turns(1, 3000);
        if (i % 10 == 0)
            log_fixture_sync(&f);
        most = cache_log_bytes(f.log) > most ? cache_log_bytes(f.log) : most;
    }
    ck_assert_uint_gt(cache_log_written(f.log), 1 << 20);
    ck_assert_uint_lt(
        most, 40000); /* 48 keys of 100 bytes, the same of what is dead, and what is not synced */
    ck_assert_uint_gt(f.moved, 1000);
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
    ck_assert_uint_eq(f.found.damaged, 0);
}
END_TEST

/* However little a call is allowed: who writes more than that would fill the disk. */
START_TEST(cleaning_keeps_up_with_who_writes)
{
    uint64_t most = 0;
    for (int i = 0; i < 500; i++) {
        for (uint32_t key = 0; key < LOG_KEYS; key++)
            log_fixture_set(&f, log_fixture_random(&f, LOG_KEYS), 200);
        flush();
        cache_log_clean(f.log, 1);
        flush();
        log_fixture_sync(&f);
        most = cache_log_bytes(f.log) > most ? cache_log_bytes(f.log) : most;
    }
    ck_assert_uint_gt(cache_log_written(f.log), 5 << 20);
    ck_assert_uint_lt(most, 100000); /* 12 KB alive */
    reopen();
    ck_assert_uint_eq(f.found.damaged, 0);
    ck_assert(log_state_equal(&f.state, &before));
}
END_TEST

START_TEST(nothing_is_cleaned_for_nothing)
{
    for (uint32_t key = 0; key < LOG_KEYS; key++)
        log_fixture_set(&f, key, 1000);
    flush();
    ck_assert(!cache_log_clean(f.log, 1 << 20));
    for (uint32_t key = 0; key < LOG_KEYS / 3; key++)
        log_fixture_set(&f, key, 1000);
    flush();
    ck_assert(!cache_log_clean(f.log, 1 << 20)); /* a third is dead */
    ck_assert_uint_eq(f.moved, 0);
}
END_TEST

START_TEST(a_call_is_bounded)
{
    for (int i = 0; i < 3; i++)
        for (uint32_t key = 0; key < LOG_KEYS; key++)
            log_fixture_set(&f, key, 100);
    for (uint32_t key = 0; key < LOG_KEYS; key += 2)
        log_fixture_set(&f, key, 100);
    flush();
    uint64_t alive = cache_log_alive(f.log);
    while (true) {
        uint64_t added = cache_log_added(f.log);
        bool more = cache_log_clean(f.log, 500);
        ck_assert_uint_lt(cache_log_added(f.log) - added, 700);
        ck_assert_uint_eq(cache_log_alive(f.log), alive);
        flush();
        if (!more)
            break;
    }
}
END_TEST

/* What is only in the buffer cannot be read yet. */
START_TEST(a_turn_in_the_buffer_is_left_alone)
{
    for (int i = 0; i < 300; i++)
        log_fixture_set(&f, 0, 200);
    ck_assert(!cache_log_clean(f.log, 1000));
    ck_assert(!cache_log_wants_rewrite(f.log));
    flush();
    clean_all();
    ck_assert_uint_le(log_fixture_segment_count(&f), 2);
}
END_TEST

/* What was moved must be synced before its segment goes. */
START_TEST(a_segment_goes_when_its_copies_are_synced)
{
    turns(300, 0);
    size_t count = log_fixture_segment_count(&f);
    uint64_t bytes = cache_log_bytes(f.log);
    ck_assert_uint_gt(count, 10);
    log_fixture_set(&f, 0, 10); /* what made others dead is not written either */
    while (cache_log_clean(f.log, 1 << 16))
        ;
    ck_assert_uint_eq(log_fixture_segment_count(&f), count);
    log_fixture_settle(&f); /* a sync of what is written: the copies are not */
    ck_assert_uint_eq(log_fixture_segment_count(&f), count);
    flush();
    clean_all();
    ck_assert_uint_lt(log_fixture_segment_count(&f), count / 2);
    ck_assert_uint_lt(cache_log_bytes(f.log), bytes / 2);
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
    ck_assert_uint_eq(f.found.damaged, 0);
}
END_TEST

/* A deletion goes with its segment, and what it deleted does not come back. */
START_TEST(deletions_go)
{
    for (uint32_t key = 0; key < LOG_KEYS; key++)
        log_fixture_set(&f, key, 100);
    for (uint32_t key = 1; key < LOG_KEYS; key++)
        log_fixture_delete(&f, key);
    for (int i = 0; i < 300; i++)
        log_fixture_set(&f, 0, 100);
    flush();
    clean_all();
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
    ck_assert_uint_eq(f.kinds[CACHE_LOG_DELETE], 0);
    ck_assert_uint_lt(f.found.records, 100);
}
END_TEST

/* fsync = no: a cleaned segment is reason enough for one. */
START_TEST(without_fsync_it_is_synced_before_a_removal)
{
    f.options.fsync = CACHE_LOG_NO;
    log_fixture_close(&f);
    log_fixture_open(&f);
    turns(300, 0);
    ck_assert_uint_eq(cache_log_synced(f.log), 0);
    size_t count = log_fixture_segment_count(&f);
    clean_all();
    ck_assert_uint_lt(log_fixture_segment_count(&f), count / 2);
    ck_assert_uint_gt(cache_log_synced(f.log), 0);
}
END_TEST

/* A live record that cannot be read is in memory still: nothing goes until all is written anew. */
START_TEST(what_is_damaged_is_written_anew)
{
    turns(300, 0);
    uint32_t key = 0, oldest = UINT32_MAX;
    for (uint32_t i = 0; i < LOG_KEYS; i++)
        if (f.segments[i] != 0 && f.segments[i] < oldest)
            oldest = f.segments[key = i];
    const char *path = log_fixture_segment(&f, (int)oldest - 1);
    for (uint64_t at = 40; at < log_fixture_size(path); at += 50)
        log_fixture_flip(path, at);
    clean_all();
    ck_assert(cache_log_wants_rewrite(f.log));
    ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "cannot read all of"));
    ck_assert_uint_eq(f.segments[key], oldest);
    ck_assert(!cache_log_clean(f.log, 1000));
    turns(20, 1000);
    log_fixture_rewrite(&f);
    ck_assert(!cache_log_wants_rewrite(f.log));
    turns(20, 1000); /* others write meanwhile */
    clean_all();
    clean_all();
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    ck_assert_uint_lt(cache_log_bytes(f.log), 40000);
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
    ck_assert_uint_eq(f.found.damaged, 0);
    turns(300, 3000); /* and cleaning goes on */
    clean_all();
    ck_assert(!cache_log_wants_rewrite(f.log));
}
END_TEST

/* At any moment of it the log is whole. */
START_TEST(a_rewrite_may_be_cut_off)
{
    turns(100, 0);
    log_fixture_turn(&f, 200, 0); /* not flushed when it begins */
    log_fixture_rewrite(&f);
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
    log_fixture_rewrite(&f);
    log_fixture_rewrite(&f); /* once more before the first is through */
    turns(10, 100);
    log_fixture_sync(&f);
    reopen();
    ck_assert(log_state_equal(&f.state, &before));
}
END_TEST

SUITE_MAIN_WITH("cache_log_clean", set_up, tear_down, a_log_without_end_stays_small,
                cleaning_keeps_up_with_who_writes, nothing_is_cleaned_for_nothing,
                a_call_is_bounded, a_turn_in_the_buffer_is_left_alone,
                a_segment_goes_when_its_copies_are_synced, deletions_go,
                without_fsync_it_is_synced_before_a_removal, what_is_damaged_is_written_anew,
                a_rewrite_may_be_cut_off)
