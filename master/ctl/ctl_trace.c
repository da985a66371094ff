/*
 * ctl_trace.c: the verb `trace`: the messages of one worker, as it gets and sends them.
 *
 * The worker keeps headers only while it is asked for them, a few times a second; what comes faster than it keeps (1024
 * between two questions) is told as lost.
 */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define TRACE_PAUSE_MS    200
#define TRACE_PAYLOAD_MAX 65536 /* a longer one is shown by its length only */

struct trace_wish {
    const char *name;
    uint64_t sample, count; /* count 0: until it is interrupted */
    bool payload;
};

static int trace_number(struct ctl *c, int *at, const char *option, uint64_t least, uint64_t *value)
{
    const char *text = NULL;
    int taken = ctl_args_take(c->args.argv, c->args.argc, at, option, &text);
    if (taken < 0 || (taken > 0 && (text_parse_u64(slice_of(text), value) != 0 || *value < least)))
        return -ctl_fail_usage(CTL_VERB_TRACE, "%s needs a number", option);
    return taken;
}

static int trace_read_wish(struct ctl *c, struct trace_wish *wish)
{
    *wish = (struct trace_wish){.sample = 1};
    for (int i = 0; i < c->args.argc; i++) {
        int taken = trace_number(c, &i, "--sample", 1, &wish->sample);
        if (taken == 0)
            taken = trace_number(c, &i, "-n", 0, &wish->count);
        if (taken < 0)
            return -taken;
        if (taken > 0)
            continue;
        const char *word = c->args.argv[i];
        if (strcmp(word, "--payload") == 0)
            wish->payload = true;
        else if (word[0] == '-' || wish->name != NULL)
            return ctl_fail_usage(CTL_VERB_TRACE, "'%s' is not expected", word);
        else
            wish->name = word;
    }
    return wish->name != NULL ? CONTROL_OK : ctl_fail_usage(CTL_VERB_TRACE, "it needs a name");
}

static const char *trace_text(const json_t *header, size_t at)
{
    const char *text = json_string_value(json_array_get(header, at));
    return text != NULL ? text : "?";
}

/* ["in", …] with the payload decoded: a message is one msgpack array. NULL when there is none. */
static json_t *trace_payload(struct slice bytes)
{
    json_t *value = NULL;
    return bytes.len > 0 && ctl_value_decode(bytes, &value) == 0 ? value : NULL;
}

static void trace_add_json(struct ctl *c, const json_t *header, const char *time, json_t *payload)
{
    json_t *line = json_pack("{s:s,s:O,s:O,s:O,s:O}", "ts", time, "direction",
                             json_array_get(header, 1), "peer", json_array_get(header, 2), "type",
                             json_array_get(header, 3), "bytes", json_array_get(header, 4));
    if (line != NULL && payload != NULL)
        json_object_set(line, "payload", payload);
    ctl_value_print_line(line, &c->out);
}

static void trace_add_header(struct ctl *c, const json_t *header, struct slice bytes)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format((uint64_t)json_integer_value(json_array_get(header, 0)), time);
    json_t *payload = trace_payload(bytes);
    if (c->args.json) {
        trace_add_json(c, header, time, payload);
        json_decref(payload);
        return;
    }
    bool out = strcmp(trace_text(header, 1), "out") == 0;
    buffer_printf(&c->out, "%s %s ", time, out ? "->" : "<-");
    ctl_append_safe(&c->out, slice_of(trace_text(header, 2)));
    buffer_append_char(&c->out, ' ');
    ctl_append_color(&c->out, c->color, out ? CTL_BLUE : CTL_GREEN,
                     slice_of(trace_text(header, 3)));
    buffer_printf(&c->out, " %" JSON_INTEGER_FORMAT " bytes\n",
                  json_integer_value(json_array_get(header, 4)));
    char *text = payload != NULL ? json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text != NULL)
        buffer_printf(&c->out, "    %s\n", text);
    free(text);
    json_decref(payload);
}

/* Payloads are bytes of any kind: they are taken from the packed answer, not from its JSON. */
static struct slice trace_next_payload(struct unpack *u)
{
    if (unpack_array(u) != 6)
        return slice_make(NULL, 0);
    for (int i = 0; i < 5; i++)
        unpack_raw(u);
    struct slice bytes = unpack_bytes(u);
    return unpack_ok(u) ? bytes : slice_make(NULL, 0);
}

/* Stands before the first header of the packed answer. */
static struct unpack trace_headers(struct slice body)
{
    struct unpack u = unpack_start(body);
    uint32_t pairs = unpack_map(&u);
    for (uint32_t i = 0; i < pairs && unpack_ok(&u); i++) {
        if (slice_is(unpack_str(&u), "headers")) {
            unpack_array(&u);
            return u;
        }
        unpack_raw(&u);
    }
    return u;
}

static int trace_show(struct ctl *c, const struct trace_wish *wish, struct slice body,
                      uint64_t *after, uint64_t *shown)
{
    json_t *answer = NULL;
    if (ctl_value_decode(body, &answer) != 0)
        return ctl_fail(CONTROL_ERROR, "the worker's answer is not well-formed");
    struct unpack u = trace_headers(body);
    const json_t *headers = json_object_get(answer, "headers");
    uint64_t lost = ctl_value_u64(answer, "lost");
    if (lost > 0 && c->args.json)
        buffer_printf(&c->out, "{\"lost\":%" PRIu64 "}\n", lost);
    else if (lost > 0)
        buffer_printf(&c->out, "... %" PRIu64 " came too fast: try --sample %" PRIu64 "\n", lost,
                      wish->sample * 10);
    for (size_t i = 0; i < json_array_size(headers); i++) {
        struct slice bytes = trace_next_payload(&u);
        if (wish->count > 0 && *shown == wish->count)
            break;
        trace_add_header(c, json_array_get(headers, i), bytes);
        ++*shown;
    }
    *after = ctl_value_u64(answer, "last");
    json_decref(answer);
    return ctl_flush(c);
}

int ctl_trace_run(struct ctl *c)
{
    struct trace_wish wish;
    uint64_t after = 0, shown = 0;
    int status = trace_read_wish(c, &wish);
    while (status == CONTROL_OK && (wish.count == 0 || shown < wish.count)) {
        char from[24], sample[24], payload[24];
        snprintf(from, sizeof from, "%" PRIu64, after);
        snprintf(sample, sizeof sample, "%" PRIu64, wish.sample);
        snprintf(payload, sizeof payload, "%d", wish.payload ? TRACE_PAYLOAD_MAX : 0);
        struct slice words[] = {slice_of(wish.name), slice_of(from), slice_of(sample),
                                slice_of(payload)};
        struct slice body;
        c->deadline = clock_mono_ms() + c->timeout_ms;
        status = ctl_request(c, "trace", 4, words, &body);
        if (status == CONTROL_OK)
            status = trace_show(c, &wish, body, &after, &shown);
        if (status == CONTROL_OK)
            poll(NULL, 0, TRACE_PAUSE_MS);
    }
    return status;
}
