/*
 * ctl_graph.c: the verb `graph`: the tree and the routes of messages in DOT (https://graphviz.org/doc/info/lang.html).
 *
 * Who sends what to whom is not drawn by hand: the messages of proto/message.h say "from to: what" of themselves, and
 * every such pair within a drain is an edge. What a system draws beside its workers is its own (ctl_graph.h).
 */
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_dot.h"
#include "master/ctl/ctl_graph.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_usage.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "proto/message.h"

#include <stdio.h>

static const struct {
    const char *name, *doc;
} graph_messages[] = {
#define X(number, NAME, name, doc) {#NAME, doc},
    SYSTEMS(MESSAGES, X)
#undef X
};

static const char *graph_state_color(const char *state)
{
    return strcmp(state, "READY") == 0                                        ? "palegreen"
           : strcmp(state, "BACKOFF") == 0 || strcmp(state, "FATAL") == 0     ? "salmon"
           : strcmp(state, "STARTING") == 0 || strcmp(state, "DRAINING") == 0 ? "khaki"
                                                                              : "lightgrey";
}

static void graph_node(struct buffer *out, const json_t *node, int depth)
{
    const char *name = ctl_value_text(node, "name");
    const char *last = strrchr(name, '/');
    const json_t *children = json_object_get(node, "children");
    bool branch = strcmp(ctl_value_text(node, "kind"), "branch") == 0;
    buffer_printf(out, "%*s", 4 * depth, "");
    if (!branch) {
        ctl_dot_name(out, name);
        buffer_append_text(out, " [label=");
        ctl_dot_name(out, last != NULL ? last + 1 : name);
        buffer_printf(out, ", fillcolor=%s];\n", graph_state_color(ctl_value_text(node, "state")));
        for (size_t i = 0; i < json_array_size(children); i++)
            graph_node(out, json_array_get(children, i), depth);
        return;
    }
    buffer_append_text(out, "subgraph \"cluster_");
    ctl_dot_text(out, name);
    buffer_append_text(out, "\" {\n");
    buffer_printf(out, "%*slabel=", 4 * (depth + 1), "");
    ctl_dot_name(out, last != NULL ? last + 1 : name);
    buffer_append_text(out, ";\n");
    for (size_t i = 0; i < json_array_size(children); i++)
        graph_node(out, json_array_get(children, i), depth + 1);
    buffer_printf(out, "%*s}\n", 4 * depth, "");
}

/* "watcher to get-set: …" is from `from` to `to`. */
static bool graph_is_route(const char *doc, const char *from, const char *to)
{
    char head[2 * CONTRACT_NAME_MAX + 8];
    int len = snprintf(head, sizeof head, "%s to %s:", from, to);
    return len > 0 && (size_t)len < sizeof head && strncmp(doc, head, (size_t)len) == 0;
}

static void graph_edge(struct buffer *out, const json_t *from, const json_t *to)
{
    const char *group = ctl_value_text(from, "group");
    bool any = false;
    if (group[0] == '\0' || strcmp(group, ctl_value_text(to, "group")) != 0)
        return;
    for (size_t i = 0; i < sizeof graph_messages / sizeof graph_messages[0]; i++) {
        if (!graph_is_route(graph_messages[i].doc, ctl_value_text(from, "type"),
                            ctl_value_text(to, "type")))
            continue;
        if (!any) {
            buffer_append_text(out, "    ");
            ctl_dot_name(out, ctl_value_text(from, "name"));
            buffer_append_text(out, " -> ");
            ctl_dot_name(out, ctl_value_text(to, "name"));
        }
        buffer_printf(out, "%s%s", any ? "\\n" : " [label=\"", graph_messages[i].name);
        any = true;
    }
    if (any)
        buffer_append_text(out, "\"];\n");
}

static void graph_collect(const json_t *node, json_t *workers)
{
    const json_t *children = json_object_get(node, "children");
    if (ctl_value_text(node, "group")[0] != '\0')
        json_array_append(workers, (json_t *)(uintptr_t)node);
    for (size_t i = 0; i < json_array_size(children); i++)
        graph_collect(json_array_get(children, i), workers);
}

void ctl_graph_render(const json_t *root, struct buffer *out)
{
    json_t *workers = json_array();
    buffer_append_text(out, "digraph platoon {\n    rankdir=LR;\n    node [shape=box, "
                            "style=\"rounded,filled\"];\n");
    graph_node(out, root, 1);
    graph_collect(root, workers);
    for (size_t i = 0; i < json_array_size(workers); i++)
        for (size_t k = 0; k < json_array_size(workers); k++)
            graph_edge(out, json_array_get(workers, i), json_array_get(workers, k));
#define X(name) ctl_graph_##name##_render(root, out);
    SYSTEMS(GRAPHS, X)
#undef X
    buffer_append_text(out, "}\n");
    json_decref(workers);
}

int ctl_graph_run(struct ctl *c)
{
    json_t *root = NULL;
    int status = ctl_usage_request(c, "tree", 0, NULL, &root);
#define X(name)                                                                                    \
    if (status == CONTROL_OK)                                                                      \
        status = ctl_graph_##name(c, root);
    SYSTEMS(GRAPHS, X)
#undef X
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, root);
    else if (status == CONTROL_OK)
        ctl_graph_render(root, &c->out);
    json_decref(root);
    return status;
}
