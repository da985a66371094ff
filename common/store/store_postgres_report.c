/*
 * store_postgres_report.c: counts by field and over time. See store.h.
 *
 * In one read-only transaction that sees one moment and ends with the query's deadline. Field names are parameters,
 * never part of the SQL text.
 */
#include "common/clock.h"
#include "common/store/store_postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A time is ISO 8601 text, or a number of seconds, or, when too large for that, of milliseconds; what is none
 * is no time, and no error.
 */
static const char store_report_function[] =
    "CREATE OR REPLACE FUNCTION pg_temp.platoon_time(t text) RETURNS bigint LANGUAGE plpgsql AS $$ "
    "BEGIN "
    "IF t ~ '^[0-9.]+$' THEN RETURN floor(CASE WHEN t::numeric > 100000000000 THEN t::numeric ELSE "
    "t::numeric * 1000 END); END IF; "
    "RETURN round(extract(epoch FROM t::timestamptz) * 1000); EXCEPTION WHEN OTHERS THEN RETURN "
    "NULL; END $$";

/* PostgreSQL cannot say a NUL character as text. */
#define STORE_REPORT_FIELD(param)                                                                  \
    "(CASE WHEN strpos(data::text, '\\u0000') > 0 THEN replace(data::text, '\\u0000', "            \
    "'\\ufffd')::json ELSE data END ->> " param ")"

/*
 * $1 bucket or NULL, $2 name of the time field or NULL, $3 earliest time (ms) or NULL, $4 name of `by` or NULL, $5
 * slot (ms), $6 rows at most.
 */
#define STORE_REPORT_ROWS                                                                          \
    "FROM (SELECT data, CASE WHEN $2::text IS NULL THEN updated_at ELSE "                          \
    "pg_temp.platoon_time(" STORE_REPORT_FIELD(                                                    \
        "$2::text") ") END AS at "                                                                 \
                    "FROM %s WHERE $1::text IS NULL OR bucket = $1::text) AS r WHERE ($3::bigint " \
                    "IS NULL OR at >= $3::bigint) "

static const char store_report_total[] =
    "SELECT count(*) " STORE_REPORT_ROWS "AND $4::text IS NOT DISTINCT FROM $4::text "
    "AND $5::bigint IS NOT DISTINCT FROM $5::bigint AND $6::bigint IS NOT DISTINCT FROM $6::bigint";
#define STORE_REPORT_ORDER   "ORDER BY n DESC, v NULLS FIRST "
#define STORE_REPORT_TEXT(n) #n
#define STORE_REPORT_SQL(n)  STORE_REPORT_TEXT(n)
#define STORE_REPORT_SIZE    "(coalesce(octet_length(v), 0) + " STORE_REPORT_SQL(STORE_REPORT_ROW) ")"
/* The bound is the server's work, for libpq collects what the server sends. */
static const char store_report_by[] =
    "SELECT v, n FROM (SELECT v, n, sum(" STORE_REPORT_SIZE ") OVER (" STORE_REPORT_ORDER
    "ROWS UNBOUNDED PRECEDING) AS bytes FROM "
    "(SELECT " STORE_REPORT_FIELD(
        "$4::text") " COLLATE \"C\" AS v, count(*) AS n " STORE_REPORT_ROWS
                    "AND $5::bigint IS NOT DISTINCT FROM $5::bigint GROUP BY v " STORE_REPORT_ORDER
                    "LIMIT $6::bigint) AS first) AS summed WHERE bytes - " STORE_REPORT_SIZE
                    " <= " STORE_REPORT_SQL(STORE_REPORT_BYTES_MAX) " " STORE_REPORT_ORDER;
static const char store_report_times[] =
    "SELECT at / $5::bigint * $5::bigint AS slot, count(*) " STORE_REPORT_ROWS
    "AND at IS NOT NULL AND $4::text IS NOT DISTINCT FROM $4::text GROUP BY slot ORDER BY slot "
    "LIMIT $6::bigint";

struct store_report_numbers {
    char since[24], every[24], limit[24];
};

static enum store_result store_report_run(struct store_postgres *s, const char *form,
                                          const struct store_query *q, uint64_t limit,
                                          PGresult **out, struct store_error *error)
{
    struct store_report_numbers n;
    snprintf(n.since, sizeof n.since, "%" PRIu64, q->now_ms - q->since_ms);
    snprintf(n.every, sizeof n.every, "%" PRIu64, q->every_ms);
    snprintf(n.limit, sizeof n.limit, "%" PRIu64, limit);
    const char *values[] = {q->bucket, q->time_field, q->since_ms != 0 ? n.since : NULL,
                            q->by,     n.every,       n.limit};
    struct buffer sql = BUFFER_EMPTY;
    /* The form is one of the three above: the table's quoted name stands where its %s is. */
    const char *hole = strstr(form, "%s");
    buffer_append(&sql, form, (size_t)(hole - form));
    buffer_append_text(&sql, s->quoted);
    buffer_append_text(&sql, hole + 2);
    const char *text = buffer_text(&sql);
    PGresult *result = text != NULL ? store_postgres_ask(s, text, 6, values) : NULL;
    buffer_fini(&sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return store_postgres_fail(s, result, error);
    *out = result;
    return STORE_OK;
}

static void store_report_hand_up(PGresult *rows, bool over_time, store_row_fn on_row, void *ctx)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct store_report_row row = {.count = strtoull(PQgetvalue(rows, i, 1), NULL, 10)};
        if (over_time) {
            row.time_ms = strtoull(PQgetvalue(rows, i, 0), NULL, 10);
        } else {
            row.is_null = PQgetisnull(rows, i, 0) == 1;
            row.value = slice_make(PQgetvalue(rows, i, 0), (size_t)PQgetlength(rows, i, 0));
        }
        on_row(&row, over_time, ctx);
    }
}

static enum store_result store_report_begin(struct store_postgres *s, const struct store_query *q,
                                            struct store_error *error)
{
    uint64_t now = clock_mono_ms();
    uint64_t left = q->deadline_mono_ms > now ? q->deadline_mono_ms - now : 1;
    /* The function first: a transaction that only reads makes none. */
    enum store_result result = store_postgres_begin(s, "ISOLATION LEVEL REPEATABLE READ", left,
                                                    store_report_function, NULL, error);
    return result == STORE_OK ? store_postgres_run(s, "SET TRANSACTION READ ONLY", error) : result;
}

enum store_result store_postgres_report(struct store *base, const struct store_query *q,
                                        store_row_fn on_row, void *ctx, uint64_t *total,
                                        struct store_error *error)
{
    struct store_postgres *s = (struct store_postgres *)base;
    enum store_result result = store_postgres_ensure(s, error);
    if (result != STORE_OK)
        return result;
    *total = 0;
    bool there;
    result = store_postgres_find_table(s, &there, error);
    if (result != STORE_OK || !there)
        return result; /* a table that was not made yet holds no records */
    PGresult *count = NULL, *by = NULL, *times = NULL;
    result = store_report_begin(s, q, error);
    if (result == STORE_OK)
        result = store_report_run(s, store_report_total, q, 0, &count, error);
    if (result == STORE_OK && q->by != NULL)
        result = store_report_run(s, store_report_by, q, q->top, &by, error);
    if (result == STORE_OK && q->every_ms != 0)
        result = store_report_run(s, store_report_times, q, STORE_REPORT_SLOTS_MAX, &times, error);
    if (result == STORE_OK)
        result = store_postgres_run(s, "ROLLBACK", error);
    if (result == STORE_OK) {
        *total = strtoull(PQgetvalue(count, 0, 0), NULL, 10);
        store_report_hand_up(by, false, on_row, ctx);
        store_report_hand_up(times, true, on_row, ctx);
    }
    PQclear(count);
    PQclear(by);
    PQclear(times);
    return result;
}
