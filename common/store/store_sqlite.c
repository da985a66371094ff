/*
 * store_sqlite.c: records in one SQLite file. See store.h and DRAIN.md, The store.
 *
 * WAL, so that readers and the writer never wait for each other; synchronous=FULL, because our `stored` means durable;
 * one transaction a batch. A batch is only appended here (what is in the file: store_sqlite_schema.c); threads beside
 * it merge and write the WAL back (store_sqlite_merge.c).
 */
#include "common/store/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* So often a batch is written again at once because the file was moved meanwhile. */
#define STORE_SQLITE_MOVES_MAX 3

/* ---- errors ---- */

#define STORE_SQLITE_REFUSED                                                                       \
    "no record is taken: look at the constraints and triggers that were added to the tables"

static const struct store_sqlite_error {
    int code; /* primary result code */
    enum store_result result;
    const char *remedy;
} store_sqlite_errors[] = {
    {SQLITE_FULL, STORE_RETRY, "the disk is full: free some space, it goes on by itself"},
    {SQLITE_READONLY, STORE_RETRY,
     "it is read-only: check the file's and its directory's permissions, and the mount"},
    {SQLITE_BUSY, STORE_RETRY, "another process has locked it: it goes on when that one is done"},
    {SQLITE_LOCKED, STORE_RETRY, "another process has locked it: it goes on when that one is done"},
    {SQLITE_CANTOPEN, STORE_RETRY,
     "it cannot be opened: check that its directory exists and may be written"},
    {SQLITE_PERM, STORE_RETRY,
     "access is denied: check the file's and its directory's permissions"},
    {SQLITE_IOERR, STORE_RETRY, "the disk failed or is full: check it, it goes on by itself"},
    {SQLITE_NOMEM, STORE_RETRY, "memory is short: it goes on by itself"},
    {SQLITE_INTERRUPT, STORE_RETRY,
     "the deadline passed: ask for less, or give it more time with --timeout"},
    {SQLITE_NOTADB, STORE_BROKEN,
     "the file is no SQLite database: name another path, or move the file away"},
    {SQLITE_CORRUPT, STORE_BROKEN, "the database is damaged: restore it, or move the file away"},
    {SQLITE_CONSTRAINT, STORE_REFUSED, STORE_SQLITE_REFUSED},
    {SQLITE_TOOBIG, STORE_REFUSED, STORE_SQLITE_REFUSED},
    {SQLITE_MISMATCH, STORE_REFUSED, STORE_SQLITE_REFUSED},
    {SQLITE_ERROR, STORE_BROKEN, "the table `records` is not ours: name another path"},
};

/*
 * SQLITE_ERROR is said of a statement that makes no sense, and of functions that fail for one row's values
 * (json_extract of what is no JSON): of our statements and our tables only the rules that were added can be meant.
 */
static int store_sqlite_code(struct store_sqlite *s, int rc)
{
    bool rule = (rc & 0xff) == SQLITE_ERROR && s->db != NULL && !s->read_only &&
                store_sqlite_schema_is_ours(s->db);
    return rule ? SQLITE_CONSTRAINT : rc & 0xff;
}

/* What is known of a result code; where nothing is, it may be over the next time. */
static struct store_sqlite_error store_sqlite_find(struct store_sqlite *s, int rc)
{
    int code = store_sqlite_code(s, rc);
    for (size_t i = 0; i < sizeof store_sqlite_errors / sizeof store_sqlite_errors[0]; i++) {
        struct store_sqlite_error found = store_sqlite_errors[i];
        if (found.code != code)
            continue;
        /* On a read-only file system SQLite may say no more than that it cannot open a file beside the database. */
        if (access(s->path, W_OK) != 0 && errno == EROFS)
            found.remedy =
                "the file system is read-only: it goes on by itself once it can be written";
        return found;
    }
    return (struct store_sqlite_error){.result = STORE_RETRY, .remedy = "it is tried again"};
}

enum store_result store_sqlite_fail(struct store_sqlite *s, int rc, struct store_error *error)
{
    /* The connection's own text says more, when it is about this failure. */
    snprintf(error->cause, sizeof error->cause, "%s",
             s->db != NULL && sqlite3_errcode(s->db) == rc ? sqlite3_errmsg(s->db)
                                                           : sqlite3_errstr(rc));
    struct store_sqlite_error found = store_sqlite_find(s, rc);
    snprintf(error->text, sizeof error->text, "store %s: %s: %s", s->path, error->cause,
             found.remedy);
    return found.result;
}

void store_sqlite_see_merge(struct store_sqlite *s)
{
    struct store_merge_failure why;
    enum store_merge_health health = store_merge_health(s->merge, &why);
    if (health == STORE_MERGE_WELL)
        s->base.ails.text[0] = '\0';
    if (health != STORE_MERGE_FAILS)
        return; /* of a merging that has just begun, what the last one met still stands */
    struct store_sqlite_error found = store_sqlite_find(s, why.code);
    snprintf(s->base.ails.text, sizeof s->base.ails.text,
             "store %s: what is stored cannot be merged into records_base, and stays in "
             "records_recent, where `records` shows it: %s: %s",
             s->path, why.words,
             found.result == STORE_REFUSED
                 ? "a rule was added that these records break: drop it, or delete them"
                 : found.remedy);
}

/* ---- open, close ---- */

static void store_sqlite_close(struct store *base)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    store_sqlite_end(s);
    if (s->hold >= 0)
        close(s->hold);
    free(s->holder);
    free(s->path);
    free(s);
}

static enum store_result store_sqlite_open(const struct store_options *options, struct store **out,
                                           struct store_error *error)
{
    struct store_sqlite *s = calloc(1, sizeof *s);
    char *path = slice_dup(slice_of(options->path));
    char *holder = options->holder != NULL ? slice_dup(slice_of(options->holder)) : NULL;
    if (s == NULL || path == NULL || (options->holder != NULL && holder == NULL)) {
        free(s);
        free(path);
        free(holder);
        snprintf(error->text, sizeof error->text, "store %s: memory is short", options->path);
        return STORE_RETRY;
    }
    s->base.ops = &store_sqlite_ops;
    s->path = path;
    s->holder = holder;
    s->hold = -1;
    s->cache_bytes = options->cache_bytes;
    s->read_only = options->read_only;
    enum store_result result = store_sqlite_ensure(s, error);
    if (result == STORE_OK)
        *out = &s->base;
    else
        store_sqlite_close(&s->base);
    return result;
}

/* ---- write ---- */

static int store_sqlite_step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int store_sqlite_bind(sqlite3_stmt *stmt, int at, struct slice text)
{
    return sqlite3_bind_text64(stmt, at, text.ptr, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int store_sqlite_put(struct store_sqlite *s, const struct store_record *r)
{
    int rc = store_sqlite_bind(s->append, 1, r->bucket);
    if (rc == SQLITE_OK)
        rc = store_sqlite_bind(s->append, 2, r->key);
    if (rc == SQLITE_OK)
        rc = store_sqlite_bind(s->append, 3, r->data);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s->append, 4, (sqlite3_int64)r->seq);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(s->append, 5, (sqlite3_int64)r->updated_at_ms);
    return rc == SQLITE_OK ? store_sqlite_step(s->append) : rc;
}

/*
 * After SQLITE_FULL or an I/O error SQLite may have rolled back by itself; and a database that was remounted is only
 * seen by a new connection. So anything but "busy" closes it: the next call opens it anew. In the turn, which it gives
 * back.
 */
static enum store_result store_sqlite_abandon(struct store_sqlite *s, int rc,
                                              struct store_error *error)
{
    enum store_result result = store_sqlite_fail(s, rc, error);
    if (!sqlite3_get_autocommit(s->db))
        store_sqlite_step(s->rollback);
    store_merge_end_turn(s->merge, 0);
    sqlite3_clear_bindings(s->append);
    if ((rc & 0xff) != SQLITE_BUSY && result != STORE_REFUSED &&
        store_sqlite_part(s, error) != STORE_OK)
        result = STORE_RETRY;
    return result;
}

static int store_sqlite_mark(struct store_sqlite *s)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d", store_place_mark(&s->place, s->db));
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

/* In the turn: one transaction. Of one that is not to be `kept`, nothing stays. */
static int store_sqlite_commit(struct store_sqlite *s, const struct store_record *records,
                               size_t count, bool kept)
{
    int rc = store_sqlite_step(s->begin);
    if (rc == SQLITE_OK && kept && !s->marked)
        rc = store_sqlite_mark(s);
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        rc = store_sqlite_put(s, &records[i]);
    if (rc == SQLITE_OK)
        rc = store_sqlite_step(kept ? s->commit : s->rollback);
    s->marked = s->marked || (kept && rc == SQLITE_OK);
    return rc;
}

static enum store_result store_sqlite_append(struct store_sqlite *s,
                                             const struct store_record *records, size_t count,
                                             bool kept, struct store_error *error)
{
    int rc;
    store_sqlite_see_merge(s);
    if (!store_merge_take_turn(s->merge, count, &rc))
        return store_sqlite_fail(s, rc, error);
    rc = store_sqlite_commit(s, records, count, kept);
    if (rc != SQLITE_OK)
        return store_sqlite_abandon(s, rc, error);
    store_merge_end_turn(s->merge, kept && !s->strict ? count : 0);
    sqlite3_clear_bindings(s->append); /* they point into the caller's memory */
    return STORE_OK;
}

/* Made while it was open. Opening it anew looks at them. */
static bool store_sqlite_has_new_rules(struct store_sqlite *s)
{
    int version = s->merge != NULL ? store_sqlite_schema_version(s) : 0;
    return version != 0 && version != s->schema;
}

/*
 * Acknowledged is only what was committed to a file that is still in its place afterwards: else the batch is written
 * once more, to the one that is there now.
 */
static enum store_result store_sqlite_transact(struct store_sqlite *s,
                                               const struct store_record *records, size_t count,
                                               bool kept, struct store_error *error)
{
    for (int i = 0; i < STORE_SQLITE_MOVES_MAX; i++) {
        enum store_result result = STORE_OK;
        if (s->db != NULL && (!store_sqlite_is_there(s) || store_sqlite_has_new_rules(s)))
            result = store_sqlite_part(s, error);
        if (result == STORE_OK)
            result = store_sqlite_ensure(s, error);
        if (result == STORE_OK)
            result = store_sqlite_append(s, records, count, kept, error);
        if (result != STORE_OK || store_sqlite_is_there(s))
            return result;
    }
    snprintf(error->text, sizeof error->text,
             "store %s: the file is moved or replaced again and again: let it be for a moment",
             s->path);
    return STORE_RETRY;
}

static enum store_result store_sqlite_write(struct store *base, const struct store_record *records,
                                            size_t count, struct store_error *error)
{
    return store_sqlite_transact((struct store_sqlite *)base, records, count, true, error);
}

static enum store_result store_sqlite_try(struct store *base, const struct store_record *record,
                                          struct store_error *error)
{
    return store_sqlite_transact((struct store_sqlite *)base, record, 1, false, error);
}

const struct store_ops store_sqlite_ops = {
    .type = "sqlite",
    .open = store_sqlite_open,
    .close = store_sqlite_close,
    .write = store_sqlite_write,
    .try = store_sqlite_try,
    .report = store_sqlite_report,
    .rest = store_sqlite_rest,
};
