/* ctl_queue_listen.c: the verb queue listen: what is delivered, as it happens. See ctl_queue.h. */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/queue/ctl_queue.h"
#include "master/ctl/queue/ctl_queue_servers.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

struct listening {
    char backbone[CONTRACT_NAME_MAX];
    const char *glob;
    struct ctl_queue_servers servers;
    char sessions[CTL_QUEUE_SERVERS_MAX][24]; /* "": none yet */
    uint64_t left;                            /* messages to show */
};

/* Of several servers each is listened to for half of this, while the others keep what comes. */
#define LISTEN_TURN_MS  1000u
#define LISTEN_PAUSE_MS 100

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

/* Of several servers one that is away is looked for again, and heard when it is back. */
static int listen_ask(struct ctl *c, struct listening *l, size_t server, json_t **answer)
{
    const struct slice words[] = {slice_of(l->glob), slice_of(l->sessions[server])};
    struct buffer why = BUFFER_EMPTY;
    bool several = l->servers.count > 1;
    uint64_t turn = several && c->timeout_ms > LISTEN_TURN_MS ? LISTEN_TURN_MS : c->timeout_ms;
    c->deadline = clock_mono_ms() + c->timeout_ms;
    int status = ctl_queue_server_ask(c, &l->servers.list[server], clock_mono_ms() + turn,
                                      "queue-listen", 2, words, answer, &why);
    const char *text = buffer_text(&why);
    if (status != CONTROL_OK && !several)
        ctl_fail(status, "%s", text != NULL ? text : "not enough memory");
    buffer_fini(&why);
    if (status == CONTROL_OK || !several)
        return status;
    poll(NULL, 0, LISTEN_PAUSE_MS);
    return ctl_queue_servers_find(c, l->backbone, &l->servers);
}

static int listen_look(struct ctl *c, struct listening *l, size_t server)
{
    json_t *answer = NULL, *message;
    size_t i;
    int status = listen_ask(c, l, server, &answer);
    if (status != CONTROL_OK || answer == NULL)
        return status;
    snprintf(l->sessions[server], sizeof l->sessions[server], "%s",
             ctl_value_text(answer, "session"));
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
    if (status == CONTROL_OK)
        status = ctl_queue_servers_find(c, l.backbone, &l.servers);
    for (size_t turn = 0; status == CONTROL_OK && l.left > 0; turn++)
        status = listen_look(c, &l, turn % l.servers.count);
    return status;
}
