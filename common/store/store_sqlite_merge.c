/*
 * store_sqlite_merge.c: see store_sqlite_merge.h.
 *
 * A pass: the ids of the oldest rows, in key order (SQLite sorts them); slice after slice of them into records_base;
 * then they are deleted. Slices are transactions that nobody waits for to be durable (synchronous=NORMAL): what is lost
 * of them is still in records_recent. REPLACE, and not INSERT … ON CONFLICT DO UPDATE: of many rows that one compares
 * with stale values (seen with 3.40.1, reported up to 3.46), and an old version stays.
 *
 * Checkpoints write the WAL back in two steps: most of it while the writer goes on, then the rest in its turn, because
 * SQLite starts the WAL anew only when all of it was written back. One step alone either stops the writer for as long
 * as the disk needs, or lets the WAL grow for ever.
 */
#include "common/store/store_sqlite_merge.h"

#include "common/buffer.h"
#include "common/clock.h"
#include "common/slice.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MERGE_SLICE    2000  /* rows in one turn: a few milliseconds */
#define MERGE_DELETE   20000 /* rows deleted in one turn */
#define MERGE_RETRY_MS 500
#define MERGE_FAILURES 3 /* what passes by itself is over by then */
/* The writer's pause for a row when the merging is nearly its bound behind. */
#define MERGE_PACE_US   40
#define MERGE_BUSY_MS   1000
#define MERGE_WAL_TRIES 3 /* to write the WAL back without stopping anybody */

enum { MERGE_THREAD_ROWS, MERGE_THREAD_WAL, MERGE_THREADS };

struct store_merge {
    struct store_merge_options options;
    char *path;
    pthread_t threads[MERGE_THREADS];
    int started;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* anything below */
    bool stop;
    bool taken; /* somebody writes */
    int first;  /* writer and checkpoint that wait for their turn: the merging lets them go first */
    uint64_t unmerged;              /* rows a pass has still to merge */
    uint64_t since_ms;              /* when the first of them came; 0: none */
    bool hurry;                     /* do not wait for more of them */
    int failed;                     /* SQLite's code of the last try, 0 when it went well */
    unsigned failures;              /* tries in a row */
    bool well;                      /* the last try went well */
    struct store_merge_failure why; /* of the last that failed */
    uint64_t retry_ms;              /* not before */
    int wal_pages;                  /* after the last commit */
    int wal_due;                    /* pages at which it is written back */
};

struct merge_pass {
    struct store_merge *m;
    sqlite3 *db;
    sqlite3_stmt *put;
    sqlite3_int64 *ids; /* in key order */
    size_t count, cap;
    uint64_t merged; /* of them, counted off `unmerged` */
    sqlite3_int64 first, last;
    struct buffer list;
};

/* ---- waiting ---- */

static void merge_wait_until(struct store_merge *m, uint64_t mono_ms)
{
    struct timespec at = {.tv_sec = (time_t)(mono_ms / 1000),
                          .tv_nsec = (long)(mono_ms % 1000) * 1000000};
    pthread_cond_timedwait(&m->changed, &m->lock, &at);
}

/*
 * Locked. Takes the turn; merging lets the other two go first. False: stop instead (never for the
 * writer, who does the stopping).
 */
static bool merge_take(struct store_merge *m, bool merging)
{
    m->first += !merging;
    while ((m->taken || (merging && m->first > 0)) && !(merging && m->stop))
        pthread_cond_wait(&m->changed, &m->lock);
    m->first -= !merging;
    bool go = !merging || !m->stop;
    m->taken = m->taken || go;
    return go;
}

static bool merge_turn(struct store_merge *m, bool merging)
{
    pthread_mutex_lock(&m->lock);
    bool go = merge_take(m, merging);
    pthread_mutex_unlock(&m->lock);
    return go;
}

static void merge_end_turn(struct store_merge *m, uint64_t merged)
{
    pthread_mutex_lock(&m->lock);
    m->taken = false;
    m->unmerged -= merged < m->unmerged ? merged : m->unmerged;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/*
 * Locked. The further behind the merging is, the longer the writer pauses for each row: so it slows down to what the
 * disk can do, instead of running ahead and then standing still while a pass sorts and deletes.
 */
static void merge_pace(struct store_merge *m, uint64_t rows)
{
    const struct store_merge_options *o = &m->options;
    if (m->unmerged <= o->rows || m->failed != 0)
        return;
    uint64_t behind = m->unmerged - o->rows;
    uint64_t pause_us = rows * MERGE_PACE_US * behind / (o->behind - o->rows);
    uint64_t until = clock_mono_ms() + pause_us / 1000;
    while (m->unmerged > o->rows && m->failed == 0 && clock_mono_ms() < until)
        merge_wait_until(m, until);
}

bool store_merge_take_turn(struct store_merge *m, uint64_t rows, int *cause)
{
    pthread_mutex_lock(&m->lock);
    merge_pace(m, rows);
    while (m->unmerged >= m->options.behind && m->failed == 0)
        pthread_cond_wait(&m->changed, &m->lock);
    bool go = m->unmerged < m->options.behind;
    *cause = m->failed;
    go = go && merge_take(m, false);
    pthread_mutex_unlock(&m->lock);
    return go;
}

void store_merge_end_turn(struct store_merge *m, uint64_t rows)
{
    pthread_mutex_lock(&m->lock);
    m->taken = false;
    m->unmerged += rows;
    if (rows > 0 && m->since_ms == 0)
        m->since_ms = clock_mono_ms();
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

uint64_t store_merge_waiting(struct store_merge *m, bool hurry)
{
    pthread_mutex_lock(&m->lock);
    uint64_t waiting = m->unmerged;
    if (hurry && waiting > 0)
        m->hurry = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return waiting;
}

enum store_merge_health store_merge_health(struct store_merge *m, struct store_merge_failure *why)
{
    pthread_mutex_lock(&m->lock);
    enum store_merge_health health = m->failures >= MERGE_FAILURES ? STORE_MERGE_FAILS
                                     : m->well || m->unmerged == 0 ? STORE_MERGE_WELL
                                                                   : STORE_MERGE_UNSURE;
    *why = m->why;
    pthread_mutex_unlock(&m->lock);
    return health;
}

bool store_merge_is_refused(struct store_merge *m)
{
    struct store_merge_failure why;
    if (store_merge_health(m, &why) != STORE_MERGE_FAILS)
        return false;
    int code = why.code & 0xff; /* a function of a rule's that fails is an SQLITE_ERROR */
    return code == SQLITE_CONSTRAINT || code == SQLITE_ERROR || code == SQLITE_TOOBIG ||
           code == SQLITE_MISMATCH;
}

/* ---- connections ---- */

static int merge_on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct store_merge *m = ctx;
    pthread_mutex_lock(&m->lock);
    m->wal_pages = pages;
    if (pages < m->options.wal_pages)
        m->wal_due = m->options.wal_pages; /* it began anew */
    if (pages >= m->wal_due)
        pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return SQLITE_OK;
}

void store_merge_watch_wal(struct store_merge *m, sqlite3 *db)
{
    sqlite3_wal_hook(db, merge_on_commit, m);
}

static int merge_open(struct store_merge *m, sqlite3 **db)
{
    int rc = sqlite3_open_v2(m->path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    /* Before anything is read: SQLite finds the WAL by its name, which may be another database's by now. */
    if (rc == SQLITE_OK && m->options.same != NULL && !m->options.same(m->options.ctx, *db))
        rc = SQLITE_CANTOPEN;
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(*db, MERGE_BUSY_MS);
    char sql[96];
    snprintf(sql, sizeof sql, "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%llu",
             (unsigned long long)(m->options.cache_bytes / 1024));
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(*db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        store_merge_watch_wal(m, *db);
    return rc;
}

/* ---- a pass ---- */

static int merge_keep_id(struct merge_pass *p, sqlite3_int64 id)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 4096;
        sqlite3_int64 *ids = realloc(p->ids, cap * sizeof *ids);
        if (ids == NULL)
            return SQLITE_NOMEM;
        p->ids = ids;
        p->cap = cap;
    }
    p->first = p->count == 0 || id < p->first ? id : p->first;
    p->last = id > p->last ? id : p->last;
    p->ids[p->count++] = id;
    return SQLITE_OK;
}

static int merge_collect(struct merge_pass *p)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(p->db,
                                "SELECT id FROM (SELECT id, bucket, key, seq FROM records_recent "
                                "ORDER BY id LIMIT ?1) ORDER BY bucket, key, seq, id",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, (sqlite3_int64)p->m->options.rows);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = merge_keep_id(p, sqlite3_column_int64(stmt, 0));
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The ids as a JSON array: one statement for all of them costs half of one for each. */
static bool merge_write_list(struct buffer *out, const sqlite3_int64 *ids, size_t count)
{
    buffer_clear(out);
    for (size_t i = 0; i < count; i++)
        buffer_printf(out, "%c%lld", i == 0 ? '[' : ',', (long long)ids[i]);
    buffer_append_char(out, ']');
    return buffer_ok(out);
}

/* In the turn: one transaction. */
static int merge_write_slice(struct merge_pass *p, const sqlite3_int64 *ids, size_t count)
{
    if (!merge_write_list(&p->list, ids, count))
        return SQLITE_NOMEM;
    int rc = sqlite3_bind_text(p->put, 1, p->list.data, (int)p->list.len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(p->put);
    sqlite3_reset(p->put);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int merge_slices(struct merge_pass *p)
{
    int rc = sqlite3_prepare_v2(
        p->db,
        "REPLACE INTO records_base(bucket, key, data, seq, updated_at) SELECT r.bucket, r.key, "
        "r.data, r.seq, r.updated_at FROM json_each(?1) j CROSS JOIN records_recent r ON r.id = "
        "j.value LEFT JOIN records_base b ON b.bucket = r.bucket AND b.key = r.key WHERE b.seq IS "
        "NULL OR b.seq <= r.seq",
        -1, &p->put, NULL);
    for (size_t at = 0; at < p->count && rc == SQLITE_OK; at += MERGE_SLICE) {
        size_t n = p->count - at < MERGE_SLICE ? p->count - at : MERGE_SLICE;
        if (!merge_turn(p->m, true))
            return SQLITE_INTERRUPT;
        rc = merge_write_slice(p, p->ids + at, n);
        p->merged += rc == SQLITE_OK ? n : 0;
        merge_end_turn(p->m, rc == SQLITE_OK ? n : 0);
    }
    return rc;
}

static int merge_delete(struct merge_pass *p)
{
    int rc = SQLITE_OK;
    for (sqlite3_int64 to = p->first; to <= p->last && rc == SQLITE_OK;) {
        to = p->last - to < MERGE_DELETE ? p->last : to + MERGE_DELETE;
        char sql[96];
        snprintf(sql, sizeof sql, "DELETE FROM records_recent WHERE id <= %lld", (long long)to);
        if (!merge_turn(p->m, true))
            return SQLITE_INTERRUPT;
        rc = sqlite3_exec(p->db, sql, NULL, NULL, NULL);
        merge_end_turn(p->m, 0);
        if (to == p->last)
            break;
    }
    return rc;
}

/* *merged: rows that were counted off as merged, also when it failed in the end; *why: set then. */
static int merge_pass(struct store_merge *m, uint64_t *merged, struct store_merge_failure *why)
{
    struct merge_pass p = {.m = m, .list = BUFFER_EMPTY};
    int rc = merge_open(m, &p.db);
    if (rc == SQLITE_OK)
        rc = merge_collect(&p);
    if (rc == SQLITE_OK)
        rc = merge_slices(&p);
    if (rc == SQLITE_OK && p.count > 0)
        rc = merge_delete(&p);
    why->code = rc;
    snprintf(why->words, sizeof why->words, "%s",
             p.db != NULL && sqlite3_errcode(p.db) == rc ? sqlite3_errmsg(p.db)
                                                         : sqlite3_errstr(rc));
    sqlite3_finalize(p.put);
    sqlite3_close(p.db); /* rolls back what is open */
    buffer_fini(&p.list);
    free(p.ids);
    *merged = p.merged;
    return rc;
}

/* ---- the threads ---- */

/* Locked. When the next pass is to begin; UINT64_MAX: not before something changes. */
static uint64_t merge_due_ms(const struct store_merge *m)
{
    if (m->unmerged == 0)
        return UINT64_MAX;
    uint64_t due =
        m->hurry || m->unmerged >= m->options.rows ? 0 : m->since_ms + m->options.after_ms;
    return due > m->retry_ms ? due : m->retry_ms;
}

/* Locked. */
static void merge_note(struct store_merge *m, const struct store_merge_failure *how)
{
    if (how->code == SQLITE_INTERRUPT) { /* we end: that says nothing */
        m->failed = 0;
        return;
    }
    m->failed = how->code;
    m->well = how->code == SQLITE_OK;
    m->failures = m->well ? 0 : m->failures + 1;
    if (!m->well)
        m->why = *how;
}

/* Locked, and again when it returns. */
static void merge_run(struct store_merge *m)
{
    uint64_t began = clock_mono_ms(), counted = m->unmerged, merged = 0;
    m->hurry = false;
    pthread_mutex_unlock(&m->lock);
    struct store_merge_failure how;
    int rc = merge_pass(m, &merged, &how);
    pthread_mutex_lock(&m->lock);
    if (rc == SQLITE_OK && merged < m->options.rows && merged < counted)
        m->unmerged -= counted - merged; /* somebody else merged those, or deleted them */
    if (rc != SQLITE_OK)
        m->unmerged +=
            merged; /* they are still in records_recent, and the next pass begins with them */
    merge_note(m, &how);
    m->retry_ms = rc == SQLITE_OK ? 0 : clock_mono_ms() + MERGE_RETRY_MS;
    if (rc == SQLITE_OK)
        m->since_ms = m->unmerged > 0 ? began : 0;
    pthread_cond_broadcast(&m->changed);
}

static void *merge_rows_thread(void *ctx)
{
    struct store_merge *m = ctx;
    pthread_mutex_lock(&m->lock);
    while (!m->stop) {
        uint64_t due = merge_due_ms(m);
        if (due == UINT64_MAX)
            pthread_cond_wait(&m->changed, &m->lock);
        else if (due > clock_mono_ms())
            merge_wait_until(m, due);
        else
            merge_run(m);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

enum merge_wal { MERGE_WAL_DONE, MERGE_WAL_AGAIN, MERGE_WAL_NOW };

/*
 * After `pages` were written back: all there is, when nothing was added and nobody writes. A writer that is slowed
 * down anyway is not spared.
 */
static enum merge_wal merge_wal_next(struct store_merge *m, int pages)
{
    pthread_mutex_lock(&m->lock);
    enum merge_wal next = !m->taken && m->wal_pages <= pages ? MERGE_WAL_DONE
                          : m->unmerged > m->options.rows    ? MERGE_WAL_NOW
                                                             : MERGE_WAL_AGAIN;
    pthread_mutex_unlock(&m->lock);
    return next;
}

static void merge_hold(struct store_merge *m, int more)
{
    pthread_mutex_lock(&m->lock);
    m->first += more;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/*
 * After the first, long step the merging stands still, so that little is added. True when all of the WAL is in the
 * database: the next commit starts it anew.
 */
static bool merge_checkpoint(struct store_merge *m, sqlite3 *db)
{
    int pages = 0, written = -1, rc = SQLITE_OK, tries = 0;
    enum merge_wal next = MERGE_WAL_AGAIN;
    for (; tries < MERGE_WAL_TRIES && next == MERGE_WAL_AGAIN && rc == SQLITE_OK; tries++) {
        merge_hold(m, tries == 1);
        rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &written);
        next = pages == written ? merge_wal_next(m, pages) : MERGE_WAL_AGAIN;
    }
    if (next != MERGE_WAL_DONE && rc == SQLITE_OK) {
        merge_turn(m, false);
        rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &written);
        merge_end_turn(m, 0);
    }
    merge_hold(m, -(tries > 1));
    return rc == SQLITE_OK && pages == written;
}

static void *merge_wal_thread(void *ctx)
{
    struct store_merge *m = ctx;
    pthread_mutex_lock(&m->lock);
    while (!m->stop) {
        if (m->wal_pages < m->wal_due) {
            pthread_cond_wait(&m->changed, &m->lock);
            continue;
        }
        pthread_mutex_unlock(&m->lock);
        sqlite3 *db = NULL;
        bool all = merge_open(m, &db) == SQLITE_OK && merge_checkpoint(m, db);
        sqlite3_close(db);
        pthread_mutex_lock(&m->lock);
        /* A reader that holds it back is asked again when it has grown, not at each commit. */
        m->wal_due = all ? m->options.wal_pages : m->wal_pages + m->options.wal_pages;
        m->wal_pages = all ? 0 : m->wal_pages;
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* ---- start, stop ---- */

static bool merge_start_threads(struct store_merge *m)
{
    static void *(*const bodies[MERGE_THREADS])(void *) = {merge_rows_thread, merge_wal_thread};
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was); /* signals are the loop's */
    while (m->started < MERGE_THREADS &&
           pthread_create(&m->threads[m->started], NULL, bodies[m->started], m) == 0)
        m->started++;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return m->started == MERGE_THREADS;
}

struct store_merge *store_merge_start(const struct store_merge_options *options)
{
    struct store_merge *m = calloc(1, sizeof *m);
    char *path = slice_dup(slice_of(options->path));
    if (m == NULL || path == NULL) {
        free(m);
        free(path);
        return NULL;
    }
    m->options = *options;
    m->path = path;
    m->unmerged = options->recent;
    m->since_ms = options->recent > 0 ? clock_mono_ms() : 0;
    m->wal_due = options->wal_pages;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (merge_start_threads(m))
        return m;
    store_merge_stop(m);
    return NULL;
}

void store_merge_stop(struct store_merge *m)
{
    if (m == NULL)
        return;
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    while (m->started > 0)
        pthread_join(m->threads[--m->started], NULL);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m->path);
    free(m);
}
