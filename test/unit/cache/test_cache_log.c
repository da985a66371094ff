/*
 * test_cache_log.c: the log opened, written, opened again; its segments; who may not stand there
 * (workers/cache/log/cache_log.h).
 */
#include "common/crc32c.h"
#include "test/unit/cache/cache_log_fixture.h"
#include "workers/cache/log/cache_log_read.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct log_fixture f;
static struct log_state before;

static void set_up(void)
{
    log_fixture_init(&f);
}

static void tear_down(void)
{
    log_fixture_fini(&f);
}

static void reopen(void)
{
    before = f.state;
    log_fixture_close(&f);
    log_fixture_open(&f);
}

static void expect_as_before(uint64_t damaged)
{
    ck_assert_uint_eq(f.found.damaged, damaged);
    ck_assert_uint_eq(f.found.cut_bytes, 0);
    ck_assert(log_state_equal(&f.state, &before));
}

static void flush(void)
{
    ck_assert_int_eq(cache_log_flush(f.log), 0);
}

START_TEST(an_empty_one_is_made)
{
    struct stat st;
    rmdir(f.dir);
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.records + f.found.cut_bytes + f.found.damaged, 0);
    ck_assert_uint_eq(cache_log_added(f.log) + cache_log_bytes(f.log), 0);
    flush();
    ck_assert_uint_eq(log_fixture_segment_count(&f), 0);
    ck_assert_int_eq(stat(f.dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    log_fixture_set(&f, 1, 10);
    flush();
    ck_assert_int_eq(stat(log_fixture_segment(&f, 0), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_str_eq(cache_log_trouble(f.log), "");
}
END_TEST

START_TEST(what_was_written_comes_back_in_order)
{
    log_fixture_open(&f);
    for (int turn = 0; turn < 200; turn++) {
        log_fixture_turn(&f, 200, 0);
        uint64_t added = cache_log_added(f.log);
        ck_assert_uint_lt(cache_log_written(f.log), added);
        flush();
        ck_assert_uint_eq(cache_log_written(f.log), added);
        ck_assert_uint_eq(cache_log_added(f.log), added);
    }
    ck_assert_uint_gt(log_fixture_segment_count(&f), 5);
    for (size_t i = 0; i < log_fixture_segment_count(&f); i++)
        ck_assert_uint_le(log_fixture_size(log_fixture_segment(&f, (int)i)), 4096);
    for (int i = 0; i < 5; i++) {
        reopen();
        expect_as_before(0);
        ck_assert_uint_eq(cache_log_written(f.log), 0);
        log_fixture_turn(&f, 200, 0); /* close writes it */
    }
}
END_TEST

/* The same segment goes on, so that restarts make no crowd of small ones. */
START_TEST(restarts_make_no_segments)
{
    log_fixture_open(&f);
    for (int i = 0; i < 20; i++) {
        log_fixture_set(&f, 0, 10);
        reopen();
        expect_as_before(0);
    }
    ck_assert_uint_eq(log_fixture_segment_count(&f), 1);
}
END_TEST

START_TEST(a_large_record_has_its_own_segment)
{
    log_fixture_open(&f);
    log_fixture_set(&f, 1, 10);
    log_fixture_set(&f, 2, 900000);
    log_fixture_set(&f, 3, 10);
    flush();
    ck_assert_uint_eq(log_fixture_segment_count(&f), 3);
    ck_assert(f.segments[1] + 1 == f.segments[2] && f.segments[2] + 1 == f.segments[3]);
    ck_assert_uint_lt(log_fixture_size(log_fixture_segment(&f, 0)), 200);
    log_fixture_set(&f, 4, 10); /* a later turn goes on in the last */
    flush();
    ck_assert_uint_eq(f.segments[4], f.segments[3]);
    reopen();
    expect_as_before(0);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    log_fixture_open(&f);
    struct cache_log_record r = {.key = slice_of("key:1"), .expiry_ms = INT64_MAX};
    char *large = calloc(1, 1 << 25);
    r.value = slice_make(large, 1 << 25);
    ck_assert_uint_eq(cache_log_add(f.log, &r), 0);
    uint64_t added = 0;
    r.value.len--;
    for (int i = 0; cache_log_add(f.log, &r) != 0; i++) { /* a turn is bounded */
        added = cache_log_added(f.log);
        ck_assert_int_lt(i, 9);
    }
    ck_assert_uint_eq(cache_log_added(f.log), added);
    ck_assert_uint_gt(added, 200 << 20);
    free(large);
    flush();
    ck_assert(log_fixture_set(&f, 2, 5));
}
END_TEST

/* Bytes and what of them is alive, and the same after a restart. */
START_TEST(alive_bytes_are_counted)
{
    log_fixture_open(&f);
    log_fixture_set(&f, 1, 100);
    uint64_t one = cache_log_alive(f.log);
    ck_assert_uint_eq(cache_log_bytes(f.log), one + 32);
    log_fixture_set(&f, 1, 100);
    ck_assert_uint_eq(cache_log_alive(f.log), one);
    log_fixture_set(&f, 2, 100);
    ck_assert_uint_eq(cache_log_alive(f.log), 2 * one);
    log_fixture_delete(&f, 1);
    ck_assert_uint_eq(cache_log_alive(f.log), one);
    uint64_t bytes = cache_log_bytes(f.log);
    reopen();
    ck_assert_uint_eq(cache_log_bytes(f.log), bytes);
    ck_assert_uint_eq(cache_log_alive(f.log), one);
    cache_log_dead(f.log, 77, 100); /* of a segment that is gone */
    cache_log_dead(f.log, 1, SIZE_MAX);
    ck_assert_uint_eq(cache_log_alive(f.log), 0);
}
END_TEST

static void fill(int turns)
{
    log_fixture_open(&f);
    for (int turn = 0; turn < turns; turn++) {
        log_fixture_turn(&f, 200, 0);
        flush();
    }
    before = f.state;
    log_fixture_close(&f);
}

START_TEST(a_missing_segment_is_damage)
{
    fill(100);
    unlink(log_fixture_segment(&f, 2));
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.damaged, 1);
    ck_assert_uint_gt(f.found.records, 100);
}
END_TEST

/* Refused, with a line that says what and why; the file is as it was. */
static void expect_refused(int rc, const char *cause)
{
    ck_assert_int_eq(log_fixture_try_open(&f), rc);
    ck_assert_msg(strstr(f.why, cause) != NULL && strstr(f.why, f.dir) != NULL, "%s", f.why);
    ck_assert_ptr_null(strchr(f.why, '\n'));
}

START_TEST(a_newer_format_is_refused)
{
    fill(30);
    const char *path = log_fixture_segment(&f, -1);
    char head[32] = "platoon\n\x02";
    int fd = open(path, O_RDWR | O_CLOEXEC);
    /* version 2, number 1, instance 0, and their sum */
    head[12] = 1;
    uint32_t sum = 0;
    ck_assert_int_eq(pread(fd, head + 12, 12, 12), 12);

    sum = crc32c(0, slice_make(head, 28));
    memcpy(head + 28, &sum, sizeof sum);
    ck_assert_int_eq(pwrite(fd, head, sizeof head, 0), sizeof head);
    close(fd);
    uint64_t size = log_fixture_size(path);
    expect_refused(-EPROTONOSUPPORT, "a newer platoon has written it");
    ck_assert_uint_eq(log_fixture_size(log_fixture_segment(&f, -1)), size);
}
END_TEST

START_TEST(two_logs_are_refused)
{
    fill(30);
    char command[256], other[128];
    snprintf(other, sizeof other, "%s/00000099-0123456789abcdef.log", f.dir);
    snprintf(command, sizeof command, "cp '%s' '%s'", log_fixture_segment(&f, 0), other);
    ck_assert_int_eq(system(command), 0);
    expect_refused(-EEXIST, "one log only");
    unlink(other);
    log_fixture_open(&f);
    expect_as_before(0);
}
END_TEST

START_TEST(links_and_pipes_are_refused)
{
    fill(30);
    char command[256];
    char path[128];
    snprintf(path, sizeof path, "%s", log_fixture_segment(&f, 0));
    snprintf(command, sizeof command, "mv '%s' %s/x && ln -s x '%s'", path, f.dir, path);
    ck_assert_int_eq(system(command), 0);
    expect_refused(-ELOOP, path);
    snprintf(command, sizeof command, "rm '%s' && mkfifo '%s'", path, path);
    ck_assert_int_eq(system(command), 0);
    expect_refused(-EINVAL, path);
    snprintf(command, sizeof command, "rm '%s' && ln %s/x '%s'", path, f.dir, path);
    ck_assert_int_eq(system(command), 0);
    expect_refused(-EMLINK, path);
    snprintf(command, sizeof command, "rm %s/x; chmod 770 %s", f.dir, f.dir);
    ck_assert_int_eq(system(command), 0);
    expect_refused(-EPERM, "nobody else may write");
    ck_assert_int_eq(chmod(f.dir, 0700), 0);
    log_fixture_open(&f);
    expect_as_before(0);
}
END_TEST

START_TEST(a_file_instead_of_a_directory_is_refused)
{
    ck_assert_int_eq(rmdir(f.dir), 0);
    close(open(f.dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_refused(-ENOTDIR, "Not a directory");
    unlink(f.dir);
}
END_TEST

/* Renamed by somebody: nothing of it is believed, and nothing of it is cut off. */
START_TEST(a_renamed_segment_is_damage)
{
    fill(100);
    char path[128], other[128];
    snprintf(path, sizeof path, "%s", log_fixture_segment(&f, -1));
    snprintf(other, sizeof other, "%s", path);
    other[strlen(f.dir) + 1] = '7';
    ck_assert_int_eq(rename(path, other), 0);
    uint64_t size = log_fixture_size(other);
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.damaged, 1);
    ck_assert_uint_eq(f.found.damaged_bytes, size);
    ck_assert_uint_eq(log_fixture_size(other), size);
    log_fixture_set(&f, 1, 10);
    reopen();
    expect_as_before(1);
}
END_TEST

START_TEST(foreign_names_are_left_alone)
{
    const char *const names[] = {"platoon.lock", "00000000-0123456789abcdef.log",
                                 "1-0123456789abcdef.log", "00000001-0123456789abcdeF.log",
                                 "00000001-0123456789abcdef.log2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", f.dir, names[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    log_fixture_open(&f);
    ck_assert_uint_eq(f.found.damaged, 0);
    ck_assert_uint_eq(log_fixture_segment_count(&f), 0);
}
END_TEST

/* The caller beats meanwhile; and what it refuses ends it. */
static int refuse(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx)
{
    (void)r;
    (void)count;
    (void)segment;
    return ++*(int *)ctx == 7 ? -ENOMEM : 0;
}

START_TEST(a_replay_beats_and_can_be_refused)
{
    log_fixture_open(&f);
    for (uint32_t i = 0; i < 20000; i++)
        log_fixture_set(&f, i % LOG_KEYS, 5);
    f.beats = 0;
    reopen();
    expect_as_before(0);
    ck_assert_uint_eq(f.beats, 20000 / 4096);
    log_fixture_close(&f);
    int seen = 0;
    struct cache_log_events events = {.on_records = refuse};
    ck_assert_int_eq(cache_log_open(&f.loop, &f.options, &events, &seen, NULL, &f.found, &f.log,
                                    f.why, sizeof f.why),
                     -ENOMEM);
    ck_assert_int_eq(seen, 7);
    ck_assert_ptr_nonnull(strstr(f.why, "more memory"));
    f.log = NULL;
}
END_TEST

/* Not the disk's fault, and no rights are missing. */
START_TEST(too_many_open_files)
{
    struct rlimit limit;
    log_fixture_open(&f);
    log_fixture_set(&f, 1, 10);
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t most = limit.rlim_cur;
    limit.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int rc = cache_log_flush(f.log);
    limit.rlim_cur = most;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(rc, -EMFILE);
    ck_assert_ptr_nonnull(strstr(cache_log_trouble(f.log), "raise the limit of open files"));
    flush();
    ck_assert_str_eq(cache_log_trouble(f.log), "");
}
END_TEST

/* Few records may be many bytes: of both the log and of its last segment, which is read twice. */
START_TEST(a_replay_of_large_records_beats)
{
    f.options.segment_max = 64 << 20;
    log_fixture_open(&f);
    for (uint32_t i = 0; i < 100; i++) {
        log_fixture_set(&f, i % LOG_KEYS, 1 << 20);
        ck_assert_int_eq(cache_log_flush(f.log), 0);
    }
    f.beats = 0;
    reopen();
    expect_as_before(0);
    ck_assert_uint_ge(f.beats, 8);
}
END_TEST

static void write_many(uint32_t count, uint32_t len)
{
    for (uint32_t i = 0; i < count; i++)
        ck_assert(log_fixture_set(&f, i % LOG_KEYS, len));
    flush();
}

/* Over the ends of windows and segments; before the first it is said how many there are. */
START_TEST(many_come_at_a_time_and_are_expected)
{
    f.options.segment_max = 1 << 21;
    log_fixture_open(&f);
    write_many(40000, 150);
    reopen();
    expect_as_before(0);
    ck_assert_uint_eq(f.found.records, 40000);
    ck_assert_uint_eq(f.most, CACHE_LOG_READ_MAX);
    ck_assert_uint_gt(f.expected, 38000);
    ck_assert_uint_lt(f.expected, 42000);
}
END_TEST

/* Room is not made for more than so many in so many bytes, nor by what a few say. */
START_TEST(not_too_many_are_expected)
{
    f.options.segment_max = 1 << 21;
    log_fixture_open(&f);
    write_many(500, 150);
    reopen();
    ck_assert_uint_eq(f.expected, 0);
    write_many(100000, 5);
    reopen();
    expect_as_before(0);
    ck_assert_uint_gt(f.expected, cache_log_bytes(f.log) / 200);
    ck_assert_uint_le(f.expected, cache_log_bytes(f.log) / 128);
}
END_TEST

SUITE_MAIN_WITH("cache_log", set_up, tear_down, an_empty_one_is_made,
                what_was_written_comes_back_in_order, restarts_make_no_segments,
                a_large_record_has_its_own_segment, what_does_not_fit_is_refused,
                alive_bytes_are_counted, a_missing_segment_is_damage, a_newer_format_is_refused,
                two_logs_are_refused, links_and_pipes_are_refused,
                a_file_instead_of_a_directory_is_refused, a_renamed_segment_is_damage,
                foreign_names_are_left_alone, a_replay_beats_and_can_be_refused,
                a_replay_of_large_records_beats, many_come_at_a_time_and_are_expected,
                not_too_many_are_expected, too_many_open_files)
