/*
 * ctl_act.c: the verbs that only ask and say that it is done: start, stop, restart, signal, send,
 * shutdown; and version. wait: ctl_wait.c.
 */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

#define ACT_ASK_MS   500
#define ACT_PAUSE_MS 10

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

int ctl_start_run(struct ctl *c)
{
    return act_on_name(c, "start", "started");
}

int ctl_stop_run(struct ctl *c)
{
    return act_on_name(c, "stop", "stopped");
}

/* ---- restart ---- */

/* Not a worker's temporary children: they go when it goes. */
static void act_collect_workers(const json_t *node, json_t *names)
{
    const json_t *children = json_object_get(node, "children");
    bool worker = strcmp(ctl_value_text(node, "kind"), "worker") == 0;
    if (worker && strcmp(ctl_value_text(node, "wanted"), "up") == 0)
        json_array_append_new(names, json_string(ctl_value_text(node, "name")));
    if (worker)
        return;
    for (size_t i = 0; i < json_array_size(children); i++)
        act_collect_workers(json_array_get(children, i), names);
}

/* Each has the whole --timeout to itself. What was stopped by hand stays so. */
static int act_roll(struct ctl *c, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct slice word = slice_of(json_string_value(json_array_get(names, i)));
        json_t *answer = NULL;
        c->deadline = clock_mono_ms() + c->timeout_ms;
        int status = ctl_request_json(c, "restart", 1, &word, &answer);
        json_decref(answer);
        if (status != CONTROL_OK)
            return ctl_fail(status,
                            "stopped at %s, the %zu. of %zu: the others run on as they were",
                            word.ptr, i + 1, json_array_size(names));
        if (!c->args.json)
            buffer_printf(&c->out, "%s: restarted\n", word.ptr);
        status = ctl_flush(c);
        if (status != CONTROL_OK)
            return status;
    }
    if (c->args.json)
        ctl_print_json(c, names);
    return CONTROL_OK;
}

static int act_restart_rolling(struct ctl *c, const char *name)
{
    struct slice word = slice_of(name);
    json_t *node = NULL;
    int status = ctl_request_json(c, "status", 1, &word, &node);
    if (status != CONTROL_OK)
        return status;
    json_t *names = json_array();
    act_collect_workers(node, names);
    status = act_roll(c, names);
    json_decref(names);
    json_decref(node);
    return status;
}

int ctl_restart_run(struct ctl *c)
{
    if (c->args.argc == 1)
        return act_on_name(c, "restart", "restarted");
    int option = strcmp(c->args.argv[0], "--rolling") == 0 ? 0 : 1;
    if (strcmp(c->args.argv[option], "--rolling") != 0)
        return ctl_fail_usage(CTL_VERB_RESTART, "'%s': one word too many", c->args.argv[1]);
    return act_restart_rolling(c, c->args.argv[1 - option]);
}

/* ---- signal, send ---- */

/* "HUP", "SIGHUP" or "1"; 0 when it is none. */
static int act_signal_number(const char *text)
{
    uint64_t number;
    if (text_parse_u64(slice_of(text), &number) == 0)
        return number >= 1 && number <= 64 ? (int)number : 0;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);
        if (name != NULL && strcasecmp(name, text) == 0)
            return i;
    }
    return 0;
}

int ctl_signal_run(struct ctl *c)
{
    int number = act_signal_number(c->args.argv[1]);
    if (number == 0)
        return ctl_fail_usage(CTL_VERB_SIGNAL, "'%s' is no signal: HUP, USR1, TERM, 15",
                              c->args.argv[1]);
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    struct slice words[] = {slice_of(c->args.argv[0]), slice_of(text)};
    json_t *answer = NULL;
    int status = ctl_request_json(c, "signal", 2, words, &answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, answer);
    else if (status == CONTROL_OK)
        buffer_printf(&c->out, "%s: signal %s sent to pid %" PRIu64 "\n", c->args.argv[0],
                      c->args.argv[1], ctl_value_u64(answer, "pid"));
    json_decref(answer);
    return status;
}

int ctl_level_run(struct ctl *c)
{
    struct slice words[] = {slice_of(c->args.argv[0]), slice_of(c->args.argv[1])};
    json_t *answer = NULL;
    int status = ctl_request_json(c, "level", 2, words, &answer);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, answer);
    else if (status == CONTROL_OK)
        buffer_printf(&c->out, "%s: logs %s, until the next reload\n", c->args.argv[0],
                      c->args.argv[1]);
    json_decref(answer);
    return status;
}

int ctl_send_run(struct ctl *c)
{
    const char *text = c->args.argv[1];
    json_error_t error;
    json_t *value =
        json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
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
    } else if (json_is_string(answer)) {
        ctl_append_safe(&c->out, slice_of(json_string_value(answer)));
        buffer_append_char(&c->out, '\n');
    } else if (!json_is_null(answer) && json_object_size(answer) + json_array_size(answer) > 0) {
        ctl_value_print(answer, &c->out);
    } else {
        buffer_printf(&c->out, "%s: done\n", c->args.argv[0]);
    }
    json_decref(answer);
    return CONTROL_OK;
}

/* Returns when the master has ended, so that the next one can be started at once. */
int ctl_shutdown_run(struct ctl *c)
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
 * Asks who is there until it is the new one, which has counted one upgrade more. The socket stays, so at worst a
 * question is not answered.
 */
static int act_wait_upgraded(struct ctl *c, uint64_t before, json_t **master)
{
    for (;;) {
        struct slice body;
        uint64_t now = clock_mono_ms();
        if (now >= c->deadline)
            return ctl_fail(CONTROL_TIMEOUT, "the new master does not answer: see the log");
        int status = ctl_client_ask(&c->client, now + ACT_ASK_MS, "version", 0, NULL, &body);
        if (status == CONTROL_OK && ctl_value_decode(body, master) == 0) {
            if (ctl_value_u64(*master, "upgrades") > before)
                return CONTROL_OK;
            json_decref(*master);
            *master = NULL;
        }
        poll(NULL, 0, ACT_PAUSE_MS);
    }
}

int ctl_upgrade_run(struct ctl *c)
{
    json_t *old = NULL, *new = NULL;
    int status = ctl_request_json(c, "upgrade", 0, NULL, &old);
    if (status != CONTROL_OK)
        return status;
    status = act_wait_upgraded(c, ctl_value_u64(old, "upgrades"), &new);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, new);
    else if (status == CONTROL_OK)
        buffer_printf(&c->out, "upgraded: platoon %s -> %s, still pid %" PRIu64 "\n",
                      ctl_value_text(old, "version"), ctl_value_text(new, "version"),
                      ctl_value_u64(new, "pid"));
    json_decref(old);
    json_decref(new);
    return status;
}

/*
 * The tool's version needs no master. Still the exit status says whether there is one: `platoonctl version` is how
 * scripts ask for a sign of life.
 */
int ctl_version_run(struct ctl *c)
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
