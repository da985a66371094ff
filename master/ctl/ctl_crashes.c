/* ctl_crashes.c: the verb `crashes`: which workers died abnormally and when; of a name, the newest report in full. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>

static void crashes_add_row(struct ctl_table *t, const json_t *report)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(ctl_value_u64(report, "time_ms"), time);
    ctl_table_cell(t, CTL_PLAIN, slice_of(time));
    ctl_table_cell(t, CTL_PLAIN, slice_of(ctl_value_text(report, "name")));
    ctl_table_printf(t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(report, "generation"));
    ctl_table_cell(t, CTL_PLAIN, slice_of(ctl_value_text(report, "cause")));
}

static void crashes_render(struct ctl *c, const json_t *reports)
{
    static const struct ctl_column columns[] = {{"TIME", false, false},
                                                {"NAME", false, false},
                                                {"GENERATION", true, false},
                                                {"CAUSE", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(reports); i++)
        crashes_add_row(&t, json_array_get(reports, i));
    ctl_table_render(&t, c->width, c->color, &c->out);
    ctl_table_fini(&t);
}

void ctl_crashes_render_text(const char *text, struct buffer *out)
{
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        ctl_append_safe(out, slice_make(line, n));
        buffer_append_char(out, '\n');
        line += n + (line[n] == '\n');
    }
}

int ctl_crashes_run(struct ctl *c)
{
    struct slice name = slice_of(c->args.argc > 0 ? c->args.argv[0] : "");
    json_t *answer = NULL;
    int status = ctl_request_json(c, "crashes", 1, &name, &answer);
    if (status != CONTROL_OK)
        return status;
    const json_t *reports = json_object_get(answer, "reports");
    const char *newest = ctl_value_text(answer, "newest");
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (json_array_size(reports) == 0)
        buffer_append_text(&c->out, "no crash reports\n");
    else
        crashes_render(c, reports);
    if (!c->args.json && newest[0] != '\0') {
        buffer_append_char(&c->out, '\n');
        ctl_crashes_render_text(newest, &c->out);
    }
    json_decref(answer);
    return CONTROL_OK;
}
