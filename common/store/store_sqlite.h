/*
 * store_sqlite.h: what the files of the SQLite back-end share: store_sqlite.c opens and writes, store_sqlite_schema.c says what is in the file,
 * store_sqlite_merge.c keeps it in order, store_sqlite_report.c reads.
 */
#ifndef COMMON_STORE_SQLITE_H
#define COMMON_STORE_SQLITE_H

#include "common/store/store_backend.h"
#include "common/store/store_sqlite_merge.h"

#include <sqlite3.h>

struct store_sqlite {
    struct store base;
    sqlite3 *db; /* NULL between an error that needs it and the next call */
    sqlite3_stmt *begin, *commit, *rollback, *append;
    struct store_merge *merge; /* NULL: read-only */
    char *path;
    uint64_t cache_bytes;
    bool read_only;
};

/* Makes tables and view, or of an older file's table ours. Returns SQLite's result code: SQLITE_ERROR when `records` is somebody else's. */
int store_sqlite_schema_ensure(sqlite3 *db);

/* Sorts an SQLite error into retry and broken, and says what it is: file, cause, remedy. */
enum store_result store_sqlite_fail(struct store_sqlite *s, int rc, struct store_error *error);

/* Opens the database again after an error closed it. */
enum store_result store_sqlite_ensure(struct store_sqlite *s, struct store_error *error);

enum store_result store_sqlite_report(struct store *base, const struct store_query *query,
                                      store_row_fn on_row, void *ctx, uint64_t *total,
                                      struct store_error *error);

#endif
