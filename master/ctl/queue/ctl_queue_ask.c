/* ctl_queue_ask.c: whom the queues' verbs ask. See ctl_queue.h. */
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_section.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/queue/ctl_queue.h"
#include "master/ctl/queue/ctl_queue_servers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int ctl_queue_words(struct ctl *c, struct ctl_queue_words *words, const char *const *options,
                    const char **values)
{
    *words = (struct ctl_queue_words){.on = NULL};
    return ctl_words_take(c, options, values, &words->on, words->list, CTL_QUEUE_WORDS_MAX,
                          &words->count);
}

int ctl_queue_begin(struct ctl *c, struct ctl_queue_words *words, int min, int max,
                    const char *const *options, const char **values,
                    char backbone[CONTRACT_NAME_MAX])
{
    int status = ctl_queue_words(c, words, options, values);
    if (status != CONTROL_OK)
        return status;
    if (words->count < min)
        return ctl_fail_usage(c->args.verb, "it needs %d word%s", min, min == 1 ? "" : "s");
    if (words->count > max)
        return ctl_fail_usage(c->args.verb, "'%s' is a word too much", words->list[max]);
    return ctl_queue_backbone(c, words->on, backbone);
}

int ctl_queue_number(struct ctl *c, const char *option, const char *value, uint64_t otherwise,
                     uint64_t *number)
{
    *number = otherwise;
    if (value != NULL && (text_parse_u64(slice_of(value), number) != 0 || *number == 0))
        return ctl_fail_usage(c->args.verb, "%s: '%s' is no number from 1 on", option, value);
    return CONTROL_OK;
}

int ctl_queue_span(struct ctl *c, const char *option, const char *value, const char *otherwise,
                   uint64_t least, char ms[CTL_QUEUE_SPAN_SIZE])
{
    uint64_t span;
    snprintf(ms, CTL_QUEUE_SPAN_SIZE, "%s", otherwise);
    if (value == NULL)
        return CONTROL_OK;
    if (text_parse_span(slice_of(value), &span) != 0 || span < least)
        return ctl_fail_usage(c->args.verb, "%s: '%s' is no duration such as 60s", option, value);
    snprintf(ms, CTL_QUEUE_SPAN_SIZE, "%" PRIu64, span);
    return CONTROL_OK;
}

int ctl_queue_backbone(struct ctl *c, const char *on, char name[CONTRACT_NAME_MAX])
{
    static const struct ctl_section backbones = {
        "backbone", "backbone",
        "there is no backbone here: give the configuration a backbone section",
        "there are several backbones: name one with --on"};
    return ctl_section_find(c, &backbones, on, name);
}

int ctl_queue_ask(struct ctl *c, const char *backbone, const char *verb, size_t count,
                  const struct slice *args, json_t **answer)
{
    static struct ctl_queue_servers servers; /* a run asks about one backbone, maybe very often */
    int status = servers.count == 1 || (servers.count > 1 && strcmp(verb, "queue-deliver") == 0)
                     ? CONTROL_OK
                     : ctl_queue_servers_find(c, backbone, &servers);
    if (status != CONTROL_OK)
        return status;
    if (servers.count > 1)
        return ctl_queue_servers_ask(c, &servers, verb, count, args, answer);
    struct slice *words = calloc(count + 3, sizeof *words);
    if (words == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    words[0] = slice_of("backbone");
    words[1] = slice_of(backbone);
    words[2] = slice_of(verb);
    for (size_t i = 0; i < count; i++)
        words[3 + i] = args[i];
    status = ctl_request_json(c, "ask", count + 3, words, answer);
    free(words);
    return status;
}
