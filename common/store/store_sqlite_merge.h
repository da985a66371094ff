/*
 * store_sqlite_merge.h: brings what was appended to `records_recent` into `records_base`, and the WAL into the
 * database, beside the writer.
 *
 * Runs in transfer workers: two threads (one merges, one writes the WAL back), each with a connection of its
 * own, started and joined by store_sqlite.c. SQLite has one writer at a time; these three take turns, and who
 * writes records goes first.
 *
 * Contract: may be killed at any point. A record is deleted from records_recent only after it was merged,
 * in a later transaction; a merge that is repeated changes nothing. Must not hold the turn for longer than
 * some milliseconds of work.
 */
#ifndef COMMON_STORE_SQLITE_MERGE_H
#define COMMON_STORE_SQLITE_MERGE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store_merge;

struct store_merge_options {
    const char *path;     /* copied; its schema stands */
    uint64_t cache_bytes; /* of pages: it is the merging that needs them */
    uint64_t recent;      /* rows that wait there already */
    uint64_t rows;        /* of a pass; more: fewer pages written, slower reading beside it */
    uint64_t behind;      /* rows not merged at which the writer waits; above `rows` */
    uint64_t after_ms;    /* fewer rows are merged so long after the first of them */
    int wal_pages;        /* length of the WAL at which it is written back */
    /* Whether a connection just opened has the file that it should; on any of the threads. NULL: always. */
    bool (*same)(void *ctx, sqlite3 *db);
    void *ctx;
};

/* Starts the threads. NULL: no memory or no thread. */
struct store_merge *store_merge_start(const struct store_merge_options *options);

/*
 * Waits for the turn to write so many rows; blocks for a slice of the other two (milliseconds), longer the further the
 * merging is behind. False: the merging fails (disk full, ...) and is too far behind to append more; nothing is held
 * then. *cause gets SQLite's result code.
 */
bool store_merge_take_turn(struct store_merge *m, uint64_t rows, int *cause);

/* Gives the turn back. `rows` were appended and are durable (0: the transaction failed). */
void store_merge_end_turn(struct store_merge *m, uint64_t rows);

/*
 * The connection tells this how long the WAL is after each of its commits; a checkpoint follows. To be called once for
 * each connection that writes.
 */
void store_merge_watch_wal(struct store_merge *m, sqlite3 *db);

/* Rows that a pass has still to merge; with `hurry` it begins now instead of waiting for more. */
uint64_t store_merge_waiting(struct store_merge *m, bool hurry);

enum store_merge_health {
    STORE_MERGE_WELL,   /* the last pass went well, or nothing waits */
    STORE_MERGE_UNSURE, /* none has been made yet, or fewer failed than it takes */
    STORE_MERGE_FAILS,  /* three in a row failed: a person should know */
};

struct store_merge_failure {
    int code;        /* SQLite's */
    char words[256]; /* and its text */
};

/* *why: of the last pass that failed. */
enum store_merge_health store_merge_health(struct store_merge *m, struct store_merge_failure *why);

/*
 * It fails at a rule of somebody else's: what it was to merge stays where it is, readable, until that is gone. Trying
 * on without a change is of no use.
 */
bool store_merge_is_refused(struct store_merge *m);

/* Stops after the slice that is being written, joins the threads. Accepts NULL. */
void store_merge_stop(struct store_merge *m);

#endif
