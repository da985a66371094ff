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
const char *ctl_tree_state(const json_t *node);
enum ctl_color ctl_tree_state_color(const char *state);
void ctl_tree_cells(struct ctl_table *t, const json_t *node);
#define CTL_TREE_COLUMNS                                                                           \
    {"STATE", false, false}, {"PID", true, false}, {"UPTIME", true, false},                        \
        {"RESTARTS", true, false}, {"MEMORY", true, false},                                        \
    {                                                                                              \
        "DOING", false, true                                                                       \
    }

/*
 * Adds "warnings" to a node of a status answer: a line for each gauge that warns (proto/systems.h, WARNINGS), of all
 * workers at or below it. 0 or -ENOMEM.
 */
int ctl_status_add_warnings(json_t *node);

/* One line a worker, then the problems and the warnings (ctl_status.c). */
void ctl_status_render(const json_t *root, size_t width, bool color, struct buffer *out);

/* Everything about one node. */
void ctl_status_render_node(const json_t *node, size_t width, bool color, struct buffer *out);

/* Log lines as the master packs them (logs.h), a line each; a crash report with nothing in it that a terminal obeys. */
void ctl_logs_render(const json_t *lines, bool color, struct buffer *out);
void ctl_crashes_render_text(const char *text, struct buffer *out);

/* The tree, its routes and what systems draw beside it, as DOT (ctl_graph.c). */
void ctl_graph_render(const json_t *root, struct buffer *out);

#endif
