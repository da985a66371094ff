/*
 * transfer_store.h: rows into the store, all but those that it refuses.
 *
 * Runs in transfer workers, on the store's thread, and blocks it. Touches nothing but struct transfer_store and the
 * rows it is given. A record is refused only when the store took another after it had refused this one: else it is the
 * table that is at fault, and all of it waits.
 */
#ifndef WORKERS_TRANSFER_STORE_H
#define WORKERS_TRANSFER_STORE_H

#include "workers/drain/transfer.h"

/* A record that the store will not have. */
struct transfer_refusal {
    uint64_t seq;
    char reason[512];
};

struct transfer_store {
    struct store *store; /* NULL: not open yet */
    struct store_options options;
    uint64_t batch; /* records of one transaction */
    struct store_record *records;
    size_t count, record_cap;
    struct transfer_refusal *refusals; /* of the last call */
    size_t refusal_count, refusal_cap;
    struct buffer good; /* bucket, key and data of a record that was taken; empty: none yet */
    size_t good_bucket, good_key;
    uint64_t good_seq;
    const struct store_record *taken; /* of `records`, in this call; NULL: none */
    unsigned tries;                   /* calls without anything that was taken */
    uint64_t sampled; /* records that were tried: each time it goes on with others */
    struct store_error error;
};

/*
 * STORE_OK: each row is durable or among the refusals. Any other: nothing is known of any, and writing all of it again
 * has the same effect.
 */
enum store_result transfer_store_write(struct transfer_store *t, const struct transfer_rows *rows);

void transfer_store_fini(struct transfer_store *t);

#endif
