/*
 * test_cache_log_sync.c: when the log is synced, and the thread that does it (workers/cache/log/cache_log_sync.h,
 * workers/cache/log/cache_log_durable.c).
 */
#include "test/unit/cache/cache_log_fixture.h"
#include "workers/cache/log/cache_log_sync.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

static struct log_fixture f;

static void set_up(void)
{
    log_fixture_init(&f);
}

static void tear_down(void)
{
    log_fixture_fini(&f);
}

static void open_with(enum cache_log_fsync fsync)
{
    f.options.fsync = fsync;
    log_fixture_open(&f);
}

static void flush(void)
{
    ck_assert_int_eq(cache_log_flush(f.log), 0);
}

/* Turns the loop until on_synced was called so often. */
static void wait_for(uint64_t calls)
{
    while (f.synced < calls && uv_run(&f.loop, UV_RUN_ONCE) != 0)
        continue;
    ck_assert_uint_ge(f.synced, calls);
}

/* Without a tick. */
static void until_synced(uint64_t position)
{
    while (cache_log_synced(f.log) < position && uv_run(&f.loop, UV_RUN_ONCE) != 0)
        continue;
    ck_assert_uint_ge(cache_log_synced(f.log), position);
}

START_TEST(always_starts_by_itself)
{
    open_with(CACHE_LOG_ALWAYS);
    for (uint64_t i = 1; i < 50; i++) {
        log_fixture_set(&f, 1, 10);
        flush();
        ck_assert_uint_lt(cache_log_synced(f.log), cache_log_written(f.log));
        wait_for(i);
        ck_assert_uint_eq(cache_log_synced(f.log), cache_log_written(f.log));
    }
    flush(); /* nothing was written: nothing is synced */
    uv_run(&f.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(f.synced, 49);
}
END_TEST

/* What is written while one runs is synced by the next, all at once. */
START_TEST(turns_share_a_sync)
{
    open_with(CACHE_LOG_ALWAYS);
    for (int i = 0; i < 500; i++) {
        log_fixture_set(&f, 1, 10);
        flush();
    }
    while (cache_log_synced(f.log) < cache_log_written(f.log))
        wait_for(f.synced + 1);
    ck_assert_uint_le(f.synced, 2);
}
END_TEST

START_TEST(everysec_waits_for_its_tick)
{
    open_with(CACHE_LOG_EVERYSEC);
    for (uint64_t i = 1; i < 5; i++) {
        for (int j = 0; j < 20; j++) {
            log_fixture_set(&f, 1, 200); /* segments, too */
            flush();
        }
        usleep(2000);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        ck_assert_uint_eq(f.synced, i - 1);
        cache_log_tick(f.log);
        cache_log_tick(f.log);
        wait_for(i);
        ck_assert_uint_eq(cache_log_synced(f.log), cache_log_written(f.log));
    }
    cache_log_tick(f.log); /* nothing new */
    usleep(2000);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(f.synced, 4);
}
END_TEST

/* More files than a job has room for: the next one follows at once, and `synced` waits for all of them. */
START_TEST(many_files_take_many_jobs)
{
    open_with(CACHE_LOG_EVERYSEC);
    for (uint32_t i = 0; i < 100; i++)
        log_fixture_set(&f, i % LOG_KEYS, 5000);
    flush();
    ck_assert_uint_eq(log_fixture_segment_count(&f), 100);
    cache_log_tick(f.log);
    wait_for(1);
    ck_assert_uint_eq(cache_log_synced(f.log), 0);
    wait_for(2);
    ck_assert_uint_eq(cache_log_synced(f.log), cache_log_written(f.log));
}
END_TEST

static size_t open_files(void)
{
    size_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(d);
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

/* fsync = no: a segment that is full stays open until it is synced, and for nothing but that. */
START_TEST(without_fsync_full_segments_are_closed)
{
    open_with(CACHE_LOG_NO);
    log_fixture_set(&f, 0, 10);
    flush();
    log_fixture_settle(&f);
    ck_assert_uint_eq(cache_log_synced(f.log), 0);
    size_t before = open_files();
    for (uint32_t i = 0; i < 100; i++)
        log_fixture_set(&f, i % LOG_KEYS, 5000);
    flush();
    ck_assert_uint_ge(open_files(), before + 100);
    log_fixture_settle(&f);
    ck_assert_uint_le(open_files(), before + 1);
}
END_TEST

/* Close takes along what nobody has flushed or synced. */
START_TEST(close_syncs_what_is_left)
{
    const enum cache_log_fsync all[] = {CACHE_LOG_EVERYSEC, CACHE_LOG_ALWAYS, CACHE_LOG_NO};
    for (size_t i = 0; i < 3; i++) {
        open_with(all[i]);
        log_fixture_turn(&f, 300, 0);
        flush();
        log_fixture_turn(&f, 300, 0);
        struct log_state state = f.state;
        uint64_t calls = f.synced;
        log_fixture_close(&f);
        ck_assert_uint_eq(f.synced, calls);
        log_fixture_open(&f);
        ck_assert(log_state_equal(&f.state, &state));
        log_fixture_close(&f);
    }
    ck_assert_int_eq(cache_log_close(NULL), 0);
}
END_TEST

/* ---- the thread alone ---- */

static int done;

static void on_done(void *ctx)
{
    (void)ctx;
    done++;
}

static const struct cache_log_job *run(struct cache_log_syncer *s)
{
    cache_log_syncer_give(s);
    ck_assert_ptr_null(cache_log_syncer_job(s));
    cache_log_syncer_wait(s);
    const struct cache_log_job *job = cache_log_syncer_take(s);
    ck_assert_ptr_nonnull(job);
    ck_assert_ptr_null(cache_log_syncer_take(s));
    return job;
}

static void make(int dir, uint32_t number)
{
    struct cache_log_name n = {number, 7};
    close(cache_log_segment_make(dir, &n));
}

/* Removed one after the other, from the first on, up to one that cannot be; nothing is when a sync fails. */
START_TEST(a_job_goes_in_order)
{
    struct cache_log_syncer *s;
    int dir = open(f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(cache_log_syncer_new(&f.loop, dir, on_done, NULL, &s), 0);
    make(dir, 1);
    make(dir, 2);
    char name[CACHE_LOG_NAME_SIZE];
    ck_assert_int_eq(mkdirat(dir, cache_log_name_write(&(struct cache_log_name){3, 7}, name), 0700),
                     0);
    make(dir, 4);
    const struct cache_log_name names[] = {{1, 7}, {9, 7}, {2, 7}, {3, 7}, {4, 7}};

    struct cache_log_job *job = cache_log_syncer_job(s);
    job->files[job->file_count++] = eventfd(0, EFD_CLOEXEC); /* has no fsync */
    memcpy(job->removals, names, sizeof names);
    job->removal_count = 5;
    const struct cache_log_job *through = run(s);
    ck_assert_int_eq(through->rc, -EINVAL);
    ck_assert_uint_eq(through->removed, 0);
    close(through->files[0]);
    ck_assert_uint_eq(log_fixture_segment_count(&f), 4);

    job = cache_log_syncer_job(s);
    job->dir = true;
    memcpy(job->removals, names, sizeof names);
    job->removal_count = 5;
    through = run(s);
    ck_assert_int_eq(through->rc, 0);
    ck_assert_int_eq(through->remove_rc, -EISDIR);
    ck_assert_uint_eq(through->removed, 3); /* one of them was not there: it is gone, too */
    ck_assert_uint_eq(log_fixture_segment_count(&f), 2);
    uv_run(&f.loop, UV_RUN_NOWAIT);
    ck_assert_int_ge(done, 1);
    cache_log_syncer_free(s);
    unlinkat(dir, name, AT_REMOVEDIR);
    close(dir);
}
END_TEST

/* Freed while a job runs, and with one that nobody has taken. */
START_TEST(it_ends_at_any_moment)
{
    int dir = open(f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 200; i++) {
        struct cache_log_syncer *s;
        ck_assert_int_eq(cache_log_syncer_new(&f.loop, dir, on_done, NULL, &s), 0);
        if (i % 4 > 0) {
            make(dir, (uint32_t)i + 1);
            struct cache_log_job *job = cache_log_syncer_job(s);
            job->dir = true;
            job->removals[job->removal_count++] = (struct cache_log_name){(uint32_t)i + 1, 7};
            cache_log_syncer_give(s);
        }
        if (i % 4 > 1)
            cache_log_syncer_wait(s);
        if (i % 4 > 2)
            uv_run(&f.loop, UV_RUN_NOWAIT);
        cache_log_syncer_free(s);
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    ck_assert_uint_eq(log_fixture_segment_count(&f), 0); /* what was given was done */
    close(dir);
}
END_TEST

/* Asked for, it is synced whatever fsync says; what was not written is not waited for. */
START_TEST(when_it_is_asked_for)
{
    static const enum cache_log_fsync how[] = {CACHE_LOG_NO, CACHE_LOG_EVERYSEC, CACHE_LOG_ALWAYS};
    for (size_t i = 0; i < 3; i++) {
        open_with(how[i]);
        uint64_t before = f.synced;
        cache_log_sync_soon(f.log); /* there is nothing */
        log_fixture_set(&f, 1, 10);
        cache_log_sync_soon(f.log); /* it is not written yet */
        uv_run(&f.loop, UV_RUN_NOWAIT);
        ck_assert_uint_lt(cache_log_synced(f.log), cache_log_added(f.log));
        flush();
        cache_log_sync_soon(f.log);
        cache_log_sync_soon(f.log); /* it is under way */
        wait_for(before + 1);
        until_synced(cache_log_written(f.log));
        log_fixture_set(&f, 2, 10);
        flush();
        cache_log_sync_soon(f.log);
        until_synced(cache_log_written(f.log));
        log_fixture_close(&f);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_log_sync", set_up, tear_down, always_starts_by_itself, turns_share_a_sync,
                everysec_waits_for_its_tick, many_files_take_many_jobs,
                without_fsync_full_segments_are_closed, close_syncs_what_is_left,
                a_job_goes_in_order, it_ends_at_any_moment, when_it_is_asked_for)
