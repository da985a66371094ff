/*
 * backing_known.h: what is known of objects in S3: ETag and version, and which requests are unaccounted for.
 *
 * Runs in a backing worker. A bounded table; what has not been used for longest goes first, and costs one HEAD more
 * when the object is stored again. Pure: times are the caller's.
 */
#ifndef WORKERS_CACHE_BACKING_KNOWN_H
#define WORKERS_CACHE_BACKING_KNOWN_H

#include "common/slice.h"

#include <stdint.h>

#define BACKING_ETAG_SIZE 72 /* of one that is remembered; longer ones are not */

struct backing_fact {
    char etag[BACKING_ETAG_SIZE]; /* as it came; "": not known */
    uint64_t version;
    uint64_t learned_ms;
};

struct backing_known;

/* For so many objects. NULL when memory is short. */
struct backing_known *backing_known_new(size_t max);
void backing_known_free(struct backing_known *k); /* accepts NULL */

/* NULL: nothing is known. Lives until the next call with the same table. */
const struct backing_fact *backing_known_find(struct backing_known *k, const char *name);

/*
 * What an answer has shown. An older version than is known does not count: answers overtake each other. Short of
 * memory, nothing is learned.
 */
void backing_known_learn(struct backing_known *k, const char *name, const char *etag,
                         uint64_t version, uint64_t now_ms);

/* It is not as was known; doubts stay. */
void backing_known_forget(struct backing_known *k, const char *name);

/*
 * Doubts: a write that was sent and never answered may still arrive, until then, where the object has the ETag that its
 * condition named ("": where there is no object). BACKING_DOUBTS of them an object are kept; of more, that which ends
 * first is not.
 */
#define BACKING_DOUBTS 4

void backing_known_doubt(struct backing_known *k, const char *name, const char *etag,
                         uint64_t until_ms);

/* When the last doubt of an object ends, of that ETag or (NULL) of any; 0: there is none. */
uint64_t backing_known_doubted(struct backing_known *k, const char *name, const char *etag,
                               uint64_t now_ms);

#endif
