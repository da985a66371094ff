/* ctl_status.c: the verb `status`. See ctl_render.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_usage.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "proto/counters.h"

#include <errno.h>
#include <inttypes.h>

static void add_workers(struct ctl_table *t, const json_t *node)
{
    if (strcmp(ctl_value_text(node, "kind"), "worker") == 0) {
        ctl_table_cell(t, CTL_PLAIN, slice_of(ctl_value_text(node, "name")));
        ctl_tree_cells(t, node);
    }
    size_t i;
    json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        add_workers(t, child);
    }
}

/* A text a line, broken at the width. */
static void render_texts(const json_t *texts, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"", false, false}};
    struct ctl_table t;
    ctl_table_init(&t, columns, 1);
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text)
    {
        ctl_table_note(&t, CTL_PLAIN, slice_of("  "), slice_of(json_string_value(text)));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

static void render_problems(const json_t *node, size_t width, bool color, struct buffer *out)
{
    const json_t *problems = json_object_get(node, "problems");
    bool ready = json_is_true(json_object_get(node, "ready"));
    const char *name = ctl_value_text(node, "name");
    struct buffer line = BUFFER_EMPTY;
    buffer_printf(&line, "%s is %s", name, ready ? "ready" : "not ready");
    if (json_array_size(problems) > 0)
        buffer_append_text(&line, ":");
    buffer_append_char(out, '\n');
    ctl_append_color(out, color, ready ? CTL_GREEN : CTL_RED, buffer_slice(&line));
    buffer_append_char(out, '\n');
    render_texts(problems, width, color, out);
    if (!buffer_ok(&line))
        out->failed = true;
    buffer_fini(&line);
}

/* What may break a promise, though nothing keeps anybody from work (proto/systems.h, WARNINGS). */
static void render_warnings(const json_t *node, size_t width, bool color, struct buffer *out)
{
    const json_t *warnings = json_object_get(node, "warnings");
    if (json_array_size(warnings) == 0)
        return;
    buffer_append_text(out, "warnings:\n");
    render_texts(warnings, width, color, out);
}

void ctl_status_render(const json_t *root, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"NAME", false, false}, CTL_TREE_COLUMNS};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    add_workers(&t, root);
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
    render_problems(root, width, color, out);
    render_warnings(root, width, color, out);
}

/* ---- one node ---- */

#define STATUS_LABEL "%-11s"

static void line_text(struct buffer *out, const char *label, const char *text)
{
    if (text[0] == '\0')
        return;
    buffer_printf(out, STATUS_LABEL, label);
    ctl_append_safe(out, slice_of(text));
    buffer_append_char(out, '\n');
}

static void line_state(const json_t *node, bool color, struct buffer *out)
{
    const char *state = ctl_tree_state(node);
    char span[TEXT_NUMBER_SIZE];
    buffer_printf(out, STATUS_LABEL, "state");
    ctl_append_color(out, color, ctl_tree_state_color(state), slice_of(state));
    buffer_printf(out, ", wanted %s", ctl_value_text(node, "wanted"));
    if (json_is_integer(json_object_get(node, "next_start_ms")))
        buffer_printf(out, ", next try in %s",
                      clock_format_span(ctl_value_u64(node, "next_start_ms"), span, sizeof span));
    buffer_append_char(out, '\n');
}

static void line_process(const json_t *node, struct buffer *out)
{
    char span[TEXT_NUMBER_SIZE], size[TEXT_NUMBER_SIZE];
    if (json_is_integer(json_object_get(node, "pid")))
        buffer_printf(out,
                      STATUS_LABEL "pid %" PRIu64 ", generation %" PRIu64 ", up %s, memory %s\n",
                      "process", ctl_value_u64(node, "pid"), ctl_value_u64(node, "generation"),
                      clock_format_span(ctl_value_u64(node, "uptime_ms"), span, sizeof span),
                      text_format_size_short(ctl_value_u64(node, "rss_bytes"), size));
    buffer_printf(out, STATUS_LABEL "%" PRIu64 "\n", "restarts", ctl_value_u64(node, "restarts"));
    if (json_is_true(json_object_get(node, "unstable")) && ctl_value_u64(node, "deaths") > 0)
        buffer_printf(out, STATUS_LABEL "%" PRIu64 " in a row\n", "deaths",
                      ctl_value_u64(node, "deaths"));
}

static void render_counters(const json_t *node, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"COUNTER", false, false}, {"VALUE", true, false}, {"PER SECOND", true, false}};
    json_t *counters = json_object_get(node, "counters");
    const json_t *rates = json_object_get(node, "rates");
    if (json_object_size(counters) == 0)
        return;
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    const char *name;
    json_t *value;
    json_object_foreach(counters, name, value)
    {
        char count[TEXT_NUMBER_SIZE];
        ctl_table_cell(&t, CTL_PLAIN, slice_of(name));
        ctl_table_cell(&t, CTL_PLAIN,
                       slice_of(text_format_count(ctl_value_u64(counters, name), count)));
        ctl_table_printf(&t, CTL_PLAIN, "%.1f", ctl_value_real(rates, name));
    }
    buffer_append_char(out, '\n');
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_status_render_node(const json_t *node, size_t width, bool color, struct buffer *out)
{
    line_text(out, "name", ctl_value_text(node, "name"));
    line_text(out, strcmp(ctl_value_text(node, "kind"), "worker") == 0 ? "type" : "strategy",
              ctl_value_text(node, "type"));
    line_state(node, color, out);
    line_process(node, out);
    line_text(out, "doing", ctl_value_text(node, "doing"));
    line_text(out, "trouble", ctl_value_text(node, "trouble"));
    line_text(out, "last exit", ctl_value_text(node, "last_exit"));
    render_counters(node, width, color, out);
    if (json_array_size(json_object_get(node, "children")) > 0) {
        buffer_append_char(out, '\n');
        ctl_status_render(node, width, color, out);
    } else {
        render_problems(node, width, color, out);
        render_warnings(node, width, color, out);
    }
}

/* The gauges that warn, of all workers at or below `node`, as lines of text. -1 when memory is short. */
static int status_find_warnings(const json_t *node, json_t *lines)
{
    int rc = 0;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *warning = counter_warning((enum counter)i);
        const json_t *counters = json_object_get(node, "counters");
        if (warning == NULL || ctl_value_u64(counters, counter_name((enum counter)i)) == 0 ||
            strcmp(ctl_value_text(node, "kind"), "worker") != 0)
            continue;
        rc |= json_array_append_new(lines,
                                    json_sprintf("%s: %s", ctl_value_text(node, "name"), warning));
    }
    size_t i;
    const json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        rc |= status_find_warnings(child, lines);
    }
    return rc;
}

int ctl_status_add_warnings(json_t *node)
{
    json_t *lines = json_array();
    int rc = lines != NULL ? status_find_warnings(node, lines) : -1;
    return json_object_set_new(node, "warnings", lines) == 0 && rc == 0 ? 0 : -ENOMEM;
}

int ctl_status_run(struct ctl *c)
{
    struct slice name = slice_of(c->args.argc > 0 ? c->args.argv[0] : "");
    json_t *node = NULL;
    int status = ctl_usage_request(c, "status", (size_t)c->args.argc, &name, &node);
    if (status != CONTROL_OK)
        return status;
    if (ctl_status_add_warnings(node) != 0)
        c->out.failed = true;
    if (c->args.json)
        ctl_print_json(c, node);
    else if (c->args.argc > 0)
        ctl_status_render_node(node, c->width, c->color, &c->out);
    else
        ctl_status_render(node, c->width, c->color, &c->out);
    bool ready = json_is_true(json_object_get(node, "ready"));
    json_decref(node);
    return ready ? CONTROL_OK : CONTROL_NOT_READY;
}
