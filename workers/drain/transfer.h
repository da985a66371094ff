/*
 * transfer.h: what the files of the transfer worker share.
 *
 * transfer.c          the worker: batches, the store, answers
 * transfer_records.c  from a RECORDS message to rows: decoding, key, JSON
 * transfer_store.c    from rows into the store; what that refuses is found
 * transfer_key_*.c    the drain's key service, asked before that when there is one (transfer_key_service.h)
 */
#ifndef WORKERS_TRANSFER_H
#define WORKERS_TRANSFER_H

#include "common/store/store.h"
#include "common/template.h"
#include "workers/skeleton/worker.h"

/* What a key service said of one record: both names, or why there are none. */
struct transfer_key {
    char *bucket, *key;
    char *refusal;
};

void transfer_key_fini(struct transfer_key *key);

/* Where bucket and key come from: the templates, or one answer for each record in their order. */
struct transfer_keys {
    struct template *bucket;
    struct template *key;
    const char *bucket_text, *key_text; /* for reasons */
    const struct transfer_key *answers; /* NULL: the templates */
};

/* The fields of one record; the memory is used again for the next. */
struct transfer_fields {
    struct template_field *list;
    size_t cap;
};

struct transfer_record {
    uint64_t seq;
    struct slice member;
    size_t count; /* of fields */
};

/* A row of the batch: offsets into `bytes`, because that moves while it grows. */
struct transfer_row {
    size_t bucket, bucket_len;
    size_t key, key_len;
    size_t data, data_len;
    uint64_t seq;
};

/* Rows that wait for the store. */
struct transfer_rows {
    struct transfer_row *list;
    size_t count, cap;
    struct buffer bytes;
    struct transfer_fields fields; /* of the record being read */
};

void transfer_rows_clear(struct transfer_rows *rows);
void transfer_rows_fini(struct transfer_rows *rows);

/* Appends the rows of `from`, which keeps its own. False, and nothing changed: memory is short. */
bool transfer_rows_join(struct transfer_rows *to, const struct transfer_rows *from);

/* One entry of STORED's array of what can never be stored; counts it. */
void transfer_refusal_pack(struct buffer *out, uint64_t seq, const char *reason, uint32_t *count);

/* Reads one record, [seq, member, n, field, value, …]; its bytes are borrowed from u. 0, -EBADMSG or -ENOMEM. */
int transfer_record_read(struct transfer_fields *fields, struct unpack *u,
                         struct transfer_record *r);

/*
 * Reads `count` records and appends their rows; what can never be stored is packed into `refused` as [seq,
 * reason] and counted in *refused_count. Returns 0; -EBADMSG when the blob is not what it should be, -ENOMEM:
 * then no row of it was added.
 */
int transfer_records_read(struct transfer_rows *rows, const struct transfer_keys *keys,
                          struct slice records, uint64_t count, struct buffer *refused,
                          uint32_t *refused_count);

#endif
