/*
 * test_store_postgres.c: the PostgreSQL back-end on a real server: order of versions, any text, errors and what
 * is said of them, reports.
 */
#include "common/clock.h"
#include "common/store/store.h"
#include "test/unit/suite.h"

#include <check.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CASE_SECONDS 60

static char dir[64];
static char url[256];
static struct store_error error;

/* The server, in the test's directory, on a unix socket only. It refuses to run as root. */
static void server(const char *what)
{
    char command[1024];
    snprintf(command, sizeof command,
             "set -e; cd /; bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1); as=; "
             "if [ $(id -u) = 0 ]; then chown postgres:postgres %s; "
             "as='setpriv --reuid=postgres --regid=postgres --clear-groups'; fi; dir=%s; %s",
             dir, dir, what);
    ck_assert_msg(system(command) == 0, "%s (see %s)", what, dir);
}

static void start(void)
{
    server(
        "$as $bin/pg_ctl -D $dir/data -l $dir/log -w -o \"-k $dir -h ''\" start > $dir/start.log");
}

static void stop(void)
{
    server("$as $bin/pg_ctl -D $dir/data -m immediate -w stop > $dir/stop.log");
}

static void set_up(void)
{
    snprintf(dir, sizeof dir, "/tmp/platoon-postgres-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(url, sizeof url, "postgresql:///postgres?host=%s&user=platoon", dir);
    server("$as $bin/initdb -D $dir/data -U platoon -A trust -E UTF8 --no-locale --no-sync > "
           "$dir/initdb.log 2>&1");
    start();
}

static void tear_down(void)
{
    stop();
    server("rm -rf $dir");
}

/* One value by a connection of the test's own; "" for statements without rows. */
static const char *ask(const char *sql)
{
    static char value[256];
    PGconn *db = PQconnectdb(url);
    ck_assert_msg(PQstatus(db) == CONNECTION_OK, "%s", PQerrorMessage(db));
    PGresult *result = PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    ck_assert_msg(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s",
                  PQerrorMessage(db));
    snprintf(value, sizeof value, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(db);
    return value;
}

static enum store_result try_open(const char *where, const char *table, struct store **out)
{
    struct store_options options = {.type = "postgres", .url = where, .table = table};
    error.text[0] = '\0';
    return store_open(&options, out, &error);
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    ask("DROP TABLE IF EXISTS records");
    ck_assert_msg(try_open(url, "records", &s) == STORE_OK, "%s", error.text);
    return s;
}

static struct store_record record(const char *key, struct slice data, uint64_t seq)
{
    return (struct store_record){.bucket = slice_of("b"),
                                 .key = slice_of(key),
                                 .data = data,
                                 .seq = seq,
                                 .updated_at_ms = 1700000000000u + seq};
}

static void put(struct store *s, const char *key, const char *data, uint64_t seq)
{
    struct store_record r = record(key, slice_of(data), seq);
    ck_assert_msg(store_write(s, &r, 1, &error) == STORE_OK, "%s", error.text);
}

START_TEST(older_never_overwrites_newer)
{
    struct store *s = open_store();
    put(s, "k", "{\"v\":\"2\"}", 20);
    put(s, "k", "{\"v\":\"1\"}", 10);
    ck_assert_str_eq(ask("SELECT data::text || seq FROM records"), "{\"v\":\"2\"}20");
    put(s, "k", "{\"v\":\"3\"}", 30);
    put(s, "k", "{\"v\":\"3b\"}", 30);
    ck_assert_str_eq(ask("SELECT data::text || seq FROM records"), "{\"v\":\"3b\"}30");
    store_close(s);
}
END_TEST

START_TEST(of_one_key_in_a_batch_the_newest)
{
    struct store *s = open_store();
    struct store_record batch[] = {record("k", slice_of("{\"v\":\"1\"}"), 1),
                                   record("k", slice_of("{\"v\":\"3\"}"), 3),
                                   record("k", slice_of("{\"v\":\"2\"}"), 2)};
    ck_assert_int_eq(store_write(s, batch, 3, &error), STORE_OK);
    ck_assert_int_eq(store_write(s, batch, 3, &error), STORE_OK); /* twice is once */
    ck_assert_str_eq(ask("SELECT count(*) || ':' || max(data->>'v') FROM records"), "1:3");
    store_close(s);
}
END_TEST

START_TEST(any_text)
{
    struct store *s = open_store();
    put(s, "tab\there\\ \\N \\. \n\r'\"$1%s", "{\"a\":\"\\u0000 \\\\ \\t \xc3\xbc\"}", 1);
    ck_assert_str_eq(ask("SELECT key FROM records"), "tab\there\\ \\N \\. \n\r'\"$1%s");
    ck_assert_str_eq(ask("SELECT data::text FROM records"),
                     "{\"a\":\"\\u0000 \\\\ \\t \xc3\xbc\"}");
    store_close(s);
}
END_TEST

START_TEST(many_rows)
{
    enum { ROWS = 20000 };
    struct store *s = open_store();
    struct store_record *batch = calloc(ROWS, sizeof *batch);
    char(*keys)[16] = calloc(ROWS, sizeof *keys);
    for (unsigned i = 0; i < ROWS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i * 7919u % ROWS);
        batch[i] =
            record(keys[i], slice_of("{\"v\":\"some text that fills the rows a little\"}"), i + 1);
    }
    ck_assert_msg(store_write(s, batch, ROWS, &error) == STORE_OK, "%s", error.text);
    ck_assert_str_eq(ask("SELECT count(*) FROM records"), "20000");
    free(batch);
    free(keys);
    store_close(s);
}
END_TEST

/* What cannot be parsed leaves nothing of its batch behind, and the next one goes well. */
START_TEST(all_or_nothing)
{
    struct store *s = open_store();
    struct store_record batch[] = {record("good", slice_of("{}"), 1),
                                   record("bad", slice_of("{"), 2)};
    ck_assert_int_eq(store_write(s, batch, 2, &error), STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(error.text, "store postgresql:///postgres: "));
    ck_assert_str_eq(ask("SELECT count(*) FROM records"), "0");
    put(s, "good", "{}", 1);
    ck_assert_str_eq(ask("SELECT count(*) FROM records"), "1");
    store_close(s);
}
END_TEST

START_TEST(goes_on_after_the_server_was_away)
{
    struct store *s = open_store();
    put(s, "k", "{\"v\":\"1\"}", 1);
    stop();
    struct store_record r = record("k", slice_of("{\"v\":\"2\"}"), 2);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(store_write(s, &r, 1, &error), STORE_RETRY);
    ck_assert_ptr_nonnull(strstr(error.text, "goes on by itself"));
    ck_assert_ptr_null(strpbrk(error.text, "\n\t"));
    start();
    ck_assert_msg(store_write(s, &r, 1, &error) == STORE_OK, "%s", error.text);
    ck_assert_str_eq(ask("SELECT data->>'v' FROM records"), "2");
    store_close(s);
}
END_TEST

START_TEST(a_table_that_goes_comes_back)
{
    struct store *s = open_store();
    put(s, "k", "{}", 1);
    ask("DROP TABLE records");
    struct store_record r = record("k", slice_of("{}"), 2);
    ck_assert_int_eq(store_write(s, &r, 1, &error), STORE_BROKEN);
    ck_assert_int_eq(store_write(s, &r, 1, &error),
                     STORE_OK); /* made anew with the new connection */
    store_close(s);
}
END_TEST

/* As behind a pooler, where each transaction may meet another session: what one made is not there in the next. */
START_TEST(nothing_is_expected_of_a_session)
{
    struct store *s = open_store();
    put(s, "k", "{\"v\":\"1\"}", 1);
    for (int i = 0; i < 3; i++) {
        ask("DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relname = "
            "'platoon_batch' LOOP EXECUTE format('ALTER TABLE %s RENAME TO gone_%s', t, t::oid); "
            "END LOOP; END $$");
        ck_assert_str_eq(ask("SELECT count(*) FROM pg_class WHERE relname = 'platoon_batch'"), "0");
        put(s, "k", "{\"v\":\"2\"}", 2);
    }
    ck_assert_str_eq(ask("SELECT data->>'v' FROM records"), "2");
    store_close(s);
}
END_TEST

/* A trigger that does `what` for the record `bad`. */
static void judge(const char *what)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "CREATE OR REPLACE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
             "NEW.key = 'bad' THEN %s; END IF; RETURN NEW; END $$; DROP TRIGGER IF EXISTS judge "
             "ON records; CREATE TRIGGER judge BEFORE INSERT ON records FOR EACH ROW EXECUTE "
             "PROCEDURE judge()",
             what);
    ask(sql);
}

static void expect_refused(struct store *s, const char *what)
{
    struct store_record batch[] = {record("good", slice_of("{}"), 1),
                                   record("bad", slice_of("{}"), 2)};
    judge(what);
    error.text[0] = '\0';
    ck_assert_msg(store_write(s, batch, 2, &error) == STORE_REFUSED, "%s: %s", what, error.text);
    ck_assert_msg(strstr(error.text, "triggers") != NULL, "%s: %s", what, error.text);
    ck_assert_msg(store_write(s, batch, 1, &error) == STORE_OK, "%s: %s", what, error.text);
}

/* Whatever state it takes, also those of a server that is away, full, read-only, stopping: one record is refused. */
START_TEST(a_trigger_says_what_it_likes)
{
    static const char *const states[] = {
        "42P01", "53200", "53400", "53100", "53300", "40001", "40002", "40P01", "57P01",
        "57014", "55P03", "25006", "08006", "28000", "3D000", "3F000", "58030", "58P01",
        "XX000", "42501", "42703", "0A000", "P0001", "23505", "99999"};
    struct store *s = open_store();
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char what[64];
        snprintf(what, sizeof what, "RAISE 'no' USING ERRCODE = '%s'", states[i]);
        expect_refused(s, what);
    }
    store_close(s);
}
END_TEST

/* And what it meets by itself: a table of its own that is gone, a lock that somebody has, a quota. */
START_TEST(a_trigger_meets_what_the_server_may)
{
    static const char *const things[] = {
        "INSERT INTO gone VALUES (1)",
        "INSERT INTO nowhere.gone VALUES (1)",
        "CREATE TABLE nowhere.gone(a int)",
        "PERFORM set_config('transaction_read_only', 'on', true); INSERT INTO theirs VALUES (1)",
        "LOCK TABLE theirs NOWAIT",
        "PERFORM a FROM theirs FOR UPDATE NOWAIT",
        "PERFORM gone(1)",
        "PERFORM a FROM generate_series(1, 2000000) a ORDER BY -a"};
    struct store *s = open_store();
    ask("DROP TABLE IF EXISTS theirs; CREATE TABLE theirs(a int); INSERT INTO theirs VALUES (1)");
    ask("ALTER SYSTEM SET temp_file_limit = '1MB'");
    ask("SELECT pg_reload_conf()");
    PGconn *other = PQconnectdb(url);
    PQclear(PQexec(other, "BEGIN; LOCK TABLE theirs IN ROW EXCLUSIVE MODE; SELECT a FROM theirs "
                          "FOR UPDATE"));
    for (size_t i = 0; i < sizeof things / sizeof *things; i++)
        expect_refused(s, things[i]);
    PQfinish(other);
    ask("ALTER SYSTEM RESET temp_file_limit");
    ask("SELECT pg_reload_conf()");
    ask("DROP TABLE theirs");
    store_close(s);
}
END_TEST

/* The same states, and it is the server: nothing is refused for them. */
START_TEST(a_server_that_is_read_only)
{
    struct store *s = open_store();
    struct store_record r = record("k", slice_of("{}"), 1);
    put(s, "k", "{}", 1);
    ask("ALTER SYSTEM SET default_transaction_read_only = on");
    ask("SELECT pg_reload_conf()");
    enum store_result result;
    for (int i = 0; i < 1000 && (result = store_write(s, &r, 1, &error)) == STORE_OK; i++)
        usleep(10000);
    ck_assert_msg(result == STORE_RETRY, "%s", error.text);
    ck_assert_ptr_nonnull(strstr(error.text, "point the url at the primary"));
    snprintf(url + strlen(url), sizeof url - strlen(url),
             "&options=-cdefault_transaction_read_only%%3Doff");
    ask("ALTER SYSTEM RESET default_transaction_read_only");
    ask("SELECT pg_reload_conf()");
    strrchr(url, '&')[0] = '\0';
    for (int i = 0; i < 1000 && store_write(s, &r, 1, &error) != STORE_OK; i++)
        usleep(10000);
    put(s, "k", "{}", 2);
    store_close(s);
}
END_TEST

START_TEST(what_cannot_be)
{
    struct store *s = NULL;
    char other[300];
    ask("DROP TABLE IF EXISTS foreign_one; CREATE TABLE foreign_one(a int)");
    ck_assert_int_eq(try_open(url, "foreign_one", &s), STORE_OK); /* seen with the first batch */
    struct store_record r = record("k", slice_of("{}"), 1);
    ck_assert_int_eq(store_write(s, &r, 1, &error), STORE_REFUSED);
    ck_assert_ptr_nonnull(strstr(error.text, "the table is not ours"));
    store_close(s);
    snprintf(other, sizeof other, "postgresql:///nosuch?host=%s&user=platoon", dir);
    ck_assert_int_eq(try_open(other, "records", &s), STORE_BROKEN);
    ck_assert_ptr_nonnull(strstr(error.text, "store postgresql:///nosuch: "));
    snprintf(other, sizeof other, "postgresql:///postgres?host=%s&user=nobody_here", dir);
    ck_assert_int_eq(try_open(other, "records", &s), STORE_BROKEN);
    ck_assert_int_eq(try_open("postgresql:///postgres?host=/nowhere", "records", &s), STORE_RETRY);
    ask("DROP DATABASE IF EXISTS latin");
    ask("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    snprintf(other, sizeof other, "postgresql:///latin?host=%s&user=platoon", dir);
    ck_assert_int_eq(try_open(other, "records", &s), STORE_BROKEN);
    ck_assert_ptr_nonnull(strstr(error.text, "encoding LATIN1"));
}
END_TEST

/* ---- reports ---- */

static char told[512];

static void on_row(const struct store_report_row *row, bool over_time, void *ctx)
{
    (void)ctx;
    size_t len = strlen(told);
    if (over_time)
        snprintf(told + len, sizeof told - len, "@%" PRIu64 "=%" PRIu64 " ", row->time_ms,
                 row->count);
    else
        snprintf(told + len, sizeof told - len, "%.*s=%" PRIu64 " ",
                 row->is_null ? 4 : (int)row->value.len, row->is_null ? "null" : row->value.ptr,
                 row->count);
}

static uint64_t report(struct store_query q)
{
    struct store_options options = {
        .type = "postgres", .url = url, .table = "records", .read_only = true};
    struct store *s = NULL;
    uint64_t total = 0;
    told[0] = '\0';
    q.deadline_mono_ms = clock_mono_ms() + 60000;
    ck_assert_msg(store_open(&options, &s, &error) == STORE_OK, "%s", error.text);
    ck_assert_msg(store_report(s, &q, on_row, NULL, &total, &error) == STORE_OK, "%s", error.text);
    store_close(s);
    return total;
}

START_TEST(reports)
{
    ask("DROP TABLE IF EXISTS records");
    ck_assert_uint_eq(report((struct store_query){.by = "path", .top = 10}), 0); /* no table yet */
    struct store *s = open_store();
    put(s, "1", "{\"path\":\"/a\",\"t\":\"1709287200\"}", 1);
    put(s, "2", "{\"path\":\"/a\",\"t\":\"2024-03-01T10:30:00Z\"}", 2);
    put(s, "3", "{\"path\":\"/b\",\"t\":\"1709294400000\"}", 3);
    put(s, "4", "{\"t\":\"never\",\"nul\":\"\\u0000\"}", 4);
    ck_assert_uint_eq(report((struct store_query){.by = "path", .top = 10}), 4);
    ck_assert_str_eq(told, "/a=2 null=1 /b=1 ");
    report((struct store_query){.by = "path", .top = 1});
    ck_assert_str_eq(told, "/a=2 ");
    report((struct store_query){.time_field = "t", .every_ms = 3600000});
    ck_assert_str_eq(told, "@1709287200000=2 @1709294400000=1 ");
    ck_assert_uint_eq(report((struct store_query){.bucket = "none"}), 0);
    ck_assert_uint_eq(report((struct store_query){
                          .time_field = "t", .since_ms = 3600000, .now_ms = 1709294400000}),
                      1);
    store_close(s);
}
END_TEST

static void count_row(const struct store_report_row *row, bool over_time, void *ctx)
{
    (void)row;
    (void)over_time;
    ++*(unsigned *)ctx;
}

START_TEST(a_report_ends_where_no_answer_holds_more)
{
    ask("DROP TABLE records");
    struct store *s = open_store();
    put(s, "1", "{}", 1);
    ask("INSERT INTO records SELECT 'b', 'n' || i, json_build_object('f', repeat(i::text, "
        "9000000)), i, i FROM generate_series(1, 4) i");
    unsigned rows = 0;
    uint64_t total;
    struct store_query q = {.by = "f", .top = 10, .deadline_mono_ms = clock_mono_ms() + 60000};
    ck_assert_msg(store_report(s, &q, count_row, &rows, &total, &error) == STORE_OK, "%s",
                  error.text);
    ck_assert_uint_eq(rows, 3); /* the one without it is first */
    ck_assert_uint_eq(total, 5);
    ask("DROP TABLE records");
    store_close(s);
}
END_TEST

START_TEST(a_report_ends_with_its_deadline)
{
    struct store *s = open_store();
    put(s, "1", "{}", 1);
    ask("INSERT INTO records SELECT 'b', 'n' || i, '{\"a\":\"b\"}', i, i FROM generate_series(1, "
        "300000) i");
    struct store_query q = {.by = "a",
                            .top = 10,
                            .time_field = "a",
                            .every_ms = 1000,
                            .deadline_mono_ms = clock_mono_ms() + 5};
    uint64_t total;
    ck_assert_int_eq(store_report(s, &q, on_row, NULL, &total, &error), STORE_RETRY);
    store_close(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_postgres");
    TCase *tc = tcase_create("all");
    tcase_add_unchecked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, CASE_SECONDS);
    const TTest *tests[] = {older_never_overwrites_newer,
                            of_one_key_in_a_batch_the_newest,
                            any_text,
                            many_rows,
                            all_or_nothing,
                            goes_on_after_the_server_was_away,
                            a_table_that_goes_comes_back,
                            nothing_is_expected_of_a_session,
                            a_trigger_says_what_it_likes,
                            a_trigger_meets_what_the_server_may,
                            a_server_that_is_read_only,
                            what_cannot_be,
                            reports,
                            a_report_ends_where_no_answer_holds_more,
                            a_report_ends_with_its_deadline};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
