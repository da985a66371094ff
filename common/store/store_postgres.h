/*
 * store_postgres.h: what the files of the PostgreSQL back-end share: store_postgres.c opens and writes,
 * store_postgres_fail.c judges failures, store_postgres_report.c reads, store_postgres_talk.c asks and waits.
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
    bool writing;         /* records: what the server refuses may be one of them */
};

/* ---- store_postgres_talk.c ---- */

/*
 * Asks, and returns the last result, or that of COPY that waits for data; NULL when there is none: the connection,
 * memory or the time failed. With `count` parameters `sql` is one statement, without any it may be several.
 */
PGresult *store_postgres_ask(struct store_postgres *s, const char *sql, int count,
                             const char *const *values);

/* The next result of the question that runs; NULL when there is none. */
PGresult *store_postgres_answer(struct store_postgres *s);

/* Data of COPY, and its end, with `error` for one that is to fail. False: the connection, memory or the time failed. */
bool store_postgres_put(struct store_postgres *s, const char *bytes, size_t len);
bool store_postgres_put_end(struct store_postgres *s, const char *error);

/* ---- store_postgres_fail.c ---- */

/* Of the url, without what follows the '?': passfile and certificate names are of no help to a reader. */
int store_postgres_url_len(const struct store_postgres *s);

/*
 * Sorts a failure into retry, broken and refused, and says what it is: where, cause, remedy. `result` may be NULL (no
 * connection); it is cleared. The connection is gone then, or after "refused" out of its transaction.
 */
enum store_result store_postgres_fail(struct store_postgres *s, PGresult *result,
                                      struct store_error *error);

/* ---- store_postgres.c ---- */

void store_postgres_drop(struct store_postgres *s);

/* Connects again after an error closed the connection. */
enum store_result store_postgres_ensure(struct store_postgres *s, struct store_error *error);

/* Whether the table is there. */
enum store_result store_postgres_find_table(struct store_postgres *s, bool *there,
                                            struct store_error *error);

/* Runs SQL of ours that returns no rows. */
enum store_result store_postgres_run(struct store_postgres *s, const char *sql,
                                     struct store_error *error);

/*
 * Begins a transaction in that mode, with the settings it needs and a time for each statement, and runs `then`, SQL of
 * ours, in it. *answer (may be NULL): of a question that `then` ends with.
 */
enum store_result store_postgres_begin(struct store_postgres *s, const char *mode,
                                       uint64_t timeout_ms, const char *then, bool *answer,
                                       struct store_error *error);

enum store_result store_postgres_report(struct store *base, const struct store_query *query,
                                        store_row_fn on_row, void *ctx, uint64_t *total,
                                        struct store_error *error);

#endif
