/* ctl_job_ask.c: whom the verbs of jobs ask, and how long they wait. See ctl_job.h. */
#include "common/clock.h"
#include "common/json/json_text.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_section.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/jobs/ctl_job.h"

#include <poll.h>
#include <stdlib.h>

#define WAIT_PAUSE_MS 100
#define WAIT_LOOK_MS  5000u

static const struct ctl_section job_sections = {
    "job-collector", "jobs section",
    "there are no jobs here: give the configuration a jobs section",
    "there are several jobs sections: name one with --on"};

int ctl_job_begin(struct ctl *c, struct ctl_job_words *words, int min, int max,
                  const char *const *options, const char **values)
{
    *words = (struct ctl_job_words){.on = NULL};
    int status = ctl_words_take(c, options, values, &words->on, words->list, CTL_JOB_WORDS_MAX,
                                &words->count);
    if (status != CONTROL_OK)
        return status;
    if (words->count < min)
        return ctl_fail_usage(c->args.verb, "it needs %d word%s", min, min == 1 ? "" : "s");
    if (words->count > max)
        return ctl_fail_usage(c->args.verb, "'%s' is a word too much", words->list[max]);
    return ctl_section_find(c, &job_sections, words->on, words->section);
}

static void job_address(struct slice *words, const char *section, const char *verb)
{
    words[0] = slice_of("job-collector");
    words[1] = slice_of(section);
    words[2] = slice_of(verb);
}

int ctl_job_ask(struct ctl *c, const char *section, const char *verb, size_t count,
                const struct slice *args, json_t **answer)
{
    struct slice words[12];
    job_address(words, section, verb);
    for (size_t i = 0; i < count; i++)
        words[3 + i] = args[i];
    return ctl_request_json(c, "ask", count + 3, words, answer);
}

/* ---- showing ---- */

json_t *ctl_job_settings(struct ctl *c, const char *given)
{
    json_error_t error;
    json_t *settings = given[0] == '@' ? json_load_file(given + 1, JSON_REJECT_DUPLICATES, &error)
                                       : json_loads(given, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(settings)) {
        char why[JSON_TEXT_WHY];
        ctl_fail_usage(c->args.verb, "--settings: it is no JSON object: %s",
                       settings == NULL ? json_text_why(&error, why) : "it is something else");
        json_decref(settings);
        return NULL;
    }
    return settings;
}

void ctl_job_cell(struct ctl_table *t, const json_t *object, const char *key)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(json_object_get(object, key), &text);
    ctl_table_cell(t, CTL_PLAIN, buffer_slice(&text));
    buffer_fini(&text);
}

/* ---- waiting ---- */

/* CONTROL_OK also when it could not be answered just now, once it was: workers come and go, and that is waited out. */
static int wait_look(struct ctl *c, const char *section, const char *job, json_t **last)
{
    struct slice words[4], body;
    uint64_t deadline = clock_mono_ms() + WAIT_LOOK_MS;
    json_t *seen = NULL;
    job_address(words, section, "job-show");
    words[3] = slice_of(job);
    int status = ctl_client_ask(&c->client, c->deadline < deadline ? c->deadline : deadline, "ask",
                                4, words, &body);
    if (*last != NULL && (status == CONTROL_ERROR || status == CONTROL_TIMEOUT))
        return CONTROL_OK;
    if (status != CONTROL_OK)
        return ctl_fail(status, "%s", ctl_client_why(&c->client));
    if (ctl_value_decode(body, &seen) != 0)
        return ctl_fail(CONTROL_ERROR, "the collector's answer is none");
    json_decref(*last);
    *last = seen;
    return CONTROL_OK;
}

bool ctl_job_is_over(const char *status)
{
    static const char *const ends[] = {"finished", "failed", "stopped", "canceled"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (strcmp(status, ends[i]) == 0)
            return true;
    return false;
}

int ctl_job_wait(struct ctl *c, const char *section, const char *job, json_t **last)
{
    for (;;) {
        int status = wait_look(c, section, job, last);
        if (status != CONTROL_OK)
            return status;
        if (ctl_job_is_over(ctl_value_text(*last, "status")))
            return strcmp(ctl_value_text(*last, "status"), "finished") == 0 ? CONTROL_OK
                                                                            : CONTROL_ERROR;
        uint64_t now = clock_mono_ms();
        if (now >= c->deadline)
            return ctl_fail(CONTROL_TIMEOUT, "job %s has not ended: it is %s", job,
                            ctl_value_text(*last, "status"));
        uint64_t left = c->deadline - now;
        poll(NULL, 0, left < WAIT_PAUSE_MS ? (int)left : WAIT_PAUSE_MS);
    }
}
