/* test_store_sqlite.c: the SQLite back-end on real files: order of versions, errors that pass, kills, reports. */
#include "common/clock.h"
#include "common/store/store.h"
#include "test/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char path[128];
static struct store_error error;

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/platoon-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/records.db", dir);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct store *open_store(bool read_only)
{
    struct store_options options = {
        .type = "sqlite", .path = path, .cache_bytes = 1 << 20, .read_only = read_only};
    struct store *s = NULL;
    enum store_result result = store_open(&options, &s, &error);
    ck_assert_msg(result == STORE_OK, "%s", error.text);
    return s;
}

static struct store_record record(const char *key, const char *data, uint64_t seq)
{
    return (struct store_record){.bucket = slice_of("b"),
                                 .key = slice_of(key),
                                 .data = slice_of(data),
                                 .seq = seq,
                                 .updated_at_ms = 1700000000000u + seq};
}

static enum store_result put(struct store *s, const char *key, const char *data, uint64_t seq)
{
    struct store_record r = record(key, data, seq);
    return store_write(s, &r, 1, &error);
}

/* One value of the database by a connection of the test's own. */
static void expect_value(const char *sql, const char *expected)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), expected);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

START_TEST(test_older_never_overwrites_newer)
{
    struct store *s = open_store(false);
    ck_assert_int_eq(put(s, "k", "{\"v\":\"2\"}", 20), STORE_OK);
    ck_assert_int_eq(put(s, "k", "{\"v\":\"1\"}", 10), STORE_OK);
    expect_value("SELECT data || seq FROM records", "{\"v\":\"2\"}20");
    ck_assert_int_eq(put(s, "k", "{\"v\":\"3\"}", 30), STORE_OK);
    expect_value("SELECT data || seq FROM records", "{\"v\":\"3\"}30");
    store_close(s);
}
END_TEST

START_TEST(test_same_batch_twice_is_once)
{
    struct store *s = open_store(false);
    struct store_record batch[] = {record("a", "{}", 1), record("b", "{}", 2),
                                   record("a", "{\"x\":\"1\"}", 3)};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(store_write(s, batch, 3, &error), STORE_OK);
    expect_value(
        "SELECT group_concat(key || data || seq) FROM (SELECT * FROM records ORDER BY key)",
        "a{\"x\":\"1\"}3,b{}2");
    store_close(s);
}
END_TEST

START_TEST(test_the_table_is_as_promised)
{
    struct store *s = open_store(false);
    expect_value("SELECT group_concat(name || ' ' || type) FROM pragma_table_info('records')",
                 "bucket TEXT,key TEXT,data TEXT,seq INTEGER,updated_at INTEGER");
    store_close(s);
}
END_TEST

START_TEST(test_binary_keys_and_nul_are_kept)
{
    struct store *s = open_store(false);
    struct store_record r = record("", "{}", 1);
    r.key = slice_make("a\0b", 3);
    ck_assert_int_eq(store_write(s, &r, 1, &error), STORE_OK);
    expect_value("SELECT hex(key) FROM records", "610062");
    store_close(s);
}
END_TEST

/* A limit on file size is a full disk that needs no root: writes beyond it fail. */
START_TEST(test_full_disk_is_retried_and_goes_on)
{
    struct store *s = open_store(false);
    ck_assert_int_eq(put(s, "before", "{}", 1), STORE_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit was;
    getrlimit(RLIMIT_FSIZE, &was);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){64 * 1024, was.rlim_max});
    char *large = malloc(512 * 1024);
    memset(large, 'x', 512 * 1024 - 1);
    large[512 * 1024 - 1] = '\0';
    ck_assert_int_eq(put(s, "large", large, 2), STORE_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "disk"));
    setrlimit(RLIMIT_FSIZE, &was);
    ck_assert_int_eq(put(s, "large", large, 2), STORE_OK);
    expect_value("SELECT count(*) FROM records", "2");
    free(large);
    store_close(s);
}
END_TEST

START_TEST(test_locked_by_another_is_retried)
{
    struct store *s = open_store(false);
    sqlite3 *other;
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(put(s, "k", "{}", 1), STORE_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "locked"));
    ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(put(s, "k", "{}", 1), STORE_OK);
    sqlite3_close(other);
    store_close(s);
}
END_TEST

START_TEST(test_what_is_no_database_is_broken)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    char garbage[4096];
    memset(garbage, 'g', sizeof garbage);
    ck_assert_int_eq(write(fd, garbage, sizeof garbage), sizeof garbage);
    close(fd);
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), STORE_BROKEN);
    ck_assert_ptr_null(s);
    ck_assert_ptr_nonnull(strstr(error.text, "no SQLite database"));
}
END_TEST

START_TEST(test_a_foreign_table_is_broken)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE records(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), STORE_BROKEN);
}
END_TEST

START_TEST(test_a_directory_that_cannot_be_is_retried)
{
    snprintf(path, sizeof path, "/proc/nowhere/records.db");
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), STORE_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, path));
}
END_TEST

START_TEST(test_a_deleted_file_is_made_anew)
{
    struct store *s = open_store(false);
    ck_assert_int_eq(put(s, "k", "{}", 1), STORE_OK);
    teardown();
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_int_eq(put(s, "k2", "{}", 2), STORE_OK);
    expect_value("SELECT key FROM records", "k2");
    store_close(s);
}
END_TEST

/* What was answered with STORE_OK is there after kill -9, wherever the writer was. */
START_TEST(test_kill_loses_nothing_that_was_acknowledged)
{
    int acks[2];
    ck_assert_int_eq(pipe(acks), 0);
    pid_t child = suite_fork();
    if (child == 0) {
        struct store *s = open_store(false);
        for (uint64_t seq = 1;; seq++) {
            char key[32];
            snprintf(key, sizeof key, "k%llu", (unsigned long long)seq);
            if (put(s, key, "{}", seq) != STORE_OK ||
                write(acks[1], &seq, sizeof seq) != sizeof seq)
                _exit(1);
        }
    }
    uint64_t last = 0;
    while (last < 200)
        ck_assert_int_eq(read(acks[0], &last, sizeof last), sizeof last);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(acks[1]);
    while (read(acks[0], &last, sizeof last) == sizeof last)
        ;
    close(acks[0]);
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM records WHERE seq <= %llu",
             (unsigned long long)last);
    char expected[32];
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)last);
    expect_value(sql, expected);
}
END_TEST

/* ---- reports ---- */

struct seen {
    char text[512];
};

static void on_row(const struct store_report_row *row, bool over_time, void *ctx)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);
    if (over_time)
        snprintf(seen->text + len, sizeof seen->text - len, "@%llu=%llu ",
                 (unsigned long long)row->time_ms, (unsigned long long)row->count);
    else
        snprintf(seen->text + len, sizeof seen->text - len, "%.*s=%llu ",
                 row->is_null ? 4 : (int)row->value.len, row->is_null ? "null" : row->value.ptr,
                 (unsigned long long)row->count);
}

static uint64_t report(struct store_query query, struct seen *seen)
{
    seen->text[0] = '\0';
    uint64_t total = 0;
    query.deadline_mono_ms = clock_mono_ms() + 60000;
    struct store *s = open_store(true);
    ck_assert_msg(store_report(s, &query, on_row, seen, &total, &error) == STORE_OK, "%s",
                  error.text);
    store_close(s);
    return total;
}

static void fill(void)
{
    struct store *s = open_store(false);
    struct store_record rows[] = {
        record("1", "{\"path\":\"/a\",\"we\\\"ird.n\":\"x\",\"time\":\"2015-05-17T10:05:03Z\"}",
               1000),
        record("2", "{\"path\":\"/b\",\"time\":\"2015-05-17T10:05:59Z\"}", 61000),
        record("3", "{\"path\":\"/a\",\"time\":\"1431857160\"}", 62000), /* 10:06:00 */
        record("4", "{\"time\":\"yesterday\"}", 200000),
    };
    ck_assert_int_eq(store_write(s, rows, 4, &error), STORE_OK);
    store_close(s);
}

START_TEST(test_report_counts_by_field)
{
    fill();
    struct seen seen;
    ck_assert_uint_eq(report((struct store_query){.by = "path", .top = 10}, &seen), 4);
    ck_assert_str_eq(seen.text, "/a=2 null=1 /b=1 ");
    report((struct store_query){.by = "path", .top = 1}, &seen);
    ck_assert_str_eq(seen.text, "/a=2 ");
    report((struct store_query){.by = "we\"ird.n", .top = 10}, &seen);
    ck_assert_str_eq(seen.text, "null=3 x=1 ");
}
END_TEST

START_TEST(test_report_counts_over_time)
{
    fill();
    struct seen seen;
    report((struct store_query){.every_ms = 60000, .time_field = "time"}, &seen);
    ck_assert_str_eq(seen.text, "@1431857100000=2 @1431857160000=1 ");
    uint64_t base = 1700000000000u;
    report((struct store_query){.every_ms = 3600000}, &seen);
    char expected[64];
    snprintf(expected, sizeof expected, "@%llu=4 ", (unsigned long long)(base / 3600000 * 3600000));
    ck_assert_str_eq(seen.text, expected);
}
END_TEST

START_TEST(test_report_since)
{
    fill();
    struct seen seen;
    struct store_query query = {.since_ms = 150000, .now_ms = 1700000200000u};
    ck_assert_uint_eq(report(query, &seen), 3);
}
END_TEST

START_TEST(test_report_gives_up_at_its_deadline)
{
    struct store *s = open_store(false);
    for (uint64_t i = 0; i < 20000; i += 1000) {
        struct store_record rows[1000];
        char keys[1000][16];
        for (uint64_t k = 0; k < 1000; k++) {
            snprintf(keys[k], sizeof keys[k], "%llu", (unsigned long long)(i + k));
            rows[k] = record(keys[k], "{\"p\":\"1\"}", i + k);
        }
        ck_assert_int_eq(store_write(s, rows, 1000, &error), STORE_OK);
    }
    struct seen seen = {{0}};
    uint64_t total;
    struct store_query query = {.by = "p", .top = 10, .deadline_mono_ms = clock_mono_ms()};
    ck_assert_int_eq(store_report(s, &query, on_row, &seen, &total, &error), STORE_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "deadline"));
    store_close(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_sqlite");
    TCase *tc = tcase_create("store_sqlite");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_older_never_overwrites_newer);
    tcase_add_test(tc, test_same_batch_twice_is_once);
    tcase_add_test(tc, test_the_table_is_as_promised);
    tcase_add_test(tc, test_binary_keys_and_nul_are_kept);
    tcase_add_test(tc, test_full_disk_is_retried_and_goes_on);
    tcase_add_test(tc, test_locked_by_another_is_retried);
    tcase_add_test(tc, test_what_is_no_database_is_broken);
    tcase_add_test(tc, test_a_foreign_table_is_broken);
    tcase_add_test(tc, test_a_directory_that_cannot_be_is_retried);
    tcase_add_test(tc, test_a_deleted_file_is_made_anew);
    tcase_add_test(tc, test_kill_loses_nothing_that_was_acknowledged);
    tcase_add_test(tc, test_report_counts_by_field);
    tcase_add_test(tc, test_report_counts_over_time);
    tcase_add_test(tc, test_report_since);
    tcase_add_test(tc, test_report_gives_up_at_its_deadline);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
