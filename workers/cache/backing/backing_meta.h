/*
 * backing_meta.h: what is said of an object beside its bytes: "v=VERSION;e=EXPIRY_MS;f=FORM;d=1".
 *
 * Runs in a backing worker. Pure. In S3 the header x-amz-meta-platoon, in a directory the attribute user.platoon. v is
 * always there; e is left out of what never expires, f of bytes, d of what is not deleted. Read strictly: what is
 * damaged, or of a later form, must not be taken for an old version and overwritten.
 */
#ifndef WORKERS_CACHE_BACKING_META_H
#define WORKERS_CACHE_BACKING_META_H

#include "common/slice.h"

#include <stdint.h>

#define BACKING_NEVER     INT64_MAX /* cache_db's CACHE_NEVER */
#define BACKING_META_SIZE 96

/*
 * Versions are microseconds since 1970; this one is November 2286. What is above is no version, in what is read and in
 * what is to be written: whoever has it could not be overwritten by anybody for ages, and 2^64-1 never.
 */
#define BACKING_VERSION_MAX UINT64_C(9999999999999999)

struct backing_meta {
    uint64_t version;  /* 0: of a file or object that a person put there, without this text */
    int64_t expiry_ms; /* UTC; BACKING_NEVER */
    unsigned form;     /* enum cache_form */
    bool deleted;      /* a tombstone */
};

/* Of what has no such text. */
#define BACKING_META_NONE ((struct backing_meta){.expiry_ms = BACKING_NEVER})

/* Writes it with a NUL; returns `text`. */
char *backing_meta_write(const struct backing_meta *meta, char text[BACKING_META_SIZE]);

/* False, *meta untouched: it is not such a text. */
bool backing_meta_read(struct slice text, struct backing_meta *meta);

#endif
