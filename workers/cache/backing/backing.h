/*
 * backing.h: a store of objects behind the nodes: put, get, erase, by key and version.
 *
 * Runs in a backing worker; one thread, whose loop is never blocked. A struct of functions, of which there are two:
 * a directory (backing_file.c) and S3 (backing_s3.c). What it promises: an older version never overwrites a newer, in
 * whatever order requests of however many writers arrive, late or repeated, within what the store can be asked for
 * (backing_s3.h says what that is there). It knows no nodes, and tries nothing again for long: when to try again, and
 * when to give up, is the caller's (backing_retry.h).
 *
 * The caller sees to it that there is one put or erase of a key at a time. After one that was answered AWAY it is not
 * known whether it was done: the same or a newer version may be put then, and is right either way.
 */
#ifndef WORKERS_CACHE_BACKING_H
#define WORKERS_CACHE_BACKING_H

#include "workers/cache/backing/backing_meta.h"

#include <uv.h>

#define BACKING_WHY_SIZE 640

enum backing_result {
    BACKING_DONE,      /* durable, as far as the store can say so */
    BACKING_ABSENT,    /* there is none; with a tombstone's version, else 0 */
    BACKING_NEWER,     /* not done: a newer version is there, which is meta.version */
    BACKING_AWAY,      /* again later; what was asked for may have been done, or not */
    BACKING_FORBIDDEN, /* a person must mend something, then it goes on: `why` says what */
    BACKING_REFUSED,   /* this object, for good; of a check: the configuration (exit code 78) */
};

struct backing_answer {
    enum backing_result result;
    struct backing_meta meta; /* of a get DONE; its version: see ABSENT, NEWER */
    struct slice value;       /* of a get; lives for the callback */
    const char *why;          /* one line with cause and remedy; "" when there is nothing to say */
    uint64_t retry_after_ms;  /* what the store asked for; 0: nothing */
};

typedef void (*backing_answer_fn)(const struct backing_answer *answer, void *ctx);

struct backing;
struct backing_call;

/*
 * Each of the first four: 0, and fn is called once from the loop, never from here, at the latest timeout_ms later (AWAY
 * then), with *call valid until then; -ENOMEM. Any number at once. fn may start and cancel others; it must not free the
 * store.
 */
struct backing_ops {
    /* Whether the store can be used as it must be; to be DONE once before anything else is asked. */
    int (*check)(struct backing *b, uint64_t timeout_ms, backing_answer_fn fn, void *ctx,
                 struct backing_call **call);

    /*
     * DONE, NEWER or why not. meta->version from 1 on. A deletion is a put of nothing with meta->deleted, a tombstone:
     * what keeps a late older version from coming back. The value is not copied: it lives until fn is called or the
     * call cancelled. DONE as well when exactly this version is there.
     */
    int (*put)(struct backing *b, struct slice key, struct slice value,
               const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
               void *ctx, struct backing_call **call);

    /* DONE (also what has expired: the caller's clock judges), ABSENT or why not. */
    int (*get)(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
               void *ctx, struct backing_call **call);

    /*
     * Takes a tombstone of that version away, to save its room. DONE: it is gone, or stays because this store cannot do
     * it safely (b->erases is false). NEWER: something else is there, which stays. Not before BACKING_GRAVE_MS have
     * passed since the tombstone's put, so that no request from before it is still under way.
     */
    int (*erase)(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                 backing_answer_fn fn, void *ctx, struct backing_call **call);

    /* fn will not be called. It may be done all the same. */
    void (*cancel)(struct backing_call *call);

    /* Ends all without calling back. What is left goes in the loop: run it until it is empty. */
    void (*free)(struct backing *b);
};

/* The head of either; made by backing_file_new or backing_s3_new. */
struct backing {
    const struct backing_ops *ops;
    bool erases; /* known after the check */
};

/* A request that is still under way so long after it was given up is one no more: S3's signatures end after 15 min. */
#define BACKING_GRAVE_MS (UINT64_C(16) * 60 * 1000)

#endif
