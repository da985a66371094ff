/*
 * store_postgres.h: what the files of the PostgreSQL back-end share: store_postgres.c opens and writes, store_postgres_report.c reads,
 * store_postgres_talk.c asks and waits.
 */
#ifndef COMMON_STORE_POSTGRES_H
#define COMMON_STORE_POSTGRES_H

#include "common/buffer.h"
#include "common/store/store_backend.h"

#include <libpq-fe.h>

struct store_postgres {
    struct store base;
    PGconn *db; /* NULL between an error that needs it and the next call */
    char *url, *table;
    char *quoted; /* the table's name as SQL text; NULL before the first connection */
    bool read_only;
    uint64_t timeout_ms;  /* of one statement */
    uint64_t deadline_ms; /* clock_mono_ms, of the one that runs */
    bool late;            /* it has passed */
};

/* ---- store_postgres_talk.c ---- */

/*
 * Asks, and returns the last result, or that of COPY that waits for data; NULL when there is none: the connection, memory or the time failed. With `count` parameters
 * `sql` is one statement, without any it may be several.
 */
PGresult *store_postgres_ask(struct store_postgres *s, const char *sql, int count,
                             const char *const *values);

/* The next result of the question that runs; NULL when there is none. */
PGresult *store_postgres_answer(struct store_postgres *s);

/* Data of COPY, and its end, with `error` for one that is to fail. False: the connection, memory or the time failed. */
bool store_postgres_put(struct store_postgres *s, const char *bytes, size_t len);
bool store_postgres_put_end(struct store_postgres *s, const char *error);

/* ---- store_postgres.c ---- */

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
