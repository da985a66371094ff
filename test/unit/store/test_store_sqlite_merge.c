/*
 * test_store_sqlite_merge.c: appended records become merged ones: newest first, killed anywhere, two processes,
 * failures, long readers, old files.
 */
#include "common/clock.h"
#include "common/store/store_sqlite.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place place;
static char path[96];

/* A writer with a merge of its own, as store_sqlite.c is one; with small bounds, so that all of them are met. */
struct writer {
    sqlite3 *db;
    sqlite3_stmt *append;
    struct store_merge *merge;
};

static const struct store_merge_options small = {.path = path,
                                                 .cache_bytes = 1 << 20,
                                                 .rows = 50,
                                                 .behind = 400,
                                                 .after_ms = 1,
                                                 .wal_pages = 20};

static void setup(void)
{
    place_make(&place);
    snprintf(path, sizeof path, "%s/records.db", place.dir);
}

static void teardown(void)
{
    place_remove(&place);
}

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* Two processes may make the schema at once. */
static sqlite3 *open_db(void)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 20000);
    ck_assert_int_eq(run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"), SQLITE_OK);
    ck_assert_int_eq(store_sqlite_schema_ensure(db), SQLITE_OK);
    return db;
}

static sqlite3_int64 number(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 20000);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    sqlite3_int64 value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return value;
}

static struct writer start(struct store_merge_options options)
{
    struct writer w = {.db = open_db()};
    ck_assert_int_eq(
        sqlite3_prepare_v2(w.db,
                           "INSERT INTO records_recent(bucket,key,data,seq,updated_at) "
                           "VALUES('b',?1,?2,?3,0)",
                           -1, &w.append, NULL),
        SQLITE_OK);
    options.recent = (uint64_t)number("SELECT count(*) FROM records_recent");
    w.merge = store_merge_start(&options);
    ck_assert_ptr_nonnull(w.merge);
    store_merge_watch_wal(w.merge, w.db);
    return w;
}

static void stop(struct writer *w)
{
    store_merge_stop(w->merge);
    sqlite3_finalize(w->append);
    ck_assert_int_eq(sqlite3_close(w->db), SQLITE_OK);
}

static void begin(struct writer *w)
{
    int cause;
    ck_assert(store_merge_take_turn(w->merge, 1, &cause));
    ck_assert_int_eq(run(w->db, "BEGIN IMMEDIATE"), SQLITE_OK);
}

static void put_text(struct writer *w, const char *key, sqlite3_int64 seq, int text)
{
    char data[8192];
    snprintf(data, sizeof data, "{\"seq\":\"%lld\",\"text\":\"%0*d\"}", (long long)seq, text, 0);
    sqlite3_bind_text(w->append, 1, key, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(w->append, 2, data, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(w->append, 3, seq);
    ck_assert_int_eq(sqlite3_step(w->append), SQLITE_DONE);
    sqlite3_reset(w->append);
}

static void put(struct writer *w, const char *key, sqlite3_int64 seq)
{
    put_text(w, key, seq, 1);
}

static void commit(struct writer *w, uint64_t rows)
{
    ck_assert_int_eq(run(w->db, "COMMIT"), SQLITE_OK);
    store_merge_end_turn(w->merge, rows);
}

static void put_one(struct writer *w, const char *key, sqlite3_int64 seq)
{
    begin(w);
    put(w, key, seq);
    commit(w, 1);
}

static void wait_merged(void)
{
    uint64_t end = clock_mono_ms() + 30000;
    while (number("SELECT count(*) FROM records_recent") > 0) {
        ck_assert_msg(clock_mono_ms() < end, "rows stay in records_recent");
        usleep(2000);
    }
}

/* Whether merged or not, both versions in one place or in two, in either order: one row, the newest. */
START_TEST(test_one_row_a_key_the_newest)
{
    struct store_merge_options never = small;
    never.after_ms = 3600000;
    for (int merged_between = 0; merged_between < 2; merged_between++)
        for (int older_first = 0; older_first < 2; older_first++) {
            struct writer w = start(merged_between ? small : never);
            sqlite3_int64 base = 100 * (1 + merged_between * 2 + older_first);
            put_one(&w, "k", base + (older_first ? 1 : 2));
            if (merged_between)
                wait_merged();
            put_one(&w, "k", base + (older_first ? 2 : 1));
            ck_assert_int_eq(number("SELECT count(*) FROM records"), 1);
            ck_assert_int_eq(number("SELECT seq FROM records"), base + 2);
            ck_assert_int_eq(number("SELECT data ->> 'seq' FROM records"), base + 2);
            if (merged_between)
                wait_merged();
            ck_assert_int_eq(number("SELECT seq FROM records WHERE bucket = 'b' AND key = 'k'"),
                             base + 2);
            stop(&w);
        }
}
END_TEST

/* A store with room in its limits merges by itself when the first row is old enough, and leaves nothing behind. */
START_TEST(test_all_is_merged_in_the_end)
{
    struct writer w = start(small);
    for (int i = 0; i < 20; i++) {
        begin(&w);
        for (int k = 0; k < 37; k++) {
            char key[16];
            snprintf(key, sizeof key, "%d", (i * 37 + k) * 7919 % 700);
            put(&w, key, i * 37 + k + 1);
        }
        commit(&w, 37);
    }
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 700);
    ck_assert_int_eq(number("SELECT count(*) FROM records_base"), 700);
    stop(&w);
}
END_TEST

/*
 * Several versions of a key in one slice, each longer than a page. As one INSERT … ON CONFLICT DO UPDATE of
 * many rows, SQLite up to 3.46 compares them with what stood in the row before, and keeps an old one now
 * and then: a storm found it.
 */
START_TEST(test_versions_longer_than_a_page)
{
    static sqlite3_int64 newest[2000];
    struct store_merge_options never = small, whole = small;
    never.after_ms = 3600000;
    never.rows = whole.rows = 100000;
    never.behind = whole.behind = 200000;
    uint64_t x = 1;
    sqlite3_int64 seq = 0;
    for (int pass = 0; pass < 3; pass++) {
        struct writer w = start(never);
        begin(&w);
        for (int i = 0; i < 2000; i++) {
            char key[16];
            x = x * 6364136223846793005u + 1442695040888963407u;
            int k = (int)((x >> 33) % 2000);
            snprintf(key, sizeof key, "%d", k);
            put_text(&w, key, newest[k] = ++seq, 5000);
        }
        commit(&w, 2000);
        stop(&w);
        w = start(whole);
        wait_merged();
        stop(&w);
    }
    sqlite3 *db = open_db();
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT key, seq FROM records", -1, &stmt, NULL),
                     SQLITE_OK);
    int rows = 0, old = 0;
    for (; sqlite3_step(stmt) == SQLITE_ROW; rows++)
        old += sqlite3_column_int64(stmt, 1) != newest[sqlite3_column_int(stmt, 0)];
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    ck_assert_int_gt(rows, 1500);
    ck_assert_int_eq(old, 0);
}
END_TEST

START_TEST(test_rows_of_an_earlier_life_are_merged)
{
    struct store_merge_options never = small;
    never.after_ms = 3600000;
    struct writer w = start(never);
    put_one(&w, "k", 1);
    stop(&w);
    ck_assert_int_eq(number("SELECT count(*) FROM records_recent"), 1);
    w = start(small);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 1);
    stop(&w);
}
END_TEST

START_TEST(test_a_file_of_an_older_platoon)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(
        run(db, "CREATE TABLE records(bucket TEXT, key TEXT, data TEXT, seq INTEGER, updated_at "
                "INTEGER, PRIMARY KEY(bucket,key)); INSERT INTO records VALUES('b','old','{}',5,0),"
                "('b','k','{}',5,0)"),
        SQLITE_OK);
    sqlite3_close(db);
    struct writer w = start(small);
    put_one(&w, "k", 6);
    put_one(&w, "old", 4);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 2);
    ck_assert_int_eq(number("SELECT seq FROM records WHERE key = 'old'"), 5);
    ck_assert_int_eq(number("SELECT seq FROM records WHERE key = 'k'"), 6);
    stop(&w);
}
END_TEST

START_TEST(test_deleting_from_the_view)
{
    struct store_merge_options never = small;
    never.after_ms = 3600000;
    struct writer w = start(small);
    put_one(&w, "merged", 1);
    put_one(&w, "both", 1);
    wait_merged();
    stop(&w);
    w = start(never);
    put_one(&w, "both", 2);
    put_one(&w, "recent", 1);
    put_one(&w, "stays", 9);
    ck_assert_int_eq(run(w.db, "DELETE FROM records WHERE seq < 9"), SQLITE_OK);
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 1);
    ck_assert_int_eq(number("SELECT count(*) FROM records WHERE key = 'stays'"), 1);
    stop(&w);
    w = start(small); /* what was deleted is not counted on for ever */
    put_one(&w, "after", 1);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 2);
    stop(&w);
}
END_TEST

/* ---- kills ---- */

#define KEYS       120
#define BATCH_ROWS 25

/* Batch `n` of a round, the same for who writes and who checks. */
static void make_batch(unsigned round, int n, int keys[BATCH_ROWS], sqlite3_int64 seqs[BATCH_ROWS])
{
    uint64_t x = round * 1000003u + (unsigned)n * 7919u + 1;
    for (int i = 0; i < BATCH_ROWS; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        keys[i] = (int)((x >> 33) % KEYS);
        seqs[i] = (sqlite3_int64)((x >> 17) % 1000000) + 1;
    }
}

static void write_until_killed(unsigned round, int acks)
{
    struct writer w = start(small);
    for (int n = 0;; n++) {
        int keys[BATCH_ROWS];
        sqlite3_int64 seqs[BATCH_ROWS];
        make_batch(round, n, keys, seqs);
        begin(&w);
        for (int i = 0; i < BATCH_ROWS; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d", keys[i]);
            put(&w, key, seqs[i]);
        }
        commit(&w, BATCH_ROWS);
        if (write(acks, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

static void apply(sqlite3_int64 newest[KEYS], unsigned round, int n)
{
    int keys[BATCH_ROWS];
    sqlite3_int64 seqs[BATCH_ROWS];
    make_batch(round, n, keys, seqs);
    for (int i = 0; i < BATCH_ROWS; i++)
        if (seqs[i] > newest[keys[i]])
            newest[keys[i]] = seqs[i];
}

static void read_view(sqlite3_int64 found[KEYS])
{
    sqlite3 *db = open_db();
    sqlite3_stmt *stmt;
    ck_assert_int_eq(
        sqlite3_prepare_v2(db, "SELECT key, seq, data ->> 'seq' FROM records", -1, &stmt, NULL),
        SQLITE_OK);
    memset(found, 0, KEYS * sizeof *found);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int key = sqlite3_column_int(stmt, 0);
        ck_assert_msg(found[key] == 0, "key %d is there twice", key);
        found[key] = sqlite3_column_int64(stmt, 1);
        ck_assert_int_eq(sqlite3_column_int64(stmt, 2), found[key]);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

START_TEST(test_kill_9_at_any_moment)
{
    sqlite3_int64 newest[KEYS] = {0}, found[KEYS];
    for (unsigned round = 0; round < 40; round++) {
        int acks[2];
        ck_assert_int_eq(pipe(acks), 0);
        pid_t child = suite_fork();
        if (child == 0)
            write_until_killed(round, acks[1]);
        close(acks[1]);
        int n = -1, wanted = 1 + (int)(round * 13 % 60);
        while (n < wanted)
            ck_assert_int_eq(read(acks[0], &n, sizeof n), sizeof n);
        usleep(
            round * 37 %
            1500); /* somewhere within a batch or a slice: the moment is the kill's, not waited for */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(acks[0], &n, sizeof n) == sizeof n)
            ;
        close(acks[0]);
        for (int i = 0; i <= n; i++)
            apply(newest, round, i);
        read_view(found);
        sqlite3_int64 with_next[KEYS];
        memcpy(with_next, newest, sizeof newest);
        apply(with_next, round, n + 1); /* may be there, and then whole */
        bool plain = memcmp(found, newest, sizeof newest) == 0;
        bool next = memcmp(found, with_next, sizeof newest) == 0;
        ck_assert_msg(plain || next, "round %u: after %d batches", round, n + 1);
        memcpy(newest, found, sizeof newest);
    }
    struct writer w = start(small);
    wait_merged();
    read_view(found);
    ck_assert_int_eq(memcmp(found, newest, sizeof newest), 0);
    ck_assert_int_eq(number("SELECT count(*) = 0 FROM pragma_integrity_check WHERE "
                            "integrity_check <> 'ok'"),
                     1);
    stop(&w);
}
END_TEST

/* Two writers, each with its merging, on one file: an id that is given twice would be deleted unmerged. */
START_TEST(test_two_processes_on_one_file)
{
    sqlite3_close(open_db()); /* SQLite turns a file into WAL mode for one at a time */
    pid_t children[2];
    for (int c = 0; c < 2; c++) {
        children[c] = suite_fork();
        if (children[c] != 0)
            continue;
        struct writer w = start(small);
        for (int i = 0; i < 150; i++) {
            begin(&w);
            for (int k = 0; k < 20; k++) {
                char key[32];
                snprintf(key, sizeof key, "%d/%d", c, (i * 20 + k) % 1000);
                put(&w, key, i * 20 + k + 1);
            }
            commit(&w, 20);
        }
        stop(&w);
        _exit(0);
    }
    for (int c = 0; c < 2; c++) {
        int status;
        waitpid(children[c], &status, 0);
        ck_assert_int_eq(status, 0);
    }
    struct writer w = start(small);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records WHERE seq > 2000"), 2000);
    stop(&w);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(test_merging_that_fails_stops_the_writer_and_goes_on)
{
    struct writer w = start(small);
    ck_assert_int_eq(run(w.db, "CREATE TRIGGER no BEFORE INSERT ON records_base BEGIN SELECT "
                               "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    int rows = 0, cause = 0;
    while (store_merge_take_turn(w.merge, 50, &cause)) {
        ck_assert_int_eq(run(w.db, "BEGIN IMMEDIATE"), SQLITE_OK);
        for (int i = 0; i < 50; i++, rows++) {
            char key[16];
            snprintf(key, sizeof key, "%d", rows);
            put(&w, key, rows + 1);
        }
        commit(&w, 50);
        ck_assert_int_le(rows, (int)small.behind);
    }
    ck_assert_int_eq(cause, SQLITE_CONSTRAINT);
    ck_assert_int_eq(number("SELECT count(*) FROM records"), rows);
    ck_assert_int_eq(run(w.db, "DROP TRIGGER no"), SQLITE_OK);
    wait_merged();
    ck_assert(store_merge_take_turn(w.merge, 50, &cause));
    store_merge_end_turn(w.merge, 0);
    ck_assert_int_eq(number("SELECT count(*) FROM records_base"), rows);
    stop(&w);
}
END_TEST

/* The rows are merged, but cannot be deleted: they are tried again though no others come. */
START_TEST(test_deleting_that_fails_is_tried_again)
{
    struct writer w = start(small);
    ck_assert_int_eq(run(w.db, "CREATE TRIGGER no BEFORE DELETE ON records_recent BEGIN SELECT "
                               "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    put_one(&w, "k", 1);
    uint64_t end = clock_mono_ms() + 30000;
    while (number("SELECT count(*) FROM records_base") == 0)
        ck_assert(clock_mono_ms() < end);
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 1);
    ck_assert_int_eq(run(w.db, "DROP TRIGGER no"), SQLITE_OK);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 1);
    stop(&w);
}
END_TEST

static sqlite3_int64 wal_bytes(void)
{
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", path);
    struct stat st;
    return stat(wal, &st) == 0 ? st.st_size : 0;
}

static void write_pages(struct writer *w, int batches)
{
    for (int i = 0; i < batches; i++) {
        begin(w);
        for (int k = 0; k < 100; k++) {
            char key[16];
            snprintf(key, sizeof key, "%d", (i * 100 + k) * 7919 % 10007);
            put(w, key, i * 100 + k + 1);
        }
        commit(w, 100);
    }
}

/* The WAL is written back beside the writer and begins anew: also after a reader has held it back for long. */
START_TEST(test_the_wal_stays_bounded)
{
    struct writer w = start(small);
    write_pages(&w, 200);
    sqlite3_int64 usual = wal_bytes();
    sqlite3 *reader = open_db();
    ck_assert_int_eq(run(reader, "BEGIN; SELECT count(*) FROM records"), SQLITE_OK);
    write_pages(&w, 200);
    sqlite3_int64 held = wal_bytes();
    ck_assert_int_gt(held, 2 * usual);
    ck_assert_int_eq(run(reader, "COMMIT"), SQLITE_OK);
    sqlite3_close(reader);
    wait_merged();
    write_pages(&w, 200);
    /* The file is used again from its start: it grows by no more than what came before that was noticed. */
    ck_assert_int_lt(wal_bytes(), held + (held - usual) / 2);
    stop(&w);
}
END_TEST

START_TEST(test_stop_while_it_merges)
{
    for (int i = 0; i < 20; i++) {
        struct writer w = start(small);
        write_pages(&w, 1 + i % 5);
        stop(&w);
    }
    struct writer w = start(small);
    wait_merged();
    ck_assert_int_eq(number("SELECT count(*) FROM records"), 500);
    stop(&w);
}
END_TEST

SUITE_MAIN_WITH("store_sqlite_merge", setup, teardown, test_one_row_a_key_the_newest,
                test_all_is_merged_in_the_end, test_versions_longer_than_a_page,
                test_rows_of_an_earlier_life_are_merged, test_a_file_of_an_older_platoon,
                test_deleting_from_the_view, test_kill_9_at_any_moment,
                test_two_processes_on_one_file,
                test_merging_that_fails_stops_the_writer_and_goes_on,
                test_deleting_that_fails_is_tried_again, test_the_wal_stays_bounded,
                test_stop_while_it_merges)
