/* ctl_queue_hand.c: the verbs about messages: peek, pull, ack, again, bury, renew. See ctl_queue.h. */
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/ctl_words.h"
#include "master/ctl/queue/ctl_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEASE_MS "60000"

/* Those that were pulled have a receipt, those that were looked at an id. */
void ctl_queue_render_messages(const json_t *messages, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {{"MESSAGE", false, false},
                                                {"ATTEMPT", true, false},
                                                {"FACET", false, false},
                                                {"BODY", false, true}};
    struct ctl_table t;
    size_t i;
    json_t *m;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(messages, i, m)
    {
        const char *name = ctl_value_text(m, "receipt");
        name = name[0] != '\0' ? name : ctl_value_text(m, "id");
        ctl_table_cell(&t, CTL_PLAIN, slice_of(name[0] != '\0' ? name : "-"));
        ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(m, "attempt"));
        ctl_queue_cell_shown(&t, json_object_get(m, "facet"));
        ctl_queue_cell_shown(&t, json_object_get(m, "body"));
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

static void hand_show(struct ctl *c, json_t *messages)
{
    if (c->args.json)
        ctl_print_json(c, messages);
    else if (json_array_size(messages) == 0)
        buffer_append_text(&c->out, "nothing waits there now\n");
    else
        ctl_queue_render_messages(messages, c->width, c->color, &c->out);
    json_decref(messages);
}

int ctl_queue_peek_run(struct ctl *c)
{
    static const char *const options[] = {"--facet", "-n", NULL};
    const char *values[2] = {NULL, NULL};
    char backbone[CONTRACT_NAME_MAX], number[24];
    struct ctl_queue_words words;
    uint64_t count;
    json_t *messages = NULL;
    int status = ctl_queue_begin(c, &words, 1, 1, options, values, backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_number(c, "-n", values[1], 1, &count);
    if (status != CONTROL_OK)
        return status;
    snprintf(number, sizeof number, "%" PRIu64, count);
    const struct slice args[] = {slice_of(words.list[0]), slice_of(values[0]), slice_of(number)};
    status = ctl_queue_ask(c, backbone, "queue-peek", 3, args, &messages);
    if (status == CONTROL_OK)
        hand_show(c, messages);
    return status;
}

/* ---- pull ---- */

int ctl_queue_pull_run(struct ctl *c)
{
    static const char *const options[] = {"-n", "--lease", NULL};
    const char *values[2] = {NULL, NULL};
    char backbone[CONTRACT_NAME_MAX], number[24], lease[CTL_QUEUE_SPAN_SIZE];
    struct slice args[CTL_QUEUE_WORDS_MAX + 2];
    struct ctl_queue_words words;
    uint64_t count;
    json_t *messages = NULL;
    bool once = ctl_words_flag(c, "--once");
    int status = ctl_queue_begin(c, &words, 1, CTL_QUEUE_WORDS_MAX, options, values, backbone);
    if (status == CONTROL_OK && once && values[1] != NULL)
        status = ctl_fail_usage(c->args.verb, "--once has no lease: leave one of both out");
    if (status == CONTROL_OK)
        status = ctl_queue_number(c, "-n", values[0], 1, &count);
    if (status == CONTROL_OK)
        status = ctl_queue_span(c, "--lease", values[1], once ? "-1" : LEASE_MS, 1, lease);
    if (status != CONTROL_OK)
        return status;
    snprintf(number, sizeof number, "%" PRIu64, count);
    args[0] = slice_of(number);
    args[1] = slice_of(lease);
    for (int i = 0; i < words.count; i++)
        args[2 + i] = slice_of(words.list[i]);
    status = ctl_queue_ask(c, backbone, "queue-pull", 2 + (size_t)words.count, args, &messages);
    if (status == CONTROL_OK)
        hand_show(c, messages);
    return status;
}

/* ---- what becomes of them ---- */

static int settle_check(struct ctl *c, const struct ctl_queue_words *words)
{
    for (int i = 1; i < words->count; i++) {
        const char *dot = strchr(words->list[i], '.');
        size_t attempt = dot != NULL ? strcspn(dot + 1, "@") : 0; /* then the server */
        uint64_t number;
        if (dot == NULL || text_parse_u64(slice_make(dot + 1, attempt), &number) != 0 ||
            text_parse_u64(slice_make(words->list[i], (size_t)(dot - words->list[i])), &number) !=
                0)
            return ctl_fail_usage(c->args.verb, "'%s' is no receipt: 'queue pull' says them",
                                  words->list[i]);
    }
    return CONTROL_OK;
}

/* The queue, `extra` words, and the receipts. `counted`: how the answer names those that counted. */
static int settle(struct ctl *c, const struct ctl_queue_words *words, const char *backbone,
                  const char *verb, const char *counted, size_t extra, const struct slice *extras)
{
    struct slice args[CTL_QUEUE_WORDS_MAX + 2] = {slice_of(words->list[0])};
    json_t *answer = NULL;
    size_t count = 1;
    int status = settle_check(c, words);
    if (status != CONTROL_OK)
        return status;
    for (size_t i = 0; i < extra; i++)
        args[count++] = extras[i];
    for (int i = 1; i < words->count; i++)
        args[count++] = slice_of(words->list[i]);
    status = ctl_queue_ask(c, backbone, verb, count, args, &answer);
    if (status != CONTROL_OK)
        return status;
    uint64_t done = ctl_value_u64(answer, counted), lost = ctl_value_u64(answer, "lost");
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "%s: %" PRIu64 " %s\n", words->list[0], done, counted);
    json_decref(answer);
    if (lost == 0)
        return CONTROL_OK;
    return ctl_fail(CONTROL_ERROR,
                    "%s: %" PRIu64 " of these receipts %s not held any more: what they are of is "
                    "settled, or somebody else's",
                    words->list[0], lost, lost == 1 ? "is" : "are");
}

int ctl_queue_ack_run(struct ctl *c)
{
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 2, CTL_QUEUE_WORDS_MAX, NULL, NULL, backbone);
    return status == CONTROL_OK ? settle(c, &words, backbone, "queue-ack", "acked", 0, NULL)
                                : status;
}

int ctl_queue_again_run(struct ctl *c)
{
    static const char *const options[] = {"--after", "--reason", NULL};
    const char *values[2] = {NULL, NULL};
    char backbone[CONTRACT_NAME_MAX], after[CTL_QUEUE_SPAN_SIZE];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 2, CTL_QUEUE_WORDS_MAX, options, values, backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_span(c, "--after", values[0], "-1", 0, after);
    if (status != CONTROL_OK)
        return status;
    const struct slice extras[] = {slice_of(after), slice_of(values[1])};
    return settle(c, &words, backbone, "queue-again", "again", 2, extras);
}

int ctl_queue_bury_run(struct ctl *c)
{
    static const char *const options[] = {"--reason", NULL};
    const char *values[1] = {NULL};
    char backbone[CONTRACT_NAME_MAX];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 2, CTL_QUEUE_WORDS_MAX, options, values, backbone);
    if (status != CONTROL_OK)
        return status;
    const struct slice reason = slice_of(values[0]);
    return settle(c, &words, backbone, "queue-bury", "buried", 1, &reason);
}

int ctl_queue_renew_run(struct ctl *c)
{
    static const char *const options[] = {"--lease", NULL};
    const char *values[1] = {NULL};
    char backbone[CONTRACT_NAME_MAX], lease[CTL_QUEUE_SPAN_SIZE];
    struct ctl_queue_words words;
    int status = ctl_queue_begin(c, &words, 2, CTL_QUEUE_WORDS_MAX, options, values, backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_span(c, "--lease", values[0], LEASE_MS, 1, lease);
    if (status != CONTROL_OK)
        return status;
    const struct slice extra = slice_of(lease);
    return settle(c, &words, backbone, "queue-renew", "renewed", 1, &extra);
}
