/*
 * store_postgres.c: records in one table of a PostgreSQL database. See store.h and DRAIN.md, The store.
 *
 * Runs in transfer workers, on the store's thread, and blocks it, with a deadline for each statement
 * (store_postgres_talk.c). A batch is COPYed into a temporary table and goes from there into the real one in the same
 * transaction: one round of parsing and planning for thousands of rows. (Pipelined INSERTs were rejected: a plan and an
 * index look-up through the executor for every row.) Nothing is kept in the session, neither settings nor the temporary
 * table: between two transactions a pooler (pgbouncer) may put another server's session behind the connection, and
 * somebody else's client into the one we had. `data` is json and not jsonb, because jsonb refuses the NUL
 * characters an application may have written.
 */
#include "common/store/store_postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Defaults that the url may override, each in its own parameter. */
#define STORE_POSTGRES_CONNECT_S   "5"
#define STORE_POSTGRES_TCP_MS      "15000"
#define STORE_POSTGRES_COPY_BYTES  (256u * 1024)
#define STORE_POSTGRES_MIN_VERSION 90500 /* ON CONFLICT */

#define STORE_POSTGRES_TIMEOUT_MS 60000
/* Below the statement's time: a lock that somebody holds must not look like a record that takes too long. */
#define STORE_POSTGRES_LOCK_MS UINT64_C(10000)

/* What a transaction needs. A statement beyond its time hangs on something: its batch is tried again. */
static const char store_postgres_settings[] =
    "SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = %" PRIu64
    "; SET LOCAL lock_timeout = %" PRIu64 "; SET LOCAL timezone = 'UTC'; "
    "SET LOCAL client_min_messages = warning; SET LOCAL standard_conforming_strings = on";

/*
 * Kept from one transaction to the next where the session is: making it each time would fill the catalogue. Made only
 * when it is missing: IF NOT EXISTS asks for the right to make one each time.
 */
static const char store_postgres_staging_is_there[] =
    "SELECT to_regclass('pg_temp.platoon_batch') IS NOT NULL";
static const char store_postgres_staging[] =
    "CREATE TEMPORARY TABLE platoon_batch(bucket text COLLATE \"C\", key text COLLATE \"C\", data "
    "json, seq bigint, updated_at bigint) ON COMMIT DELETE ROWS";

/* ---- open, close ---- */

void store_postgres_drop(struct store_postgres *s)
{
    PQfinish(s->db);
    s->db = NULL;
    s->late = false;
}

/* *answer, which may be NULL: the last statement's, of one that says true or false. */
static enum store_result store_postgres_run_for(struct store_postgres *s, const char *sql,
                                                bool *answer, struct store_error *error)
{
    PGresult *result = store_postgres_ask(s, sql, 0, NULL);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return store_postgres_fail(s, result, error);
    if (answer != NULL)
        *answer = PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
    PQclear(result);
    return STORE_OK;
}

enum store_result store_postgres_run(struct store_postgres *s, const char *sql,
                                     struct store_error *error)
{
    return store_postgres_run_for(s, sql, NULL, error);
}

/* "schema.table", each part quoted. */
static bool store_postgres_quote(struct store_postgres *s)
{
    if (s->quoted != NULL)
        return true;
    struct buffer out = BUFFER_EMPTY;
    const char *at = s->table;
    for (;;) {
        size_t len = strcspn(at, ".");
        char *part = PQescapeIdentifier(s->db, at, len);
        if (part == NULL)
            break;
        buffer_append_text(&out, part);
        PQfreemem(part);
        if (at[len] == '\0') {
            s->quoted = buffer_take(&out, NULL);
            return s->quoted != NULL;
        }
        buffer_append_char(&out, '.');
        at += len + 1;
    }
    buffer_fini(&out);
    return false;
}

enum store_result store_postgres_find_table(struct store_postgres *s, bool *there,
                                            struct store_error *error)
{
    const char *values[] = {s->quoted};
    PGresult *found = store_postgres_ask(s, "SELECT to_regclass($1) IS NOT NULL", 1, values);
    if (PQresultStatus(found) != PGRES_TUPLES_OK)
        return store_postgres_fail(s, found, error);
    *there = strcmp(PQgetvalue(found, 0, 0), "t") == 0;
    PQclear(found);
    return STORE_OK;
}

enum store_result store_postgres_begin(struct store_postgres *s, const char *mode,
                                       uint64_t timeout_ms, const char *then, bool *answer,
                                       struct store_error *error)
{
    uint64_t lock_ms =
        timeout_ms / 2 < STORE_POSTGRES_LOCK_MS ? timeout_ms / 2 + 1 : STORE_POSTGRES_LOCK_MS;
    struct buffer sql = BUFFER_EMPTY;
    buffer_printf(&sql, "BEGIN %s; ", mode);
    buffer_printf(&sql, store_postgres_settings, timeout_ms, lock_ms);
    buffer_printf(&sql, "; %s", then);
    const char *text = buffer_text(&sql);
    enum store_result result = text != NULL ? store_postgres_run_for(s, text, answer, error)
                                            : store_postgres_fail(s, NULL, error);
    buffer_fini(&sql);
    return result;
}

/* A transaction, and where its batch goes first. */
static enum store_result store_postgres_begin_batch(struct store_postgres *s,
                                                    struct store_error *error)
{
    bool there = false;
    enum store_result result =
        store_postgres_begin(s, "", s->timeout_ms, store_postgres_staging_is_there, &there, error);
    return result == STORE_OK && !there ? store_postgres_run(s, store_postgres_staging, error)
                                        : result;
}

/* Only when it is missing: CREATE needs a right that a user of a table somebody else made may not have. */
static enum store_result store_postgres_make_table(struct store_postgres *s,
                                                   struct store_error *error)
{
    bool there;
    enum store_result result = store_postgres_find_table(s, &there, error);
    if (result != STORE_OK || there)
        return result;
    struct buffer sql = BUFFER_EMPTY;
    buffer_printf(&sql,
                  "CREATE TABLE IF NOT EXISTS %s(bucket text COLLATE \"C\", key text COLLATE "
                  "\"C\", data json NOT NULL, seq bigint NOT NULL, "
                  "updated_at bigint NOT NULL, PRIMARY KEY(bucket, key)); COMMIT",
                  s->quoted);
    const char *text = buffer_text(&sql);
    result = text != NULL ? store_postgres_begin(s, "", s->timeout_ms, text, NULL, error)
                          : store_postgres_fail(s, NULL, error);
    buffer_fini(&sql);
    return result;
}

static enum store_result store_postgres_setup(struct store_postgres *s, struct store_error *error)
{
    const char *encoding = PQparameterStatus(s->db, "server_encoding");
    if (PQserverVersion(s->db) < STORE_POSTGRES_MIN_VERSION || encoding == NULL ||
        strcmp(encoding, "UTF8") != 0) {
        snprintf(error->text, sizeof error->text,
                 "store %.*s: the database has the encoding %s and version %d: needed are UTF8 "
                 "(createdb --encoding UTF8) and 9.5",
                 store_postgres_url_len(s), s->url, encoding != NULL ? encoding : "?",
                 PQserverVersion(s->db));
        store_postgres_drop(s);
        return STORE_BROKEN;
    }
    if (!store_postgres_quote(s))
        return store_postgres_fail(s, NULL, error);
    if (s->read_only)
        return STORE_OK;
    enum store_result result = store_postgres_make_table(s, error);
    /* Whether batches can be staged is seen before there is one. */
    if (result == STORE_OK)
        result = store_postgres_begin_batch(s, error);
    return result == STORE_OK ? store_postgres_run(s, "COMMIT", error) : result;
}

static void store_postgres_no_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result; /* "relation already exists" at each start is no news */
}

enum store_result store_postgres_ensure(struct store_postgres *s, struct store_error *error)
{
    if (s->db != NULL && PQstatus(s->db) == CONNECTION_OK)
        return STORE_OK;
    store_postgres_drop(s);
    /* The url stands last: what it says wins. */
    const char *names[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                           "client_encoding", "dbname",           NULL};
    const char *values[] = {
        STORE_POSTGRES_CONNECT_S, STORE_POSTGRES_TCP_MS, "platoon", "UTF8", s->url, NULL};
    s->db = PQconnectdbParams(names, values, 1);
    if (PQstatus(s->db) != CONNECTION_OK)
        return store_postgres_fail(s, NULL, error);
    PQsetNoticeReceiver(s->db, store_postgres_no_notice, NULL);
    PQsetnonblocking(s->db, 1);
    return store_postgres_setup(s, error);
}

static void store_postgres_close(struct store *base)
{
    struct store_postgres *s = (struct store_postgres *)base;
    store_postgres_drop(s);
    free(s->url);
    free(s->table);
    free(s->quoted);
    free(s);
}

static enum store_result store_postgres_open(const struct store_options *options,
                                             struct store **out, struct store_error *error)
{
    struct store_postgres *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->base.ops = &store_postgres_ops;
        s->url = slice_dup(slice_of(options->url));
        s->table = slice_dup(slice_of(options->table));
        s->read_only = options->read_only;
        s->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : STORE_POSTGRES_TIMEOUT_MS;
    }
    if (s == NULL || s->url == NULL || s->table == NULL) {
        if (s != NULL)
            store_postgres_close(&s->base);
        snprintf(error->text, sizeof error->text, "store: memory is short");
        return STORE_RETRY;
    }
    enum store_result result = store_postgres_ensure(s, error);
    if (result == STORE_OK)
        *out = &s->base;
    else
        store_postgres_close(&s->base);
    return result;
}

/* ---- write ---- */

/* A column of COPY's text format. */
static void store_postgres_copy_text(struct buffer *out, struct slice text, char end)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != '\\' && c != '\n' && c != '\r' && c != '\t')
            continue;
        buffer_append(out, text.ptr + from, i - from);
        buffer_append_char(out, '\\');
        buffer_append_char(out, c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
        from = i + 1;
    }
    buffer_append(out, text.ptr + from, text.len - from);
    buffer_append_char(out, end);
}

static void store_postgres_copy_row(struct buffer *out, const struct store_record *r)
{
    store_postgres_copy_text(out, r->bucket, '\t');
    store_postgres_copy_text(out, r->key, '\t');
    store_postgres_copy_text(out, r->data, '\t');
    buffer_printf(out, "%" PRIu64 "\t%" PRIu64 "\n", r->seq, r->updated_at_ms);
}

/* COPY's rows, and its end. False: the connection or the memory failed, and the server is told to forget them. */
static bool store_postgres_copy_rows(struct store_postgres *s, const struct store_record *records,
                                     size_t count)
{
    struct buffer out = BUFFER_EMPTY;
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        store_postgres_copy_row(&out, &records[i]);
        if (out.len < STORE_POSTGRES_COPY_BYTES && i + 1 < count && buffer_ok(&out))
            continue;
        good = buffer_ok(&out) && store_postgres_put(s, out.data, out.len);
        buffer_clear(&out);
    }
    buffer_fini(&out);
    return store_postgres_put_end(s, good ? NULL : "memory is short") && good;
}

static enum store_result store_postgres_copy(struct store_postgres *s,
                                             const struct store_record *records, size_t count,
                                             struct store_error *error)
{
    PGresult *result = store_postgres_ask(s, "COPY platoon_batch FROM STDIN", 0, NULL);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return store_postgres_fail(s, result, error);
    PQclear(result);
    bool sent = store_postgres_copy_rows(s, records, count);
    result = sent || !s->late ? store_postgres_answer(s) : NULL;
    if (!sent || PQresultStatus(result) != PGRES_COMMAND_OK)
        return store_postgres_fail(s, result, error);
    PQclear(result);
    while ((result = store_postgres_answer(s)) != NULL)
        PQclear(result);
    return s->late ? store_postgres_fail(s, NULL, error) : STORE_OK;
}

/*
 * In key order, so that two workers with common keys wait for each other instead of deadlocking; of one key only
 * the newest of the batch.
 */
static enum store_result store_postgres_merge(struct store_postgres *s, struct store_error *error)
{
    struct buffer sql = BUFFER_EMPTY;
    buffer_printf(
        &sql,
        "INSERT INTO %s AS r (bucket, key, data, seq, updated_at) SELECT DISTINCT ON (bucket, key) "
        "bucket, key, data, seq, updated_at "
        "FROM platoon_batch ORDER BY bucket, key, seq DESC ON CONFLICT (bucket, key) DO UPDATE SET "
        "data = excluded.data, "
        "seq = excluded.seq, updated_at = excluded.updated_at WHERE excluded.seq >= r.seq",
        s->quoted);
    const char *text = buffer_text(&sql);
    enum store_result result =
        text != NULL ? store_postgres_run(s, text, error) : store_postgres_fail(s, NULL, error);
    buffer_fini(&sql);
    return result;
}

/* How a transaction ends of which nothing is to stay: what was put off to the commit is looked at all the same. */
static const char store_postgres_undo[] = "SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK";

static enum store_result store_postgres_transact(struct store_postgres *s,
                                                 const struct store_record *records, size_t count,
                                                 const char *end, struct store_error *error)
{
    enum store_result result = store_postgres_ensure(s, error);
    if (result == STORE_OK)
        result = store_postgres_begin_batch(s, error);
    s->writing = true;
    if (result == STORE_OK)
        result = store_postgres_copy(s, records, count, error);
    if (result == STORE_OK)
        result = store_postgres_merge(s, error);
    /* A COMMIT whose answer is lost may have happened: the batch is written again, to the same effect. */
    if (result == STORE_OK)
        result = store_postgres_run(s, end, error);
    s->writing = false;
    return result;
}

static enum store_result store_postgres_write(struct store *base,
                                              const struct store_record *records, size_t count,
                                              struct store_error *error)
{
    return store_postgres_transact((struct store_postgres *)base, records, count, "COMMIT", error);
}

static enum store_result store_postgres_try(struct store *base, const struct store_record *record,
                                            struct store_error *error)
{
    return store_postgres_transact((struct store_postgres *)base, record, 1, store_postgres_undo,
                                   error);
}

const struct store_ops store_postgres_ops = {
    .type = "postgres",
    .open = store_postgres_open,
    .close = store_postgres_close,
    .write = store_postgres_write,
    .try = store_postgres_try,
    .report = store_postgres_report,
};
