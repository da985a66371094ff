/*
 * backing_file_mark.h: whether a directory is the store, or only where it should be mounted.
 *
 * Runs in a backing worker, in the threads of backing_file.c; any number at once. Blocks on the disk. An empty mount
 * point looks as a store that has nothing, and would answer "absent" to all. So a store has a mark, PATH/.platoon: a
 * line with a random name, made at first use, in a directory that is empty or has nothing but objects. Each request
 * looks at it, by the same descriptor of PATH by which it goes on. What the mark was is remembered here, and in a file
 * of this host, for the start after a boot: a directory that has none then, or another, is not the store (rejected:
 * st_dev, which is another one after each mount of many file systems, and says nothing at a start). An empty mark is a
 * person's word that this is the store; it gets the name that is remembered, or a new one.
 */
#ifndef WORKERS_CACHE_BACKING_FILE_MARK_H
#define WORKERS_CACHE_BACKING_FILE_MARK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define BACKING_MARK         ".platoon"
#define BACKING_MARK_ID_SIZE 33
#define BACKING_MARK_TEMPORARY                                                                     \
    ".platoon-" /* what is being written in PATH, and never a reason to refuse it */

struct backing_file_mark {
    const char *path;              /* of the store; the owner's */
    char *remembered;              /* file of this host; NULL: none */
    pthread_mutex_t mutex;         /* of what follows */
    char id[BACKING_MARK_ID_SIZE]; /* "": nothing is known yet */
    bool is_remembered;
};

/* `remembered` may be NULL. False: memory is short, nothing is to be freed. */
bool backing_file_mark_init(struct backing_file_mark *m, const char *path, const char *remembered);
void backing_file_mark_fini(struct backing_file_mark *m);

/*
 * Whether `root`, a descriptor of PATH, is the store; makes the mark when nothing speaks against that. 0; -ESTALE: it
 * is not, and `why` says what a person can do; -EAGAIN: another process is making the mark, so it is to be looked at
 * again; another negative errno. `why` is "" otherwise.
 */
int backing_file_mark_look(struct backing_file_mark *m, int root, char *why, size_t why_size);

/* Remembers on this host what the mark is, if that is to be done still. 0 or a negative errno. */
int backing_file_mark_remember(struct backing_file_mark *m);

#endif
