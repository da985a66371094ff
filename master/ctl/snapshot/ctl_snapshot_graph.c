/*
 * ctl_snapshot_graph.c: what `graph` draws of snapshots: each resource with its state, and an edge from each of its
 * inputs. See ctl_graph.h.
 *
 * Runs in platoonctl. A resource's node is named "resource NAME": workers' names hold no blank, so none is another's.
 */
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_dot.h"
#include "master/ctl/ctl_graph.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/snapshot/ctl_snapshot.h"

#include <string.h>

/* ---- asking ---- */

/* What a store says, or false: *why is why it says nothing, and lives until the next question. */
static bool graph_ask(struct ctl *c, const char *store, const char *verb, const char *resource,
                      json_t **answer, const char **why)
{
    const struct slice words[] = {slice_of("snapshot"), slice_of(store), slice_of(verb),
                                  slice_of(resource != NULL ? resource : "")};
    struct slice body;
    *why = "the answer of its store is not well-formed";
    if (ctl_client_ask(&c->client, c->deadline, "ask", resource != NULL ? 4 : 3, words, &body) ==
        CONTROL_OK)
        return ctl_value_decode(body, answer) == 0;
    *why = ctl_client_why(&c->client);
    return false;
}

/* Of one resource: its row of the list, and the names of what it is made from. */
static bool graph_resource(struct ctl *c, const char *store, json_t *row, const char **why)
{
    json_t *shown = NULL, *names = json_array(), *input;
    size_t i;
    bool good = graph_ask(c, store, "snapshot-show", ctl_value_text(row, "resource"), &shown, why);
    json_array_foreach(json_object_get(shown, "inputs"), i, input)
    {
        json_array_append(names, json_object_get(input, "resource"));
    }
    json_object_set_new(row, "inputs", names);
    json_decref(shown);
    return good;
}

static int graph_store(struct ctl *c, const char *store, void *ctx)
{
    json_t *all = ctx, *rows = NULL, *row;
    const char *why = "";
    size_t i;
    bool good = graph_ask(c, store, "snapshot-list", NULL, &rows, &why);
    json_array_foreach(rows, i, row)
    {
        good = good && graph_resource(c, store, row, &why);
    }
    json_t *one = good ? json_pack("{s:s, s:O}", "store", store, "resources", rows)
                       : json_pack("{s:s, s:s, s:[]}", "store", store, "error", why, "resources");
    int status = one != NULL && json_array_append_new(all, one) == 0
                     ? CONTROL_OK
                     : ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    json_decref(rows);
    return status;
}

int ctl_graph_snapshot(struct ctl *c, json_t *root)
{
    json_t *all = json_array();
    int status = ctl_snapshot_each_in(c, root, graph_store, all);
    if (status == CONTROL_OK && json_array_size(all) > 0)
        json_object_set(root, "snapshots", all);
    json_decref(all);
    return status;
}

/* ---- drawing ---- */

static const char *graph_color(const char *state)
{
    return strcmp(state, "ok") == 0                                     ? "palegreen"
           : strcmp(state, "failed") == 0 || strcmp(state, "held") == 0 ? "salmon"
           : strcmp(state, "due") == 0 || strcmp(state, "running") == 0 ? "khaki"
                                                                        : "lightgrey";
}

static void graph_of(struct buffer *out, const char *resource)
{
    buffer_append_text(out, "\"resource ");
    ctl_dot_text(out, resource);
    buffer_append_char(out, '"');
}

static void graph_draw(struct buffer *out, const json_t *row)
{
    const char *name = ctl_value_text(row, "resource"), *state = ctl_value_text(row, "state");
    json_t *input;
    size_t i;
    buffer_append_text(out, "        ");
    graph_of(out, name);
    buffer_append_text(out, " [shape=ellipse, style=filled, label=\"");
    ctl_dot_text(out, name);
    buffer_append_text(out, "\\n");
    ctl_dot_text(out, state);
    buffer_printf(out, "\", fillcolor=%s];\n", graph_color(state));
    json_array_foreach(json_object_get(row, "inputs"), i, input)
    {
        buffer_append_text(out, "        ");
        graph_of(out, json_string_value(input) != NULL ? json_string_value(input) : "");
        buffer_append_text(out, " -> ");
        graph_of(out, name);
        buffer_append_text(out, ";\n");
    }
}

void ctl_graph_snapshot_render(const json_t *root, struct buffer *out)
{
    json_t *one, *row;
    size_t i, k;
    json_array_foreach(json_object_get(root, "snapshots"), i, one)
    {
        const char *store = ctl_value_text(one, "store"), *error = ctl_value_text(one, "error");
        buffer_append_text(out, "    subgraph \"cluster_resources ");
        ctl_dot_text(out, store);
        buffer_append_text(out, "\" {\n        label=\"resources of ");
        ctl_dot_text(out, store);
        buffer_append_text(out, error[0] != '\0' ? ": " : "");
        ctl_dot_text(out, error);
        buffer_append_text(out, "\";\n");
        json_array_foreach(json_object_get(one, "resources"), k, row)
        {
            graph_draw(out, row);
        }
        buffer_append_text(out, "    }\n");
    }
}
