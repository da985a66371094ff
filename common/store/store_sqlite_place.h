/*
 * store_sqlite_place.h: is the file at the store's path still the one that was opened?
 *
 * Runs in transfer workers, on the threads of store_sqlite.c and store_sqlite_merge.c. A database in WAL mode is three
 * files that belong together, and SQLite finds two of them by name: whoever moves, replaces or deletes one of them
 * while they are open parts them. So what was opened is remembered by device and inode, and compared before a record is
 * written and before it is acknowledged.
 *
 * Must not open the database's file by itself while a connection of this process has it: closing any descriptor of a
 * file gives up all of the process' locks on it (fcntl).
 */
#ifndef COMMON_STORE_SQLITE_PLACE_H
#define COMMON_STORE_SQLITE_PLACE_H

#include <limits.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { STORE_PLACE_DB, STORE_PLACE_WAL, STORE_PLACE_SHM, STORE_PLACE_FILES };

/* What a path leads to at one moment. */
struct store_place {
    char real[PATH_MAX]; /* without links; empty: nothing is known */
    struct store_place_id {
        dev_t dev;
        ino_t ino; /* 0: there is none */
    } files[STORE_PLACE_FILES];
    mode_t mode;
    atomic_uint changes; /* the highest change counter that was seen in the file */
    /* What tells its content from another database's (application_id); 0: none yet. */
    atomic_uint mark;
    /* What stood in the file when `mark` was noted: that one may be in the WAL still. */
    atomic_uint mark_then;
};

enum store_place_state {
    STORE_PLACE_SAME,
    STORE_PLACE_MOVED, /* something else, or nothing, is where the file or one beside it was */
    /* The same file has an older content than before, or another database's: a copy was written over it. */
    STORE_PLACE_OVERWRITTEN,
};

/*
 * Holds the store at `path`, there or not, against other processes that open or part with it: by FILE-lock beside it,
 * which nobody else may open (0600), and which is made when `make`. Blocks for up to a second. Returns a descriptor for
 * store_place_unlock; -ENOENT and such when there is none or it cannot be locked at all: to be taken as held; -EBUSY:
 * somebody else has it.
 */
int store_place_lock(const char *path, bool make);
void store_place_unlock(int lock);

/*
 * Makes the file when there is none, with that mode. 0; -ESTALE: the file is gone and its WAL still holds records;
 * -EAGAIN: it is empty, or shorter than it says itself, and was written a moment ago, as by a copy that is under way;
 * -EBUSY: another process has it open, and its WAL or index is not here: what it has stored may be in a WAL that has
 * no name any more, and a new one beside it would spoil both; any other: opening it says why. Nothing of this process
 * may have it open.
 */
int store_place_prepare(const char *path, mode_t mode, bool *made);

/*
 * The mark that the database has or, when it has none, is to get: to be written (PRAGMA application_id) by the first
 * transaction after each opening. So every content that was ever copied while it was at rest differs from the one that
 * is open: by the mark, when it is another database's, else by an older change counter.
 */
int store_place_mark(struct store_place *p, sqlite3 *db);

/* Notes what `db`, just opened and read, has open. False: it is being moved this very moment. */
bool store_place_note(struct store_place *p, sqlite3 *db);

/* `path` as it was given to store_place_prepare; `db` is the caller's connection to the file. */
enum store_place_state store_place_look(struct store_place *p, const char *path, sqlite3 *db);

/* Removes the names of WAL and index where they still are those of `p`: they must not meet another database. */
void store_place_clear(const struct store_place *p);

#endif
