/*
 * job_collector.c: the collector of a jobs section: takes jobs in, and answers for them.
 *
 * Runs as its own process, one a section. Each request is one call (job_call.h); it keeps nothing but what the
 * platforms say of themselves. It runs no jobs.
 */
#include "common/child_process.h"
#include "common/time/zone.h"
#include "workers/jobs/job_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct collector {
    struct job_user *user;
    struct job_calls calls;
    struct job_http http;
};

/* ---- requests ---- */

static const struct job_call_verb *const collector_verbs[] = {
    &job_call_platforms, &job_call_run,       &job_call_due,          &job_call_list,
    &job_call_show,      &job_call_tail,      &job_call_stats,        &job_call_cancel,
    &job_call_retry,     &job_call_schedules, &job_call_schedule_put, &job_call_schedule_move,
};
#define COLLECTOR_VERBS (sizeof collector_verbs / sizeof collector_verbs[0])

/* Whose call it is. */
struct collector_asker {
    uint64_t request;
};

static enum control_status collector_status(enum job_call_status status)
{
    switch (status) {
    case JOB_CALL_OK:
    case JOB_CALL_NOW:
        return CONTROL_OK;
    case JOB_CALL_NO_PLATFORM:
    case JOB_CALL_NO_JOB:
        return CONTROL_NO_NAME;
    case JOB_CALL_INVALID:
    case JOB_CALL_OTHER:
        return CONTROL_USAGE;
    case JOB_CALL_WAITS:
    case JOB_CALL_AWAY:
    case JOB_CALL_BROKEN:
        break;
    }
    return CONTROL_ERROR;
}

static void collector_answer(struct job_call *call, enum job_call_status status, void *owner)
{
    struct collector_asker *asker = owner;
    struct worker *w = call->calls->w;
    if (status == JOB_CALL_OK)
        worker_reply(w, asker->request, CONTROL_OK, buffer_slice(&call->body));
    else
        worker_reply_text(w, asker->request, collector_status(status), "%s", call->why);
    free(asker);
}

static void collector_ask(struct collector *c, uint64_t request, const struct job_call_verb *verb,
                          const struct slice *args)
{
    struct collector_asker *asker = calloc(1, sizeof *asker);
    if (asker != NULL)
        asker->request = request;
    if (asker != NULL && job_call_start(&c->calls, verb, args, collector_answer, asker) == 0)
        return;
    free(asker);
    worker_reply_text(c->calls.w, request, CONTROL_ERROR, "memory is short: try again");
}

static void collector_usage(struct worker *w, uint64_t id)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "a collector understands: ");
    for (size_t i = 0; i < COLLECTOR_VERBS; i++)
        buffer_printf(&text, "%s%s%s%s", i > 0 ? ", " : "", collector_verbs[i]->name,
                      collector_verbs[i]->count > 0 ? " " : "", collector_verbs[i]->words);
    worker_reply_text(w, id, CONTROL_USAGE, "%s",
                      buffer_ok(&text) ? buffer_text(&text) : "memory is short: try again");
    buffer_fini(&text);
}

static void collector_on_request(struct worker *w, void *state, const struct link_request *request)
{
    struct collector *c = state;
    struct slice args[JOB_CALL_ARGS_MAX];
    struct unpack u = unpack_start(request->args);
    uint32_t count = unpack_array(&u);
    const struct job_call_verb *verb = NULL;
    for (uint32_t i = 0; i < count && i < JOB_CALL_ARGS_MAX; i++)
        args[i] = unpack_bytes(&u);
    for (size_t i = 0; i < COLLECTOR_VERBS; i++)
        if (slice_is(request->verb, collector_verbs[i]->name))
            verb = collector_verbs[i];
    if (unpack_end(&u) && verb != NULL && count == verb->count)
        collector_ask(c, request->id, verb, args);
    else
        collector_usage(w, request->id);
}

/* ---- life ---- */

static int collector_open_zone(struct collector *c)
{
    const char *name = worker_setting(c->calls.w, "jobs.timezone");
    int rc = zone_load(name != NULL ? name : "", &c->calls.zone);
    if (rc == 0)
        return 0;
    worker_trouble(c->calls.w, "timezone: %s cannot be read: %s: install tzdata, or name another",
                   name != NULL && name[0] != '\0' ? name : "/etc/localtime", strerror(-rc));
    return rc == -ENOMEM ? CONTRACT_EXIT_SHORT : CONTRACT_EXIT_CONFIG;
}

/* The master has checked it: what is left is memory. */
static void collector_open_queue(struct job_calls *calls)
{
    char why[256];
    const char *text = worker_setting_text(calls->w, "jobs.queue");
    if (job_queue_compile(text, &calls->queue, why, sizeof why) != 0)
        worker_exit(calls->w, CONTRACT_EXIT_SHORT, "queue: %s cannot be read", text);
    job_queue_scope(text, calls->scope);
    calls->etlas_ids = strcmp(worker_setting_text(calls->w, "jobs.job_id"), "etlas") == 0;
}

static int collector_init(struct worker *w, void *state)
{
    struct collector *c = state;
    c->calls.w = w;
    worker_declare(w, COUNTER_JOBS_ENQUEUED);
    worker_declare(w, COUNTER_JOBS_CANCELED);
    collector_open_queue(&c->calls);
    int rc = child_process_adopt();
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "descendants of platforms cannot be adopted");
    int code = collector_open_zone(c);
    if (code != 0)
        return code;
    const char *python = worker_setting(w, "jobs.python.program"),
               *path = worker_setting(w, "jobs.python.path");
    c->calls.catalog = job_catalog_new(worker_loop(w), worker_setting_text(w, "jobs.platforms"),
                                       python != NULL && python[0] != '\0' ? python : "python3",
                                       path != NULL ? path : "", job_calls_on_catalog, &c->calls);
    if (c->calls.catalog == NULL)
        worker_exit(w, CONTRACT_EXIT_SHORT, "memory is short for the platforms");
    c->user = job_user_new(w);
    job_catalog_set_user(c->calls.catalog, c->user);
    job_catalog_look(c->calls.catalog);
    code = job_http_open(&c->http, &c->calls);
    return code != 0 ? code : job_redis_open(&c->calls.redis, w, c, NULL);
}

static void collector_on_tick(struct worker *w, void *state)
{
    struct collector *c = state;
    (void)w;
    redis_link_tick(&c->calls.redis.link);
}

static bool collector_late(struct worker *w, void *state, char *why, size_t size)
{
    struct collector *c = state;
    (void)w;
    return redis_link_late(&c->calls.redis.link, why, size);
}

static void collector_drain(struct worker *w, void *state)
{
    struct collector *c = state;
    if (c->calls.count == 0)
        worker_finished(w);
}

static void collector_fini(struct worker *w, void *state)
{
    struct collector *c = state;
    (void)w;
    job_http_close(&c->http);
    job_calls_end(&c->calls);
    job_redis_close(&c->calls.redis);
    job_catalog_free(c->calls.catalog);
    job_user_free(c->user);
    template_free(c->calls.queue);
    zone_free(c->calls.zone);
}

const struct worker_ops worker_ops = {
    .type = "job-collector",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct collector),
    .init = collector_init,
    .on_request = collector_on_request,
    .late = collector_late,
    .on_tick = collector_on_tick,
    .drain = collector_drain,
    .fini = collector_fini,
};
