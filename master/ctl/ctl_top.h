/*
 * ctl_top.h: the rows of `platoonctl top`: two looks at the tree, a second apart, become what each
 * worker uses and does now.
 *
 * Runs in platoonctl. Pure: the looks, the clock and the wishes are parameters; ctl_top.c has the terminal.
 */
#ifndef MASTER_CTL_CTL_TOP_H
#define MASTER_CTL_CTL_TOP_H

#include "common/buffer.h"
#include "proto/contract.h"

#include <jansson.h>
#include <stdint.h>

/* X(NAME, key, "what the rows are sorted by") */
/* clang-format off */
#define TOP_SORT_LIST(X)                                                                           \
    X(CPU, 'c', "processor")                                                                       \
    X(MEMORY, 'm', "memory")                                                                       \
    X(NAME, 'n', "name")                                                                           \
    X(RESTARTS, 'r', "restarts")                                                                   \
    X(IN, 'i', "messages in")                                                                      \
    X(OUT, 'o', "messages out")                                                                    \
    X(WAIT, 'w', "wait in the mailbox")
/* clang-format on */

enum top_sort {
#define X(NAME, key, what) TOP_SORT_##NAME,
    TOP_SORT_LIST(X)
#undef X
        TOP_SORT_COUNT
};

struct top_row {
    const json_t *node; /* borrowed from the later look */
    const char *name, *state;
    double cpu; /* percent of one processor */
    bool has_cpu;
    uint64_t rss_bytes, restarts, depth, wait_ms;
    double in_rate, out_rate;
};

struct top_rows {
    struct top_row *list;
    size_t count, cap;
    size_t ready, workers; /* of all, whatever the filter */
    bool failed;           /* memory was short */
};

/*
 * Fills *rows (which must be zeroed) with the workers of `now` whose name contains `filter`, sorted. `before` may be
 * NULL: then there is no processor time yet. `elapsed_ms` lies between both. top_rows_fini in every case.
 */
void top_rows_make(struct top_rows *rows, const json_t *before, const json_t *now,
                   uint64_t elapsed_ms, const char *filter, enum top_sort sort);
void top_rows_fini(struct top_rows *rows);

/* Appends the table of rows from..from+most; the one of index `selected` (or SIZE_MAX) is marked. */
void top_rows_render(const struct top_rows *rows, size_t from, size_t most, size_t selected,
                     size_t width, bool color, struct buffer *out);

/* The same as one JSON object a line. */
void top_rows_json(const struct top_rows *rows, struct buffer *out);

const char *top_sort_name(enum top_sort sort);

/* The order a key stands for; TOP_SORT_COUNT: none. */
enum top_sort top_sort_find(char key);

#endif
