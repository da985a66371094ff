/*
 * ctl_render.h: what people see of an answer. Pure functions from a value to text, for the verbs and for tests.
 *
 * Runs in platoonctl. `width` is the columns a line may have, `color` whether colours are written.
 */
#ifndef MASTER_CTL_CTL_RENDER_H
#define MASTER_CTL_CTL_RENDER_H

#include "master/ctl/ctl_table.h"

#include <jansson.h>
#include <stdint.h>

/* A node and all below it, drawn as a tree (ctl_tree.c). */
void ctl_tree_render(const json_t *root, size_t width, bool color, struct buffer *out);

/* Colour of a state; memory and time of a node as a cell shows them ("-" for none); what it does, with the next try. */
enum ctl_color ctl_tree_state_color(const char *state);
void ctl_tree_cells(struct ctl_table *t, const json_t *node);
#define CTL_TREE_COLUMNS                                                                           \
    {"STATE", false, false}, {"PID", true, false}, {"UPTIME", true, false},                        \
        {"RESTARTS", true, false}, {"MEMORY", true, false},                                        \
    {                                                                                              \
        "DOING", false, true                                                                       \
    }

/* One line a worker, then the problems (ctl_status.c). */
void ctl_status_render(const json_t *root, size_t width, bool color, struct buffer *out);

/* Everything about one node. */
void ctl_status_render_node(const json_t *node, size_t width, bool color, struct buffer *out);

/*
 * A Redis reply, still msgpack, as redis-cli prints it: raw, or (people = true) with types, quotes and numbers. False when it is no
 * well-formed value (ctl_redis.c).
 */
bool ctl_redis_render(struct slice reply, bool people, struct buffer *out);

/* An array of drains as a table (ctl_drain.c). */
void ctl_drain_render(const json_t *drains, size_t width, bool color, struct buffer *out);

/* What `drain wait` has seen, in milliseconds and members; rates are over the last few seconds. */
struct ctl_progress {
    const char *name;
    uint64_t done;
    uint64_t left;
    double rate;
};

/* One line: bar, per cent, members, rate, remaining time. No newline. */
void ctl_drain_render_progress(const struct ctl_progress *p, size_t width, struct buffer *out);

/* Log lines as the master packs them (logs.h), a line each; a crash report with nothing in it that a terminal obeys. */
void ctl_logs_render(const json_t *lines, bool color, struct buffer *out);
void ctl_crashes_render_text(const char *text, struct buffer *out);

/* The tree and its routes as DOT (ctl_graph.c). */
void ctl_graph_render(const json_t *root, struct buffer *out);

/* Dead letters: a table; or each with its data (ctl_dead.c). */
void ctl_dead_render(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_dead_render_data(const json_t *letters, bool color, struct buffer *out);

/* The answer of the report worker as tables with bars, and as CSV (ctl_report.c). */
void ctl_report_render(const json_t *report, size_t width, bool color, struct buffer *out);
void ctl_report_render_csv(const json_t *report, struct buffer *out);

#endif
