/*
 * store.h: durable storage of records behind one interface.
 *
 * Runs in transfer workers (writing) and in the report worker (reading). Back-ends are const ops tables:
 * store_sqlite.c, store_postgres.c, store_count.c. Calls block on the disk or the server: one batch at a
 * time, bounded by the caller.
 *
 * A record is (bucket, key) -> data, seq, updated_at. Writing is an upsert; an older seq never overwrites a newer one;
 * so writing the same batch twice does the same as once.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include "common/slice.h"

#include <stdint.h>

struct store;

struct store_options {
    const char *type;     /* "sqlite", "postgres", "count" */
    const char *path;     /* sqlite */
    uint64_t cache_bytes; /* sqlite */
    const char *url;      /* postgres */
    const char *table;    /* postgres: name or schema.name */
    uint64_t timeout_ms;  /* postgres: of one statement; 0: the usual */
    bool read_only;       /* for reports; an SQLite file must exist */
    /*
     * sqlite: whoever shares the file, as hold_share takes it: it is held against all others.
     * NULL: it is not held.
     */
    const char *holder;
};

struct store_record {
    struct slice bucket;
    struct slice key;
    struct slice data; /* a JSON object, UTF-8 */
    uint64_t seq;
    uint64_t updated_at_ms; /* UTC */
};

enum store_result {
    STORE_OK,
    STORE_RETRY, /* full, read-only, busy, missing directory, I/O error: nothing was written; try again later */
    STORE_BROKEN,  /* not a database, foreign schema: retrying cannot help, a person must look */
    STORE_REFUSED, /* nothing was written: by a record, or by the table; only trying tells which */
};

/* What went wrong, in one line that names the file, the cause and the remedy. */
struct store_error {
    char text[1024];
    char cause[512]; /* of STORE_REFUSED: the store's own words alone, for a dead letter */
};

/* Opens, makes the table when missing. On STORE_OK *out is the caller's to close with store_close. */
enum store_result store_open(const struct store_options *options, struct store **out,
                             struct store_error *error);

/* Accepts NULL. */
void store_close(struct store *s);

/*
 * One transaction: all of them or none. When it returns STORE_OK they survive a crash of process and machine. After
 * STORE_RETRY the store may need to be closed and opened again; it does so by itself at the next call.
 */
enum store_result store_write(struct store *s, const struct store_record *records, size_t count,
                              struct store_error *error);

/* As store_write of one record, and nothing is kept of it: would it be taken? Nobody else sees it meanwhile. */
enum store_result store_try(struct store *s, const struct store_record *record,
                            struct store_error *error);

/*
 * Nothing is to be written for the moment: gives up what need not be held meanwhile, so that the store's file is whole
 * by itself and nobody has it open. True: it rests, until the next store_write; false: not yet, to be asked again, with
 * a text in *error when something stands in the way. Blocks as store_write does. Asked again while it rests, it looks
 * whether what it ails from is over.
 */
bool store_rest(struct store *s, struct store_error *error);

/* True: *news got one line that a person should read, such as a file that was moved away; once each. */
bool store_take_news(struct store *s, struct store_error *news);

/* What a person should mend although records are taken, in one line; "": nothing. Until the store's next call. */
const char *store_ails(const struct store *s);

/* ---- reports ---- */

struct store_query {
    const char *bucket; /* NULL: every bucket */
    const char *by;     /* field to count by; NULL: none */
    const char *
        time_field; /* field that holds a time (ISO 8601, or seconds since 1970); NULL: updated_at */
    uint64_t since_ms; /* only records of the last so many milliseconds before `now_ms`; 0: all */
    uint64_t every_ms; /* bucket size over time; 0: no counts over time */
    uint64_t top;      /* at most so many values of `by` */
    uint64_t now_ms;
    uint64_t deadline_mono_ms; /* clock_mono_ms at which the query is given up */
};

/*
 * Counts by value end with the row that goes beyond so many bytes of values, and of ROW for each, which is the least
 * it takes in an answer: no answer holds that (CONTRACT_FRAME_MAX), whatever comes behind it, and whoever collects it
 * must not need memory for all of it to find out. Plain numbers, for they stand in SQL too.
 */
#define STORE_REPORT_BYTES_MAX 16777216
#define STORE_REPORT_ROW       3

struct store_report_row {
    struct slice value; /* of `by`; empty and is_null when the record lacks the field */
    bool is_null;
    uint64_t time_ms; /* start of the time slot; 0 in counts by value */
    uint64_t count;
};

/*
 * Runs the query: first on_row for the counts by value (most first, `top` of them; early ended by
 * STORE_REPORT_BYTES_MAX), then for the counts over time (ascending), told apart by `over_time`. Returns STORE_RETRY
 * when the deadline passed. `total` gets the records counted. Never blocks a writer.
 */
enum store_result store_report(struct store *s, const struct store_query *query,
                               void (*on_row)(const struct store_report_row *row, bool over_time,
                                              void *ctx),
                               void *ctx, uint64_t *total, struct store_error *error);

#endif
