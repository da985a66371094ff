/* test_transfer_store.c: what a store refuses is found by trying, and is never the table's fault. */
#include "common/store/store_backend.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"
#include "workers/drain/transfer_store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 300

/* A store that refuses what the test says. */
static struct {
    bool bad[ROWS + 1]; /* by sequence number */
    bool stored[ROWS + 1];
    bool closed;       /* refuses all */
    bool probe_is_bad; /* and what it was not given */
    int close_after;   /* transactions; 0: never */
    int retry_after;
    int shaky; /* so many transactions are refused at first, whatever they hold */
    int transactions;
} fake;

static enum store_result fake_run(const struct store_record *records, size_t count, bool kept,
                                  struct store_error *error)
{
    fake.transactions++;
    if (fake.retry_after != 0 && fake.transactions > fake.retry_after)
        return STORE_RETRY;
    fake.closed = fake.closed || (fake.close_after != 0 && fake.transactions > fake.close_after);
    for (size_t i = 0; i < count; i++) {
        bool probe = slice_is(records[i].key, "platoon-probe");
        if (!fake.closed && fake.transactions > fake.shaky &&
            !(probe ? fake.probe_is_bad : fake.bad[records[i].seq]))
            continue;
        snprintf(error->cause, sizeof error->cause, "no %llu", (unsigned long long)records[i].seq);
        snprintf(error->text, sizeof error->text, "store: %s", error->cause);
        return STORE_REFUSED;
    }
    for (size_t i = 0; i < count && kept; i++)
        fake.stored[records[i].seq] = true;
    return STORE_OK;
}

static enum store_result fake_write(struct store *s, const struct store_record *records,
                                    size_t count, struct store_error *error)
{
    (void)s;
    return fake_run(records, count, true, error);
}

static enum store_result fake_try(struct store *s, const struct store_record *record,
                                  struct store_error *error)
{
    (void)s;
    return fake_run(record, 1, false, error);
}

static void fake_close(struct store *s)
{
    (void)s;
}

static const struct store_ops fake_ops = {
    .type = "fake", .close = fake_close, .write = fake_write, .try = fake_try};
static struct store fake_store = {.ops = &fake_ops};
static struct transfer_store t;
static struct transfer_rows rows;

static void setup(void)
{
    memset(&fake, 0, sizeof fake);
    t = (struct transfer_store){.store = &fake_store, .batch = 100};
    rows = (struct transfer_rows){.list = calloc(ROWS, sizeof *rows.list), .cap = ROWS};
}

static void teardown(void)
{
    transfer_rows_fini(&rows);
    transfer_store_fini(&t);
}

static void add_rows(size_t count)
{
    for (uint64_t seq = 1; seq <= count; seq++) {
        struct transfer_row row = {.seq = seq, .key = rows.bytes.len, .key_len = 4, .data_len = 2};
        buffer_printf(&rows.bytes, "%04u", (unsigned)seq);
        row.data = rows.bytes.len;
        buffer_append_text(&rows.bytes, "{}");
        rows.list[rows.count++] = row;
    }
}

/* Each of the rows is stored or refused with the store's words, and as the fake would have it. */
static void expect_each(size_t count)
{
    size_t bad = 0;
    for (uint64_t seq = 1; seq <= count; seq++) {
        bad += fake.bad[seq];
        ck_assert(fake.stored[seq] != fake.bad[seq]);
    }
    ck_assert_uint_eq(t.refusal_count, bad);
    for (size_t i = 0; i < t.refusal_count; i++) {
        char words[32];
        ck_assert(fake.bad[t.refusals[i].seq]);
        snprintf(words, sizeof words, "refuses it: no %llu", (unsigned long long)t.refusals[i].seq);
        ck_assert_ptr_nonnull(strstr(t.refusals[i].reason, words));
    }
}

START_TEST(test_any_of_them)
{
    add_rows(ROWS);
    for (int i = 0; i < 40; i++) {
        memset(&fake, 0, sizeof fake);
        for (size_t seq = 1; seq <= ROWS; seq++)
            fake.bad[seq] = rand() % 40 < i; /* none at first, nearly all at last */
        fake.bad[ROWS / 2] = false;
        ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
        expect_each(ROWS);
    }
}
END_TEST

START_TEST(test_one_alone)
{
    add_rows(1);
    fake.bad[1] = true;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    expect_each(1);
}
END_TEST

/* Nothing that it is known to take: it waits, until something shows that the table is well. */
START_TEST(test_one_alone_and_no_other_to_compare_with)
{
    add_rows(1);
    fake.bad[1] = fake.probe_is_bad = true;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_REFUSED);
    ck_assert_str_eq(t.error.text, "store: no 1");
    rows.count = 0;
    buffer_clear(&rows.bytes);
    add_rows(2);
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    expect_each(2);
}
END_TEST

/* For something that only the moment was short of. */
START_TEST(test_one_alone_at_a_bad_moment)
{
    add_rows(1);
    fake.shaky = 1;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    expect_each(1);
}
END_TEST

/* The first 250, and the probe too; the others are stored. */
static void expect_the_first_refused(void)
{
    fake.probe_is_bad = true;
    for (size_t seq = 1; seq <= 250; seq++)
        fake.bad[seq] = true;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    expect_each(ROWS);
}

/* More of them than a transaction holds, side by side in the order of keys, and nothing else to compare with. */
START_TEST(test_good_ones_behind_many_that_are_refused)
{
    add_rows(ROWS);
    expect_the_first_refused();
}
END_TEST

START_TEST(test_the_only_good_one)
{
    for (size_t good = 1; good <= ROWS; good += 13) {
        teardown();
        setup();
        add_rows(ROWS);
        fake.probe_is_bad = true;
        for (size_t seq = 1; seq <= ROWS; seq++)
            fake.bad[seq] = seq != good;
        if (transfer_store_write(&t, &rows) != STORE_OK) /* few are tried at first */
            ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
        expect_each(ROWS);
    }
}
END_TEST

START_TEST(test_the_table_refuses_all)
{
    add_rows(ROWS);
    fake.closed = true;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_REFUSED);
    ck_assert_int_lt(fake.transactions, 40);
    fake.closed = false;
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    expect_each(ROWS);
}
END_TEST

/* It begins to refuse all while the one is looked for: nothing that was found counts. */
START_TEST(test_the_table_changes_meanwhile)
{
    add_rows(100);
    for (int after = 1; after < 30; after++) {
        memset(&fake, 0, sizeof fake);
        fake.bad[50] = true;
        fake.close_after = after;
        enum store_result result = transfer_store_write(&t, &rows);
        ck_assert(result == STORE_REFUSED || result == STORE_OK);
        if (result == STORE_OK)
            expect_each(100);
    }
}
END_TEST

START_TEST(test_the_store_goes_away_meanwhile)
{
    add_rows(100);
    for (int after = 1; after < 10; after++) {
        memset(&fake, 0, sizeof fake);
        fake.bad[50] = true;
        fake.retry_after = after;
        ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_RETRY);
        fake.retry_after = 0;
        ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
        expect_each(100);
    }
}
END_TEST

/* SQLite's own limit, which its build or a user may have lowered, at each connection. */
static int limit_length(sqlite3 *db, char **why, const struct sqlite3_api_routines *api)
{
    (void)why, (void)api;
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 20000);
    return SQLITE_OK;
}

static void add_row(uint64_t seq, size_t bytes)
{
    add_rows(1);
    struct transfer_row *row = &rows.list[rows.count - 1];
    row->seq = seq;
    row->data = rows.bytes.len;
    buffer_printf(&rows.bytes, "{\"n\":\"%0*u\"}", (int)bytes, (unsigned)seq);
    row->data_len = rows.bytes.len - row->data;
    buffer_printf(&rows.bytes, "key%04u", (unsigned)seq);
    row->key = rows.bytes.len - 7;
    row->key_len = 7;
}

/* SQLITE_TOOBIG: as a value alone, and as a row whose parts together are too long. */
START_TEST(test_what_is_too_big_for_sqlite)
{
    static const size_t sizes[] = {10, 19990, 30000, 19999, 10, 19900, 100000, 10};
    struct place place;
    place_make(&place);
    ck_assert_int_eq(sqlite3_auto_extension((void (*)(void))limit_length), SQLITE_OK);
    t.store = NULL;
    t.options = (struct store_options){
        .type = "sqlite", .path = place_path(&place, "records.db"), .cache_bytes = 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        add_row(i + 1, sizes[i]);
    ck_assert_int_eq(transfer_store_write(&t, &rows), STORE_OK);
    bool refused[16] = {false};
    for (size_t i = 0; i < t.refusal_count; i++) {
        ck_assert_msg(strstr(t.refusals[i].reason, "string or blob too big") != NULL, "%s",
                      t.refusals[i].reason);
        refused[t.refusals[i].seq] = true;
    }
    struct store_error error;
    while (!store_rest(t.store, &error)) /* what was taken is merged as well */
        ck_assert_msg(error.text[0] == '\0', "%s", error.text);
    uint64_t total = 0;
    struct store_query q = {.now_ms = 1, .deadline_mono_ms = UINT64_MAX};
    ck_assert_int_eq(store_report(t.store, &q, NULL, NULL, &total, &error), STORE_OK);
    ck_assert_uint_eq(total + t.refusal_count, sizeof sizes / sizeof *sizes);
    ck_assert(refused[2] && refused[3] && refused[4] && refused[7]);
    ck_assert(!refused[1] && !refused[5] && !refused[6] && !refused[8]);
    sqlite3_cancel_auto_extension((void (*)(void))limit_length);
    place_remove(&place);
}
END_TEST

/* Too large to be kept from one call to the next. */
START_TEST(test_large_ones_behind_many_that_are_refused)
{
    add_rows(250);
    for (uint64_t seq = 251; seq <= ROWS; seq++)
        add_row(seq, 70000);
    expect_the_first_refused();
}
END_TEST

SUITE_MAIN_WITH("transfer_store", setup, teardown, test_any_of_them, test_one_alone,
                test_one_alone_and_no_other_to_compare_with, test_one_alone_at_a_bad_moment,
                test_good_ones_behind_many_that_are_refused, test_the_only_good_one,
                test_large_ones_behind_many_that_are_refused, test_the_table_refuses_all,
                test_the_table_changes_meanwhile, test_the_store_goes_away_meanwhile,
                test_what_is_too_big_for_sqlite)
