/* ctl_job.c: the verbs of one job, and of platforms: platforms, run, show, wait. See ctl_job.h. */
#include "common/text.h"
#include "common/json/json_text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/jobs/ctl_job.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what people see ---- */

/* "status    finished", a line a member; what there is not is not shown, nor is the output. */
static void job_print(struct ctl *c, json_t *job)
{
    const char *key;
    json_t *value;
    json_object_foreach(job, key, value)
    {
        struct buffer text = BUFFER_EMPTY;
        if (json_is_null(value) || strcmp(key, "output") == 0)
            continue;
        if (json_is_object(value) || json_is_array(value)) {
            char *dumped = json_text(value);
            buffer_append_text(&text, dumped);
            free(dumped);
        } else {
            ctl_value_show(value, &text);
        }
        buffer_printf(&c->out, "%-14s ", key);
        ctl_append_safe(&c->out, buffer_slice(&text));
        buffer_append_char(&c->out, '\n');
        buffer_fini(&text);
    }
}

/* ---- platforms, show ---- */

/* "date:datetime days:int=7 [key:str]": those in brackets need not be given; a secret's default is not shown. */
static void job_show_settings(const json_t *settings, struct buffer *text)
{
    const char *name;
    json_t *one;
    json_object_foreach((json_t *)(uintptr_t)settings, name, one)
    {
        json_t *standard = json_object_get(one, "default");
        bool needed = json_is_true(json_object_get(one, "required"));
        char *shown = json_is_null(standard) ? NULL : json_text(standard);
        buffer_printf(text, "%s%s%s:%s%s%s%s", text->len > 0 ? " " : "", needed ? "" : "[", name,
                      ctl_value_text(one, "type"), shown != NULL ? "=" : "",
                      shown != NULL ? shown : "", needed ? "" : "]");
        free(shown);
    }
}

static void job_print_platforms(struct ctl *c, const json_t *rows)
{
    static const struct ctl_column columns[] = {
        {.title = "PLATFORM"}, {.title = "NAME"}, {.title = "SETTINGS", .cut = true}};
    struct ctl_table t;
    size_t i;
    json_t *row;
    ctl_table_init(&t, columns, 3);
    json_array_foreach(rows, i, row)
    {
        const char *broken = ctl_value_text(row, "broken");
        struct buffer text = BUFFER_EMPTY;
        ctl_job_cell(&t, row, "platform_id");
        ctl_job_cell(&t, row, "display_name");
        if (broken[0] != '\0')
            buffer_printf(&text, "broken: %s", broken);
        else
            job_show_settings(json_object_get(row, "settings"), &text);
        ctl_table_cell(&t, broken[0] != '\0' ? CTL_RED : CTL_PLAIN, buffer_slice(&text));
        buffer_fini(&text);
    }
    ctl_table_render(&t, c->width, c->color, &c->out);
    ctl_table_fini(&t);
}

int ctl_job_platforms_run(struct ctl *c)
{
    struct ctl_job_words words;
    json_t *answer = NULL;
    int status = ctl_job_begin(c, &words, 0, 0, NULL, NULL);
    if (status == CONTROL_OK)
        status = ctl_job_ask(c, words.section, "job-platforms", 0, NULL, &answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, answer);
    else if (status == CONTROL_OK)
        job_print_platforms(c, answer);
    json_decref(answer);
    return status;
}

static int job_shown(struct ctl *c, struct ctl_job_words *words, json_t **job)
{
    int status = ctl_job_begin(c, words, 1, 1, NULL, NULL);
    const struct slice arg = slice_of(words->list[0]);
    return status == CONTROL_OK ? ctl_job_ask(c, words->section, "job-show", 1, &arg, job) : status;
}

int ctl_job_show_run(struct ctl *c)
{
    struct ctl_job_words words;
    json_t *job = NULL;
    int status = job_shown(c, &words, &job);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, job);
    else if (status == CONTROL_OK)
        job_print(c, job);
    json_decref(job);
    return status;
}

/* ---- run, wait ---- */

static int job_wait(struct ctl *c, const char *section, const char *job, bool says)
{
    json_t *last = NULL;
    int status = ctl_job_wait(c, section, job, &last);
    if (last != NULL && (status == CONTROL_OK || status == CONTROL_ERROR)) {
        if (c->args.json)
            ctl_print_json(c, last);
        else if (says)
            job_print(c, last);
    }
    json_decref(last);
    return status;
}

int ctl_job_wait_run(struct ctl *c)
{
    struct ctl_job_words words;
    int status = ctl_job_begin(c, &words, 1, 1, NULL, NULL);
    return status == CONTROL_OK ? job_wait(c, words.section, words.list[0], true) : status;
}

/* NAME=VALUE of the words behind the platform, over what --settings says. NULL: the reason is printed. */
static json_t *job_settings(struct ctl *c, const struct ctl_job_words *words, const char *given)
{
    json_t *settings = ctl_job_settings(c, given);
    if (settings == NULL)
        return NULL;
    for (int i = 1; i < words->count; i++) {
        const char *equals = strchr(words->list[i], '=');
        char name[128];
        size_t len = equals != NULL ? (size_t)(equals - words->list[i]) : 0;
        if (len == 0 || !slice_copy(slice_make(words->list[i], len), name, sizeof name) ||
            json_object_set_new(settings, name, json_string(equals + 1)) != 0) {
            ctl_fail_usage(c->args.verb, "'%s' is no NAME=VALUE", words->list[i]);
            json_decref(settings);
            return NULL;
        }
    }
    return settings;
}

int ctl_job_run_run(struct ctl *c)
{
    static const char *const options[] = {"--settings", "--id", "--key", NULL};
    const char *values[] = {"{}", "", ""};
    struct ctl_job_words words;
    json_t *answer = NULL;
    bool waits = ctl_words_flag(c, "--wait");
    int status = ctl_job_begin(c, &words, 1, CTL_JOB_WORDS_MAX, options, values);
    json_t *settings = status == CONTROL_OK ? job_settings(c, &words, values[0]) : NULL;
    if (settings == NULL)
        return status == CONTROL_OK ? CONTROL_USAGE : status;
    char *text = json_text(settings);
    json_decref(settings);
    const struct slice args[] = {slice_of(words.list[0]), slice_of(text), slice_of(values[1]),
                                 slice_of(values[2])};
    status = ctl_job_ask(c, words.section, "job-run", 4, args, &answer);
    free(text);
    if (status == CONTROL_OK && waits) {
        status = job_wait(c, words.section, ctl_value_text(answer, "job_id"), true);
    } else if (status == CONTROL_OK && c->args.json) {
        ctl_print_json(c, answer);
    } else if (status == CONTROL_OK) {
        ctl_append_safe(&c->out, slice_of(ctl_value_text(answer, "job_id")));
        buffer_append_char(&c->out, '\n');
    }
    json_decref(answer);
    return status;
}
