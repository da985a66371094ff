/*
 * backing_s3.h: a bucket in S3 as a store of objects. See backing.h.
 *
 * Runs in a backing worker. PREFIX/NAME holds an object's bytes, its header x-amz-meta-platoon the text of
 * backing_meta.h. An object that a person put there has none and is of version 0. Every write has a condition: that
 * there is no such object when nothing is known of it, else that it has the ETag under which its version was seen. One
 * that does not hold (412) leads to a look at what is there (HEAD), and again.
 *
 * What that holds, and what it does not. On most servers an ETag is the MD5 of the bytes, so two versions with the same
 * bytes have the same one, and all that are empty, tombstones too: "has this ETag" does not say "is this version". An
 * older write could then pass over a newer one that has the bytes of the one that the older had seen. Against that:
 * - What is known is not used when it is older than known_ms, of a deletion or empty: the object is looked at, and
 *   versions are compared, just before the write.
 * - Our own write that was never answered may arrive late. While it may (BACKING_S3_DOUBT_MS), no write is sent that
 *   would give the object the ETag which that one waits for; the object is stored later (AWAY). Nor is a tombstone
 *   taken away.
 * - What is left is another writer's request under way between our look and our write, with those same bytes. In a ring
 *   that writer's lease has ended before ours began; without one there is one platoon.
 * A worker that was killed does not know what it had under way: a server has done that within seconds, long before a
 * successor could have gone through two versions with the same bytes; signatures end it for good after 15 min.
 * With conditional = false nothing has a condition: an object is looked at before it is written, and that is all.
 */
#ifndef WORKERS_CACHE_BACKING_S3_H
#define WORKERS_CACHE_BACKING_S3_H

#include "common/http/s3_client.h"
#include "workers/cache/backing/backing.h"

#define BACKING_S3_KNOWN    16384u /* objects: some 3 MB */
#define BACKING_S3_KNOWN_MS 60000u
#define BACKING_S3_DOUBT_MS 60000u

struct backing_s3_options {
    struct s3_options
        s3; /* bare_etags is found out by the check; http.answer_max: longest value read */
    bool conditional;
    size_t known_max;  /* objects of which ETag and version are remembered */
    uint64_t known_ms; /* how long that is used without a look */
    uint64_t doubt_ms;
};

/*
 * 0 and *out for ops->free; or a negative errno with one line in `why`, as s3_client_new. The check writes an object
 * "%-probe-RANDOM" and takes it away again: REFUSED (78) when the server ignores conditions, loses x-amz-meta, or takes
 * ETags in no form.
 */
int backing_s3_new(uv_loop_t *loop, const struct backing_s3_options *options, struct backing **out,
                   char *why, size_t why_size);

#endif
