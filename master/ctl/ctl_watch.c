/*
 * ctl_watch.c: the verb `watch`: every move of a worker between states as one JSON object a line, from now on until it
 * is interrupted or the master ends.
 */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdio.h>

#define WATCH_LIMIT   1000
#define WATCH_WAIT_MS 20000 /* of one question */

/* {"ts":…,"name":…,"from":…,"to":…,"event":…,"generation":…,"cause":…} */
static void watch_add_event(struct ctl *c, const json_t *event)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(ctl_value_u64(event, "time_ms"), time);
    ctl_value_print_line(
        json_pack("{s:s,s:O,s:O,s:O,s:O,s:O,s:O}", "ts", time, "name",
                  json_object_get(event, "name"), "from", json_object_get(event, "from"), "to",
                  json_object_get(event, "to"), "event", json_object_get(event, "event"),
                  "generation", json_object_get(event, "generation"), "cause",
                  json_object_get(event, "cause")),
        &c->out);
}

/* The first question only learns where the stream is. */
static int watch_ask(struct ctl *c, bool first, uint64_t *after)
{
    char limit[24], from[24];
    snprintf(limit, sizeof limit, "%d", first ? 1 : WATCH_LIMIT);
    snprintf(from, sizeof from, "%" PRIu64, *after);
    struct slice words[] = {slice_of(c->args.argc > 0 ? c->args.argv[0] : ""), slice_of(limit),
                            slice_of(from)};
    json_t *answer = NULL;
    int status = ctl_follow_json(c, "events", first ? 2 : 3, words, &answer);
    if (status != CONTROL_OK)
        return status;
    const json_t *events = json_object_get(answer, "events");
    uint64_t lost = ctl_value_u64(answer, "lost");
    if (!first && lost > 0)
        ctl_value_print_line(json_pack("{s:I}", "lost", (json_int_t)lost), &c->out);
    for (size_t i = 0; i < json_array_size(events) && !first; i++)
        watch_add_event(c, json_array_get(events, i));
    *after = ctl_value_u64(answer, "last");
    json_decref(answer);
    return ctl_flush(c);
}

int ctl_watch_run(struct ctl *c)
{
    uint64_t after = 0;
    int status = watch_ask(c, true, &after);
    while (status == CONTROL_OK) {
        c->deadline = clock_mono_ms() + WATCH_WAIT_MS;
        status = watch_ask(c, false, &after);
    }
    return status;
}
