/*
 * store_sqlite.h: what the files of the SQLite back-end share.
 *
 * store_sqlite.c         writes
 * store_sqlite_open.c    opens the file and parts with it
 * store_sqlite_vfs.c     how SQLite opens files here
 * store_sqlite_place.c   whether the file is still there, and its content
 * store_sqlite_schema.c  what is in it
 * store_sqlite_merge.c   keeps it in order
 * store_sqlite_report.c  reads
 */
#ifndef COMMON_STORE_SQLITE_H
#define COMMON_STORE_SQLITE_H

#include "common/store/store_backend.h"
#include "common/store/store_sqlite_merge.h"
#include "common/store/store_sqlite_place.h"
#include "common/trust.h"

#include <sqlite3.h>

struct store_sqlite {
    struct store base;
    sqlite3 *db; /* NULL between an error that needs it and the next call */
    sqlite3_stmt *begin, *commit, *rollback, *append, *version;
    struct store_merge *merge; /* NULL: read-only, or about to be parted with */
    char *path;
    char *holder;             /* NULL: the file is not held */
    int hold;                 /* -1: none; kept from the first opening to the end, also at rest */
    struct store_place place; /* of what is open, or was */
    uint64_t cache_bytes;
    bool read_only;
    bool marked; /* since it was opened: store_place_mark */
    int schema;  /* its version when it was opened: another one may bring other rules */
    bool strict; /* there are rules for records_base: records go there at once, to be judged */
};

/*
 * Makes tables and view, or of an older file's table ours. Returns SQLite's result code: SQLITE_ERROR when
 * `records` is somebody else's.
 */
int store_sqlite_schema_ensure(sqlite3 *db);

/* Whether records_base has rules that are not ours (triggers, CHECKs, indexes that are unique or compute, ...). */
int store_sqlite_schema_is_strict(sqlite3 *db, bool *strict);

/* Whether both tables are there, with our columns: a statement of ours that fails does so by what was added to them. */
bool store_sqlite_schema_is_ours(sqlite3 *db);

/* The schema's version now; 0: it cannot be read now. */
int store_sqlite_schema_version(struct store_sqlite *s);

/*
 * From here on SQLite opens no file of this process over a link that others may have made, and none by a name that is a
 * link. Before the first open.
 */
void store_sqlite_open_safely(void);

/* open(2), over no link of others': -1 and errno. */
int store_sqlite_open_file(const char *path, int flags, int mode);

/* trust_walk, for any thread. */
int store_sqlite_walk(const char *path, enum trust_rule rule, struct trust_path *t);

/* `path` without links, by that walk. False: there is nothing, or it leads over a link of others. */
bool store_sqlite_real(const char *path, char real[PATH_MAX]);

/* Sorts an SQLite error into retry, broken and refused, and says what it is: file, cause, remedy. */
enum store_result store_sqlite_fail(struct store_sqlite *s, int rc, struct store_error *error);

/* How the merging goes, for store_ails. Of what is open. */
void store_sqlite_see_merge(struct store_sqlite *s);

/* Opens the database again after an error, or rest, closed it. */
enum store_result store_sqlite_ensure(struct store_sqlite *s, struct store_error *error);

/* True while what is open is what the path leads to. */
bool store_sqlite_is_there(struct store_sqlite *s);

/*
 * Closes the database; what was acknowledged is in its file then. When that is not where it was and cannot take all of
 * it now, or another process opens it just now, the connection stays: STORE_RETRY, and the next call tries again.
 */
enum store_result store_sqlite_part(struct store_sqlite *s, struct store_error *error);

/* As store_sqlite_part, for the last time: it closes it in any case, and nobody who has the lock is waited for long. */
void store_sqlite_end(struct store_sqlite *s);

/* Closes it whatever happens. */
void store_sqlite_drop(struct store_sqlite *s);

/* See store_rest. */
bool store_sqlite_rest(struct store *base, struct store_error *error);

enum store_result store_sqlite_report(struct store *base, const struct store_query *query,
                                      store_row_fn on_row, void *ctx, uint64_t *total,
                                      struct store_error *error);

#endif
