/*
 * backing_file.h: a directory as a store of objects. See backing.h.
 *
 * Runs in a backing worker. PATH/hh/NAME holds an object's bytes, its attribute user.platoon the text of
 * backing_meta.h; a file that a person put there has none and is of version 0. Written beside as PATH/.platoon-RANDOM,
 * synced, and renamed under the lock of PATH/hh/.lock, behind which versions are compared: so several processes may
 * write, and a reader sees the old or the new. All of it in libuv's threads, because it blocks; a call whose deadline
 * passes meanwhile is answered, and what its thread still does is undone or in order. PATH itself is never made: it may
 * be where something should be mounted; and what is not known to be the store (backing_file_mark.h) is FORBIDDEN.
 */
#ifndef WORKERS_CACHE_BACKING_FILE_H
#define WORKERS_CACHE_BACKING_FILE_H

#include "workers/cache/backing/backing.h"

struct backing_file_options {
    const char *path;
    const char *remembered; /* backing_file_mark.h; NULL: no file of this host's */
    size_t value_max;       /* longest value read */
};

#define BACKING_FILE_CALLS                                                                         \
    1024 /* at once, those included that were given up while their threads still work */

/* 0 and *out for ops->free, or -ENOMEM. Does not look at the directory: the check does. */
int backing_file_new(uv_loop_t *loop, const struct backing_file_options *options,
                     struct backing **out);

#endif
