/* ctl_act.c: the verbs that only ask and say that it is done: start, stop, restart, send, wait, shutdown; and version. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>

static int act_on_name(struct ctl *c, const char *verb, const char *done)
{
    struct slice name = slice_of(c->args.argv[0]);
    json_t *answer = NULL;
    int status = ctl_request_json(c, verb, 1, &name, &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "%s: %s\n", c->args.argv[0], done);
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_act_start(struct ctl *c)
{
    return act_on_name(c, "start", "started");
}

int ctl_act_stop(struct ctl *c)
{
    return act_on_name(c, "stop", "stopped");
}

int ctl_act_restart(struct ctl *c)
{
    return act_on_name(c, "restart", "restarted");
}

int ctl_act_send(struct ctl *c)
{
    const char *text = c->args.argv[1];
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return ctl_fail_usage(CTL_VERB_SEND, "not JSON: line %d, column %d: %s", error.line,
                              error.column, error.text);
    json_decref(value);
    struct slice words[] = {slice_of(c->args.argv[0]), slice_of(text)};
    json_t *answer = NULL;
    int status = ctl_request_json(c, "send", 2, words, &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json) {
        ctl_print_json(c, answer);
    } else if (!json_is_null(answer) && json_object_size(answer) + json_array_size(answer) > 0) {
        ctl_value_print(answer, &c->out);
    } else {
        buffer_printf(&c->out, "%s: done\n", c->args.argv[0]);
    }
    json_decref(answer);
    return CONTROL_OK;
}

int ctl_act_wait(struct ctl *c)
{
    struct slice what = slice_of(c->args.argv[0]);
    if (!slice_is(what, "ready"))
        return ctl_fail_usage(CTL_VERB_WAIT, "'%s': it can only wait for 'ready'", c->args.argv[0]);
    json_t *answer = NULL;
    int status = ctl_request_json(c, "wait", 1, &what, &answer);
    if (status != CONTROL_OK)
        return status;
    bool ready = json_is_true(json_object_get(answer, "ready"));
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (ready)
        buffer_append_text(&c->out, "ready\n");
    json_decref(answer);
    return ready ? CONTROL_OK
                 : ctl_fail(CONTROL_ERROR, "platoon is not ready: platoonctl status says why");
}

/* Returns when the master has ended, so that the next one can be started at once. */
int ctl_act_shutdown(struct ctl *c)
{
    json_t *answer = NULL;
    int status = ctl_request_json(c, "shutdown", 0, NULL, &answer);
    if (status != CONTROL_OK)
        return status;
    status = ctl_client_wait_end(&c->client, c->deadline);
    if (status != CONTROL_OK)
        ctl_fail(status, "%s", ctl_client_why(&c->client));
    else if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_append_text(&c->out, "stopped\n");
    json_decref(answer);
    return status;
}

/*
 * The tool's version needs no master. Still the exit status says whether there is one: `platoonctl version` is how scripts
 * ask for a sign of life.
 */
int ctl_act_version(struct ctl *c)
{
    if (!c->args.json)
        buffer_printf(&c->out, "platoonctl %s (control version %d)\n", PLATOON_VERSION,
                      CONTROL_VERSION);
    json_t *master = NULL;
    int status = ctl_request_json(c, "version", 0, NULL, &master);
    if (c->args.json) {
        json_t *both = json_pack("{s:s,s:i,s:O?}", "version", PLATOON_VERSION, "control_version",
                                 CONTROL_VERSION, "master", master);
        ctl_print_json(c, both);
        json_decref(both);
    } else if (master != NULL) {
        char span[TEXT_NUMBER_SIZE];
        buffer_printf(&c->out, "platoon %s (control version %" PRIu64 "), pid %" PRIu64 ", up %s\n",
                      ctl_value_text(master, "version"), ctl_value_u64(master, "control_version"),
                      ctl_value_u64(master, "pid"),
                      clock_format_span(ctl_value_u64(master, "uptime_ms"), span, sizeof span));
    }
    json_decref(master);
    return status;
}
