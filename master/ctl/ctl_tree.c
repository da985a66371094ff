/* ctl_tree.c: the verb `tree`. See ctl_render.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_usage.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>

enum ctl_color ctl_tree_state_color(const char *state)
{
    static const struct {
        const char *state;
        enum ctl_color color;
    } colors[] = {
        {"READY", CTL_GREEN},  {"STARTING", CTL_YELLOW}, {"DRAINING", CTL_YELLOW},
        {"BACKOFF", CTL_RED},  {"FATAL", CTL_RED},       {"STOPPED", CTL_DIM},
        {"UNSTABLE", CTL_RED},
    };
    for (size_t i = 0; i < sizeof colors / sizeof colors[0]; i++) {
        if (strcmp(state, colors[i].state) == 0)
            return colors[i].color;
    }
    return CTL_PLAIN;
}

/* Who dies again and again is not shown by what it is at this moment. */
const char *ctl_tree_state(const json_t *node)
{
    const char *state = ctl_value_text(node, "state");
    bool lives = strcmp(state, "READY") == 0 || strcmp(state, "STARTING") == 0 ||
                 strcmp(state, "BACKOFF") == 0;
    return lives && json_is_true(json_object_get(node, "unstable")) ? "UNSTABLE" : state;
}

static void cell_doing(struct ctl_table *t, const json_t *node)
{
    char span[TEXT_NUMBER_SIZE];
    const json_t *next = json_object_get(node, "next_start_ms");
    if (json_is_integer(next))
        ctl_table_printf(
            t, CTL_PLAIN, "next try in %s",
            clock_format_span(ctl_value_u64(node, "next_start_ms"), span, sizeof span));
    else
        ctl_table_cell(t, CTL_PLAIN, slice_of(ctl_value_text(node, "doing")));
}

void ctl_tree_cells(struct ctl_table *t, const json_t *node)
{
    bool worker = strcmp(ctl_value_text(node, "kind"), "worker") == 0;
    const char *state = ctl_tree_state(node);
    char text[TEXT_NUMBER_SIZE];
    ctl_table_cell(t, ctl_tree_state_color(state), slice_of(state));
    if (json_is_integer(json_object_get(node, "pid")))
        ctl_table_printf(t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(node, "pid"));
    else
        ctl_table_cell(t, CTL_DIM, slice_of(worker ? "-" : ""));
    if (json_is_integer(json_object_get(node, "uptime_ms")))
        clock_format_span(ctl_value_u64(node, "uptime_ms"), text, sizeof text);
    else
        strcpy(text, worker ? "-" : "");
    ctl_table_cell(t, CTL_PLAIN, slice_of(text));
    uint64_t restarts = ctl_value_u64(node, "restarts");
    if (worker || restarts > 0)
        ctl_table_printf(t, restarts > 0 ? CTL_YELLOW : CTL_PLAIN, "%" PRIu64, restarts);
    else
        ctl_table_cell(t, CTL_PLAIN, slice_of(""));
    if (json_is_integer(json_object_get(node, "rss_bytes")))
        text_format_size_short(ctl_value_u64(node, "rss_bytes"), text);
    else
        strcpy(text, worker ? "-" : "");
    ctl_table_cell(t, CTL_PLAIN, slice_of(text));
    cell_doing(t, node);
}

/* What keeps it from its work: its own words, or how it died while it is down because of that. */
static const char *trouble_of(const json_t *node)
{
    const char *trouble = ctl_value_text(node, "trouble");
    const char *state = ctl_value_text(node, "state");
    bool died = strcmp(ctl_tree_state(node), "UNSTABLE") == 0 || strcmp(state, "BACKOFF") == 0 ||
                strcmp(state, "FATAL") == 0;
    if (trouble[0] != '\0' || strcmp(ctl_value_text(node, "kind"), "worker") != 0 || !died)
        return trouble;
    return ctl_value_text(node, "last_exit");
}

/* `lead` stands in front of the node's children; it is left as it was. */
static void draw_children(struct ctl_table *t, const json_t *node, struct buffer *lead);

static void draw_node(struct ctl_table *t, const json_t *node, struct buffer *lead,
                      const char *branch)
{
    const char *name = ctl_value_text(node, "name");
    const char *last = strrchr(name, '/');
    const json_t *children = json_object_get(node, "children");
    bool root = branch[0] == '\0';
    struct buffer cell = BUFFER_EMPTY;
    buffer_append_slice(&cell, buffer_slice(lead));
    buffer_printf(&cell, "%s%s%s", branch, last != NULL ? last + 1 : name,
                  !root && strcmp(ctl_value_text(node, "kind"), "branch") == 0 ? "/" : "");
    ctl_table_cell(t, root ? CTL_BOLD : CTL_PLAIN, buffer_slice(&cell));
    t->failed |= !buffer_ok(&cell);
    buffer_fini(&cell);
    ctl_tree_cells(t, node);

    size_t len = lead->len;
    if (!root)
        buffer_append_text(lead, strcmp(branch, "└── ") == 0 ? "    " : "│   ");
    const char *trouble = trouble_of(node);
    if (trouble[0] != '\0') {
        size_t own = lead->len;
        buffer_append_text(lead, json_array_size(children) > 0 ? "│ " : "  ");
        ctl_table_note(t, CTL_RED, buffer_slice(lead), slice_of(trouble));
        lead->len = own;
    }
    draw_children(t, node, lead);
    lead->len = len;
}

static void draw_children(struct ctl_table *t, const json_t *node, struct buffer *lead)
{
    const json_t *children = json_object_get(node, "children");
    size_t count = json_array_size(children);
    for (size_t i = 0; i < count; i++)
        draw_node(t, json_array_get(children, i), lead, i + 1 == count ? "└── " : "├── ");
}

void ctl_tree_render(const json_t *root, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"", false, false}, CTL_TREE_COLUMNS};
    struct ctl_table t;
    struct buffer lead = BUFFER_EMPTY;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    draw_node(&t, root, &lead, "");
    t.failed |= !buffer_ok(&lead);
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
    buffer_fini(&lead);
}

int ctl_tree_run(struct ctl *c)
{
    json_t *root = NULL;
    int status = ctl_usage_request(c, "tree", 0, NULL, &root);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, root);
    else if (status == CONTROL_OK)
        ctl_tree_render(root, c->width, c->color, &c->out);
    json_decref(root);
    return status;
}
