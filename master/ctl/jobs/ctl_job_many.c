/* ctl_job_many.c: the verbs of many jobs, and of what a job says: list, stats, cancel, retry, tail. See ctl_job.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/jobs/ctl_job.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#define MANY_PAGE     100 /* whole jobs: Redis reads no more at once than others can wait for */
#define MANY_PAGE_S   "100"
#define MANY_PAUSE_MS 250

/* ---- list ---- */

enum { LIST_STATUS, LIST_LIMIT, LIST_PLATFORM, LIST_QUEUE, LIST_SINCE, LIST_AFTER, LIST_ARGS };

/* Pages until there are `limit` jobs, or no more: a page in which little fits is short. On 0 *all is the caller's. */
static int list_pages(struct ctl *c, const char *section, const char *const words[LIST_ARGS],
                      size_t limit, json_t **all)
{
    json_t *jobs = json_array(), *page = NULL;
    char after[512], left[24];
    snprintf(after, sizeof after, "%s", words[LIST_AFTER]);
    for (;;) {
        struct slice args[LIST_ARGS];
        size_t wanted = limit - json_array_size(jobs);
        json_t *answer = NULL;
        for (size_t i = 0; i < LIST_ARGS; i++)
            args[i] = slice_of(words[i]);
        snprintf(left, sizeof left, "%zu", wanted < MANY_PAGE ? wanted : MANY_PAGE);
        args[LIST_LIMIT] = slice_of(left);
        args[LIST_AFTER] = slice_of(after);
        int status = ctl_job_ask(c, section, "job-list", LIST_ARGS, args, &answer);
        if (status != CONTROL_OK) {
            json_decref(page);
            json_decref(jobs);
            return status;
        }
        json_decref(page);
        page = answer;
        json_array_extend(jobs, json_object_get(page, "jobs"));
        const char *next = ctl_value_text(page, "next");
        if (next[0] == '\0' || json_array_size(jobs) >= limit)
            break;
        snprintf(after, sizeof after, "%s", next);
    }
    json_object_set_new(page, "jobs", jobs);
    *all = page;
    return CONTROL_OK;
}

static void list_print(struct ctl *c, const json_t *all)
{
    static const struct ctl_column columns[] = {{.title = "JOB"},
                                                {.title = "STATUS"},
                                                {.title = "ATTEMPT", .right = true},
                                                {.title = "RUN MS", .right = true},
                                                {.title = "REASON", .cut = true}};
    static const char *const keys[] = {"job_id", "status", "attempt", "run_ms", "reason"};
    struct ctl_table t;
    size_t i;
    json_t *row;
    ctl_table_init(&t, columns, 5);
    json_array_foreach(json_object_get(all, "jobs"), i, row)
    {
        for (size_t k = 0; k < 5; k++)
            ctl_job_cell(&t, row, keys[k]);
    }
    ctl_table_render(&t, c->width, c->color, &c->out);
    ctl_table_fini(&t);
    const char *next = ctl_value_text(all, "next");
    if (next[0] != '\0') {
        buffer_printf(&c->out, "%zu of %" PRIu64 "; the next: --after ",
                      json_array_size(json_object_get(all, "jobs")), ctl_value_u64(all, "total"));
        ctl_append_safe(&c->out, slice_of(next));
        buffer_append_char(&c->out, '\n');
    }
}

int ctl_job_list_run(struct ctl *c)
{
    static const char *const options[] = {"--status", "-n",      "--platform", "--queue",
                                          "--since",  "--after", NULL};
    const char *values[LIST_ARGS] = {"", "50", "", "", "0", ""};
    struct ctl_job_words words;
    json_t *all = NULL;
    uint64_t limit, since;
    char ago[24];
    int status = ctl_job_begin(c, &words, 0, 0, options, values);
    if (status != CONTROL_OK)
        return status;
    if (text_parse_u64(slice_of(values[LIST_LIMIT]), &limit) != 0 || limit == 0 || limit > 100000)
        return ctl_fail_usage(c->args.verb, "-n: '%s' is no number from 1 to 100000",
                              values[LIST_LIMIT]);
    if (text_parse_span(slice_of(values[LIST_SINCE]), &since) != 0)
        return ctl_fail_usage(c->args.verb, "--since: '%s' is no span, such as 90m, 1h, 7d",
                              values[LIST_SINCE]);
    snprintf(ago, sizeof ago, "%" PRIu64, since);
    values[LIST_SINCE] = ago;
    status = list_pages(c, words.section, values, limit, &all);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, all);
    else if (status == CONTROL_OK)
        list_print(c, all);
    json_decref(all);
    return status;
}

/* ---- stats ---- */

int ctl_job_stats_run(struct ctl *c)
{
    static const struct ctl_column columns[] = {{.title = "DAY"},
                                                {.title = "PLATFORM"},
                                                {.title = "STATUS"},
                                                {.title = "JOBS", .right = true}};
    static const char *const keys[] = {"day", "platform_id", "status", "jobs"};
    static const char *const options[] = {"--since", NULL};
    const char *values[] = {"7d"};
    struct ctl_job_words words;
    json_t *answer = NULL, *row;
    uint64_t since;
    size_t i;
    char days[24];
    int status = ctl_job_begin(c, &words, 0, 0, options, values);
    if (status != CONTROL_OK)
        return status;
    if (text_parse_span(slice_of(values[0]), &since) != 0 || since == 0)
        return ctl_fail_usage(c->args.verb, "--since: '%s' is no span, such as 7d", values[0]);
    snprintf(days, sizeof days, "%" PRIu64, (since + 86399999) / 86400000);
    const struct slice arg = slice_of(days);
    status = ctl_job_ask(c, words.section, "job-stats", 1, &arg, &answer);
    if (status == CONTROL_OK && c->args.json) {
        ctl_print_json(c, answer);
    } else if (status == CONTROL_OK) {
        struct ctl_table t;
        ctl_table_init(&t, columns, 4);
        json_array_foreach(answer, i, row)
        {
            for (size_t k = 0; k < 4; k++)
                ctl_job_cell(&t, row, keys[k]);
        }
        ctl_table_render(&t, c->width, c->color, &c->out);
        ctl_table_fini(&t);
    }
    json_decref(answer);
    return status;
}

/* ---- cancel, retry ---- */

/* Each question of many has the time of one. */
static void each_begin(struct ctl *c)
{
    c->deadline = clock_mono_ms() + c->timeout_ms;
}

/* One job; what became of it is added to `all`. */
static int each_one(struct ctl *c, const char *section, const char *verb, const char *job,
                    json_t *all)
{
    const struct slice arg = slice_of(job);
    json_t *answer = NULL;
    each_begin(c);
    int status = ctl_job_ask(c, section, verb, 1, &arg, &answer);
    if (status == CONTROL_OK && !c->args.json) {
        ctl_append_safe(&c->out, arg);
        buffer_printf(&c->out, ": %s\n", ctl_value_text(answer, "status"));
    }
    if (answer != NULL)
        json_array_append_new(all, answer);
    return status;
}

/* Those that are there when it begins. */
static int each_all(struct ctl *c, const char *section, const char *verb, const char *const *values,
                    json_t *all)
{
    const char *const wanted[LIST_ARGS] = {values[0], MANY_PAGE_S, values[1], "", "0", ""};
    json_t *list = NULL, *row;
    size_t i;
    int status = list_pages(c, section, wanted, SIZE_MAX, &list);
    json_array_foreach(json_object_get(list, "jobs"), i, row)
    {
        if (status == CONTROL_OK)
            status = each_one(c, section, verb, ctl_value_text(row, "job_id"), all);
    }
    json_decref(list);
    return status;
}

/* Of each job in turn; the first that cannot be had ends it. */
static int job_each(struct ctl *c, const char *verb)
{
    static const char *const options[] = {"--status", "--platform", NULL};
    const char *values[] = {"", ""};
    struct ctl_job_words words;
    bool whole = ctl_words_flag(c, "--all");
    json_t *all = json_array();
    int status =
        ctl_job_begin(c, &words, whole ? 0 : 1, whole ? 0 : CTL_JOB_WORDS_MAX, options, values);
    if (status == CONTROL_OK && whole != (values[0][0] != '\0'))
        status =
            ctl_fail_usage(c->args.verb, "--all and --status go together: --all --status failed");
    if (status == CONTROL_OK && whole)
        status = each_all(c, words.section, verb, values, all);
    for (int i = 0; !whole && i < words.count && status == CONTROL_OK; i++)
        status = each_one(c, words.section, verb, words.list[i], all);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, all);
    json_decref(all);
    return status;
}

int ctl_job_cancel_run(struct ctl *c)
{
    return job_each(c, "job-cancel");
}

int ctl_job_retry_run(struct ctl *c)
{
    return job_each(c, "job-retry");
}

/* ---- tail ---- */

/* Lines, made safe for a terminal one by one. */
static void tail_print(struct ctl *c, const json_t *output)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(output, &text);
    for (const char *at = text.data, *end = at + text.len; text.len > 0 && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        ctl_append_safe(&c->out, slice_make(at, (size_t)(stop - at)));
        if (newline != NULL)
            buffer_append_char(&c->out, '\n');
        at = stop + 1;
    }
    buffer_fini(&text);
}

/* What has come behind what was seen; *answer is the caller's. */
static int tail_ask(struct ctl *c, const struct ctl_job_words *words, const json_t *seen,
                    json_t **answer)
{
    char attempt[24], from[24];
    snprintf(attempt, sizeof attempt, "%" PRIu64, ctl_value_u64(seen, "attempt"));
    snprintf(from, sizeof from, "%" PRIu64, ctl_value_u64(seen, "end"));
    const struct slice args[] = {slice_of(words->list[0]), slice_of(attempt), slice_of(from)};
    return ctl_job_ask(c, words->section, "job-tail", 3, args, answer);
}

int ctl_job_tail_run(struct ctl *c)
{
    struct ctl_job_words words;
    json_t *seen = NULL;
    bool follow = ctl_words_flag(c, "-f"), over = false, ends = true;
    int status = ctl_job_begin(c, &words, 1, 1, NULL, NULL);
    while (status == CONTROL_OK && !over) {
        json_t *answer = NULL;
        each_begin(c);
        status = tail_ask(c, &words, seen, &answer);
        if (status != CONTROL_OK)
            break;
        json_decref(seen);
        seen = answer;
        const json_t *output = json_object_get(seen, "output");
        size_t len = json_string_length(output);
        over = !follow || ctl_job_is_over(ctl_value_text(seen, "status"));
        if (c->args.json && (!follow || len > 0))
            ctl_value_print_line(json_incref((json_t *)(uintptr_t)output), &c->out);
        else if (!c->args.json)
            tail_print(c, output);
        ends = len > 0 ? json_string_value(output)[len - 1] == '\n' : ends;
        if (over && !ends && !c->args.json)
            buffer_append_char(&c->out, '\n');
        status = ctl_flush(c);
        if (!over)
            poll(NULL, 0, MANY_PAUSE_MS);
    }
    json_decref(seen);
    return status;
}
