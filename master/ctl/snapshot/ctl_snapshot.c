/* ctl_snapshot.c: the verbs that look at snapshots: list, log, diff; whom all of them ask. See ctl_snapshot.h. */
#include "master/ctl/snapshot/ctl_snapshot.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/ctl_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOG_LIMIT  "20"
#define SHORT_ID   12 /* digits of a commit that people see */
#define STORES_MAX 256

/* ---- whom they ask ---- */

int ctl_snapshot_each_in(struct ctl *c, const json_t *node,
                         int (*fn)(struct ctl *c, const char *store, void *ctx), void *ctx)
{
    size_t i;
    json_t *child;
    int status = CONTROL_OK;
    if (strcmp(ctl_value_text(node, "type"), "snapshot") == 0) {
        char name[CONTRACT_NAME_MAX];
        const char *from = strchr(ctl_value_text(node, "name"), '/');
        const char *to = from != NULL ? strchr(from + 1, '/') : NULL;
        if (to != NULL &&
            slice_copy(slice_make(from + 1, (size_t)(to - from - 1)), name, sizeof name))
            status = fn(c, name, ctx);
    }
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        if (status != CONTROL_OK)
            break;
        status = ctl_snapshot_each_in(c, child, fn, ctx);
    }
    return status;
}

int ctl_snapshot_each(struct ctl *c, int (*fn)(struct ctl *c, const char *store, void *ctx),
                      void *ctx)
{
    json_t *root = NULL;
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status == CONTROL_OK)
        status = ctl_snapshot_each_in(c, root, fn, ctx);
    json_decref(root);
    return status;
}

int ctl_snapshot_ask(struct ctl *c, const char *store, const char *verb, size_t count,
                     const struct slice *args, json_t **answer)
{
    struct slice words[12] = {slice_of("snapshot"), slice_of(store), slice_of(verb)};
    for (size_t i = 0; i < count; i++)
        words[3 + i] = args[i];
    return ctl_request_json(c, "ask", 3 + count, words, answer);
}

struct of {
    const char *resource;
    char *store;
    struct text_nearest near;
    size_t stores;
    char best[CONTRACT_NAME_MAX];
    int status; /* of one that gave no list: it may be there that the resource is */
    char why[300];
};

/* One that is away keeps nobody from what another has. */
static int of_store(struct ctl *c, const char *store, void *ctx)
{
    const struct slice words[] = {slice_of("snapshot"), slice_of(store), slice_of("snapshot-list")};
    struct of *of = ctx;
    struct slice body;
    json_t *rows = NULL, *row;
    size_t i;
    of->stores++;
    int status = ctl_client_ask(&c->client, c->deadline, "ask", 3, words, &body);
    if (status != CONTROL_OK || ctl_value_decode(body, &rows) != 0) {
        of->status = status != CONTROL_OK ? status : CONTROL_ERROR;
        snprintf(of->why, sizeof of->why, "%s",
                 status != CONTROL_OK ? ctl_client_why(&c->client) : "its answer cannot be read");
        return status == CONTROL_TIMEOUT ? status : CONTROL_OK;
    }
    json_array_foreach(rows, i, row)
    {
        const char *name = ctl_value_text(row, "resource");
        if (strcmp(name, of->resource) == 0)
            slice_copy(slice_of(store), of->store, CONTRACT_NAME_MAX);
        text_nearest_offer(&of->near, name);
        if (of->near.best == name)
            snprintf(of->best, sizeof of->best, "%s", name); /* which goes with the rows */
        of->near.best = of->best[0] != '\0' ? of->best : NULL;
    }
    json_decref(rows);
    return CONTROL_OK;
}

int ctl_snapshot_of(struct ctl *c, const char *resource, char store[CONTRACT_NAME_MAX])
{
    struct of of = {
        .resource = resource, .store = store, .near = text_nearest_start(slice_of(resource))};
    store[0] = '\0';
    int status = ctl_snapshot_each(c, of_store, &of);
    if (store[0] != '\0')
        return CONTROL_OK;
    if (of.status != CONTROL_OK)
        return ctl_fail(of.status, "%s", of.why);
    if (status != CONTROL_OK)
        return status;
    if (of.stores == 0)
        return ctl_fail(CONTROL_NO_NAME, "there is no snapshot here: give the configuration a "
                                         "snapshot section, and a resource section");
    return ctl_fail(CONTROL_NO_NAME,
                    "no resource named '%s'%s%s%s platoonctl snapshot list names them", resource,
                    of.best[0] != '\0' ? ": did you mean '" : ".", of.best,
                    of.best[0] != '\0' ? "'?" : "");
}

/* ---- list ---- */

void ctl_snapshot_render_list(const json_t *resources, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"STORE", false, false}, {"RESOURCE", false, false},
                                                {"STATE", false, false}, {"SEQ", true, false},
                                                {"SIZE", true, false},   {"COMMIT", false, false},
                                                {"TIME", false, false},  {"NEXT", false, false},
                                                {"PATH", false, false},  {"ERROR", false, true}};
    struct ctl_table t;
    size_t i;
    json_t *r;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(resources, i, r)
    {
        char size[TEXT_NUMBER_SIZE];
        bool has = json_object_get(r, "seq") != NULL;
        const char *state = ctl_value_text(r, "state"), *next = ctl_value_text(r, "next");
        bool wrong = strcmp(state, "failed") == 0 || strcmp(state, "held") == 0;
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(r, "store")));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(r, "resource")));
        ctl_table_cell(&t,
                       wrong                      ? CTL_RED
                       : strcmp(state, "ok") == 0 ? CTL_GREEN
                                                  : CTL_PLAIN,
                       slice_of(state));
        if (has)
            ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(r, "seq"));
        else
            ctl_table_cell(&t, CTL_PLAIN, slice_of("-"));
        ctl_table_cell(
            &t, CTL_PLAIN,
            slice_of(has ? text_format_size_short(ctl_value_u64(r, "size"), size) : "-"));
        ctl_table_printf(&t, CTL_PLAIN, "%.*s", SHORT_ID, has ? ctl_value_text(r, "commit") : "-");
        ctl_table_cell(&t, CTL_PLAIN, slice_of(has ? ctl_value_text(r, "time") : "-"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(next[0] != '\0' ? next : "-"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(r, "path")));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(r, "error")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

struct listing {
    const char *only; /* NULL: all */
    size_t met;
    int status; /* of one that gave no list, which has been said: the others' are shown */
    json_t *rows;
};

static int list_store(struct ctl *c, const char *store, void *ctx)
{
    struct listing *l = ctx;
    json_t *rows = NULL;
    if (l->only != NULL && strcmp(l->only, store) != 0)
        return CONTROL_OK;
    l->met++;
    int status = ctl_snapshot_ask(c, store, "snapshot-list", 0, NULL, &rows);
    if (status == CONTROL_OK && json_array_extend(l->rows, rows) != 0)
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    json_decref(rows);
    if (status != CONTROL_OK)
        l->status = status;
    return status == CONTROL_TIMEOUT ? status : CONTROL_OK;
}

int ctl_snapshot_list_run(struct ctl *c)
{
    struct listing l = {.only = c->args.argc > 0 ? c->args.argv[0] : NULL, .rows = json_array()};
    int status = ctl_snapshot_each(c, list_store, &l);
    if (status == CONTROL_OK && l.only != NULL && l.met == 0)
        status = ctl_fail(CONTROL_NO_NAME,
                          "no snapshot named '%s': platoonctl snapshot list names them", l.only);
    bool shown = status == CONTROL_OK && (l.status == CONTROL_OK || json_array_size(l.rows) > 0);
    if (shown && c->args.json)
        ctl_print_json(c, l.rows);
    else if (shown)
        ctl_snapshot_render_list(l.rows, c->width, c->color, &c->out);
    json_decref(l.rows);
    return status != CONTROL_OK ? status : l.status;
}

/* ---- log ---- */

void ctl_snapshot_render_log(const json_t *versions, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"SEQ", true, false},     {"COMMIT", false, false},
                                                {"TIME", false, false},   {"SIZE", true, false},
                                                {"SOURCE", false, false}, {"BY", false, true}};
    struct ctl_table t;
    size_t i;
    json_t *v;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(versions, i, v)
    {
        char size[TEXT_NUMBER_SIZE];
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(v, "seq"));
        ctl_table_printf(&t, CTL_PLAIN, "%.*s", SHORT_ID, ctl_value_text(v, "commit"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(v, "time")));
        ctl_table_cell(&t, CTL_PLAIN,
                       slice_of(text_format_size_short(ctl_value_u64(v, "size"), size)));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(v, "source")));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(v, "by")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

const char *ctl_snapshot_words(struct ctl *c, const char *const *options, const char **values,
                               const char **more, int *status)
{
    const char *words[2] = {NULL, NULL};
    int count;
    *status = ctl_words_take(c, options, values, NULL, words, more != NULL ? 2 : 1, &count);
    if (*status == CONTROL_OK && count == 0)
        *status = ctl_fail_usage(c->args.verb, "which resource?");
    if (more != NULL)
        *more = words[1];
    return *status == CONTROL_OK ? words[0] : NULL;
}

int ctl_snapshot_log_run(struct ctl *c)
{
    static const char *const options[] = {"--limit", "--before", NULL};
    const char *values[2] = {NULL, NULL};
    char store[CONTRACT_NAME_MAX];
    json_t *versions = NULL;
    int status;
    const char *resource = ctl_snapshot_words(c, options, values, NULL, &status);
    if (status == CONTROL_OK)
        status = ctl_snapshot_of(c, resource, store);
    if (status != CONTROL_OK)
        return status;
    const struct slice words[] = {slice_of(resource),
                                  slice_of(values[0] != NULL ? values[0] : LOG_LIMIT),
                                  slice_of(values[1] != NULL ? values[1] : "0")};
    status = ctl_snapshot_ask(c, store, "snapshot-log", 3, words, &versions);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, versions);
    else if (status == CONTROL_OK)
        ctl_snapshot_render_log(versions, c->width, c->color, &c->out);
    json_decref(versions);
    return status;
}

/* ---- diff ---- */

int ctl_snapshot_diff_run(struct ctl *c)
{
    char store[CONTRACT_NAME_MAX];
    json_t *text = NULL;
    int status = ctl_snapshot_of(c, c->args.argv[0], store);
    if (status != CONTROL_OK)
        return status;
    const struct slice words[] = {slice_of(c->args.argv[0]), slice_of(c->args.argv[1]),
                                  slice_of(c->args.argc > 2 ? c->args.argv[2] : "")};
    status = ctl_snapshot_ask(c, store, "snapshot-diff", 3, words, &text);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, text);
    else if (status == CONTROL_OK && json_is_string(text))
        buffer_append(&c->out, json_string_value(text), json_string_length(text));
    else if (status == CONTROL_OK)
        buffer_append_text(&c->out, "they differ, and are no text\n");
    json_decref(text);
    return status;
}
