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

START_TEST(test_a_link_that_others_can_have_made_is_not_followed)
{
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(dir, 12345, 12345), 0);
    char target[160];
    snprintf(target, sizeof target, "%s/elsewhere", dir);
    ck_assert_int_eq(symlink(target, path), 0);
    struct store_options options = {.type = "sqlite", .path = path, .cache_bytes = 1 << 20};
    struct store *s = NULL;
    ck_assert_int_eq(store_open(&options, &s, &error), STORE_BROKEN);
    ck_assert_ptr_nonnull(strstr(error.text, "records.db is a symbolic link of uid 0 (root), in a "
                                             "directory of uid 12345"));
    ck_assert_int_eq(access(target, F_OK), -1);
    ck_assert_int_eq(unlink(path), 0);
    store_close(open_store(false));
}
END_TEST

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

static void run(const char *sql)
{
    sqlite3 *db;
    char *why = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 20000);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why);
    sqlite3_close(db);
}

/* Rules of a user's, made while the store is open, that fail for the values of one row, each in its own way. */
START_TEST(test_what_a_rule_says_of_one_row_is_refused)
{
    static const char *const rules[] = {
        "CREATE TRIGGER t BEFORE INSERT ON records_base BEGIN SELECT json(NEW.key); END",
        "CREATE TRIGGER t BEFORE INSERT ON RECORDS_BASE BEGIN SELECT json(NEW.key); END",
        "CREATE TRIGGER t AFTER INSERT ON records_base WHEN NEW.key = 'bad' BEGIN SELECT "
        "abs(-9223372036854775807 - 1); END",
        "CREATE TRIGGER t BEFORE INSERT ON records_base WHEN NEW.key = 'bad' BEGIN SELECT "
        "RAISE(ROLLBACK, 'no'); END",
        "CREATE TRIGGER t BEFORE INSERT ON records_base WHEN NEW.key = 'bad' BEGIN SELECT 'a' "
        "LIKE 'a' ESCAPE 'too long'; END",
        "CREATE TRIGGER t BEFORE INSERT ON records_recent BEGIN SELECT json(NEW.key); END",
        "CREATE INDEX t ON records_base(json(key))",
        "CREATE INDEX t ON records_base(seq) WHERE json(key) = '1'",
        "ALTER TABLE records_base ADD COLUMN t AS (json(key)) CHECK (t > '')"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        teardown();
        setup();
        struct store *s = open_store(false);
        ck_assert_int_eq(put(s, "1", "{}", 1), STORE_OK);
        run(rules[i]);
        struct store_record batch[] = {record("2", "{}", 2), record("bad", "{}", 3)};
        ck_assert_msg(store_write(s, batch, 2, &error) == STORE_REFUSED, "%s: %s", rules[i],
                      error.text);
        ck_assert_msg(strstr(error.text, "constraints and triggers") != NULL, "%s", error.text);
        ck_assert_int_eq(store_try(s, &batch[1], &error), STORE_REFUSED);
        ck_assert_msg(store_write(s, batch, 1, &error) == STORE_OK, "%s: %s", rules[i], error.text);
        store_close(s);
        expect_value("SELECT group_concat(key) FROM (SELECT key FROM records ORDER BY key)", "1,2");
    }
}
END_TEST

/* And what no row can come past: trouble, with a remedy that can help, until it is mended. */
START_TEST(test_what_a_rule_says_of_every_row_is_trouble)
{
    static const char *const rules[][3] = {
        {"CREATE TRIGGER t BEFORE INSERT ON records_base BEGIN INSERT INTO gone VALUES(1); END",
         "constraints and triggers", "DROP TRIGGER t"},
        {"CREATE TRIGGER t BEFORE INSERT ON records_base BEGIN SELECT nothing_such(NEW.key); END",
         "constraints and triggers", "DROP TRIGGER t"},
        {"ALTER TABLE records_recent RENAME TO other", "not ours",
         "ALTER TABLE other RENAME TO records_recent"},
        {"ALTER TABLE records_recent RENAME COLUMN seq TO other", "not ours",
         "ALTER TABLE records_recent RENAME COLUMN other TO seq"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        teardown();
        setup();
        struct store *s = open_store(false);
        ck_assert_int_eq(put(s, "1", "{}", 1), STORE_OK);
        run(rules[i][0]);
        ck_assert_msg(put(s, "2", "{}", 2) == STORE_BROKEN, "%s: %s", rules[i][0], error.text);
        ck_assert_msg(strstr(error.text, rules[i][1]) != NULL, "%s", error.text);
        run(rules[i][2]);
        ck_assert_msg(put(s, "2", "{}", 2) == STORE_OK, "%s", error.text);
        store_close(s);
    }
}
END_TEST

static void rest(struct store *s)
{
    uint64_t until = clock_mono_ms() + 20000;
    while (!store_rest(s, &error)) {
        ck_assert_msg(error.text[0] == '\0' && clock_mono_ms() < until, "%s", error.text);
        usleep(5000);
    }
}

/* What was acknowledged before there was a rule, and breaks it: readable, and told, until the rule is gone. */
START_TEST(test_a_merging_that_fails_is_told)
{
    static const char *const rules[][2] = {
        {"CREATE TRIGGER t BEFORE INSERT ON records_base BEGIN SELECT json(NEW.key); END",
         "malformed JSON"},
        {"CREATE TRIGGER t BEFORE INSERT ON records_base WHEN NEW.key = 'bad' BEGIN SELECT "
         "RAISE(ABORT, 'not that one'); END",
         "not that one"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        teardown();
        setup();
        struct store *s = open_store(false);
        ck_assert_int_eq(put(s, "bad", "{}", 1), STORE_OK);
        run(rules[i][0]);
        rest(s);
        ck_assert_msg(strstr(store_ails(s), rules[i][1]) != NULL, "%s", store_ails(s));
        ck_assert_ptr_nonnull(strstr(store_ails(s), "drop it, or delete them"));
        expect_value("SELECT group_concat(key) FROM records", "bad");
        ck_assert_int_eq(put(s, "2", "{}", 2), STORE_OK);
        ck_assert_str_ne(store_ails(s), "");
        rest(s);
        ck_assert_str_ne(store_ails(s), "");
        run("DROP TRIGGER t");
        rest(s);
        ck_assert_str_eq(store_ails(s), "");
        expect_value("SELECT group_concat(key) FROM (SELECT key FROM records_base ORDER BY key)",
                     "2,bad");
        expect_value("SELECT CAST(count(*) AS TEXT) FROM records_recent", "0");
        store_close(s);
    }
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

static void count_row(const struct store_report_row *row, bool over_time, void *ctx)
{
    (void)row;
    (void)over_time;
    ++*(unsigned *)ctx;
}

/* Values of 9 MB: whoever collects them gets as much as no answer holds, and no more. */
START_TEST(test_report_ends_where_no_answer_holds_more)
{
    struct store *s = open_store(false);
    char *data = malloc(9000016);
    ck_assert_ptr_nonnull(data);
    for (unsigned i = 0; i < 4; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        snprintf(data, 16, "{\"f\":\"");
        memset(data + 6, key[0], 9000000);
        memcpy(data + 6 + 9000000, "\"}", 3);
        ck_assert_int_eq(put(s, key, data, i + 1), STORE_OK);
    }
    free(data);
    unsigned rows = 0;
    uint64_t total;
    struct store_query query = {.by = "f", .top = 10, .deadline_mono_ms = clock_mono_ms() + 60000};
    ck_assert_msg(store_report(s, &query, count_row, &rows, &total, &error) == STORE_OK, "%s",
                  error.text);
    ck_assert_uint_eq(rows, 2);
    ck_assert_uint_eq(total, 4);
    store_close(s);
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

SUITE_MAIN_WITH("store_sqlite", setup, teardown,
                test_a_link_that_others_can_have_made_is_not_followed,
                test_older_never_overwrites_newer, test_same_batch_twice_is_once,
                test_the_table_is_as_promised, test_binary_keys_and_nul_are_kept,
                test_full_disk_is_retried_and_goes_on, test_locked_by_another_is_retried,
                test_what_is_no_database_is_broken, test_a_foreign_table_is_broken,
                test_what_a_rule_says_of_one_row_is_refused,
                test_what_a_rule_says_of_every_row_is_trouble, test_a_merging_that_fails_is_told,
                test_a_directory_that_cannot_be_is_retried, test_a_deleted_file_is_made_anew,
                test_kill_loses_nothing_that_was_acknowledged, test_report_counts_by_field,
                test_report_ends_where_no_answer_holds_more, test_report_counts_over_time,
                test_report_since, test_report_gives_up_at_its_deadline)
