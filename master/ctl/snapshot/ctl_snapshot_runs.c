/* ctl_snapshot_runs.c: the verbs of resources that are made: show, run, wait. See ctl_snapshot.h. */
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/snapshot/ctl_snapshot.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- show ---- */

static void show_line(struct buffer *out, const char *name, const char *value)
{
    if (value[0] != '\0')
        buffer_printf(out, "%-9s %s\n", name, value);
}

static void show_run(const json_t *run, struct buffer *out)
{
    char span[TEXT_NUMBER_SIZE];
    const json_t *said = json_object_get(run, "stderr");
    if (!json_is_object(run))
        return;
    buffer_printf(out, "last run  %s at %s, %s\n", ctl_value_text(run, "result"),
                  ctl_value_text(run, "at"),
                  text_format_span(ctl_value_u64(run, "duration_ms"), span));
    if (json_is_string(said) && json_string_length(said) > 0) {
        buffer_append_text(out, "stderr\n");
        buffer_append(out, json_string_value(said), json_string_length(said));
        if (out->len > 0 && out->data[out->len - 1] != '\n')
            buffer_append_char(out, '\n');
    }
}

void ctl_snapshot_render_show(const json_t *r, struct buffer *out)
{
    const json_t *inputs = json_object_get(r, "inputs");
    size_t i;
    json_t *input;
    show_line(out, "resource", ctl_value_text(r, "resource"));
    show_line(out, "path", ctl_value_text(r, "path"));
    show_line(out, "state", ctl_value_text(r, "state"));
    show_line(out, "error", ctl_value_text(r, "error"));
    if (json_object_get(r, "seq") != NULL)
        buffer_printf(
            out, "version   seq %" PRIu64 ", commit %.12s, %" PRIu64 " bytes, %s, by %s\n",
            ctl_value_u64(r, "seq"), ctl_value_text(r, "commit"), ctl_value_u64(r, "size"),
            ctl_value_text(r, "time"), ctl_value_text(r, "source"));
    show_line(out, "checked", ctl_value_text(r, "checked"));
    show_line(out, "next", ctl_value_text(r, "next"));
    json_array_foreach(inputs, i, input)
    {
        buffer_printf(out, "input     %s %.12s\n", ctl_value_text(input, "resource"),
                      ctl_value_text(input, "commit"));
    }
    show_run(json_object_get(r, "last_run"), out);
}

int ctl_snapshot_show_run(struct ctl *c)
{
    char store[CONTRACT_NAME_MAX];
    json_t *shown = NULL;
    int status = ctl_snapshot_of(c, c->args.argv[0], store);
    if (status != CONTROL_OK)
        return status;
    const struct slice words[] = {slice_of(c->args.argv[0])};
    status = ctl_snapshot_ask(c, store, "snapshot-show", 1, words, &shown);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, shown);
    else if (status == CONTROL_OK)
        ctl_snapshot_render_show(shown, &c->out);
    json_decref(shown);
    return status;
}

/* ---- run ---- */

int ctl_snapshot_run_run(struct ctl *c)
{
    const char *resource = c->args.argv[0];
    char store[CONTRACT_NAME_MAX];
    json_t *answer = NULL;
    int status = ctl_snapshot_of(c, resource, store);
    if (status != CONTROL_OK)
        return status;
    const struct slice words[] = {slice_of(resource)};
    status = ctl_snapshot_ask(c, store, "snapshot-run", 1, words, &answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, answer);
    else if (status == CONTROL_OK)
        buffer_printf(&c->out, "%s: %s, seq %" PRIu64 ", commit %.12s\n", resource,
                      ctl_value_text(answer, "result"), ctl_value_u64(answer, "seq"),
                      ctl_value_text(answer, "commit"));
    json_decref(answer);
    return status;
}

/* ---- wait ---- */

struct waiting {
    const char *only; /* NULL: all */
    size_t met;
    json_t *rows;
};

static int wait_store(struct ctl *c, const char *store, void *ctx)
{
    struct waiting *w = ctx;
    json_t *rows = NULL;
    if (w->only != NULL && strcmp(w->only, store) != 0)
        return CONTROL_OK;
    w->met++;
    int status = ctl_snapshot_ask(c, store, "snapshot-wait", 0, NULL, &rows);
    if (status == CONTROL_OK && json_array_extend(w->rows, rows) != 0)
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    json_decref(rows);
    return status;
}

static int wait_fail(const json_t *rows)
{
    struct buffer text = BUFFER_EMPTY;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        buffer_printf(&text, "%s%s is %s: %s", i > 0 ? "; " : "", ctl_value_text(row, "resource"),
                      ctl_value_text(row, "state"), ctl_value_text(row, "error"));
    }
    const char *said = buffer_text(&text);
    int status = ctl_fail(CONTROL_ERROR, "%s", said != NULL ? said : "not enough memory");
    buffer_fini(&text);
    return status;
}

int ctl_snapshot_wait_run(struct ctl *c)
{
    struct waiting w = {.only = c->args.argc > 0 ? c->args.argv[0] : NULL, .rows = json_array()};
    int status = ctl_snapshot_each(c, wait_store, &w);
    if (status == CONTROL_OK && w.only != NULL && w.met == 0)
        status = ctl_fail(CONTROL_NO_NAME,
                          "no snapshot named '%s': platoonctl snapshot list names them", w.only);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, w.rows);
    if (status == CONTROL_OK && json_array_size(w.rows) > 0)
        status = wait_fail(w.rows);
    json_decref(w.rows);
    return status;
}
