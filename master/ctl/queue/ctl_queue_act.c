/*
 * ctl_queue_act.c: the verbs about queues and their facets: register, unregister, destroy, weight, pause, resume, cap.
 * See ctl_queue.h.
 */
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/queue/ctl_queue.h"

#include <inttypes.h>
#include <stdlib.h>

#define WEIGHT_MAX 100

/* The verb's words, and `more`, are the backbone's. On 0 *answer is the caller's; with --json it has been printed. */
static int act_ask(struct ctl *c, const struct ctl_queue_words *words, const char *backbone,
                   const char *verb, const char *more, json_t **answer)
{
    struct slice args[4];
    size_t count = 0;
    for (int i = 0; i < words->count; i++)
        args[count++] = slice_of(words->list[i]);
    if (more != NULL)
        args[count++] = slice_of(more);
    int status = ctl_queue_ask(c, backbone, verb, count, args, answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, *answer);
    return status;
}

static int act_number(struct ctl *c, const char *word, uint64_t most, const char *what)
{
    uint64_t number;
    if (text_parse_u64(slice_of(word), &number) == 0 && number <= most)
        return CONTROL_OK;
    return ctl_fail_usage(c->args.verb, "'%s' is no %s", word, what);
}

static void act_say(struct ctl *c, const char *queue, const char *what)
{
    if (c->args.json)
        return;
    ctl_append_safe(&c->out, slice_of(queue));
    buffer_printf(&c->out, ": %s\n", what);
}

/* ---- register, unregister, destroy ---- */

int ctl_queue_register_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    json_t *answer = NULL;
    bool raw = ctl_words_flag(c, "--raw");
    int status = ctl_queue_begin(c, &words, 2, 2, NULL, NULL, backbone);
    if (status == CONTROL_OK)
        status = act_ask(c, &words, backbone, "queue-register", raw ? "1" : "0", &answer);
    if (status != CONTROL_OK)
        return status;
    const char *was = ctl_value_text(answer, "was");
    act_say(c, words.list[0],
            strcmp(was, "new") == 0    ? "it is there now"
            : strcmp(was, "same") == 0 ? "it was so already"
                                       : "it is so now, and was otherwise");
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_queue_unregister_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    json_t *answer = NULL;
    int status = ctl_queue_begin(c, &words, 1, 1, NULL, NULL, backbone);
    if (status == CONTROL_OK)
        status = act_ask(c, &words, backbone, "queue-unregister", NULL, &answer);
    if (status != CONTROL_OK)
        return status;
    bool same = strcmp(ctl_value_text(answer, "was"), "same") == 0;
    act_say(c, words.list[0],
            same ? "it was not registered any more" : "nothing more comes into it");
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_queue_destroy_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    json_t *answer = NULL;
    int status = ctl_queue_begin(c, &words, 1, 1, NULL, NULL, backbone);
    if (status == CONTROL_OK)
        status = act_ask(c, &words, backbone, "queue-destroy", NULL, &answer);
    if (status == CONTROL_OK)
        act_say(c, words.list[0], "it is gone with all its messages");
    json_decref(answer);
    return status;
}

/* ---- weight, cap ---- */

static int act_was(struct ctl *c, const struct ctl_queue_words *words, const char *backbone,
                   const char *verb)
{
    json_t *answer = NULL;
    int status = act_ask(c, words, backbone, verb, NULL, &answer);
    if (status == CONTROL_OK && !c->args.json) {
        for (int i = 0; i < words->count; i++) {
            buffer_append_text(&c->out, i == 0 ? "" : i == words->count - 1 ? ": " : " ");
            ctl_append_safe(&c->out, slice_of(words->list[i]));
        }
        buffer_printf(&c->out, ", before %" PRIu64 "\n", ctl_value_u64(answer, "was"));
    }
    json_decref(answer);
    return status;
}

int ctl_queue_weight_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 3, 3, NULL, NULL, backbone);
    if (status == CONTROL_OK)
        status = act_number(c, words.list[2], WEIGHT_MAX, "weight: from 0 to 100");
    return status == CONTROL_OK ? act_was(c, &words, backbone, "queue-weight") : status;
}

int ctl_queue_cap_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 2, 2, NULL, NULL, backbone);
    if (status == CONTROL_OK)
        status = act_number(c, words.list[1], UINT32_MAX, "number of messages, 0 for any");
    return status == CONTROL_OK ? act_was(c, &words, backbone, "queue-cap") : status;
}

/* ---- pause, resume ---- */

static int act_pause(struct ctl *c, bool pause)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    json_t *answer = NULL;
    int status = ctl_queue_begin(c, &words, 1, 2, NULL, NULL, backbone);
    if (status != CONTROL_OK)
        return status;
    const char *facet = words.count == 2 ? words.list[1] : NULL;
    words.list[1] = pause ? "1" : "0";
    words.count = 2;
    status = act_ask(c, &words, backbone, "queue-pause", facet, &answer);
    if (status == CONTROL_OK && !c->args.json) {
        bool changed = json_is_true(json_object_get(answer, "changed"));
        ctl_append_safe(&c->out, slice_of(words.list[0]));
        buffer_append_text(&c->out, facet != NULL ? " " : "");
        ctl_append_safe(&c->out, slice_of(facet));
        buffer_printf(&c->out, ": %s%s\n", changed ? "" : "was ", pause ? "paused" : "not paused");
    }
    json_decref(answer);
    return status;
}

int ctl_queue_pause_run(struct ctl *c)
{
    return act_pause(c, true);
}

int ctl_queue_resume_run(struct ctl *c)
{
    return act_pause(c, false);
}
