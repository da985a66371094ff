/*
 * health_metrics.c: see health_metrics.h.
 *
 * The text wants all samples of one metric together, the tree has all metrics of one worker together: so the tree is
 * read once into rows, and the rows are walked once for each metric.
 */
#include "workers/health/health_metrics.h"

#include "common/unpack.h"
#include "proto/counters.h"
#include "proto/worker_types.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEALTH_DEPTH_MAX 32
#define HEALTH_TYPE_MAX  64

struct health_row {
    struct slice name, type, state;
    uint64_t pid, restarts, uptime_ms, rss_bytes, generation;
    uint64_t counters[COUNTER_COUNT];
    bool counted[COUNTER_COUNT];
    bool running, unstable;
};

struct health_rows {
    struct health_row *list;
    size_t count, cap;
    bool failed;
};

/* ---- reading ---- */

static struct health_row *health_add_row(struct health_rows *rows)
{
    if (rows->count == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 16;
        struct health_row *grown = realloc(rows->list, cap * sizeof *grown);
        if (grown == NULL) {
            rows->failed = true;
            return NULL;
        }
        rows->list = grown;
        rows->cap = cap;
    }
    rows->list[rows->count] = (struct health_row){.restarts = 0};
    return &rows->list[rows->count++];
}

static void health_read_counters(struct unpack *u, struct health_row *row)
{
    uint32_t count = unpack_map(u);
    for (uint32_t i = 0; i < count && unpack_ok(u); i++) {
        struct slice name = unpack_str(u);
        uint64_t value = unpack_u64(u);
        enum counter c = unpack_ok(u) ? counter_find(name.ptr, name.len) : COUNTER_COUNT;
        if (c == COUNTER_COUNT)
            continue;
        row->counters[c] = value;
        row->counted[c] = true;
    }
}

/* A number, or nil for none. */
static uint64_t health_read_number(struct unpack *u, bool *there)
{
    *there = unpack_peek(u) != UNPACK_NIL;
    if (*there)
        return unpack_u64(u);
    unpack_raw(u);
    return 0;
}

static void health_read_node(struct unpack *u, struct health_rows *rows, int depth);

static void health_read_children(struct unpack *u, struct health_rows *rows, int depth)
{
    uint32_t count = unpack_array(u);
    for (uint32_t i = 0; i < count && unpack_ok(u); i++)
        health_read_node(u, rows, depth + 1);
}

static void health_read_pair(struct unpack *u, struct slice key, struct health_row *row,
                             bool *worker)
{
    bool there;
    if (slice_is(key, "name"))
        row->name = unpack_str(u);
    else if (slice_is(key, "kind"))
        *worker = slice_is(unpack_str(u), "worker");
    else if (slice_is(key, "type"))
        row->type = unpack_str(u);
    else if (slice_is(key, "state"))
        row->state = unpack_str(u);
    else if (slice_is(key, "unstable"))
        row->unstable = unpack_bool(u);
    else if (slice_is(key, "restarts"))
        row->restarts = unpack_u64(u);
    else if (slice_is(key, "generation"))
        row->generation = unpack_u64(u);
    else if (slice_is(key, "uptime_ms"))
        row->uptime_ms = health_read_number(u, &row->running);
    else if (slice_is(key, "pid"))
        row->pid = health_read_number(u, &there);
    else if (slice_is(key, "counters"))
        health_read_counters(u, row);
    else
        unpack_raw(u);
}

static void health_read_node(struct unpack *u, struct health_rows *rows, int depth)
{
    uint32_t pairs = unpack_map(u);
    struct health_row row = {.restarts = 0};
    bool worker = false;
    if (depth > HEALTH_DEPTH_MAX)
        rows->failed = true;
    for (uint32_t i = 0; i < pairs && unpack_ok(u) && !rows->failed; i++) {
        struct slice key = unpack_str(u);
        if (slice_is(key, "children"))
            health_read_children(u, rows, depth);
        else
            health_read_pair(u, key, &row, &worker);
    }
    struct health_row *place = worker && !rows->failed ? health_add_row(rows) : NULL;
    if (place != NULL)
        *place = row;
}

/* ---- writing ---- */

static void health_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP platoon_%s %s\n# TYPE platoon_%s %s\n", name, help, name, type);
}

/* Names and types of workers hold no byte that would need escaping (config_check.c). */
static void health_labels(struct buffer *out, const char *name, const struct health_row *row)
{
    buffer_printf(out, "platoon_%s{worker=\"%.*s\",type=\"%.*s\"", name, (int)row->name.len,
                  row->name.ptr, (int)row->type.len, row->type.ptr);
}

static void health_counter(struct buffer *out, const struct health_rows *rows, enum counter c,
                           const char *help)
{
    bool head = false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct health_row *row = &rows->list[i];
        if (!row->counted[c])
            continue;
        if (!head)
            health_head(out, counter_name(c), counter_is_monotonic(c) ? "counter" : "gauge", help);
        head = true;
        health_labels(out, counter_name(c), row);
        buffer_printf(out, "} %" PRIu64 "\n", row->counters[c]);
    }
}

/* Each worker's own: a sum of them all would fall with the end of one, which nobody could tell from a new start. */
static void health_histogram(struct buffer *out, const struct health_rows *rows, enum counter first,
                             const char *name, const char *help)
{
    char part[HEALTH_TYPE_MAX + 16];
    bool head = false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct health_row *row = &rows->list[i];
        const uint64_t *cells = row->counters + first;
        if (!row->counted[first + HISTOGRAM_ALL])
            continue;
        if (!head)
            health_head(out, name, "histogram", help);
        head = true;
        snprintf(part, sizeof part, "%s_bucket", name);
        for (int b = 0; b < HISTOGRAM_BOUNDS; b++) {
            health_labels(out, part, row);
            buffer_printf(out, ",le=\"%s\"} %" PRIu64 "\n", histogram_bounds[b].le, cells[b]);
        }
        health_labels(out, part, row);
        buffer_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", cells[HISTOGRAM_ALL]);
        snprintf(part, sizeof part, "%s_sum", name);
        health_labels(out, part, row);
        buffer_printf(out, "} %.3f\n", (double)cells[HISTOGRAM_SUM_MS] / 1000);
        snprintf(part, sizeof part, "%s_count", name);
        health_labels(out, part, row);
        buffer_printf(out, "} %" PRIu64 "\n", cells[HISTOGRAM_ALL]);
    }
}

static void health_histograms(struct buffer *out, const struct health_rows *rows)
{
    enum counter first;
    const char *name, *help;
    for (size_t i = 0; counter_histogram(i, &first, &name, &help); i++)
        health_histogram(out, rows, first, name, help);
}

static void health_states(struct buffer *out, const struct health_rows *rows)
{
    health_head(out, "worker_state", "gauge", "state of the worker: the one that is 1");
    for (size_t i = 0; i < rows->count; i++) {
        health_labels(out, "worker_state", &rows->list[i]);
        buffer_printf(out, ",state=\"%.*s\"} 1\n", (int)rows->list[i].state.len,
                      rows->list[i].state.ptr);
    }
}

static void health_numbers(struct buffer *out, const struct health_rows *rows, const char *name,
                           const char *type, const char *help,
                           double (*value)(const struct health_row *row))
{
    health_head(out, name, type, help);
    for (size_t i = 0; i < rows->count; i++) {
        health_labels(out, name, &rows->list[i]);
        buffer_printf(out, "} %.15g\n", value(&rows->list[i]));
    }
}

static double health_is_ready(const struct health_row *row)
{
    return slice_is(row->state, "READY") && !row->unstable;
}

static double health_restarts(const struct health_row *row)
{
    return (double)row->restarts;
}

static double health_uptime(const struct health_row *row)
{
    return row->running ? (double)row->uptime_ms / 1000 : 0;
}

static double health_resident(const struct health_row *row)
{
    return (double)row->rss_bytes;
}

/* A program's worker is nothing beside its program. */
static void health_measure(struct health_rows *rows, health_memory *memory)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct health_row *row = &rows->list[i];
        char type[HEALTH_TYPE_MAX];
        if (row->pid != 0 && slice_copy(row->type, type, sizeof type))
            row->rss_bytes = memory(row->pid, worker_type_runs_program(type));
    }
}

bool health_metrics(struct buffer *out, struct slice node, bool ready, uint64_t uptime_ms,
                    health_memory *memory)
{
    static const char *const helps[] = {
#define X(NAME, name, kind, help) [COUNTER_##NAME] = help,
        SYSTEMS(COUNTERS, X)
#undef X
    };
    struct health_rows rows = {.count = 0};
    struct unpack u = unpack_start(node);
    health_read_node(&u, &rows, 0);
    bool good = unpack_end(&u) && !rows.failed;
    if (good)
        health_measure(&rows, memory);
    if (good) {
        health_head(out, "build_info", "gauge", "version of platoon");
        buffer_append_text(out, "platoon_build_info{version=\"" PLATOON_VERSION "\"} 1\n");
        health_head(out, "ready", "gauge", "1 when every worker is ready");
        buffer_printf(out, "platoon_ready %d\n", ready);
        health_head(out, "uptime_seconds", "gauge", "age of the master");
        buffer_printf(out, "platoon_uptime_seconds %.3f\n", (double)uptime_ms / 1000);
        health_states(out, &rows);
        health_numbers(out, &rows, "worker_ready", "gauge", "1 when the worker is ready",
                       health_is_ready);
        health_numbers(out, &rows, "worker_restarts_total", "counter",
                       "restarts of the worker since the master's start", health_restarts);
        health_numbers(out, &rows, "worker_uptime_seconds", "gauge",
                       "age of the worker's process, 0 without one", health_uptime);
        health_numbers(out, &rows, "worker_resident_memory_bytes", "gauge",
                       "resident memory of the worker's process", health_resident);
        for (int c = 0; c < COUNTER_PLAIN; c++)
            health_counter(out, &rows, (enum counter)c, helps[c]);
        health_histograms(out, &rows);
    }
    free(rows.list);
    return good && buffer_ok(out);
}
