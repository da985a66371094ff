/* ctl_cache_ring.c: the verbs `cache ring`, `cache owner` and `cache forget`. See ctl_cache.h. */
#include "common/base64.h"
#include "common/text.h"
#include "master/ctl/cache/ctl_cache.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>

/* What the cache's manager answers to `verb`, with one word behind it or none (NULL). */
static int ring_ask(struct ctl *c, const char *verb, const struct slice *word, json_t **answer)
{
    struct slice words[] = {slice_of("cache-manager"), slice_of(c->args.argv[0]), slice_of(verb),
                            word != NULL ? *word : slice_of("")};
    struct slice body;
    int status = ctl_request(c, "ask", word != NULL ? 4 : 3, words, &body);
    if (status != CONTROL_OK)
        return status;
    return ctl_value_decode(body, answer) == 0
               ? CONTROL_OK
               : ctl_fail(CONTROL_ERROR, "the manager's answer is not well-formed");
}

/* ---- ring ---- */

static void ring_cell_beat(struct ctl_table *t, const json_t *row)
{
    char text[TEXT_NUMBER_SIZE] = "-";
    const json_t *ms = json_object_get(row, "beat_ms");
    if (json_is_integer(ms))
        text_format_span((uint64_t)json_integer_value(ms), text);
    ctl_table_cell(t, CTL_PLAIN, slice_of(text));
}

static void ring_cell_cells(struct ctl_table *t, const json_t *row)
{
    char text[TEXT_NUMBER_SIZE] = "-";
    const json_t *cells = json_object_get(row, "cells");
    if (json_is_integer(cells))
        text_format_count((uint64_t)json_integer_value(cells), text);
    ctl_table_cell(t, CTL_PLAIN, slice_of(text));
}

static void ring_render_nodes(const json_t *ring, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"NUMBER", true, false},  {"NODE", false, false}, {"STATE", false, false},
        {"CELLS", true, false},   {"BEAT", true, false},  {"HOST", false, false},
        {"ADDRESS", false, true},
    };
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    const json_t *node;
    json_array_foreach(json_object_get(ring, "nodes"), i, node)
    {
        const char *state = ctl_value_text(node, "state");
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(node, "incarnation"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(node, "name")));
        ctl_table_cell(&t, strcmp(state, "lost") == 0 ? CTL_RED : CTL_GREEN, slice_of(state));
        ring_cell_cells(&t, node);
        ring_cell_beat(&t, node);
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(node, "host")));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(node, "address")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

static void ring_render_managers(const json_t *ring, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"MANAGER", false, true},
        {"ROLE", false, false},
        {"BEAT", true, false},
        {"HOST", false, false},
    };
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    const json_t *manager;
    json_array_foreach(json_object_get(ring, "managers"), i, manager)
    {
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(manager, "name")));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(manager, "role")));
        ring_cell_beat(&t, manager);
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(manager, "host")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_cache_render_ring(const json_t *ring, size_t width, bool color, struct buffer *out)
{
    char text[TEXT_NUMBER_SIZE];
    uint64_t closed_ms = ctl_value_u64(ring, "closed_ms");
    uint64_t heard_ms = ctl_value_u64(ring, "heard_ms");
    ring_render_nodes(ring, width, color, out);
    buffer_append_char(out, '\n');
    ring_render_managers(ring, width, color, out);
    if (closed_ms > 0)
        buffer_printf(
            out, "\nclosed for %s: Redis is new to this ring, and until then nothing is granted\n",
            text_format_span(closed_ms + 999, text));
    if (heard_ms > ctl_value_u64(ring, "lease_ms"))
        buffer_printf(out, "\nRedis has given no answer for %s: all of this is as it was then\n",
                      text_format_span(heard_ms, text));
}

int ctl_cache_ring_run(struct ctl *c)
{
    json_t *ring = NULL;
    int status = ring_ask(c, "ring", NULL, &ring);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, ring);
    else if (status == CONTROL_OK)
        ctl_cache_render_ring(ring, c->width, c->color, &c->out);
    json_decref(ring);
    return status;
}

/* ---- owner ---- */

void ctl_cache_render_owner(const json_t *owner, struct buffer *out)
{
    const char *state = ctl_value_text(owner, "state"), *node = ctl_value_text(owner, "node");
    if (strcmp(state, "free") == 0) {
        buffer_append_text(out, "free: who asks for it next has it\n");
        return;
    }
    ctl_append_safe(out, slice_of(node[0] != '\0' ? node : "node"));
    buffer_printf(out, " %" PRIu64 " on ", ctl_value_u64(owner, "incarnation"));
    ctl_append_safe(out, slice_of(ctl_value_text(owner, "host")));
    buffer_append_text(out, strcmp(state, "lost") == 0 ? ", which is lost\n" : "\n");
}

int ctl_cache_owner_run(struct ctl *c)
{
    struct buffer key = BUFFER_EMPTY;
    json_t *owner = NULL;
    base64_append_named(&key, slice_of(c->args.argv[1]));
    struct slice word = buffer_slice(&key);
    int status = buffer_ok(&key) ? ring_ask(c, "owner", &word, &owner)
                                 : ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, owner);
    else if (status == CONTROL_OK)
        ctl_cache_render_owner(owner, &c->out);
    json_decref(owner);
    buffer_fini(&key);
    return status;
}

/* ---- forget ---- */

int ctl_cache_forget_run(struct ctl *c)
{
    struct slice word = slice_of(c->args.argv[1]);
    json_t *answer = NULL;
    int status = ring_ask(c, "forget", &word, &answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, answer);
    else if (status == CONTROL_OK)
        buffer_printf(&c->out, "%s: node %" PRIu64 " is forgotten; what it had is free\n",
                      c->args.argv[0], ctl_value_u64(answer, "incarnation"));
    json_decref(answer);
    return status;
}
