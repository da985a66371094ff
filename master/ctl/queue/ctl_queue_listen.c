/* ctl_queue_listen.c: the verb queue listen: what is delivered, as it happens. See ctl_queue.h. */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"

#include <inttypes.h>
#include <stdio.h>

struct listening {
    char backbone[CONTRACT_NAME_MAX];
    const char *glob;
    char session[24]; /* "": none yet */
    uint64_t left;    /* messages to show */
};

/* A line each: topic and body, apart by a tab; as JSON an object. */
static void listen_show(struct ctl *c, const json_t *message)
{
    if (c->args.json) {
        ctl_value_print_line(json_incref((json_t *)message), &c->out);
        return;
    }
    ctl_append_safe(&c->out, slice_of(ctl_value_text(message, "topic")));
    buffer_append_char(&c->out, '\t');
    ctl_append_safe(&c->out, slice_of(ctl_value_text(message, "body")));
    buffer_append_char(&c->out, '\n');
}

static int listen_look(struct ctl *c, struct listening *l)
{
    json_t *answer = NULL, *message;
    size_t i;
    const struct slice words[] = {slice_of(l->glob), slice_of(l->session)};
    c->deadline = clock_mono_ms() + c->timeout_ms;
    int status = ctl_queue_ask(c, l->backbone, "queue-listen", 2, words, &answer);
    if (status != CONTROL_OK)
        return status;
    snprintf(l->session, sizeof l->session, "%s", ctl_value_text(answer, "session"));
    uint64_t lost = ctl_value_u64(answer, "lost");
    json_array_foreach(json_object_get(answer, "messages"), i, message)
    {
        if (l->left == 0)
            break;
        l->left--;
        listen_show(c, message);
    }
    json_decref(answer);
    status = ctl_flush(c);
    if (lost > 0)
        ctl_fail(CONTROL_OK, "%" PRIu64 " messages came faster than they were read, and are lost",
                 lost);
    return status;
}

/* Until it is ended, or has shown as many as were asked for. */
int ctl_queue_listen_run(struct ctl *c)
{
    static const char *const options[] = {"-n", NULL};
    const char *values[1] = {NULL};
    struct ctl_queue_words words;
    struct listening l = {.glob = NULL};
    int status = ctl_queue_begin(c, &words, 1, 1, options, values, l.backbone);
    if (status == CONTROL_OK)
        status = ctl_queue_number(c, "-n", values[0], UINT64_MAX, &l.left);
    l.glob = status == CONTROL_OK ? words.list[0] : NULL;
    while (status == CONTROL_OK && l.left > 0)
        status = listen_look(c, &l);
    return status;
}
