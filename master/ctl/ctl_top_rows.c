/* ctl_top_rows.c: see ctl_top.h. */
#include "common/text.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_top.h"
#include "master/ctl/ctl_value.h"
#include "proto/counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP_NAME_NARROW 26 /* columns of a name where lines have less than TOP_WIDE */
#define TOP_WIDE        110

static const struct {
    char key;
    const char *what;
} sorts[TOP_SORT_COUNT] = {
#define X(NAME, key, what) [TOP_SORT_##NAME] = {key, what},
    TOP_SORT_LIST(X)
#undef X
};

const char *top_sort_name(enum top_sort sort)
{
    return sorts[sort].what;
}

enum top_sort top_sort_find(char key)
{
    int i = 0;
    while (i < TOP_SORT_COUNT && sorts[i].key != key)
        i++;
    return (enum top_sort)i;
}

/* ---- rows ---- */

static bool is_worker(const json_t *node)
{
    return strcmp(ctl_value_text(node, "kind"), "worker") == 0;
}

/* Name to node, so that a thousand workers are not looked up a thousand times by walking. */
static void index_workers(const json_t *node, json_t *index)
{
    const json_t *children = json_object_get(node, "children");
    if (is_worker(node))
        json_object_set(index, ctl_value_text(node, "name"), (json_t *)(uintptr_t)node);
    for (size_t i = 0; i < json_array_size(children); i++)
        index_workers(json_array_get(children, i), index);
}

static struct top_row *add_row(struct top_rows *rows)
{
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 64;
        struct top_row *grown = realloc(rows->list, cap * sizeof *grown);
        if (grown == NULL) {
            rows->failed = true;
            return NULL;
        }
        rows->list = grown;
        rows->cap = cap;
    }
    return &rows->list[rows->count++];
}

/* Only of one and the same process: a successor's time starts from nothing. */
static bool same_process(const json_t *before, const json_t *now)
{
    return before != NULL && json_is_integer(json_object_get(now, "cpu_ms")) &&
           ctl_value_u64(before, "generation") == ctl_value_u64(now, "generation") &&
           ctl_value_u64(before, "cpu_ms") <= ctl_value_u64(now, "cpu_ms");
}

static void fill_row(struct top_row *row, const json_t *before, const json_t *now,
                     uint64_t elapsed_ms)
{
    const json_t *rates = json_object_get(now, "rates");
    const json_t *counters = json_object_get(now, "counters");
    *row = (struct top_row){
        .node = now,
        .name = ctl_value_text(now, "name"),
        .state = ctl_tree_state(now),
        .rss_bytes = ctl_value_u64(now, "rss_bytes"),
        .restarts = ctl_value_u64(now, "restarts"),
        .depth = ctl_value_u64(counters, counter_name(COUNTER_MAILBOX_DEPTH)),
        .wait_ms = ctl_value_u64(counters, counter_name(COUNTER_MAILBOX_WAIT)),
        .in_rate = ctl_value_real(rates, counter_name(COUNTER_MESSAGES_IN)),
        .out_rate = ctl_value_real(rates, counter_name(COUNTER_MESSAGES_OUT)),
        .has_cpu = same_process(before, now) && elapsed_ms > 0,
    };
    if (row->has_cpu)
        row->cpu = (double)(ctl_value_u64(now, "cpu_ms") - ctl_value_u64(before, "cpu_ms")) * 100 /
                   (double)elapsed_ms;
}

static void collect(struct top_rows *rows, const json_t *node, const json_t *before,
                    uint64_t elapsed_ms, const char *filter)
{
    const json_t *children = json_object_get(node, "children");
    const char *name = ctl_value_text(node, "name");
    if (is_worker(node)) {
        rows->workers++;
        rows->ready += strcmp(ctl_tree_state(node), "READY") == 0;
        struct top_row *row = strstr(name, filter) != NULL ? add_row(rows) : NULL;
        if (row != NULL)
            fill_row(row, json_object_get(before, name), node, elapsed_ms);
    }
    for (size_t i = 0; i < json_array_size(children); i++)
        collect(rows, json_array_get(children, i), before, elapsed_ms, filter);
}

/* Larger first. */
static int compare_numbers(double a, double b)
{
    return a < b ? 1 : a > b ? -1 : 0;
}

static double sort_value(const struct top_row *row, enum top_sort sort)
{
    switch (sort) {
    case TOP_SORT_CPU:
        return row->cpu;
    case TOP_SORT_MEMORY:
        return (double)row->rss_bytes;
    case TOP_SORT_RESTARTS:
        return (double)row->restarts;
    case TOP_SORT_IN:
        return row->in_rate;
    case TOP_SORT_OUT:
        return row->out_rate;
    case TOP_SORT_WAIT:
        return (double)row->wait_ms;
    case TOP_SORT_NAME:
    case TOP_SORT_COUNT:
        break;
    }
    return 0;
}

static int compare_rows(const void *a, const void *b, void *sort)
{
    const struct top_row *x = a, *y = b;
    enum top_sort by = *(const enum top_sort *)sort;
    int order = compare_numbers(sort_value(x, by), sort_value(y, by));
    return order != 0 ? order : strverscmp(x->name, y->name);
}

void top_rows_make(struct top_rows *rows, const json_t *before, const json_t *now,
                   uint64_t elapsed_ms, const char *filter, enum top_sort sort)
{
    json_t *index = json_object();
    if (before != NULL)
        index_workers(before, index);
    collect(rows, now, index, elapsed_ms, filter);
    json_decref(index);
    if (rows->count > 1)
        qsort_r(rows->list, rows->count, sizeof *rows->list, compare_rows, &sort);
}

void top_rows_fini(struct top_rows *rows)
{
    free(rows->list);
    *rows = (struct top_rows){.count = 0};
}

/* ---- rendering ---- */

/* The end of a name says more than its beginning. */
static void cell_name(struct ctl_table *t, const char *name, size_t width, const char *mark,
                      bool selected)
{
    size_t len = strlen(name), most = width < TOP_WIDE ? TOP_NAME_NARROW : CONTRACT_NAME_MAX;
    enum ctl_color color = selected ? CTL_REVERSE : CTL_PLAIN;
    bool whole = len <= most;
    ctl_table_printf(t, color, "%s%s%s", mark, whole ? "" : "…",
                     whole ? name : name + len - most + 1);
}

static void cell_rate(struct ctl_table *t, double rate)
{
    if (rate >= 0.05)
        ctl_table_printf(t, CTL_PLAIN, rate < 10 ? "%.1f" : "%.0f", rate);
    else
        ctl_table_cell(t, CTL_DIM, slice_of("-"));
}

static void cell_count(struct ctl_table *t, uint64_t count, enum ctl_color color)
{
    if (count > 0)
        ctl_table_printf(t, color, "%" PRIu64, count);
    else
        ctl_table_cell(t, CTL_DIM, slice_of("-"));
}

/* Rates of the worker's own counters; messages have columns of their own. */
static void cell_rates(struct ctl_table *t, const json_t *node)
{
    struct buffer text = BUFFER_EMPTY;
    const json_t *rates = json_object_get(node, "rates");
    const char *trouble = ctl_value_text(node, "trouble");
    for (int i = 0; i < COUNTER_COUNT && trouble[0] == '\0'; i++) {
        const char *name = counter_name((enum counter)i);
        double rate = ctl_value_real(rates, name);
        if (i == COUNTER_MESSAGES_IN || i == COUNTER_MESSAGES_OUT || rate < 0.05)
            continue;
        const char *end = strstr(name, "_total");
        buffer_printf(&text, "%s%.*s %.0f/s", text.len > 0 ? "  " : "",
                      (int)(end != NULL ? end - name : (long)strlen(name)), name, rate);
    }
    if (trouble[0] != '\0')
        ctl_table_cell(t, CTL_RED, slice_of(trouble));
    else if (text.len > 0)
        ctl_table_cell(t, CTL_PLAIN, buffer_slice(&text));
    else
        ctl_table_cell(t, CTL_DIM, slice_of(ctl_value_text(node, "doing")));
    t->failed |= !buffer_ok(&text);
    buffer_fini(&text);
}

static void add_cells(struct ctl_table *t, const struct top_row *row, size_t width,
                      const char *mark, bool selected)
{
    char size[TEXT_NUMBER_SIZE];
    cell_name(t, row->name, width, mark, selected);
    ctl_table_cell(t, ctl_tree_state_color(row->state), slice_of(row->state));
    if (row->has_cpu)
        ctl_table_printf(t, row->cpu >= 90 ? CTL_YELLOW : CTL_PLAIN, "%.1f", row->cpu);
    else
        ctl_table_cell(t, CTL_DIM, slice_of("-"));
    if (row->rss_bytes > 0)
        text_format_size_short(row->rss_bytes, size);
    else
        strcpy(size, "-");
    ctl_table_cell(t, CTL_PLAIN, slice_of(size));
    cell_count(t, row->depth, CTL_PLAIN);
    if (row->wait_ms > 0)
        ctl_table_printf(t, row->wait_ms >= 1000 ? CTL_YELLOW : CTL_PLAIN, "%" PRIu64 "ms",
                         row->wait_ms);
    else
        ctl_table_cell(t, CTL_DIM, slice_of("-"));
    cell_rate(t, row->in_rate);
    cell_rate(t, row->out_rate);
    cell_count(t, row->restarts, CTL_YELLOW);
    cell_rates(t, row->node);
}

void top_rows_render(const struct top_rows *rows, size_t from, size_t most, size_t selected,
                     size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"NAME", false, false}, {"STATE", false, false},
                                                {"CPU%", true, false},  {"MEM", true, false},
                                                {"QUE", true, false},   {"WAIT", true, false},
                                                {"IN/s", true, false},  {"OUT/s", true, false},
                                                {"RST", true, false},   {"DOES", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = from; i < rows->count && i - from < most; i++)
        add_cells(&t, &rows->list[i], width, i == selected && !color ? ">" : "", i == selected);
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void top_rows_json(const struct top_rows *rows, struct buffer *out)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct top_row *row = &rows->list[i];
        json_t *object = json_pack(
            "{s:s,s:s,s:o,s:I,s:I,s:I,s:f,s:f,s:I,s:O?}", "name", row->name, "state", row->state,
            "cpu_percent", row->has_cpu ? json_real(row->cpu) : json_null(), "rss_bytes",
            (json_int_t)row->rss_bytes, "mailbox_depth", (json_int_t)row->depth, "mailbox_wait_ms",
            (json_int_t)row->wait_ms, "in_per_s", row->in_rate, "out_per_s", row->out_rate,
            "restarts", (json_int_t)row->restarts, "rates", json_object_get(row->node, "rates"));
        ctl_value_print_line(object, out);
    }
}
