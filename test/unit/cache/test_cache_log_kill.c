/*
 * test_cache_log_kill.c: the log of a process that is killed at each of its steps, and of one whose disk fails there
 * (workers/cache/cache_log*.c). Compiled with the fault points switched on, whatever the rest of the build has.
 *
 * The child writes turns and says in shared memory how far it is; each time it is killed, another opens what is there,
 * must find the state behind the last turn that was flushed, or behind the one that was on its way, and goes on.
 */
#ifndef PLATOON_FAULTS
#define PLATOON_FAULTS
#endif
#define fault_point fault_point_under_test /* the library may hold one too */
#include "common/fault.c"
#include "workers/cache/log/cache_log.c"
#include "workers/cache/log/cache_log_clean.c"
#include "workers/cache/log/cache_log_durable.c"
#include "workers/cache/log/cache_log_read.c"
#include "workers/cache/log/cache_log_record.c"
#include "workers/cache/log/cache_log_replay.c"
#include "workers/cache/log/cache_log_rewrite.c"
#include "workers/cache/log/cache_log_segment.c"
#include "workers/cache/log/cache_log_segments.c"
#include "workers/cache/log/cache_log_sync.c"
#include "workers/cache/log/cache_log_write.c"

#include "test/unit/cache/cache_log_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define KILLS 25 /* at each point */
#define RING  64

static const char *const points[] = {
    "cache-log.segment",   "cache-log.write",  "cache-log.part",     "cache-log.written",
    "cache-log.sync",      "cache-log.synced", "cache-log.sync-dir", "cache-log.remove",
    "cache-log.removed",   "cache-log.moved",  "cache-log.cleaned",  "cache-log.rewrite",
    "cache-log.rewritten", "cache-log.cut",    "cache-log.replayed",
};

/* What the child has done, for whoever comes after it. */
struct shared {
    _Atomic uint64_t begun, flushed; /* turns */
    struct log_state states[RING];   /* behind each turn, by its number */
    _Atomic bool wrong;              /* what was there was neither of both */
};

static struct log_fixture f;
static struct shared *shared;
static char faults[80];

static void set_up(void)
{
    log_fixture_init(&f);
    snprintf(faults, sizeof faults, "%s-faults", f.dir);
    ck_assert_int_eq(mkdir(faults, 0700), 0);
    setenv("PLATOON_FAULT_DIR", faults, 1);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* each fault says so */
}

static void order(const char *point, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", faults, point);
    FILE *file = fopen(path, "we");
    fputs(what, file);
    fclose(file);
}

static void no_order(const char *point)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", faults, point);
    unlink(path);
}

static void tear_down(void)
{
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        no_order(points[i]);
    no_order("cache-log.short");
    ck_assert_int_eq(rmdir(faults), 0);
    log_fixture_fini(&f);
}

/* ---- killed ---- */

static int try_flush(void)
{
    uint64_t turn = shared->begun + 1;
    shared->states[turn % RING] = f.state;
    shared->begun = turn;
    int rc = cache_log_flush(f.log);
    if (rc == 0)
        shared->flushed = turn;
    return rc;
}

static bool is_expected(void)
{
    if (f.found.damaged != 0 || f.wrong != 0)
        return false;
    for (uint64_t turn = shared->flushed; turn <= shared->begun; turn++)
        if (log_state_equal(&f.state, &shared->states[turn % RING]))
            return true;
    return false;
}

/* Turns without end; after some of them the order is given. */
static void child(const char *point, uint64_t seed)
{
    if (strcmp(point, "cache-log.cut") == 0 || strcmp(point, "cache-log.replayed") == 0)
        order(point, seed % 2 == 0 ? "kill" : "error"); /* sometimes once more after it */
    if (log_fixture_try_open(&f) != 0)
        _exit(0); /* an error when it is opened: the next one opens again */
    if (!is_expected()) {
        shared->wrong = true;
        _exit(1);
    }
    shared->states[(shared->begun + 1) % RING] = f.state; /* whatever it was, it is this now */
    shared->begun = shared->flushed = shared->begun + 1;
    f.random = seed;
    f.options.segment_max = 1024;
    uint32_t at = log_fixture_random(&f, 60);
    for (uint32_t turn = 0; turn < 2000; turn++) {
        if (turn == at) {
            order("cache-log.short", "error");
            order(strcmp(point, "cache-log.cut") == 0 ? "cache-log.part" : point, "kill");
        }
        log_fixture_turn(&f, turn % 7 == 0 ? 3000 : 200, 3000);
        if (turn == at + 5 && seed % 2 == 0)
            cache_log_rewrite_begin(f.log); /* and once more before anything is written */
        if (turn == at + 5)
            log_fixture_rewrite(&f);
        try_flush();
        cache_log_tick(f.log);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        if (turn % 16 == 15)
            log_fixture_sync(&f);
    }
    _exit(2); /* nobody killed it */
}

START_TEST(killed_at_each_step)
{
    const char *point = points[_i];
    f.options.segment_max = 1024;
    int killed = 0;
    for (uint64_t i = 0; i < KILLS; i++) {
        pid_t pid = suite_fork();
        if (pid == 0)
            child(point, (uint64_t)_i * 1000 + i);
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(!shared->wrong, "%s: after kill %llu the state is none of those it was",
                      point, (unsigned long long)i);
        ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "%s: status %x", point,
                      (unsigned)status);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    ck_assert_int_ge(killed, KILLS / 3);
    no_order(point);
    no_order("cache-log.part");
    no_order("cache-log.short");
    log_fixture_open(&f);
    ck_assert(is_expected());
}
END_TEST

/* ---- a disk that fails ---- */

static void flush(void)
{
    ck_assert_int_eq(cache_log_flush(f.log), 0);
}

static void reopen(void)
{
    struct log_state state = f.state;
    log_fixture_close(&f);
    log_fixture_open(&f);
    ck_assert(log_state_equal(&f.state, &state));
    ck_assert_uint_eq(f.found.damaged + f.found.cut_bytes, 0);
}

/* A short write is gone on with. */
START_TEST(short_writes_are_continued)
{
    log_fixture_open(&f);
    order("cache-log.short", "error always");
    for (int i = 0; i < 50; i++) {
        log_fixture_turn(&f, 500, 0);
        flush();
    }
    no_order("cache-log.short");
    reopen();
}
END_TEST

/* A full disk: the file is as it was, the turn stays, grows, and is written when there is room. */
START_TEST(a_full_disk_keeps_the_turn)
{
    log_fixture_open(&f);
    log_fixture_turn(&f, 500, 0);
    flush();
    uint64_t size = log_fixture_size(log_fixture_segment(&f, -1));
    uint64_t written = cache_log_written(f.log);
    for (int i = 0; i < 5; i++) {
        log_fixture_set(&f, (uint32_t)i, 100);
        order("cache-log.short", "error");
        order("cache-log.part", "error");
        ck_assert_int_eq(cache_log_flush(f.log), -ENOSPC);
        ck_assert_uint_eq(cache_log_written(f.log), written);
        ck_assert_uint_eq(log_fixture_size(log_fixture_segment(&f, -1)), size);
        ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "No space left"));
        ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "make room"));
        ck_assert(!cache_log_clean(f.log, 1000));
    }
    flush();
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    reopen();
}
END_TEST

/* The same where a new segment is begun, and in a turn that goes to many. */
START_TEST(a_new_segment_that_fails)
{
    log_fixture_open(&f);
    for (int i = 0; i < 20; i++) {
        log_fixture_turn(&f, 6000, 0);
        log_fixture_set(&f, 1, 5000);
        log_fixture_set(&f, 2, 5000);
        order("cache-log.segment", "error");
        ck_assert_int_eq(cache_log_flush(f.log), -EIO);
        order("cache-log.write", "error");
        ck_assert_int_eq(cache_log_flush(f.log), -EIO);
        if (i < 3)
            log_fixture_settle(&f); /* a sync of what there is comes to its end meanwhile */
        if (i % 2 == 0)
            log_fixture_turn(&f, 6000, 0);
        flush();
    }
    reopen();
}
END_TEST

/* Nothing of a refused turn is there after a kill. */
START_TEST(a_refused_turn_is_not_there)
{
    log_fixture_open(&f);
    log_fixture_turn(&f, 500, 0);
    flush();
    struct log_state state = f.state;
    log_fixture_sync(&f);
    pid_t pid = suite_fork();
    if (pid == 0) {
        for (uint32_t i = 0; i < 10; i++)
            log_fixture_set(&f, i, 3000);
        order("cache-log.segment", "error");
        _exit(cache_log_flush(f.log) == -EIO ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    no_order("cache-log.segment");
    cache_log_close(f.log);
    log_fixture_open(&f);
    ck_assert(log_state_equal(&f.state, &state));
}
END_TEST

/*
 * A failed sync stays failed: the next one would succeed, and says nothing of what the kernel has dropped. Only when
 * all has been written anew it goes on, past everything.
 */
START_TEST(a_failed_sync_is_not_forgiven)
{
    f.options.fsync = _i == 0 ? CACHE_LOG_EVERYSEC : CACHE_LOG_ALWAYS;
    log_fixture_open(&f);
    log_fixture_turn(&f, 500, 0);
    flush();
    log_fixture_sync(&f);
    uint64_t synced = cache_log_synced(f.log);
    ck_assert_uint_eq(synced, cache_log_written(f.log));
    for (int failures = 0; failures < 3; failures++) {
        order(failures < 2 ? "cache-log.sync" : "cache-log.sync-dir", "error");
        log_fixture_turn(&f, 500, 0);
        flush();
        log_fixture_settle(&f);
        ck_assert(cache_log_wants_rewrite(f.log));
        log_fixture_turn(&f, 500, 0);
        flush();
        log_fixture_settle(&f);
        ck_assert_uint_eq(cache_log_synced(f.log), synced);
        ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "cannot sync"));
        log_fixture_turn(&f, 500, 0);
        if (failures < 2) { /* and the new ones may fail, too */
            log_fixture_rewrite(&f);
            ck_assert(!cache_log_wants_rewrite(f.log));
        }
    }
    uint32_t first = f.log->parts[f.log->part_count - 1].number + 1;
    log_fixture_rewrite(&f);
    uint64_t added = cache_log_added(f.log);
    ck_assert_uint_eq(cache_log_synced(f.log), synced);
    flush();
    log_fixture_settle(&f);
    ck_assert(!cache_log_wants_rewrite(f.log));
    ck_assert_uint_ge(cache_log_synced(f.log), added);
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    log_fixture_settle(&f);
    ck_assert_uint_eq(f.log->parts[0].number, first); /* the old ones are gone */
    reopen();
}
END_TEST

static int ticks_with_rewrites(int ticks)
{
    int rewrites = 0;
    for (; ticks > 0; ticks--) {
        if (cache_log_wants_rewrite(f.log)) {
            log_fixture_rewrite(&f);
            rewrites++;
        }
        flush();
        cache_log_tick(f.log);
        cache_log_syncer_wait(f.log->syncer);
        uv_run(&f.loop, UV_RUN_NOWAIT);
        cache_log_sync_done(f.log);
    }
    return rewrites;
}

/* Each vain rewrite leaves all of memory on the disk once more: they become fewer, and stop with the failures. */
START_TEST(a_disk_that_goes_on_failing_is_not_filled)
{
    log_fixture_open(&f);
    log_fixture_turn(&f, 500, 0);
    order("cache-log.sync", "error always");
    ck_assert_int_ge(ticks_with_rewrites(10), 3);
    ck_assert_int_le(ticks_with_rewrites(200), 6);
    no_order("cache-log.sync");
    ck_assert_int_eq(ticks_with_rewrites(70), 1);
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    order("cache-log.sync", "error");
    log_fixture_turn(&f, 500, 0);
    ck_assert_int_eq(ticks_with_rewrites(4), 1); /* at once, after one that was through */
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    reopen();
}
END_TEST

/* A file that takes no more: the turn in the buffer goes to the new segment, too. */
START_TEST(a_rewrite_takes_the_refused_turn_along)
{
    log_fixture_open(&f);
    log_fixture_turn(&f, 500, 0);
    flush();
    log_fixture_set(&f, 1, 5000);
    log_fixture_set(&f, 2, 5000);
    log_fixture_delete(&f, 1);
    order("cache-log.segment", "error");
    ck_assert_int_lt(cache_log_flush(f.log), 0);
    uint64_t added = cache_log_added(f.log);
    ck_assert_uint_ne(cache_log_rewrite_begin(f.log), 0);
    ck_assert_uint_eq(cache_log_added(f.log), added);
    flush(); /* the old segments and the new one, before anything else: whole */
    ck_assert_uint_ge(cache_log_written(f.log), added);
    reopen();
    log_fixture_rewrite(&f);
    flush();
    log_fixture_settle(&f);
    ck_assert_uint_eq(f.log->alive + f.log->part_count * CACHE_LOG_SEGMENT_HEAD, f.log->bytes);
}
END_TEST

/* What cannot be removed is told of, and tried again. */
START_TEST(a_removal_is_tried_again)
{
    log_fixture_open(&f);
    for (int i = 0; i < 200; i++) {
        log_fixture_turn(&f, 200, 0);
        flush();
    }
    order("cache-log.remove", "error always");
    while (cache_log_clean(f.log, 1 << 20))
        ;
    flush();
    size_t count = log_fixture_segment_count(&f);
    log_fixture_settle(&f);
    ck_assert_uint_eq(log_fixture_segment_count(&f), count);
    ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "cannot remove"));
    ck_assert_uint_eq(cache_log_synced(f.log),
                      cache_log_written(f.log)); /* that is as it should be */
    no_order("cache-log.remove");
    log_fixture_settle(&f);
    ck_assert_uint_lt(log_fixture_segment_count(&f), count);
    ck_assert_str_eq(cache_log_trouble(f.log), "");
    reopen();
}
END_TEST

/* A disk that does not give what it has is no reason to cut it off: with luck it does, a moment later. */
START_TEST(what_cannot_be_read_is_not_cut_off)
{
    log_fixture_open(&f);
    for (uint32_t key = 0; key < 10; key++) {
        log_fixture_set(&f, key, 100);
        flush();
    }
    struct log_state state = f.state;
    log_fixture_close(&f);
    uint64_t size = log_fixture_size(log_fixture_segment(&f, -1));
    order("cache-log.read", "error");
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.cut_bytes, 0);
    ck_assert(log_state_equal(&f.state, &state));
    log_fixture_close(&f);
    order("cache-log.read", "error always");
    log_fixture_open(&f);
    no_order("cache-log.read");
    ck_assert_uint_eq(f.found.cut_bytes, 0);
    ck_assert_uint_eq(f.found.damaged_bytes, size - CACHE_LOG_SEGMENT_HEAD);
    log_fixture_set(&f, 11, 100);
    flush();
    ck_assert_uint_eq(log_fixture_segment_count(&f), 2);
    ck_assert_uint_eq(log_fixture_size(log_fixture_segment(&f, 0)), size);
    log_fixture_close(&f);
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.records, 11);
    ck_assert_uint_eq(f.found.damaged, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_log_kill");
    TCase *tc = tcase_create("cache_log_kill");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, killed_at_each_step, 0, sizeof points / sizeof *points);
    tcase_add_test(tc, short_writes_are_continued);
    tcase_add_test(tc, a_full_disk_keeps_the_turn);
    tcase_add_test(tc, a_new_segment_that_fails);
    tcase_add_test(tc, a_refused_turn_is_not_there);
    tcase_add_loop_test(tc, a_failed_sync_is_not_forgiven, 0, 2);
    tcase_add_test(tc, a_disk_that_goes_on_failing_is_not_filled);
    tcase_add_test(tc, a_rewrite_takes_the_refused_turn_along);
    tcase_add_test(tc, a_removal_is_tried_again);
    tcase_add_test(tc, what_cannot_be_read_is_not_cut_off);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
