/*
 * ctl_logs.c: the last log lines of a worker or branch, and those that come.
 *
 * -f asks again and again for what is newer than the last line seen, each question waiting at the master until there is
 * some: so a tool that stands still costs the master nothing, and what it misses meanwhile is bounded by what the
 * master keeps (master/logs/logs.h); that it missed some is not told.
 */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdio.h>

#define LOGS_LIMIT_DEFAULT 50
#define LOGS_LIMIT_MAX     1000
#define LOGS_WAIT_MS       20000 /* of one question of -f */

struct logs_wish {
    const char *name;
    uint64_t limit;
    bool follow;
};

static int logs_read_wish(struct ctl *c, struct logs_wish *wish)
{
    *wish = (struct logs_wish){.name = "", .limit = LOGS_LIMIT_DEFAULT};
    for (int i = 0; i < c->args.argc; i++) {
        const char *word = c->args.argv[i], *value = NULL;
        int taken = ctl_args_take(c->args.argv, c->args.argc, &i, "-n", &value);
        if (taken < 0)
            return ctl_fail_usage(CTL_VERB_LOGS, "-n needs a number");
        if (taken > 0 && (text_parse_u64(slice_of(value), &wish->limit) != 0 || wish->limit < 1 ||
                          wish->limit > LOGS_LIMIT_MAX))
            return ctl_fail_usage(CTL_VERB_LOGS, "-n %s: a number from 1 to %d", value,
                                  LOGS_LIMIT_MAX);
        if (taken > 0)
            continue;
        if (strcmp(word, "-f") == 0)
            wish->follow = true;
        else if (word[0] == '-' || wish->name[0] != '\0')
            return ctl_fail_usage(CTL_VERB_LOGS, "'%s' is not expected", word);
        else
            wish->name = word;
    }
    return CONTROL_OK;
}

/* One object a line: what reads it need not wait for the end. */
static void logs_add_json(struct ctl *c, const json_t *line, const char *time)
{
    json_t *object = json_pack("{s:s,s:O,s:O,s:O}", "ts", time, "level", json_array_get(line, 1),
                               "worker", json_array_get(line, 2), "line", json_array_get(line, 3));
    ctl_value_print_line(object, &c->out);
}

static void logs_add_text(const json_t *line, const char *time, bool color, struct buffer *out)
{
    const char *level = json_string_value(json_array_get(line, 1));
    const char *worker = json_string_value(json_array_get(line, 2));
    const char *text = json_string_value(json_array_get(line, 3));
    bool loud =
        color && level != NULL && (strcmp(level, "warn") == 0 || strcmp(level, "error") == 0);
    buffer_printf(out, "%s %s%-5s%s ", time,
                  loud ? (level[0] == 'e' ? "\x1b[31m" : "\x1b[33m") : "",
                  level != NULL ? level : "?", loud ? "\x1b[0m" : "");
    ctl_append_safe(out, slice_of(worker != NULL ? worker : "?"));
    buffer_append_char(out, ' ');
    ctl_append_safe(out, slice_of(text != NULL ? text : "?"));
    buffer_append_char(out, '\n');
}

void ctl_logs_render(const json_t *lines, bool color, struct buffer *out)
{
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char time[CLOCK_TEXT_SIZE];
        const json_t *line = json_array_get(lines, i);
        clock_format((uint64_t)json_integer_value(json_array_get(line, 0)), time);
        logs_add_text(line, time, color, out);
    }
}

static void logs_add_lines(struct ctl *c, const json_t *lines)
{
    if (!c->args.json) {
        ctl_logs_render(lines, c->color, &c->out);
        return;
    }
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char time[CLOCK_TEXT_SIZE];
        const json_t *line = json_array_get(lines, i);
        clock_format((uint64_t)json_integer_value(json_array_get(line, 0)), time);
        logs_add_json(c, line, time);
    }
}

/*
 * Asks once; prints what came; *after is the number of the last line there is. The first answer comes at once, a later
 * one when there is a newer line.
 */
static int logs_ask(struct ctl *c, const struct logs_wish *wish, bool first, uint64_t *after)
{
    char limit[24], from[24];
    snprintf(limit, sizeof limit, "%" PRIu64, first ? wish->limit : LOGS_LIMIT_MAX);
    snprintf(from, sizeof from, "%" PRIu64, *after);
    struct slice words[] = {slice_of(wish->name), slice_of(limit), slice_of(from)};
    json_t *answer = NULL;
    int status = ctl_follow_json(c, "logs", first ? 2 : 3, words, &answer);
    if (status != CONTROL_OK)
        return status;
    logs_add_lines(c, json_object_get(answer, "lines"));
    *after = ctl_value_u64(answer, "last");
    json_decref(answer);
    return ctl_flush(c);
}

int ctl_logs_run(struct ctl *c)
{
    struct logs_wish wish;
    uint64_t after = 0;
    int status = logs_read_wish(c, &wish);
    if (status == CONTROL_OK)
        status = logs_ask(c, &wish, true, &after);
    while (status == CONTROL_OK && wish.follow) {
        c->deadline = clock_mono_ms() + LOGS_WAIT_MS;
        status = logs_ask(c, &wish, false, &after);
    }
    return status;
}
