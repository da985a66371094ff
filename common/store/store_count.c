/*
 * store_count.c: a store that counts records and forgets them, for measuring everything in front of it.
 *
 * Runs in transfer workers of a store with `type = count` (scripts/bench/drain). What it takes is gone.
 */
#include "common/store/store_backend.h"

#include <stdio.h>
#include <stdlib.h>

static void store_count_close(struct store *s)
{
    free(s);
}

static enum store_result store_count_open(const struct store_options *options, struct store **out,
                                          struct store_error *error)
{
    (void)options;
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        snprintf(error->text, sizeof error->text, "store of type count: memory is short");
        return STORE_RETRY;
    }
    s->ops = &store_count_ops;
    *out = s;
    return STORE_OK;
}

static enum store_result store_count_write(struct store *s, const struct store_record *records,
                                           size_t count, struct store_error *error)
{
    (void)s;
    (void)records;
    (void)count;
    (void)error;
    return STORE_OK;
}

static enum store_result store_count_try(struct store *s, const struct store_record *record,
                                         struct store_error *error)
{
    return store_count_write(s, record, 1, error);
}

static enum store_result store_count_report(struct store *s, const struct store_query *query,
                                            store_row_fn on_row, void *ctx, uint64_t *total,
                                            struct store_error *error)
{
    (void)s;
    (void)query;
    (void)on_row;
    (void)ctx;
    (void)total;
    snprintf(error->text, sizeof error->text,
             "a store of type count keeps no records: set type = sqlite");
    return STORE_BROKEN;
}

const struct store_ops store_count_ops = {
    .type = "count",
    .open = store_count_open,
    .close = store_count_close,
    .write = store_count_write,
    .try = store_count_try,
    .report = store_count_report,
};
