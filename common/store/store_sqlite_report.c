/*
 * store_sqlite_report.c: counts by field and over time. See store.h.
 *
 * On a connection of its own, read-only: under WAL it sees one moment of the database and the writer goes on. Field
 * names are parameters, never part of the SQL text.
 */
#include "common/clock.h"
#include "common/store/store_sqlite.h"

#include <stdio.h>

/* Virtual machine steps between looks at the clock: a fraction of a millisecond. */
#define STORE_REPORT_STEPS 10000

/*
 * ?1 bucket or NULL, ?2 name of the time field or NULL, ?3 earliest time (ms) or NULL, ?4 name of `by` or NULL, ?5
 * slot (ms), ?6 rows at most.
 * A time is ISO 8601 text, or a number of seconds, or, when too large for that, of milliseconds.
 * Fields are looked up with json_each and not with a path: SQLite 3.40 has no way to write a quote into a path.
 */
#define STORE_REPORT_FIELD(param) "(SELECT value FROM json_each(data) WHERE key = " param ")"

/* clang-format off */
#define STORE_REPORT_TIME                                                                          \
    "CASE WHEN ?2 IS NULL THEN updated_at ELSE (SELECT CASE "                                      \
    "WHEN t GLOB '*[^0-9.]*' THEN CAST(round((julianday(t) - 2440587.5) * 86400000.0) AS INTEGER) " \
    "WHEN CAST(t AS REAL) > 100000000000.0 THEN CAST(t AS INTEGER) "                               \
    "ELSE CAST(CAST(t AS REAL) * 1000 AS INTEGER) END "                                            \
    "FROM (SELECT " STORE_REPORT_FIELD("?2") " AS t)) END"

#define STORE_REPORT_ROWS                                                                          \
    "FROM (SELECT data, " STORE_REPORT_TIME " AS at FROM records WHERE ?1 IS NULL OR bucket = ?1) " \
    "WHERE (?3 IS NULL OR at >= ?3) "

static const char store_report_total[] = "SELECT count(*) " STORE_REPORT_ROWS;
static const char store_report_by[] = "SELECT " STORE_REPORT_FIELD("?4") " AS v, count(*) AS n " STORE_REPORT_ROWS
                                      "GROUP BY v ORDER BY n DESC, v LIMIT ?6";
static const char store_report_times[] = "SELECT at / ?5 * ?5 AS slot, count(*) " STORE_REPORT_ROWS
                                         "AND at IS NOT NULL GROUP BY slot ORDER BY slot LIMIT ?6";
/* clang-format on */

static int store_report_late(void *ctx)
{
    const uint64_t *deadline = ctx;
    return clock_mono_ms() >= *deadline;
}

static int store_report_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    return text == NULL
               ? SQLITE_OK
               : sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC); /* unbound is NULL */
}

/* Binds those of the parameters that this statement has. */
static int store_report_bind(sqlite3_stmt *stmt, const struct store_query *q, uint64_t limit)
{
    int count = sqlite3_bind_parameter_count(stmt);
    int rc =
        q->bucket != NULL ? sqlite3_bind_text(stmt, 1, q->bucket, -1, SQLITE_STATIC) : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = store_report_bind_text(stmt, 2, q->time_field);
    if (rc == SQLITE_OK && q->since_ms != 0)
        rc = sqlite3_bind_int64(stmt, 3, (sqlite3_int64)(q->now_ms - q->since_ms));
    if (rc == SQLITE_OK && count >= 4)
        rc = store_report_bind_text(stmt, 4, q->by);
    if (rc == SQLITE_OK && count >= 5)
        rc = sqlite3_bind_int64(stmt, 5, (sqlite3_int64)q->every_ms);
    if (rc == SQLITE_OK && count >= 6)
        rc = sqlite3_bind_int64(stmt, 6, (sqlite3_int64)limit);
    return rc;
}

/* Returns the bytes of its value. */
static size_t store_report_hand_up(sqlite3_stmt *stmt, bool over_time, store_row_fn on_row,
                                   void *ctx)
{
    struct store_report_row row = {.count = (uint64_t)sqlite3_column_int64(stmt, 1)};
    if (over_time) {
        row.time_ms = (uint64_t)sqlite3_column_int64(stmt, 0);
    } else {
        row.is_null = sqlite3_column_type(stmt, 0) == SQLITE_NULL;
        const void *text = sqlite3_column_text(stmt, 0);
        row.value = slice_make(text, (size_t)sqlite3_column_bytes(stmt, 0));
    }
    on_row(&row, over_time, ctx);
    return row.value.len;
}

static int store_report_run(sqlite3 *db, const char *sql, const struct store_query *q,
                            uint64_t limit, bool over_time, store_row_fn on_row, void *ctx,
                            uint64_t *total)
{
    sqlite3_stmt *stmt = NULL;
    size_t bytes = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = store_report_bind(stmt, q, limit);
    while (rc == SQLITE_OK && bytes <= STORE_REPORT_BYTES_MAX &&
           (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (total != NULL)
            *total = (uint64_t)sqlite3_column_int64(stmt, 0);
        else
            bytes += STORE_REPORT_ROW + store_report_hand_up(stmt, over_time, on_row, ctx);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum store_result store_sqlite_report(struct store *base, const struct store_query *q,
                                      store_row_fn on_row, void *ctx, uint64_t *total,
                                      struct store_error *error)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    enum store_result result = store_sqlite_ensure(s, error);
    if (result != STORE_OK)
        return result;
    uint64_t deadline = q->deadline_mono_ms;
    uint64_t counted = 0;
    sqlite3_progress_handler(s->db, STORE_REPORT_STEPS, store_report_late, &deadline);
    /* One read transaction, so that the three counts are of one moment. */
    int rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = store_report_run(s->db, store_report_total, q, 0, false, NULL, NULL, &counted);
    if (rc == SQLITE_OK && q->by != NULL)
        rc = store_report_run(s->db, store_report_by, q, q->top, false, on_row, ctx, NULL);
    if (rc == SQLITE_OK && q->every_ms != 0)
        rc = store_report_run(s->db, store_report_times, q, STORE_REPORT_SLOTS_MAX, true, on_row,
                              ctx, NULL);
    result = rc == SQLITE_OK ? STORE_OK : store_sqlite_fail(s, rc, error);
    sqlite3_progress_handler(s->db, 0, NULL, NULL);
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    if (result == STORE_OK)
        *total = counted;
    return result;
}
