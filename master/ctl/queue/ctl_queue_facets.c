/* ctl_queue_facets.c: the verbs `queue facets` and `queue top`. See ctl_queue.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define FACETS_SHOWN  10
#define TOP_EVERY_MS  "1000"
#define TOP_EVERY_MIN 100

void ctl_queue_render_facets(const json_t *sweep, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"FACET", false, true},
                                                {"WAITING", true, false},
                                                {"IN FLIGHT", true, false},
                                                {"WEIGHT", true, false},
                                                {"OLDEST", true, false}};
    struct ctl_table t;
    char seen[TEXT_NUMBER_SIZE], age[TEXT_NUMBER_SIZE];
    const json_t *facets = json_object_get(sweep, "facets");
    size_t i;
    json_t *facet;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(facets, i, facet)
    {
        ctl_queue_cell_shown(&t, json_object_get(facet, "facet"));
        ctl_queue_cell_count(&t, facet, "waiting", CTL_PLAIN);
        ctl_queue_cell_count(&t, facet, "in_flight", CTL_PLAIN);
        ctl_table_printf(&t, ctl_value_u64(facet, "weight") == 0 ? CTL_YELLOW : CTL_PLAIN,
                         "%" PRIu64, ctl_value_u64(facet, "weight"));
        ctl_queue_cell_span(&t, facet, "oldest_ms");
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
    buffer_printf(out, "%zu of %s%s facets, looked at within %s\n", json_array_size(facets),
                  text_format_count(ctl_value_u64(sweep, "seen"), seen),
                  json_is_false(json_object_get(sweep, "whole")) ? " and more" : "",
                  clock_format_span(ctl_value_u64(sweep, "age_ms"), age, sizeof age));
}

static int facets_by(struct ctl *c, const char **by)
{
    *by = *by != NULL ? *by : "waiting";
    if (strcmp(*by, "waiting") == 0 || strcmp(*by, "in_flight") == 0 || strcmp(*by, "oldest") == 0)
        return CONTROL_OK;
    return ctl_fail_usage(c->args.verb, "--by: '%s' is none of waiting, in_flight, oldest", *by);
}

static int facets_ask(struct ctl *c, const char *backbone, const char *queue, uint64_t limit,
                      const char *by, json_t **sweep)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, limit);
    const struct slice args[] = {slice_of(queue), slice_of(number), slice_of(by)};
    return ctl_queue_ask(c, backbone, "queue-facets", 3, args, sweep);
}

int ctl_queue_facets_run(struct ctl *c)
{
    static const char *const options[] = {"-n", "--by", NULL};
    const char *values[2] = {NULL, NULL};
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    uint64_t limit;
    json_t *sweep = NULL;
    int status = ctl_queue_begin(c, &words, 1, 1, options, values, backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_number(c, "-n", values[0], FACETS_SHOWN, &limit);
    if (status == CONTROL_OK)
        status = facets_by(c, &values[1]);
    if (status == CONTROL_OK)
        status = facets_ask(c, backbone, words.list[0], limit, values[1], &sweep);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, sweep);
    else
        ctl_queue_render_facets(sweep, c->width, c->color, &c->out);
    json_decref(sweep);
    return CONTROL_OK;
}

/* ---- queue top ---- */

struct top {
    char backbone[CONTRACT_NAME_MAX];
    const char *queue, *by;
    bool draws;
};

/* Each look as one line of JSON: the queue's numbers, and the sweep. */
static int top_look(struct ctl *c, const struct top *t)
{
    json_t *queues = NULL, *sweep = NULL;
    const struct slice name = slice_of(t->queue);
    c->deadline = clock_mono_ms() + c->timeout_ms;
    int status = ctl_queue_ask(c, t->backbone, "queue-status", 1, &name, &queues);
    if (status == CONTROL_OK)
        status = facets_ask(c, t->backbone, t->queue, FACETS_SHOWN, t->by, &sweep);
    if (status == CONTROL_OK && c->args.json) {
        ctl_value_print_line(
            json_pack("{sOsO}", "queue", json_array_get(queues, 0), "sweep", sweep), &c->out);
    } else if (status == CONTROL_OK) {
        if (t->draws)
            buffer_append_text(&c->out, "\x1b[H\x1b[J");
        ctl_queue_render_status(queues, c->width, c->color, &c->out);
        buffer_append_char(&c->out, '\n');
        ctl_queue_render_facets(sweep, c->width, c->color, &c->out);
    }
    json_decref(queues);
    json_decref(sweep);
    return status == CONTROL_OK ? ctl_flush(c) : status;
}

/* On a terminal until it is ended, else one look, unless it is said how many. */
int ctl_queue_top_run(struct ctl *c)
{
    static const char *const options[] = {"-n", "--every", "--by", NULL};
    const char *values[3] = {NULL, NULL, NULL};
    char every[CTL_QUEUE_SPAN_SIZE];
    struct ctl_queue_words words;
    struct top t = {.draws = c->terminal && !c->args.json};
    uint64_t looks, every_ms;
    int status = ctl_queue_begin(c, &words, 1, 1, options, values, t.backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_number(c, "-n", values[0], t.draws ? UINT64_MAX : 1, &looks);
    if (status == CONTROL_OK)
        status = ctl_queue_span(c, "--every", values[1], TOP_EVERY_MS, TOP_EVERY_MIN, every);
    if (status == CONTROL_OK)
        status = facets_by(c, &values[2]);
    if (status != CONTROL_OK || text_parse_u64(slice_of(every), &every_ms) != 0)
        return status;
    t.queue = words.list[0];
    t.by = values[2];
    c->draws = t.draws;
    status = top_look(c, &t);
    for (uint64_t i = 1; i < looks && status == CONTROL_OK; i++) {
        poll(NULL, 0, every_ms < INT_MAX ? (int)every_ms : INT_MAX);
        status = top_look(c, &t);
    }
    return status;
}
