/*
 * store_postgres.h: what the two files of the PostgreSQL back-end share: store_postgres.c opens and writes, store_postgres_report.c reads.
 */
#ifndef COMMON_STORE_POSTGRES_H
#define COMMON_STORE_POSTGRES_H

#include "common/buffer.h"
#include "common/store_backend.h"

#include <libpq-fe.h>

struct store_postgres {
    struct store base;
    PGconn *db; /* NULL between an error that needs it and the next call */
    char *url, *table;
    char *quoted; /* the table's name as SQL text; NULL before the first connection */
    bool read_only;
};

/* Sorts a failure into retry and broken, and says what it is: where, cause, remedy. `result` may be NULL (no connection); it is cleared. */
enum store_result store_postgres_fail(struct store_postgres *s, PGresult *result,
                                      struct store_error *error);

/* Connects again after an error closed the connection. */
enum store_result store_postgres_ensure(struct store_postgres *s, struct store_error *error);

/* Whether the table is there. */
enum store_result store_postgres_find_table(struct store_postgres *s, bool *there,
                                            struct store_error *error);

/* Runs SQL of ours that returns no rows. */
enum store_result store_postgres_run(struct store_postgres *s, const char *sql,
                                     struct store_error *error);

enum store_result store_postgres_report(struct store *base, const struct store_query *query,
                                        store_row_fn on_row, void *ctx, uint64_t *total,
                                        struct store_error *error);

#endif
