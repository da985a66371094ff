/*
 * store_sqlite_open.c: opens the store's file and parts with it. See store_sqlite.h and DRAIN.md, The store.
 *
 * Until the WAL is written back, what was acknowledged stands in a file that is found by the database's name alone. So
 * no connection is given up before its WAL is in the database, wherever that is by then; the names of WAL and index are
 * removed before another database can be opened under them; and none is opened while the WAL of one that is gone lies
 * there. Rejected: SQLite's own last checkpoint (it skips a file that was moved), and a rollback journal (readers and
 * the writer would wait for each other).
 *
 * Processes that open and part with one file do so one after the other (store_place_lock).
 */
#include "common/store/store_sqlite.h"

#include "common/hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Another writer's transaction takes milliseconds; waiting longer would hold up the worker's beats. */
#define STORE_SQLITE_BUSY_MS 1000
/* The WAL is cut back to this after a checkpoint: disk space must come back after a burst. */
#define STORE_SQLITE_JOURNAL_BYTES (64 * 1024 * 1024)
/* Appending needs the last page and little more. */
#define STORE_SQLITE_CACHE_KB 1024
/* Of a file that is made here: nobody but its user. One made in the place of another gets that one's. */
#define STORE_SQLITE_MODE 0600

static const char store_sqlite_append[] =
    "INSERT INTO records_recent(bucket,key,data,seq,updated_at) VALUES(?1,?2,?3,?4,?5)";

/* Not REPLACE: it deletes what a unique index of somebody else's finds in the way. */
static const char store_sqlite_direct[] =
    "INSERT INTO records_base(bucket,key,data,seq,updated_at) VALUES(?1,?2,?3,?4,?5) "
    "ON CONFLICT(bucket,key) DO UPDATE SET data=excluded.data, seq=excluded.seq, "
    "updated_at=excluded.updated_at WHERE excluded.seq >= records_base.seq";

/* ---- close ---- */

/* Before the connection: the threads of the merge have their own, and the last to be closed removes the WAL. */
static void store_sqlite_quiet(struct store_sqlite *s)
{
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->commit);
    sqlite3_finalize(s->rollback);
    sqlite3_finalize(s->append);
    sqlite3_finalize(s->version);
    s->begin = s->commit = s->rollback = s->append = s->version = NULL;
    store_merge_stop(s->merge);
    s->merge = NULL;
}

void store_sqlite_drop(struct store_sqlite *s)
{
    store_sqlite_quiet(s);
    sqlite3_close(s->db);
    s->db = NULL;
}

/* All of the WAL into the database. `whole`: and the WAL is empty then. */
static int store_sqlite_flush(struct store_sqlite *s, bool whole)
{
    int pages = 0, written = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &pages, &written);
    return rc == SQLITE_BUSY && !whole && pages == written ? SQLITE_OK : rc;
}

/* What the WAL holds belongs to the content that was written over. */
static enum store_result store_sqlite_forget(struct store_sqlite *s)
{
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    store_place_clear(&s->place);
    store_sqlite_drop(s);
    snprintf(
        s->base.news.text, sizeof s->base.news.text,
        "store %s: another content (or another application_id) was written over the file while "
        "it was open; it goes on with that. To restore a copy without loss, stop the drain "
        "first",
        s->path);
    return STORE_OK;
}

static enum store_result store_sqlite_follow(struct store_sqlite *s, struct store_error *error)
{
    int rc = store_sqlite_flush(s, false);
    if (rc != SQLITE_OK) {
        snprintf(
            error->text, sizeof error->text,
            "store %s: the file was moved, replaced or deleted, and what was stored is not yet "
            "all in it (%s): close what reads it, nothing is stored until then",
            s->path, sqlite3_errstr(rc));
        return STORE_RETRY;
    }
    store_place_clear(&s->place);
    store_sqlite_drop(s);
    snprintf(s->base.news.text, sizeof s->base.news.text,
             "store %s: the file was moved, replaced or deleted while it was open; all that was "
             "stored until now is in it, and what comes goes into the one that is there now",
             s->path);
    return STORE_OK;
}

/* Under the lock. */
static enum store_result store_sqlite_let_go(struct store_sqlite *s, struct store_error *error)
{
    store_sqlite_quiet(s);
    enum store_result result = STORE_OK;
    switch (store_place_look(&s->place, s->path, s->db)) {
    case STORE_PLACE_SAME:
        /* What is left of it when this fails is found again by its name. */
        store_sqlite_flush(s, false);
        store_sqlite_drop(s);
        break;
    case STORE_PLACE_MOVED:
        result = store_sqlite_follow(s, error);
        break;
    case STORE_PLACE_OVERWRITTEN:
        result = store_sqlite_forget(s);
        break;
    }
    return result;
}

enum store_result store_sqlite_part(struct store_sqlite *s, struct store_error *error)
{
    if (s->db == NULL)
        return STORE_OK;
    int lock = store_place_lock(s->path, !s->read_only);
    enum store_result result =
        lock != -EBUSY ? store_sqlite_let_go(s, error) : store_sqlite_fail(s, SQLITE_BUSY, error);
    store_place_unlock(lock);
    return result;
}

void store_sqlite_end(struct store_sqlite *s)
{
    struct store_error why; /* nobody is left to tell; the log has had it from the calls before */
    if (s->db == NULL)
        return;
    int lock = store_place_lock(s->path, !s->read_only);
    store_sqlite_let_go(s, &why);
    store_sqlite_drop(s);
    store_place_unlock(lock);
}

bool store_sqlite_is_there(struct store_sqlite *s)
{
    return s->merge != NULL && store_place_look(&s->place, s->path, s->db) == STORE_PLACE_SAME;
}

/*
 * At rest: opens it when the merging failed before, to see whether that is over. False: it stays closed, with a text in
 * *error when it must not. What was moved away took with it what it ailed from.
 */
static bool store_sqlite_look_again(struct store_sqlite *s, struct store_error *error)
{
    if (s->base.ails.text[0] != '\0' && access(s->path, F_OK) != 0)
        s->base.ails.text[0] = '\0';
    return s->base.ails.text[0] != '\0' && store_sqlite_ensure(s, error) == STORE_OK;
}

/*
 * WAL and index stay as names (both empty of meaning), for those who may read here and not write: SQLite opens a
 * database in WAL mode only when it finds the two or can make them.
 */
bool store_sqlite_rest(struct store *base, struct store_error *error)
{
    struct store_sqlite *s = (struct store_sqlite *)base;
    if (s->db == NULL && !store_sqlite_look_again(s, error))
        return error->text[0] == '\0';
    if (!store_sqlite_is_there(s))
        return store_sqlite_part(s, error) == STORE_OK;
    store_sqlite_see_merge(s);
    if (!store_merge_is_refused(s->merge) && store_merge_waiting(s->merge, true) > 0)
        return false;
    int lock = store_place_lock(s->path, true), keep = 1;
    bool empty = lock != -EBUSY && store_sqlite_flush(s, true) == SQLITE_OK;
    if (empty && store_sqlite_is_there(s)) {
        sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
        store_sqlite_drop(s);
    }
    store_place_unlock(lock);
    return s->db == NULL;
}

/* ---- open ---- */

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

static bool store_sqlite_same(void *ctx, sqlite3 *db)
{
    struct store_sqlite *s = ctx;
    return store_place_look(&s->place, s->path, db) == STORE_PLACE_SAME;
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
    struct store_merge_options options = {.path = s->place.real,
                                          .cache_bytes = s->cache_bytes,
                                          .recent = recent,
                                          .rows = 100000,
                                          .behind = 200000,
                                          .after_ms = 2000,
                                          .wal_pages = 8000, /* 32 MB */
                                          .same = store_sqlite_same,
                                          .ctx = s};
    s->merge = store_merge_start(&options);
    if (s->merge == NULL)
        return SQLITE_NOMEM;
    store_merge_watch_wal(s->merge, s->db);
    return SQLITE_OK;
}

static int store_sqlite_prepare_all(struct store_sqlite *s)
{
    int rc = store_sqlite_prepare(s, "PRAGMA schema_version", &s->version);
    s->schema = rc == SQLITE_OK ? store_sqlite_schema_version(s) : 0;
    if (rc == SQLITE_OK)
        rc = store_sqlite_schema_is_strict(s->db, &s->strict);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "BEGIN IMMEDIATE", &s->begin);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "COMMIT", &s->commit);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare(s, "ROLLBACK", &s->rollback);
    const char *put = s->strict ? store_sqlite_direct : store_sqlite_append;
    return rc == SQLITE_OK ? store_sqlite_prepare(s, put, &s->append) : rc;
}

static int store_sqlite_setup(struct store_sqlite *s)
{
    int rc = sqlite3_busy_timeout(s->db, STORE_SQLITE_BUSY_MS);
    if (rc != SQLITE_OK || s->read_only)
        return rc;
    s->marked = false;
    rc = store_sqlite_pragmas(s);
    if (rc == SQLITE_OK)
        rc = store_sqlite_schema_ensure(s->db);
    if (rc == SQLITE_OK)
        rc = store_sqlite_prepare_all(s);
    if (rc == SQLITE_OK && !store_place_note(&s->place, s->db))
        rc = SQLITE_CANTOPEN;
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

/* Opens what `path` leads to, by the name that it has without links. */
static int store_sqlite_connect(struct store_sqlite *s)
{
    /*
     * SQLite's count of its memory has one lock for all threads; nobody reads it. Refused once SQLite has begun:
     * then it is slower, no more.
     */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int flags = s->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    bool resolved = store_sqlite_real(s->path, s->place.real);
    int rc = sqlite3_open_v2(resolved ? s->place.real : s->path, &s->db,
                             flags | SQLITE_OPEN_NOMUTEX, NULL);
    return rc == SQLITE_OK ? store_sqlite_setup(s) : rc;
}

static bool store_sqlite_make_ready(struct store_sqlite *s, struct store_error *error)
{
    bool known = s->place.real[0] != '\0', made;
    int rc = store_place_prepare(s->path, known ? s->place.mode : STORE_SQLITE_MODE, &made);
    if (rc == -ESTALE)
        snprintf(error->text, sizeof error->text,
                 "store %s: the file is gone, and %s-wal beside it still holds records of it: put "
                 "the file back, or move the -wal to where the file is now, under its name there",
                 s->path, s->path);
    else if (rc == -EAGAIN)
        snprintf(error->text, sizeof error->text,
                 "store %s: the file is empty and was made a moment ago: if it is a copy under "
                 "way, it goes on once that is done",
                 s->path);
    else if (rc == -EBUSY)
        snprintf(error->text, sizeof error->text,
                 "store %s: another process has it open, and the -wal or -shm of that one is not "
                 "beside it any more: it goes on when that one has closed it (a worker of "
                 "platoon's does at once)",
                 s->path);
    else if (known && made && s->base.news.text[0] == '\0')
        snprintf(s->base.news.text, sizeof s->base.news.text,
                 "store %s: the file is not there any more: a new one was begun", s->path);
    return rc != -ESTALE && rc != -EAGAIN && rc != -EBUSY;
}

/*
 * Of an opening that failed. When the file was moved away meanwhile, what the opening wrote goes into it: a WAL left
 * under the old name would stand in the way of the next file there.
 */
static void store_sqlite_leave(struct store_sqlite *s)
{
    store_sqlite_quiet(s);
    if (s->db != NULL && !s->read_only && !store_place_note(&s->place, s->db) &&
        s->place.files[STORE_PLACE_DB].ino == 0 && store_sqlite_flush(s, false) == SQLITE_OK)
        store_place_clear(&s->place);
    store_sqlite_drop(s);
}

/*
 * Two ledgers give numbers of their own: in one file the records of one would pass for old versions of the other's.
 * What cannot be held at all (no room, a directory that may not be written) is not held: opening the database says why.
 */
static bool store_sqlite_hold(struct store_sqlite *s, struct store_error *error)
{
    char real[PATH_MAX], lock[PATH_MAX + 8], other[HOLD_WHO_MAX];
    if (s->holder == NULL)
        return true;
    snprintf(lock, sizeof lock, "%s-lock", store_sqlite_real(s->path, real) ? real : s->path);
    if (hold_is_at(s->hold, lock))
        return true;
    int fd = hold_share(lock, STORE_SQLITE_MODE, s->holder, other);
    if (s->hold >= 0)
        close(s->hold);
    s->hold = fd >= 0 ? fd : -1;
    if (fd == -EWOULDBLOCK)
        snprintf(error->text, sizeof error->text,
                 "store %s: another platoon (%s) stores there, and each would take the other's "
                 "records for old: name another path, or stop that one",
                 s->path, other);
    return fd != -EWOULDBLOCK;
}

static enum store_result store_sqlite_reopen(struct store_sqlite *s, struct store_error *error)
{
    if (!s->read_only && (!store_sqlite_make_ready(s, error) || !store_sqlite_hold(s, error)))
        return STORE_RETRY;
    int rc = store_sqlite_connect(s);
    if (rc == SQLITE_OK)
        return STORE_OK;
    enum store_result result = store_sqlite_fail(s, rc, error);
    store_sqlite_leave(s);
    /* What refuses before there is a record refuses every one. */
    return result == STORE_REFUSED ? STORE_BROKEN : result;
}

/* Before it is opened, to say of whom the link is: SQLite would say no more than that it cannot open the file. */
static bool store_sqlite_may_follow(const struct store_sqlite *s, struct store_error *error)
{
    struct trust_path t;
    int rc = store_sqlite_walk(s->path, TRUST_NO_LINKS, &t);
    trust_close(&t);
    if (rc != -EMLINK)
        return true;
    struct buffer why = BUFFER_EMPTY;
    trust_say(&t, rc, &why);
    snprintf(error->text, sizeof error->text, "store %s: %s: name the file itself", s->path,
             buffer_text(&why) != NULL ? why.data : strerror(-rc));
    buffer_fini(&why);
    return false;
}

enum store_result store_sqlite_ensure(struct store_sqlite *s, struct store_error *error)
{
    if (s->db != NULL)
        return STORE_OK;
    store_sqlite_open_safely();
    if (!store_sqlite_may_follow(s, error))
        return STORE_BROKEN;
    if (!s->read_only)
        store_sqlite_make_parent(s->path); /* there is nothing to lock without it */
    int lock = store_place_lock(s->path, !s->read_only);
    enum store_result result =
        lock != -EBUSY ? store_sqlite_reopen(s, error) : store_sqlite_fail(s, SQLITE_BUSY, error);
    store_place_unlock(lock);
    return result;
}
