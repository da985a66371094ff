/* ctl_verbs.c: what the tool knows of each verb, and the one road every question takes. See ctl.h. */
#include "master/ctl/ctl_verbs.h"

#include "common/text.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

/* A follower whose connection was closed asks again: the master may have been upgraded, or have had too many clients. */
#define FOLLOW_TRIES    20
#define FOLLOW_PAUSE_MS 50

static const struct ctl_verb_record records[CTL_VERB_COUNT] = {
    [CTL_VERB_TREE] = {ctl_tree_run, 0, 0, CONTROL_TIMEOUT_MS},
    [CTL_VERB_STATUS] = {ctl_status_run, 0, 1, CONTROL_TIMEOUT_MS},
    [CTL_VERB_DRAIN_STATUS] = {ctl_drain_status_run, 0, 1, CONTROL_TIMEOUT_MS},
    [CTL_VERB_REPORT] = {ctl_report_run, 1, INT_MAX, CONTROL_TIMEOUT_MS},
    [CTL_VERB_LOGS] = {ctl_logs_run, 0, 4, CONTROL_TIMEOUT_MS},
    [CTL_VERB_WATCH] = {ctl_watch_run, 0, 1, CONTROL_TIMEOUT_MS},
    [CTL_VERB_GRAPH] = {ctl_graph_run, 0, 0, CONTROL_TIMEOUT_MS},
    [CTL_VERB_TOP] = {ctl_top_run, 0, 5, CONTROL_TIMEOUT_MS},
    [CTL_VERB_TRACE] = {ctl_trace_run, 1, 6, CONTROL_TIMEOUT_MS},
    [CTL_VERB_CRASHES] = {ctl_crashes_run, 0, 1, CONTROL_TIMEOUT_MS},
    [CTL_VERB_CHECK] = {ctl_check_run, 1, 1, CONTROL_TIMEOUT_MS},
    [CTL_VERB_VERSION] = {ctl_act_version, 0, 0, CONTROL_TIMEOUT_MS},
    [CTL_VERB_START] = {ctl_act_start, 1, 1, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_STOP] = {ctl_act_stop, 1, 1, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_RESTART] = {ctl_act_restart, 1, 2, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_RELOAD] = {ctl_reload_run, 0, 1, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_SCALE] = {ctl_scale_run, 2, 3, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_LEVEL] = {ctl_act_level, 2, 2, CONTROL_TIMEOUT_MS},
    [CTL_VERB_SIGNAL] = {ctl_act_signal, 2, 2, CONTROL_TIMEOUT_MS},
    [CTL_VERB_SEND] = {ctl_act_send, 2, 2, CONTROL_TIMEOUT_MS},
    [CTL_VERB_REDIS] = {ctl_redis_run, 1, INT_MAX, CONTROL_TIMEOUT_MS},
    [CTL_VERB_DRAIN_DEAD] = {ctl_dead_run, 1, INT_MAX, CONTROL_TIMEOUT_MS},
    [CTL_VERB_DRAIN_WAIT] = {ctl_drain_wait_run, 1, 1, CTL_TIMEOUT_WAIT_MS},
    [CTL_VERB_WAIT] = {ctl_act_wait, 1, 2, CTL_TIMEOUT_WAIT_MS},
    [CTL_VERB_UPGRADE] = {ctl_act_upgrade, 0, 0, CTL_TIMEOUT_ACT_MS},
    [CTL_VERB_SHUTDOWN] = {ctl_act_shutdown, 0, 0, CTL_TIMEOUT_ACT_MS},
};

const struct ctl_verb_record *ctl_verb_record(enum ctl_verb verb)
{
    return &records[verb];
}

/* ---- saying what went wrong ---- */

static void say(const char *format, va_list args, const char *more)
{
    struct buffer line = BUFFER_EMPTY;
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    for (const char *at = text != NULL ? text : "not enough memory"; *at != '\0';) {
        size_t len = strcspn(at, "\n"); /* a configuration's errors have a line each */
        buffer_append_text(&line, "platoonctl: ");
        ctl_append_safe(&line, slice_make(at, len));
        buffer_append_char(&line, '\n');
        at += len + (at[len] == '\n');
    }
    const char *shown = buffer_text(&line);
    fprintf(stderr, "%s%s", shown != NULL ? shown : "platoonctl: not enough memory\n", more);
    buffer_fini(&line);
    free(text);
}

int ctl_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args, "");
    va_end(args);
    return status;
}

int ctl_fail_usage(enum ctl_verb verb, const char *format, ...)
{
    char usage[300];
    va_list args;
    snprintf(usage, sizeof usage, "usage: platoonctl %s\n", ctl_verb_grammar(verb));
    va_start(args, format);
    say(format, args, usage);
    va_end(args);
    return CONTROL_USAGE;
}

/* ---- asking ---- */

int ctl_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                struct slice *body)
{
    int status = ctl_client_ask(&c->client, c->deadline, verb, argc, argv, body);
    if (status != CONTROL_OK)
        ctl_fail(status, "%s", ctl_client_why(&c->client));
    return status;
}

static int request_decode(const char *verb, struct slice body, json_t **answer)
{
    int rc = ctl_value_decode(body, answer);
    if (rc == -ENOMEM)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    if (rc != 0)
        return ctl_fail(CONTROL_ERROR, "the answer to '%s' is not well-formed", verb);
    return CONTROL_OK;
}

int ctl_request_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                     json_t **answer)
{
    struct slice body;
    int status = ctl_request(c, verb, argc, argv, &body);
    return status == CONTROL_OK ? request_decode(verb, body, answer) : status;
}

int ctl_follow_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                    json_t **answer)
{
    struct slice body;
    int status = CONTROL_ERROR;
    for (int tries = 0; tries < FOLLOW_TRIES && status != CONTROL_OK; tries++) {
        if (tries > 0)
            poll(NULL, 0, FOLLOW_PAUSE_MS);
        status = ctl_client_ask(&c->client, c->deadline, verb, argc, argv, &body);
        if (status != CONTROL_ERROR || c->client.fd >= 0)
            break;
    }
    if (status != CONTROL_OK)
        ctl_fail(status, "%s", ctl_client_why(&c->client));
    return status == CONTROL_OK ? request_decode(verb, body, answer) : status;
}

/* ---- writing ---- */

int ctl_flush(struct ctl *c)
{
    if (!buffer_ok(&c->out))
        return ctl_fail(CONTROL_ERROR, "not enough memory for the output");
    struct slice left = buffer_slice(&c->out);
    while (left.len > 0) {
        ssize_t n = write(STDOUT_FILENO, left.ptr, left.len);
        if (n < 0 && errno != EINTR)
            return ctl_fail(CONTROL_ERROR, "cannot write the output: %s", strerror(errno));
        if (n > 0)
            left = slice_make(left.ptr + n, left.len - (size_t)n);
    }
    buffer_clear(&c->out);
    return CONTROL_OK;
}

void ctl_print_json(struct ctl *c, const json_t *value)
{
    ctl_value_print(value, &c->out);
}
