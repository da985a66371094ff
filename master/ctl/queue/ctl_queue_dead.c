/* ctl_queue_dead.c: the verb `queue dead`: list, show, retry, drop. See ctl_queue.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_letters.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void append_shown(const json_t *value, struct buffer *out)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(value, &text);
    ctl_append_safe(out, buffer_slice(&text));
    out->failed |= !buffer_ok(&text);
    buffer_fini(&text);
}

void ctl_queue_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"ID", false, false},      {"FACET", false, false},
                                                {"ATTEMPTS", true, false}, {"AT", false, false},
                                                {"BYTES", true, false},    {"REASON", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *letter;
    json_array_foreach(letters, i, letter)
    {
        char at[CLOCK_TEXT_SIZE];
        clock_format(ctl_value_u64(letter, "at_ms"), at);
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(letter, "id")));
        ctl_queue_cell_shown(&t, json_object_get(letter, "facet"));
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(letter, "attempts"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(at));
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(letter, "bytes"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(letter, "reason")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_queue_render_dead_data(const json_t *letters, bool color, struct buffer *out)
{
    size_t i;
    json_t *letter;
    json_array_foreach(letters, i, letter)
    {
        ctl_append_color(out, color, CTL_BOLD, slice_of(ctl_value_text(letter, "id")));
        buffer_append_text(out, "\n  facet ");
        append_shown(json_object_get(letter, "facet"), out);
        buffer_printf(out, ", %" PRIu64 " attempts\n  ", ctl_value_u64(letter, "attempts"));
        ctl_append_safe(out, slice_of(ctl_value_text(letter, "reason")));
        buffer_append_text(out, "\n    ");
        append_shown(json_object_get(letter, "body"), out);
        buffer_append_char(out, '\n');
    }
}

/* ---- the verb: Q, what, and then ids ---- */

static struct ctl_queue_words dead_words;
static const char *dead_limit;

static int dead_ask(struct ctl *c, const char *verb, json_t **answer)
{
    char backbone[CONTRACT_NAME_MAX], name[32];
    struct slice args[CTL_QUEUE_WORDS_MAX + 1];
    size_t count = 0;
    int status = ctl_queue_backbone(c, dead_words.on, backbone);
    if (status != CONTROL_OK)
        return status;
    snprintf(name, sizeof name, "queue-%s", verb);
    args[count++] = slice_of(dead_words.list[0]);
    if (dead_limit != NULL && strcmp(verb, "dead-list") == 0)
        args[count++] = slice_of(dead_limit);
    for (int i = 2; i < dead_words.count; i++)
        args[count++] = slice_of(dead_words.list[i]);
    return ctl_queue_ask(c, backbone, name, count, args, answer);
}

static const struct ctl_letters dead = {.verb = CTL_VERB_QUEUE_DEAD,
                                        .system = "queue",
                                        .retried = "will be handed out again",
                                        .number = "id",
                                        .placed = true,
                                        .ask = dead_ask,
                                        .render = ctl_queue_render_dead,
                                        .render_data = ctl_queue_render_dead_data};

/* What all systems share about letters looks at the words: those that are no options are put in their place. */
int ctl_queue_dead_run(struct ctl *c)
{
    static const char *const options[] = {"-n", NULL};
    const char *values[1] = {NULL};
    int status = ctl_queue_words(c, &dead_words, options, values);
    uint64_t limit;
    if (status == CONTROL_OK && values[0] != NULL &&
        text_parse_u64(slice_of(values[0]), &limit) != 0)
        status = ctl_fail_usage(c->args.verb, "-n: '%s' is no number", values[0]);
    if (status == CONTROL_OK && dead_words.count < 1)
        status = ctl_fail_usage(c->args.verb, "it needs the name of a queue, or 'inbox'");
    if (status != CONTROL_OK)
        return status;
    dead_limit = values[0];
    c->args.argc = dead_words.count;
    for (int i = 0; i < dead_words.count; i++)
        c->args.argv[i] = dead_words.list[i];
    return ctl_letters_run(c, &dead);
}
