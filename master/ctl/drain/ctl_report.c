/* ctl_report.c: the verb `report`: what is in a drain's store, as tables with bars, JSON or CSV. See ctl_render.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/drain/ctl_drain.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdio.h>

#define REPORT_BAR_MAX 40u
#define REPORT_BAR_MIN 10u
#define DAY_MS         (24u * 60 * 60 * 1000)

/* ---- what the answer holds: [value, count] pairs ---- */

static uint64_t pair_count(const json_t *pair)
{
    json_int_t count = json_integer_value(json_array_get(pair, 1));
    return count > 0 ? (uint64_t)count : 0;
}

static uint64_t pair_time(const json_t *pair)
{
    json_int_t at = json_integer_value(json_array_get(pair, 0));
    return at > 0 ? (uint64_t)at : 0;
}

static uint64_t largest(const json_t *pairs)
{
    uint64_t most = 0;
    size_t i;
    json_t *pair;
    json_array_foreach(pairs, i, pair)
    {
        most = pair_count(pair) > most ? pair_count(pair) : most;
    }
    return most;
}

/* ---- tables ---- */

static size_t bar_columns(size_t width)
{
    size_t columns = width / 3; /* the rest is for what is counted */
    columns = columns > REPORT_BAR_MAX ? REPORT_BAR_MAX : columns;
    return columns < REPORT_BAR_MIN ? REPORT_BAR_MIN : columns;
}

static void cells_count(struct ctl_table *t, uint64_t count, uint64_t most, size_t columns)
{
    char text[TEXT_NUMBER_SIZE], bar[CTL_BAR_SIZE];
    ctl_table_cell(t, CTL_PLAIN, slice_of(text_format_count(count, text)));
    ctl_table_cell(t, CTL_BLUE, slice_of(ctl_bar((double)count, (double)most, columns, bar)));
}

static void render_values(const json_t *report, size_t width, bool color, struct buffer *out)
{
    const char *by = ctl_value_text(report, "by");
    const struct ctl_column columns[] = {{by[0] != '\0' ? by : "VALUE", false, true},
                                         {"SHARE", true, false},
                                         {"COUNT", true, false},
                                         {"", false, false}};
    const json_t *values = json_object_get(report, "values");
    uint64_t total = ctl_value_u64(report, "total"), most = largest(values), seen = 0;
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *pair;
    json_array_foreach(values, i, pair)
    {
        const json_t *value = json_array_get(pair, 0);
        struct buffer text = BUFFER_EMPTY;
        ctl_value_show(value, &text);
        ctl_table_cell(&t, json_is_null(value) ? CTL_DIM : CTL_PLAIN,
                       json_is_null(value) ? slice_of("(without)") : buffer_slice(&text));
        t.failed |= !buffer_ok(&text);
        buffer_fini(&text);
        seen += pair_count(pair);
        ctl_table_printf(&t, CTL_PLAIN, "%.1f%%",
                         total > 0 ? 100.0 * (double)pair_count(pair) / (double)total : 0);
        cells_count(&t, pair_count(pair), most, bar_columns(width));
    }
    if (seen < total) {
        ctl_table_cell(&t, CTL_DIM, slice_of("(others)"));
        ctl_table_printf(&t, CTL_DIM, "%.1f%%", 100.0 * (double)(total - seen) / (double)total);
        cells_count(&t, total - seen, 0, 0);
    }
    buffer_append_char(out, '\n');
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

/* "2026-01-31", "2026-01-31 23:59" or with seconds: as much as the steps need. */
static struct slice format_time(uint64_t at_ms, uint64_t every_ms, char text[CLOCK_TEXT_SIZE])
{
    clock_format(at_ms, text);
    text[10] = ' ';
    size_t len = every_ms % DAY_MS == 0 ? 10 : every_ms % 60000 == 0 ? 16 : 19;
    return slice_make(text, len);
}

static void render_times(const json_t *report, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"TIME (UTC)", false, false}, {"COUNT", true, false}, {"", false, false}};
    const json_t *times = json_object_get(report, "times");
    uint64_t most = largest(times), every = ctl_value_u64(report, "every_ms");
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *pair;
    json_array_foreach(times, i, pair)
    {
        char text[CLOCK_TEXT_SIZE];
        ctl_table_cell(&t, CTL_PLAIN, format_time(pair_time(pair), every, text));
        cells_count(&t, pair_count(pair), most, bar_columns(width));
    }
    buffer_append_char(out, '\n');
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_report_render(const json_t *report, size_t width, bool color, struct buffer *out)
{
    char count[TEXT_NUMBER_SIZE];
    uint64_t total = ctl_value_u64(report, "total");
    buffer_printf(out, "%s record%s\n", text_format_count(total, count), total == 1 ? "" : "s");
    if (json_array_size(json_object_get(report, "values")) > 0)
        render_values(report, width, color, out);
    if (json_array_size(json_object_get(report, "times")) > 0)
        render_times(report, width, color, out);
}

/* ---- CSV (RFC 4180) ---- */

static void csv_text(struct slice text, struct buffer *out)
{
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buffer_append_char(out, '"');
        buffer_append_char(out, text.ptr[i]);
    }
    buffer_append_char(out, '"');
}

static void csv_values(const json_t *report, struct buffer *out)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(report, "values"), i, pair)
    {
        const json_t *value = json_array_get(pair, 0);
        struct buffer text = BUFFER_EMPTY;
        if (!json_is_null(value))
            ctl_value_show(value, &text);
        csv_text(slice_of(ctl_value_text(report, "by")), out);
        buffer_append_char(out, ',');
        if (!json_is_null(
                value)) /* unquoted and empty: there is no such field; quoted and empty: it is empty */
            csv_text(buffer_slice(&text), out);
        buffer_printf(out, ",%" PRIu64 "\r\n", pair_count(pair));
        out->failed |= !buffer_ok(&text);
        buffer_fini(&text);
    }
}

/* One shape for every question, so that a reader needs no case: what was counted, its value, how many. */
void ctl_report_render_csv(const json_t *report, struct buffer *out)
{
    buffer_append_text(out, "what,value,count\r\n");
    const json_t *times = json_object_get(report, "times");
    if (json_array_size(json_object_get(report, "values")) + json_array_size(times) == 0)
        buffer_printf(out, "total,,%" PRIu64 "\r\n", ctl_value_u64(report, "total"));
    csv_values(report, out);
    size_t i;
    json_t *pair;
    json_array_foreach(times, i, pair)
    {
        char text[CLOCK_TEXT_SIZE];
        clock_format(pair_time(pair), text);
        buffer_printf(out, "time,%s,%" PRIu64 "\r\n", text, pair_count(pair));
    }
}

/* ---- JSON: the pairs get names ---- */

static json_t *named_pairs(const json_t *pairs, const char *first)
{
    json_t *named = json_array();
    size_t i;
    json_t *pair;
    json_array_foreach(pairs, i, pair)
    {
        json_array_append_new(named, json_pack("{s:O?,s:O?}", first, json_array_get(pair, 0),
                                               "count", json_array_get(pair, 1)));
    }
    return named;
}

static void print_json(struct ctl *c, json_t *report)
{
    json_object_set_new(report, "values", named_pairs(json_object_get(report, "values"), "value"));
    json_object_set_new(report, "times", named_pairs(json_object_get(report, "times"), "time_ms"));
    ctl_print_json(c, report);
}

/* ---- the verb ---- */

struct report_words {
    const char *name;
    const char *by;
    const char *since;
    const char *every;
    const char *top;
    const char *time;
    bool csv;
};

static int take_word(const struct ctl_args *a, int *at, struct report_words *w)
{
    struct {
        const char *name;
        const char **value;
    } options[] = {{"--by", &w->by},
                   {"--since", &w->since},
                   {"--every", &w->every},
                   {"--top", &w->top},
                   {"--time", &w->time}};
    const char *word = a->argv[*at];
    if (strcmp(word, "--csv") == 0) {
        w->csv = true;
        return CONTROL_OK;
    }
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int taken = ctl_args_take(a->argv, a->argc, at, options[i].name, options[i].value);
        if (taken < 0)
            return ctl_fail_usage(CTL_VERB_REPORT, "%s needs a value", word);
        if (taken > 0)
            return CONTROL_OK;
    }
    if (word[0] == '-')
        return ctl_fail_usage(CTL_VERB_REPORT, "unknown option %s", word);
    if (w->name[0] != '\0')
        return ctl_fail_usage(CTL_VERB_REPORT, "'%s': one word too many", word);
    w->name = word;
    return CONTROL_OK;
}

/* Replaces a duration by its milliseconds, as text, in `ms`. */
static int check_span(const char *option, const char **value, char ms[TEXT_NUMBER_SIZE])
{
    uint64_t span = 0;
    if ((*value)[0] == '\0')
        return CONTROL_OK;
    if (text_parse_span(slice_of(*value), &span) != 0 || span == 0)
        return ctl_fail_usage(CTL_VERB_REPORT, "%s %s: not a duration: write 30s, 10m, 1h or 7d",
                              option, *value);
    snprintf(ms, TEXT_NUMBER_SIZE, "%" PRIu64, span);
    *value = ms;
    return CONTROL_OK;
}

static int check_top(const char *top)
{
    uint64_t count = 0;
    if (top[0] == '\0' || (text_parse_u64(slice_of(top), &count) == 0 && count > 0))
        return CONTROL_OK;
    return ctl_fail_usage(CTL_VERB_REPORT, "--top %s: not a number from 1", top);
}

static int report_ask(struct ctl *c, const struct report_words *w)
{
    struct slice words[] = {slice_of("report"), slice_of(""),     slice_of("report"),
                            slice_of(w->name),  slice_of(w->by),  slice_of(w->since),
                            slice_of(w->every), slice_of(w->top), slice_of(w->time)};
    json_t *report = NULL;
    int status = ctl_request_json(c, "ask", sizeof words / sizeof words[0], words, &report);
    if (status != CONTROL_OK)
        return status;
    if (w->csv)
        ctl_report_render_csv(report, &c->out);
    else if (c->args.json)
        print_json(c, report);
    else
        ctl_report_render(report, c->width, c->color, &c->out);
    json_decref(report);
    return CONTROL_OK;
}

int ctl_report_run(struct ctl *c)
{
    struct report_words w = {"", "", "", "", "", "", false};
    char since[TEXT_NUMBER_SIZE], every[TEXT_NUMBER_SIZE];
    int status = CONTROL_OK;
    for (int i = 0; i < c->args.argc && status == CONTROL_OK; i++)
        status = take_word(&c->args, &i, &w);
    if (status == CONTROL_OK && w.name[0] == '\0')
        status = ctl_fail_usage(CTL_VERB_REPORT, "the name of the drain is missing");
    if (status == CONTROL_OK && w.csv && c->args.json)
        status = ctl_fail_usage(CTL_VERB_REPORT, "--csv and --json exclude each other");
    if (status == CONTROL_OK)
        status = check_span("--since", &w.since, since);
    if (status == CONTROL_OK)
        status = check_span("--every", &w.every, every);
    if (status == CONTROL_OK)
        status = check_top(w.top);
    return status == CONTROL_OK ? report_ask(c, &w) : status;
}
