/* ctl_queue.c: the verbs `queue status` and `queue deliver`. See ctl_queue.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- queue status ---- */

/* Below the table, a line each. */
static void status_render_wrong(const json_t *queues, struct buffer *out)
{
    size_t i, k;
    json_t *queue, *what;
    json_array_foreach(queues, i, queue)
    {
        json_array_foreach(json_object_get(queue, "wrong"), k, what)
        {
            ctl_append_safe(out, slice_of(ctl_value_text(queue, "queue")));
            buffer_append_text(out, ": ");
            ctl_append_safe(out, slice_of(json_string_value(what)));
            buffer_append_char(out, '\n');
        }
    }
}

void ctl_queue_render_status(const json_t *queues, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"QUEUE", false, true},   {"WAITING", true, false}, {"IN FLIGHT", true, false},
        {"DELAYED", true, false}, {"DEAD", true, false},    {"FACETS", true, false},
        {"OLDEST", true, false},  {"P50", true, false},     {"P99", true, false},
        {"ACKED", true, false},   {"RETRIED", true, false}, {"PATTERN", false, false}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *queue;
    json_array_foreach(queues, i, queue)
    {
        bool raw = json_is_true(json_object_get(queue, "raw"));
        bool paused = json_is_true(json_object_get(queue, "paused"));
        ctl_table_printf(&t, paused ? CTL_YELLOW : CTL_PLAIN, "%s%s%s",
                         ctl_value_text(queue, "queue"), raw ? " (raw)" : "",
                         paused ? " (paused)" : "");
        ctl_queue_cell_count(&t, queue, "waiting", CTL_PLAIN);
        ctl_queue_cell_count(&t, queue, "in_flight", CTL_PLAIN);
        ctl_queue_cell_count(&t, queue, "delayed", CTL_PLAIN);
        ctl_queue_cell_count(&t, queue, "dead", CTL_RED);
        ctl_queue_cell_count(&t, queue, "facets", CTL_PLAIN);
        ctl_queue_cell_span(&t, queue, "oldest_ms");
        ctl_queue_cell_span(&t, queue, "wait_p50_ms");
        ctl_queue_cell_span(&t, queue, "wait_p99_ms");
        ctl_queue_cell_count(&t, queue, "acked", CTL_PLAIN);
        ctl_queue_cell_count(&t, queue, "retried", CTL_YELLOW);
        const char *pattern = ctl_value_text(queue, "pattern");
        ctl_table_cell(&t, CTL_PLAIN, slice_of(pattern[0] != '\0' ? pattern : "-"));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
    status_render_wrong(queues, out);
}

int ctl_queue_status_run(struct ctl *c)
{
    struct ctl_queue_words words;
    char backbone[CONTRACT_NAME_MAX];
    json_t *queues = NULL;
    int status = ctl_queue_words(c, &words, NULL, NULL);
    if (status == CONTROL_OK && words.count > 1)
        status = ctl_fail_usage(c->args.verb, "it takes one queue, or none");
    if (status == CONTROL_OK)
        status = ctl_queue_backbone(c, words.on, backbone);
    struct slice name = slice_of(words.count > 0 ? words.list[0] : "");
    if (status == CONTROL_OK)
        status = ctl_queue_ask(c, backbone, "queue-status", (size_t)words.count, &name, &queues);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, queues);
    else
        ctl_queue_render_status(queues, c->width, c->color, &c->out);
    json_decref(queues);
    return CONTROL_OK;
}

/* ---- queue deliver ---- */

struct deliver {
    char backbone[CONTRACT_NAME_MAX];
    const char *topic, *facet;
    uint64_t after_ms;
};

static void deliver_render(const json_t *answer, struct buffer *out)
{
    size_t i;
    json_t *queue;
    ctl_append_safe(out, slice_of(ctl_value_text(answer, "id")));
    if (json_array_size(json_object_get(answer, "queues")) == 0)
        buffer_append_text(out, ": no queue wants it");
    json_array_foreach(json_object_get(answer, "queues"), i, queue)
    {
        buffer_append_text(out, i == 0 ? ": " : ", ");
        ctl_append_safe(out, slice_of(json_string_value(queue)));
    }
    buffer_append_char(out, '\n');
}

static int deliver_one(struct ctl *c, const struct deliver *d, struct slice body)
{
    char given[2] = {(char)('0' + (d->topic != NULL ? 1 : 0) + (d->facet != NULL ? 2 : 0)), '\0'};
    char after[24];
    json_t *answer = NULL;
    snprintf(after, sizeof after, "%" PRIu64, d->after_ms);
    const struct slice args[] = {slice_of(given), slice_of(d->topic), slice_of(d->facet),
                                 slice_of(after), body};
    int status = ctl_queue_ask(c, d->backbone, "queue-deliver", 5, args, &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        deliver_render(answer, &c->out);
    json_decref(answer);
    return CONTROL_OK;
}

/* Each line of stdin; what is queued already stays so when a later one is refused. */
static int deliver_lines(struct ctl *c, const struct deliver *d)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int status = CONTROL_OK;
    while (status == CONTROL_OK && (len = getline(&line, &size, stdin)) >= 0) {
        size_t body = (size_t)len - (len > 0 && line[len - 1] == '\n');
        if (body > 0)
            status = deliver_one(c, d, slice_make(line, body));
        c->deadline = clock_mono_ms() + c->timeout_ms;
        int flushed = ctl_flush(c);
        status = status == CONTROL_OK ? flushed : status;
    }
    if (status == CONTROL_OK && ferror(stdin))
        status = ctl_fail(CONTROL_ERROR, "cannot read the standard input: %s", strerror(errno));
    free(line);
    return status;
}

int ctl_queue_deliver_run(struct ctl *c)
{
    static const char *const options[] = {"--topic", "--facet", "--after", NULL};
    const char *values[3] = {NULL, NULL, NULL};
    struct ctl_queue_words words;
    struct deliver d = {.after_ms = 0};
    int status = ctl_queue_words(c, &words, options, values);
    if (status == CONTROL_OK && words.count > 1)
        status = ctl_fail_usage(c->args.verb, "it takes one BODY: put quotes around it");
    if (status == CONTROL_OK && values[2] != NULL &&
        text_parse_span(slice_of(values[2]), &d.after_ms) != 0)
        status = ctl_fail_usage(c->args.verb, "--after: '%s' is no duration such as 5s", values[2]);
    d.topic = values[0];
    d.facet = values[1];
    if (status == CONTROL_OK)
        status = ctl_queue_backbone(c, words.on, d.backbone);
    if (status != CONTROL_OK)
        return status;
    return words.count > 0 ? deliver_one(c, &d, slice_of(words.list[0])) : deliver_lines(c, &d);
}
