/* transfer_store.c: see transfer_store.h. */
#include "workers/drain/transfer_store.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>

/* Kept of a record that was taken, to try the table with. */
#define TRANSFER_GOOD_BYTES 65536
/*
 * Records tried in search of one that is taken, before all of it waits; from the second time on as many more as the
 * time allows, for the one that is taken may be among thousands.
 */
#define TRANSFER_SAMPLES   16
#define TRANSFER_SAMPLE_MS 500
/* A prime above any count of rows: its multiples, modulo the count, are each of them once. */
#define TRANSFER_STRIDE UINT64_C(2654435761)

/* ---- in order ---- */

static int transfer_by_key(const void *a, const void *b)
{
    const struct store_record *x = a, *y = b;
    const struct slice pairs[2][2] = {{x->bucket, y->bucket}, {x->key, y->key}};
    for (int i = 0; i < 2; i++) {
        size_t n = pairs[i][0].len < pairs[i][1].len ? pairs[i][0].len : pairs[i][1].len;
        int order = n > 0 ? memcmp(pairs[i][0].ptr, pairs[i][1].ptr, n) : 0;
        if (order == 0)
            order = (pairs[i][0].len > pairs[i][1].len) - (pairs[i][0].len < pairs[i][1].len);
        if (order != 0)
            return order;
    }
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* In key order: neighbours share pages of the tree. Of one key the newest comes last, and stays. */
static bool transfer_lay_out(struct transfer_store *t, const struct transfer_rows *rows)
{
    if (rows->count > t->record_cap) {
        struct store_record *grown = realloc(t->records, rows->count * sizeof *grown);
        if (grown == NULL)
            return false;
        t->records = grown;
        t->record_cap = rows->count;
    }
    uint64_t now = clock_wall_ms();
    const char *bytes = rows->bytes.data;
    for (size_t i = 0; i < rows->count; i++) {
        const struct transfer_row *r = &rows->list[i];
        t->records[i] =
            (struct store_record){.bucket = slice_make(bytes + r->bucket, r->bucket_len),
                                  .key = slice_make(bytes + r->key, r->key_len),
                                  .data = slice_make(bytes + r->data, r->data_len),
                                  .seq = r->seq,
                                  .updated_at_ms = now};
    }
    qsort(t->records, rows->count, sizeof *t->records, transfer_by_key);
    return true;
}

/* ---- does the table take anything? ---- */

static void transfer_keep_good(struct transfer_store *t, const struct store_record *r)
{
    t->tries = 0;
    t->taken = r;
    if (r->bucket.len + r->key.len + r->data.len > TRANSFER_GOOD_BYTES)
        return;
    buffer_clear(&t->good);
    buffer_append_slice(&t->good, r->bucket);
    t->good_bucket = t->good.len;
    buffer_append_slice(&t->good, r->key);
    t->good_key = t->good.len;
    buffer_append_slice(&t->good, r->data);
    t->good_seq = r->seq;
    if (!buffer_ok(&t->good))
        buffer_clear(&t->good);
}

/*
 * The least that a record can be, with this one's number and time: a column that takes no number of ours takes none of
 * any record.
 */
static enum store_result transfer_try_probe(struct transfer_store *t,
                                            const struct store_record *like)
{
    struct store_error ignored; /* the reason that counts is that of the records */
    struct store_record r = {.bucket = like->bucket,
                             .key = slice_of("platoon-probe"),
                             .data = slice_of("{}"),
                             .seq = like->seq,
                             .updated_at_ms = like->updated_at_ms};
    return store_try(t->store, &r, &ignored);
}

/* Something that was taken before: when the table takes it now, what it refused is at fault itself. */
static enum store_result transfer_try_good(struct transfer_store *t)
{
    struct store_error ignored;
    const char *p = t->good.data;
    enum store_result result =
        t->taken != NULL ? store_try(t->store, t->taken, &ignored) : STORE_REFUSED;
    if (t->good.len == 0 || result != STORE_REFUSED)
        return result;
    struct store_record r = {.bucket = slice_make(p, t->good_bucket),
                             .key = slice_make(p + t->good_bucket, t->good_key - t->good_bucket),
                             .data = slice_make(p + t->good_key, t->good.len - t->good_key),
                             .seq = t->good_seq,
                             .updated_at_ms = t->records[0].updated_at_ms};
    return store_try(t->store, &r, &ignored);
}

/* All over the rows, others each time: what is refused may stand side by side, and be more than one transaction. */
static enum store_result transfer_try_samples(struct transfer_store *t)
{
    struct store_error ignored;
    enum store_result result = STORE_REFUSED;
    uint64_t until = clock_mono_ms() + TRANSFER_SAMPLE_MS;
    for (size_t i = 0; i < t->count && result == STORE_REFUSED; i++) {
        if (i >= TRANSFER_SAMPLES && (t->tries == 0 || clock_mono_ms() >= until))
            break;
        const struct store_record *r = &t->records[t->sampled++ * TRANSFER_STRIDE % t->count];
        result = store_try(t->store, r, &ignored);
        if (result == STORE_OK)
            transfer_keep_good(t, r);
    }
    return result;
}

/* STORE_OK: it takes one of the rows, or another; STORE_REFUSED: nothing that was tried. */
static enum store_result transfer_table_takes(struct transfer_store *t)
{
    enum store_result result = transfer_try_good(t);
    if (result == STORE_REFUSED)
        result = transfer_try_probe(t, &t->records[0]);
    return result == STORE_REFUSED ? transfer_try_samples(t) : result;
}

/* ---- writing ---- */

static enum store_result transfer_refuse_one(struct transfer_store *t, const struct store_record *r)
{
    if (t->refusal_count == t->refusal_cap) {
        size_t cap = t->refusal_cap ? 2 * t->refusal_cap : 16;
        struct transfer_refusal *grown = realloc(t->refusals, cap * sizeof *grown);
        if (grown == NULL)
            return STORE_RETRY;
        t->refusals = grown;
        t->refusal_cap = cap;
    }
    struct transfer_refusal *refusal = &t->refusals[t->refusal_count++];
    refusal->seq = r->seq;
    snprintf(refusal->reason, sizeof refusal->reason, "the store refuses it: %s", t->error.cause);
    utf8_mend(refusal->reason);
    return STORE_OK;
}

static enum store_result transfer_put(struct transfer_store *t, size_t at, size_t count)
{
    enum store_result result = store_write(t->store, t->records + at, count, &t->error);
    if (result == STORE_OK)
        transfer_keep_good(t, &t->records[at]);
    return result;
}

/* What was refused as a whole, in halves, until what is refused stands alone. */
static enum store_result transfer_split(struct transfer_store *t, size_t at, size_t count)
{
    if (count == 1)
        return transfer_refuse_one(t, &t->records[at]);
    size_t half = count / 2;
    const size_t parts[2][2] = {{at, half}, {at + half, count - half}};
    enum store_result result = STORE_OK;
    for (int i = 0; i < 2 && result == STORE_OK; i++) {
        result = transfer_put(t, parts[i][0], parts[i][1]);
        if (result == STORE_REFUSED)
            result = transfer_split(t, parts[i][0], parts[i][1]);
    }
    return result;
}

/* One that came alone is written a second time: what the store was short of for a moment is nobody's fault. */
static enum store_result transfer_find(struct transfer_store *t, size_t at, size_t count)
{
    enum store_result result = count == 1 ? transfer_put(t, at, 1) : STORE_REFUSED;
    return result == STORE_REFUSED ? transfer_split(t, at, count) : result;
}

/*
 * The table is tried before (a right that is missing must not cost a transaction for each record) and after: it may
 * have changed in between.
 */
static enum store_result transfer_search(struct transfer_store *t, size_t at, size_t count)
{
    struct store_error first = t->error;
    enum store_result result = transfer_table_takes(t);
    if (result == STORE_OK) {
        result = transfer_find(t, at, count);
        if (result == STORE_OK)
            result = transfer_table_takes(t);
    }
    if (result != STORE_OK)
        t->error = first;
    return result;
}

static enum store_result transfer_write_part(struct transfer_store *t, size_t at, size_t count)
{
    enum store_result result = transfer_put(t, at, count);
    return result == STORE_REFUSED ? transfer_search(t, at, count) : result;
}

enum store_result transfer_store_write(struct transfer_store *t, const struct transfer_rows *rows)
{
    t->refusal_count = 0;
    t->count = rows->count;
    t->taken = NULL;
    if (rows->count == 0)
        return STORE_OK; /* every record was refused before */
    snprintf(t->error.text, sizeof t->error.text, "memory is short for a batch of %zu records",
             rows->count);
    enum store_result result = transfer_lay_out(t, rows) ? STORE_OK : STORE_RETRY;
    if (result == STORE_OK && t->store == NULL)
        result = store_open(&t->options, &t->store, &t->error);
    if (FAULT_POINT("transfer.before-store", slice_of("")))
        result = STORE_RETRY;
    /*
     * In key order over all of it, and no transaction above `batch`: when a later one fails, writing the earlier
     * ones again does no harm.
     */
    for (size_t at = 0; at < rows->count && result == STORE_OK; at += t->batch)
        result = transfer_write_part(
            t, at, rows->count - at < t->batch ? rows->count - at : (size_t)t->batch);
    t->tries += result == STORE_REFUSED;
    t->taken = NULL; /* the rows are the caller's */
    return result;
}

void transfer_store_fini(struct transfer_store *t)
{
    store_close(t->store);
    free(t->records);
    free(t->refusals);
    buffer_fini(&t->good);
}
