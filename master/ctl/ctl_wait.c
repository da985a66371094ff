/*
 * ctl_wait.c: the verb wait: until everybody, or somebody, is ready or stopped; and meanwhile, who is waited for.
 *
 * Runs in platoonctl. What it says meanwhile goes to stderr: stdout has the answer alone.
 */
#include "common/clock.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <stdio.h>
#include <string.h>

#define WAIT_ROUND_MS 2000
#define WAIT_LATE     "timed out: " /* as the master begins who keeps it waiting */

/*
 * A master that was started a moment ago has no socket yet. Without a --timeout it gets as long as any answer: the time
 * of a wait is for work, and nobody may be coming at all.
 */
static int wait_master(struct ctl *c)
{
    uint64_t usual = clock_mono_ms() + CONTROL_TIMEOUT_MS;
    int status = ctl_client_wait_listening(
        &c->client, !c->args.timeout_given && usual < c->deadline ? usual : c->deadline);
    return status == CONTROL_OK ? status : ctl_fail(status, "%s", ctl_client_why(&c->client));
}

/* What stays as it is needs one line only. */
static void wait_tell(const char *why, struct buffer *told)
{
    size_t prefix = strlen(WAIT_LATE);
    if (strncmp(why, WAIT_LATE, prefix) != 0 || slice_is(buffer_slice(told), why + prefix))
        return;
    buffer_clear(told);
    buffer_append_text(told, why + prefix);
    ctl_fail(CONTROL_TIMEOUT, "waits: %s", why + prefix);
}

/*
 * Asked in rounds: at the end of each the master says who keeps it waiting, and why. A status asked beside it would say
 * so too, but of everybody, and would have to be compared with what is waited for.
 */
static int wait_ask(struct ctl *c, const struct slice *words, json_t **answer)
{
    size_t argc = (size_t)c->args.argc;
    struct buffer told = BUFFER_EMPTY;
    struct slice body;
    int status = CONTROL_TIMEOUT;
    while (status == CONTROL_TIMEOUT && clock_mono_ms() + WAIT_ROUND_MS < c->deadline) {
        status =
            ctl_client_ask(&c->client, clock_mono_ms() + WAIT_ROUND_MS, "wait", argc, words, &body);
        if (status == CONTROL_TIMEOUT)
            wait_tell(ctl_client_why(&c->client), &told);
    }
    buffer_fini(&told);
    if (status == CONTROL_TIMEOUT)
        return ctl_request_json(c, "wait", argc, words, answer);
    if (status != CONTROL_OK)
        return ctl_fail(status, "%s", ctl_client_why(&c->client));
    return ctl_value_decode(body, answer) == 0
               ? CONTROL_OK
               : ctl_fail(CONTROL_ERROR, "the answer to 'wait' is not well-formed");
}

int ctl_wait_run(struct ctl *c)
{
    const char *what = c->args.argv[c->args.argc - 1];
    bool stopped = strcmp(what, "stopped") == 0;
    if (!stopped && strcmp(what, "ready") != 0)
        return ctl_fail_usage(CTL_VERB_WAIT, "'%s': it can wait for 'ready' or 'stopped'", what);
    struct slice words[] = {slice_of(c->args.argv[0]), slice_of(what)};
    json_t *answer = NULL;
    int status = stopped ? CONTROL_OK : wait_master(c);
    if (status != CONTROL_OK)
        return status;
    status = wait_ask(c, words, &answer);
    if (status != CONTROL_OK)
        return status;
    bool ready = json_is_true(json_object_get(answer, "ready"));
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (ready || stopped)
        buffer_printf(&c->out, "%s\n", what);
    json_decref(answer);
    return ready || stopped
               ? CONTROL_OK
               : ctl_fail(CONTROL_ERROR, "platoon is not ready: platoonctl status says why");
}
