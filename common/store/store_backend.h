/*
 * store_backend.h: what a back-end of store.h provides. Private to common/store*.c.
 */
#ifndef COMMON_STORE_BACKEND_H
#define COMMON_STORE_BACKEND_H

#include "common/store/store.h"

/* Rows over time are bounded too: a slot of a second over ten years must not fill the answer. */
#define STORE_REPORT_SLOTS_MAX 10000

/* Called when somebody reads rows of a report: on_row of store_report. */
typedef void (*store_row_fn)(const struct store_report_row *row, bool over_time, void *ctx);

/* Semantics of each as in store.h. A back-end embeds struct store as its first member. */
struct store_ops {
    const char *type;
    enum store_result (*open)(const struct store_options *options, struct store **out,
                              struct store_error *error);
    void (*close)(struct store *s);
    enum store_result (*write)(struct store *s, const struct store_record *records, size_t count,
                               struct store_error *error);
    enum store_result (*try)(struct store *s, const struct store_record *record,
                             struct store_error *error);
    enum store_result (*report)(struct store *s, const struct store_query *query,
                                store_row_fn on_row, void *ctx, uint64_t *total,
                                struct store_error *error);
    bool (*rest)(struct store *s, struct store_error *error); /* NULL: nothing to give up */
};

struct store {
    const struct store_ops *ops;
    struct store_error news; /* for store_take_news; empty: none */
    struct store_error ails; /* for store_ails; empty: nothing */
};

extern const struct store_ops store_sqlite_ops;
extern const struct store_ops store_postgres_ops;
extern const struct store_ops store_count_ops;

#endif
