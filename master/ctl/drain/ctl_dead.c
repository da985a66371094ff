/* ctl_dead.c: the verb `drain dead`: list, show, retry, drop. See ctl_render.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_letters.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/drain/ctl_drain.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdlib.h>

static void append_time(uint64_t at_ms, struct buffer *out)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(at_ms, text);
    buffer_append_text(out, text);
}

/* A scalar with what it may hold made safe. */
static void append_value(const json_t *value, struct buffer *out)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(value, &text);
    ctl_append_safe(out, buffer_slice(&text));
    out->failed |= !buffer_ok(&text);
    buffer_fini(&text);
}

static void cell_value(struct ctl_table *t, const json_t *value)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(value, &text);
    ctl_table_cell(t, CTL_PLAIN, buffer_slice(&text));
    t->failed |= !buffer_ok(&text);
    buffer_fini(&text);
}

/* A text of which more may be there than is shown: then `bytes` says how much. */
static void append_part(const json_t *value, const json_t *bytes, struct buffer *out)
{
    if (!json_is_null(value))
        append_value(value, out);
    if (bytes == NULL)
        return;
    char text[TEXT_NUMBER_SIZE];
    uint64_t count = (uint64_t)json_integer_value(bytes);
    buffer_printf(out, json_is_null(value) ? "(%s, too much to be shown)" : "… (%s in all)",
                  count > 0 ? text_format_size_short(count, text) : "its size is not known");
}

void ctl_dead_render(const json_t *letters, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"SEQ", true, false},
                                                {"SINCE (UTC)", false, false},
                                                {"TRIES", true, false},
                                                {"MEMBER", false, false},
                                                {"REASON", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *letter;
    json_array_foreach(letters, i, letter)
    {
        char when[CLOCK_TEXT_SIZE];
        clock_format(ctl_value_u64(letter, "at_ms"), when);
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(letter, "seq"));
        ctl_table_cell(&t, CTL_PLAIN, slice_make(when, sizeof "2026-01-31T23:59:59" - 1));
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(letter, "attempts"));
        cell_value(&t, json_object_get(letter, "member"));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(ctl_value_text(letter, "reason")));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_dead_render_data(const json_t *letters, bool color, struct buffer *out)
{
    size_t i, n;
    json_t *letter, *pair;
    json_array_foreach(letters, i, letter)
    {
        struct buffer head = BUFFER_EMPTY;
        buffer_printf(&head, "%" PRIu64 "  ", ctl_value_u64(letter, "seq"));
        append_part(json_object_get(letter, "member"), json_object_get(letter, "member_bytes"),
                    &head);
        ctl_append_color(out, color, CTL_BOLD, buffer_slice(&head));
        out->failed |= !buffer_ok(&head);
        buffer_fini(&head);
        buffer_append_text(out, "\n  ");
        append_time(ctl_value_u64(letter, "at_ms"), out);
        buffer_printf(out, ", %" PRIu64 " tries: ", ctl_value_u64(letter, "attempts"));
        ctl_append_safe(out, slice_of(ctl_value_text(letter, "reason")));
        buffer_append_char(out, '\n');
        json_array_foreach(json_object_get(letter, "fields"), n, pair)
        {
            buffer_append_text(out, "    ");
            append_value(json_array_get(pair, 0), out);
            buffer_append_text(out, " = ");
            append_part(json_array_get(pair, 1), json_array_get(pair, 2), out);
            buffer_append_char(out, '\n');
        }
        if (json_object_get(letter, "fields_total") != NULL) {
            char text[TEXT_NUMBER_SIZE];
            buffer_printf(out, "    … of %s fields\n",
                          text_format_count(ctl_value_u64(letter, "fields_total"), text));
        }
        if (json_object_get(letter, "value") != NULL) {
            buffer_append_text(out, "    ");
            append_part(json_object_get(letter, "value"), json_object_get(letter, "value_bytes"),
                        out);
            buffer_append_char(out, '\n');
        }
    }
}

/* ---- the verb ---- */

/* "watcher", drain, verb, then what stands behind the verb on the command line. */
static int dead_ask(struct ctl *c, const char *verb, json_t **answer)
{
    size_t count = c->args.argc > 2 ? (size_t)c->args.argc - 2 : 0;
    struct slice *words = calloc(count + 3, sizeof *words);
    if (words == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    words[0] = slice_of("watcher");
    words[1] = slice_of(c->args.argv[0]);
    words[2] = slice_of(verb);
    for (size_t i = 0; i < count; i++)
        words[3 + i] = slice_of(c->args.argv[2 + i]);
    int status = ctl_request_json(c, "ask", count + 3, words, answer);
    free(words);
    return status;
}

static const struct ctl_letters dead = {.verb = CTL_VERB_DRAIN_DEAD,
                                        .system = "drain",
                                        .retried = "will be tried again",
                                        .number = "number",
                                        .ask = dead_ask,
                                        .render = ctl_dead_render,
                                        .render_data = ctl_dead_render_data};

int ctl_drain_dead_run(struct ctl *c)
{
    return ctl_letters_run(c, &dead);
}
