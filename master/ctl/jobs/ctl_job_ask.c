/* ctl_job_ask.c: whom the verbs of jobs ask, and how long they wait. See ctl_job.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/jobs/ctl_job.h"

#include <poll.h>
#include <stdlib.h>

#define WAIT_PAUSE_MS 100
#define WAIT_LOOK_MS  5000u

/* ---- the section ---- */

/* The collectors of the tree: the second part of "jobs/NAME/collector". How many; the first into `name`. */
static size_t job_sections(const json_t *node, char name[CONTRACT_NAME_MAX])
{
    size_t count = 0, i;
    json_t *child;
    if (strcmp(ctl_value_text(node, "type"), "job-collector") == 0) {
        const char *from = strchr(ctl_value_text(node, "name"), '/');
        const char *to = from != NULL ? strchr(from + 1, '/') : NULL;
        if (to != NULL && count++ == 0 && name[0] == '\0')
            slice_copy(slice_make(from + 1, (size_t)(to - from - 1)), name, CONTRACT_NAME_MAX);
    }
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        count += job_sections(child, name);
    }
    return count;
}

static int job_section(struct ctl *c, struct ctl_job_words *words)
{
    json_t *root = NULL;
    words->section[0] = '\0';
    if (words->on != NULL) {
        if (slice_copy(slice_of(words->on), words->section, sizeof words->section))
            return CONTROL_OK;
        return ctl_fail(CONTROL_NO_NAME, "no jobs section named '%s'", words->on);
    }
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status != CONTROL_OK)
        return status;
    size_t count = job_sections(root, words->section);
    json_decref(root);
    if (count == 0)
        return ctl_fail(CONTROL_NO_NAME,
                        "there are no jobs here: give the configuration a jobs section");
    if (count > 1)
        return ctl_fail_usage(c->args.verb, "there are several jobs sections: name one with --on");
    return CONTROL_OK;
}

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
    return job_section(c, words);
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
        ctl_fail_usage(c->args.verb, "--settings: '%s' is no JSON object: %s", given,
                       settings == NULL ? error.text : "it is something else");
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
