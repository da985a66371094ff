/*
 * store_postgres.c: records in one table of a PostgreSQL database. See store.h and PROTOCOL.md section 5.
 *
 * Runs in transfer workers, on the store's thread, and blocks it, with a deadline for each statement (store_postgres_talk.c). A batch is COPYed into a
 * temporary table and goes from there into the real one in the same transaction: one round of parsing and planning for thousands of rows.
 * (Pipelined INSERTs were rejected: a plan and an index look-up through the executor for every row.) `data` is json and not jsonb, because jsonb
 * refuses the NUL characters an application may have written.
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

/* What a session needs. A statement that takes longer than its timeout hangs on something: its batch is tried again. */
static const char store_postgres_session[] =
    "SET synchronous_commit = on; SET statement_timeout = %" PRIu64
    "; SET lock_timeout = '10s'; SET timezone = 'UTC'; "
    "SET client_min_messages = warning; SET standard_conforming_strings = on";

static const char store_postgres_staging[] =
    "CREATE TEMPORARY TABLE IF NOT EXISTS platoon_batch(bucket text COLLATE \"C\", key text "
    "COLLATE \"C\", data json, seq bigint, "
    "updated_at bigint) ON COMMIT DELETE ROWS";

/* ---- errors ---- */

#define STORE_POSTGRES_LOGIN   "check the user, the password (?passfile=, ~/.pgpass) and pg_hba.conf"
#define STORE_POSTGRES_FOREIGN "the table is not ours: name another one in `table`"

/* The first that fits: by SQLSTATE or its class; while it connects libpq has none to give, but its text is the server's. */
static const struct store_postgres_cause {
    const char *state;
    const char *text;
    enum store_result result;
    const char *remedy;
} store_postgres_causes[] = {
    {"53100", NULL, STORE_RETRY, "its disk is full: free some space, it goes on by itself"},
    {"53300", "too many", STORE_RETRY,
     "it has too many connections: raise max_connections, or run fewer transfer.workers"},
    {"53", NULL, STORE_RETRY, "the server is short of something: see its log"},
    {"57P03", "starting up", STORE_RETRY,
     "the server is starting or stopping: it goes on by itself"},
    {"57014", NULL, STORE_RETRY, "it took too long: see the server's load, and what holds locks"},
    {"57", NULL, STORE_RETRY, "the server was told to end this: it goes on by itself"},
    {"55P03", NULL, STORE_RETRY,
     "another session has locked the table: it goes on when that one is done"},
    {"40", NULL, STORE_RETRY, "another transaction was in the way: it goes on by itself"},
    {"23505", NULL, STORE_RETRY, "another worker was first: it goes on by itself"},
    {"25006", NULL, STORE_RETRY,
     "the server is read-only, a standby perhaps: point the url at the primary"},
    {"08", NULL, STORE_RETRY, "the connection broke: it goes on by itself"},
    {"58", NULL, STORE_RETRY, "the server's disk or system failed: see its log"},
    {"28", "authentication failed", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {NULL, "no password supplied", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {NULL, "pg_hba.conf", STORE_BROKEN, STORE_POSTGRES_LOGIN},
    {"3D", "does not exist", STORE_BROKEN,
     "create it: createuser NAME, createdb --encoding UTF8 NAME"},
    {NULL, "certificate", STORE_BROKEN, "check sslrootcert, sslcert and sslkey in the url"},
    {"42501", NULL, STORE_BROKEN,
     "grant the user SELECT, INSERT and UPDATE on the table, or CREATE in its schema"},
    {"42", NULL, STORE_BROKEN, STORE_POSTGRES_FOREIGN},
    {"22", NULL, STORE_BROKEN, STORE_POSTGRES_FOREIGN},
};

/* libpq's messages have several lines, and end with a line break. */
static void store_postgres_one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < size; text++)
        out[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

/* The url without what follows the '?': passfile and certificate names are of no help to a reader. */
static int store_postgres_url_len(const struct store_postgres *s)
{
    return (int)strcspn(s->url, "?");
}

static void store_postgres_drop(struct store_postgres *s)
{
    PQfinish(s->db);
    s->db = NULL;
    s->late = false;
}

enum store_result store_postgres_fail(struct store_postgres *s, PGresult *result,
                                      struct store_error *error)
{
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message =
        result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    struct store_postgres_cause found = {
        .result = STORE_RETRY,
        .remedy = "check that it runs and can be reached: it goes on by itself"};
    char cause[300];
    store_postgres_one_line(message != NULL ? message : PQerrorMessage(s->db), cause, sizeof cause);
    if (s->late) {
        snprintf(cause, sizeof cause, "no answer for %" PRIu64 " s",
                 (s->timeout_ms + s->timeout_ms / 2) / 1000);
        found.remedy = "is the server, or the way to it, stopped? It goes on by itself";
    }
    if (cause[0] == '\0') { /* the server had nothing to do with it */
        snprintf(cause, sizeof cause, "memory is short");
        found.remedy = "it goes on by itself";
    }
    for (size_t i = 0; i < sizeof store_postgres_causes / sizeof store_postgres_causes[0]; i++) {
        const struct store_postgres_cause *known = &store_postgres_causes[i];
        bool is = state != NULL ? known->state != NULL &&
                                      strncmp(state, known->state, strlen(known->state)) == 0
                                : known->text != NULL && strstr(cause, known->text) != NULL;
        if (!is)
            continue;
        found = *known;
        break;
    }
    snprintf(error->text, sizeof error->text, "store %.*s: %s: %s", store_postgres_url_len(s),
             s->url, cause, found.remedy);
    PQclear(result);
    store_postgres_drop(s); /* whatever state it was in, the next call starts afresh */
    return found.result;
}

enum store_result store_postgres_run(struct store_postgres *s, const char *sql,
                                     struct store_error *error)
{
    PGresult *result = store_postgres_ask(s, sql, 0, NULL);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return store_postgres_fail(s, result, error);
    PQclear(result);
    return STORE_OK;
}

/* ---- open, close ---- */

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
                  "updated_at bigint NOT NULL, PRIMARY KEY(bucket, key))",
                  s->quoted);
    const char *text = buffer_text(&sql);
    result =
        text != NULL ? store_postgres_run(s, text, error) : store_postgres_fail(s, NULL, error);
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
    char session[sizeof store_postgres_session + 24];
    snprintf(session, sizeof session, store_postgres_session, s->timeout_ms);
    enum store_result result = store_postgres_run(s, session, error);
    if (result == STORE_OK && !s->read_only)
        result = store_postgres_make_table(s, error);
    if (result == STORE_OK && !s->read_only)
        result = store_postgres_run(s, store_postgres_staging, error);
    return result;
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

/* In key order, so that two workers with common keys wait for each other instead of deadlocking; of one key only the newest of the batch. */
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

static enum store_result store_postgres_write(struct store *base,
                                              const struct store_record *records, size_t count,
                                              struct store_error *error)
{
    struct store_postgres *s = (struct store_postgres *)base;
    enum store_result result = store_postgres_ensure(s, error);
    if (result == STORE_OK)
        result = store_postgres_run(s, "BEGIN", error);
    if (result == STORE_OK)
        result = store_postgres_copy(s, records, count, error);
    if (result == STORE_OK)
        result = store_postgres_merge(s, error);
    /* A COMMIT whose answer is lost may have happened: the batch is written again, to the same effect. */
    return result == STORE_OK ? store_postgres_run(s, "COMMIT", error) : result;
}

const struct store_ops store_postgres_ops = {
    .type = "postgres",
    .open = store_postgres_open,
    .close = store_postgres_close,
    .write = store_postgres_write,
    .report = store_postgres_report,
};
