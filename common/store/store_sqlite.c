/*
 * store_sqlite.c: records in one SQLite file. See store.h and PROTOCOL.md section 5.
 *
 * WAL, so that readers and the writer never wait for each other; synchronous=FULL, because our `stored` means durable; one transaction a batch. A batch
 * is only appended here (what is in the file: store_sqlite_schema.c); threads beside it merge and write the WAL back (store_sqlite_merge.c).
 */
#include "common/store/store_sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another writer's transaction takes milliseconds; waiting longer would hold up the worker's beats. */
#define STORE_SQLITE_BUSY_MS 1000
/* The WAL is cut back to this after a checkpoint: disk space must come back after a burst. */
#define STORE_SQLITE_JOURNAL_BYTES (64 * 1024 * 1024)
/* Appending needs the last page and little more. */
#define STORE_SQLITE_CACHE_KB 1024

static const char store_sqlite_append[] =
    "INSERT INTO records_recent(bucket,key,data,seq,updated_at) VALUES(?1,?2,?3,?4,?5)";

/* ---- errors ---- */

static const struct {
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
    {SQLITE_ERROR, STORE_BROKEN, "the table `records` is not ours: name another path"},
};

enum store_result store_sqlite_fail(struct store_sqlite *s, int rc, struct store_error *error)
{
    /* The connection's own text says more, when it is about this failure. */
    const char *cause =
        s->db != NULL && sqlite3_errcode(s->db) == rc ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    for (size_t i = 0; i < sizeof store_sqlite_errors / sizeof store_sqlite_errors[0]; i++) {
        if (store_sqlite_errors[i].code != (rc & 0xff))
            continue;
        /* On a read-only file system SQLite may say no more than that it cannot open a file beside the database. */
        bool read_only = access(s->path, W_OK) != 0 && errno == EROFS;
        snprintf(error->text, sizeof error->text, "store %s: %s: %s", s->path, cause,
                 read_only
                     ? "the file system is read-only: it goes on by itself once it can be written"
                     : store_sqlite_errors[i].remedy);
        return store_sqlite_errors[i].result;
    }
    snprintf(error->text, sizeof error->text, "store %s: %s", s->path, cause);
    return STORE_RETRY;
}

/* ---- open, close ---- */

static void store_sqlite_drop(struct store_sqlite *s)
{
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->commit);
    sqlite3_finalize(s->rollback);
    sqlite3_finalize(s->append);
    s->begin = s->commit = s->rollback = s->append = NULL;
    /* Before the connection: the last to be closed writes the WAL back and removes it. */
    store_merge_stop(s->merge);
    s->merge = NULL;
    sqlite3_close(s->db);
    s->db = NULL;
}

static int store_sqlite_pragmas(struct store_sqlite *s)
{
    char sql[192];
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-%d; PRAGMA "
             "journal_size_limit=%d",
             STORE_SQLITE_CACHE_KB, STORE_SQLITE_JOURNAL_BYTES);
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL);
}

static int store_sqlite_prepare(struct store_sqlite *s, const char *sql, sqlite3_stmt **out)
{
    return sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

static int store_sqlite_start_merge(struct store_sqlite *s)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->db, "SELECT count(*) FROM records_recent", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    uint64_t recent = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        return rc;
    struct store_merge_options options = {.path = s->path,
                                          .cache_bytes = s->cache_bytes,
                                          .recent = recent,
                                          .rows = 100000,
                                          .behind = 200000,
                                          .after_ms = 2000,
                                          .wal_pages = 8000}; /* 32 MB */
    s->merge = store_merge_start(&options);
    if (s->merge == NULL)
        return SQLITE_NOMEM;
    store_merge_watch_wal(s->merge, s->db);
    return SQLITE_OK;
}

static int store_sqlite_setup(struct store_sqlite *s)
{
    int rc = sqlite3_busy_timeout(s->db, STORE_SQLITE_BUSY_MS);
    if (rc != SQLITE_OK || s->read_only)
        return rc;
    rc = store_sqlite_pragmas(s);
    if (rc == SQLITE_OK)
        rc = store_sqlite_schema_ensure(s->db);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "BEGIN IMMEDIATE", &s->begin);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "COMMIT", &s->commit);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "ROLLBACK", &s->rollback);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, store_sqlite_append, &s->append);
    return rc == SQLITE_OK ? store_sqlite_start_merge(s) : rc;
}

/* A missing parent is made, one level: a typing error further up must not grow a tree of directories. */
static void store_sqlite_make_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path ||
        !slice_copy(slice_make(path, (size_t)(slash - path)), parent, sizeof parent))
        return;
    if (mkdir(parent, 0700) != 0 && errno != EEXIST)
        return; /* opening the file says what is wrong */
}

enum store_result store_sqlite_ensure(struct store_sqlite *s, struct store_error *error)
{
    if (s->db != NULL)
        return STORE_OK;
    /* SQLite's count of its memory has one lock for all threads; nobody reads it. Refused once SQLite has begun: then it is slower, no more. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (!s->read_only)
        store_sqlite_make_parent(s->path);
    int rc = sqlite3_open_v2(s->path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = store_sqlite_setup(s);
    if (rc == SQLITE_OK)
        return STORE_OK;
    enum store_result result = store_sqlite_fail(s, rc, error);
    store_sqlite_drop(s);
    return result;
}

static void store_sqlite_close(struct store *base)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    store_sqlite_drop(s);
    free(s->path);
    free(s);
}

static enum store_result store_sqlite_open(const struct store_options *options, struct store **out,
                                           struct store_error *error)
{
    struct store_sqlite *s = calloc(1, sizeof *s);
    char *path = slice_dup(slice_of(options->path));
    if (s == NULL || path == NULL) {
        free(s);
        free(path);
        snprintf(error->text, sizeof error->text, "store %s: memory is short", options->path);
        return STORE_RETRY;
    }
    s->base.ops = &store_sqlite_ops;
    s->path = path;
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
 * After SQLITE_FULL or an I/O error SQLite may have rolled back by itself; and a database that was replaced or remounted is only seen
 * by a new connection. So anything but "busy" closes it: the next call opens it anew. In the turn, which it gives back.
 */
static enum store_result store_sqlite_abandon(struct store_sqlite *s, int rc,
                                              struct store_error *error)
{
    enum store_result result = store_sqlite_fail(s, rc, error);
    if (!sqlite3_get_autocommit(s->db))
        store_sqlite_step(s->rollback);
    store_merge_end_turn(s->merge, 0);
    sqlite3_clear_bindings(s->append);
    if ((rc & 0xff) != SQLITE_BUSY)
        store_sqlite_drop(s);
    return result;
}

/* A file that was deleted or replaced under us would swallow what we write: into an inode that nobody can find. */
static bool store_sqlite_moved(struct store_sqlite *s)
{
    int moved = 0;
    return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved;
}

/* In the turn: one transaction. */
static int store_sqlite_commit(struct store_sqlite *s, const struct store_record *records,
                               size_t count)
{
    int rc = store_sqlite_step(s->begin);
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++)
        rc = store_sqlite_put(s, &records[i]);
    return rc == SQLITE_OK ? store_sqlite_step(s->commit) : rc;
}

static enum store_result store_sqlite_write(struct store *base, const struct store_record *records,
                                            size_t count, struct store_error *error)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    if (s->db != NULL && store_sqlite_moved(s))
        store_sqlite_drop(s);
    enum store_result result = store_sqlite_ensure(s, error);
    if (result != STORE_OK)
        return result;
    int rc;
    if (!store_merge_take_turn(s->merge, count, &rc))
        return store_sqlite_fail(s, rc, error);
    rc = store_sqlite_commit(s, records, count);
    if (rc != SQLITE_OK)
        return store_sqlite_abandon(s, rc, error);
    store_merge_end_turn(s->merge, count);
    sqlite3_clear_bindings(s->append); /* they point into the caller's memory */
    return STORE_OK;
}

const struct store_ops store_sqlite_ops = {
    .type = "sqlite",
    .open = store_sqlite_open,
    .close = store_sqlite_close,
    .write = store_sqlite_write,
    .report = store_sqlite_report,
};
