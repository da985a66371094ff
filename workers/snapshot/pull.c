/*
 * pull.c: the worker that pulls a resource's versions from a url; with a command, which has what was pulled on its
 * stdin, it is that which makes them. What the store says and is told: filter.c.
 *
 * What the server has said of the version that is there (ETag, Last-Modified) comes with the RUN, and goes back to it:
 * so nothing is kept here, and a restart forgets nothing. What is for that server alone (header_file) is sent to no
 * other one that it redirects to.
 */
#include "workers/snapshot/filter_run.h"
#include "workers/snapshot/pull_answer.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PULL_HOPS_MAX 5
#define PULL_WHY_SIZE 512

struct pull {
    struct worker *w;
    char store[2 * CONTRACT_NAME_MAX];
    bool filters; /* it has a command */
    struct filter_program program;
    struct filter_limits limits;
    struct http_client *http;
    uint64_t token; /* of the RUN; 0: nobody wants what comes of it */
    char commit[64];
    char etag[PULL_MARK_SIZE], modified[PULL_MARK_SIZE]; /* of the version that is there */
    char new_etag[PULL_MARK_SIZE], new_modified[PULL_MARK_SIZE];
    struct http_call *call; /* under way */
    struct pull_headers headers;
    struct buffer url; /* where it is by now */
    bool home;         /* that is still the section's own server */
    unsigned hops;
    uv_timer_t timer;
    uint64_t started_ms;
    struct filter_run *run; /* the command is */
    struct buffer body;     /* for it */
    bool fed;
    struct buffer pending; /* a RUN that came while another's command was being ended */
};

/* ---- the end of a run ---- */

static void pull_release(struct pull *p)
{
    uv_timer_stop(&p->timer);
    if (p->call != NULL)
        http_client_cancel(p->call);
    p->call = NULL;
    pull_headers_free(&p->headers);
    buffer_fini(&p->body);
}

static void pull_tell(struct pull *p, struct message_result *m)
{
    struct worker_peer *store = worker_peer_find(p->w, p->store);
    if (p->token == 0 || store == NULL || worker_stopping(p->w))
        return;
    (void)FAULT_POINT("pull.before-result", slice_of(worker_name(p->w)));
    m->token = p->token;
    m->duration_ms = clock_mono_ms() - p->started_ms;
    p->token = 0;
    struct buffer *message = worker_compose(p->w);
    message_result_pack(message, m);
    worker_must_send(p->w, store, message);
}

static void pull_fail(struct pull *p, const char *why, uint64_t retry_ms)
{
    pull_tell(p, &(struct message_result){
                     .outcome = FILTER_FAILED, .error = slice_of(why), .retry_ms = retry_ms});
    pull_release(p);
}

static void pull_tell_bytes(struct pull *p, struct slice bytes, struct slice said)
{
    pull_tell(p, &(struct message_result){.outcome = FILTER_BYTES,
                                          .bytes = bytes,
                                          .said = said,
                                          .etag = slice_of(p->new_etag),
                                          .modified = slice_of(p->new_modified)});
}

/* ---- its command ---- */

static void pull_begin(struct pull *p, const struct message_run *m);

static void pull_on_want(void *ctx)
{
    struct pull *p = ctx;
    if (p->fed) {
        filter_run_fed(p->run);
        return;
    }
    p->fed = true;
    filter_run_feed(p->run, &p->body);
}

static void pull_on_end(void *ctx, enum filter_outcome outcome, const char *error,
                        struct slice bytes, struct slice said, uint64_t duration_ms)
{
    struct pull *p = ctx;
    struct message_run m;
    (void)duration_ms; /* the pull is part of it */
    p->run = NULL;
    if (outcome == FILTER_BYTES)
        pull_tell_bytes(p, bytes, said);
    else
        pull_tell(p, &(struct message_result){
                         .outcome = outcome, .error = slice_of(error), .said = said});
    pull_release(p);
    if (worker_stopping(p->w)) {
        worker_finished(p->w);
        return;
    }
    struct buffer pending = p->pending;
    p->pending = BUFFER_EMPTY;
    struct unpack u = unpack_start(buffer_slice(&pending));
    if (pending.len > 0 && message_run_unpack(&u, &m))
        pull_begin(p, &m);
    buffer_fini(&pending);
}

/* What is left of the time is the command's. */
static void pull_filter(struct pull *p, struct slice body)
{
    const struct filter_events events = {.on_want = pull_on_want, .on_end = pull_on_end, .ctx = p};
    struct filter_limits limits = p->limits;
    uint64_t spent = clock_mono_ms() - p->started_ms;
    limits.timeout_ms = spent < limits.timeout_ms ? limits.timeout_ms - spent : 1;
    uv_timer_stop(&p->timer);
    buffer_append_slice(&p->body, body);
    if (!buffer_ok(&p->body))
        worker_exit(p->w, CONTRACT_EXIT_SHORT, "memory is short for what was pulled");
    p->fed = false;
    p->run = filter_run_new(p->w, &p->program, p->commit, &limits, &events);
}

/* ---- the answer ---- */

static void pull_ask(struct pull *p);

static void pull_mark(const struct http_answer *answer, const char *name, char mark[PULL_MARK_SIZE])
{
    const char *value = http_answer_header(answer, name);
    if (value == NULL || !slice_copy(slice_of(value), mark, PULL_MARK_SIZE))
        mark[0] = '\0';
}

static void pull_take(struct pull *p, const struct http_answer *answer)
{
    char least[TEXT_NUMBER_SIZE], why[PULL_WHY_SIZE];
    pull_mark(answer, "ETag", p->new_etag);
    pull_mark(answer, "Last-Modified", p->new_modified);
    if (p->filters) {
        pull_filter(p, answer->body);
    } else if (answer->body.len < p->limits.size_min) {
        snprintf(why, sizeof why, "output below size_min (%s)",
                 text_format_size(p->limits.size_min, least));
        pull_fail(p, why, 0);
    } else {
        pull_tell_bytes(p, answer->body, slice_of(""));
        pull_release(p);
    }
}

static void pull_follow(struct pull *p, const struct http_answer *answer)
{
    const char *location = http_answer_header(answer, "Location");
    char why[PULL_WHY_SIZE];
    struct buffer next = BUFFER_EMPTY;
    bool same;
    int rc =
        location != NULL ? http_url_follow(buffer_text(&p->url), location, &next, &same) : -EINVAL;
    if (rc == 0 && ++p->hops <= PULL_HOPS_MAX) {
        buffer_fini(&p->url);
        p->url = next;
        p->home = p->home && same;
        pull_ask(p);
        return;
    }
    snprintf(why, sizeof why, "HTTP %d: %s", answer->status,
             rc == -EPERM ? "redirected from https to http"
             : rc != 0    ? "redirected to no url"
                          : "more than 5 redirects");
    buffer_fini(&next);
    pull_fail(p, why, answer->retry_after_ms);
}

static void pull_on_answer(const struct http_answer *answer, void *ctx)
{
    struct pull *p = ctx;
    char why[PULL_WHY_SIZE];
    p->call = NULL;
    switch (pull_answer_read(answer, p->etag[0] != '\0' || p->modified[0] != '\0',
                             p->filters ? SNAPSHOT_BYTES_MAX : p->limits.size_max, why,
                             sizeof why)) {
    case PULL_BYTES:
        pull_take(p, answer);
        break;
    case PULL_UNCHANGED:
        pull_tell(p, &(struct message_result){.outcome = FILTER_UNCHANGED});
        pull_release(p);
        break;
    case PULL_FOLLOW:
        pull_follow(p, answer);
        break;
    case PULL_FAILED:
        pull_fail(p, why, answer->retry_after_ms);
        break;
    }
}

/* ---- the question ---- */

static void pull_ask(struct pull *p)
{
    struct http_header headers[PULL_HEADERS_MAX + 2];
    size_t count = 0;
    for (size_t i = 0; p->home && i < p->headers.count; i++)
        headers[count++] = p->headers.list[i];
    if (p->etag[0] != '\0')
        headers[count++] = (struct http_header){"If-None-Match", slice_of(p->etag)};
    if (p->modified[0] != '\0')
        headers[count++] = (struct http_header){"If-Modified-Since", slice_of(p->modified)};
    const struct http_request request = {.method = "GET",
                                         .url = buffer_text(&p->url),
                                         .headers = headers,
                                         .header_count = count,
                                         .gzip = true};
    int rc = http_client_request(p->http, &request, pull_on_answer, p, &p->call);
    if (rc != 0)
        pull_fail(p, rc == -EINVAL ? "url: cannot be read" : "memory is short", 0);
}

static void pull_on_timeout(uv_timer_t *timer)
{
    struct pull *p = timer->data;
    char span[TEXT_NUMBER_SIZE], why[64];
    snprintf(why, sizeof why, "timed out after %s", text_format_span(p->limits.timeout_ms, span));
    pull_fail(p, why, 0);
}

static void pull_copy(struct slice from, char *to, size_t size)
{
    if (!slice_copy(from, to, size))
        to[0] = '\0';
}

static void pull_begin(struct pull *p, const struct message_run *m)
{
    const char *file = worker_setting(p->w, "resource.header_file");
    char why[PULL_WHY_SIZE];
    p->token = m->token;
    p->started_ms = clock_mono_ms();
    p->hops = 0;
    p->home = true;
    pull_copy(m->commit, p->commit, sizeof p->commit);
    pull_copy(m->etag, p->etag, sizeof p->etag);
    pull_copy(m->modified, p->modified, sizeof p->modified);
    buffer_clear(&p->url);
    buffer_append_text(&p->url, worker_setting_text(p->w, "resource.url"));
    if (buffer_text(&p->url) == NULL)
        worker_exit(p->w, CONTRACT_EXIT_SHORT, "memory is short for a pull");
    if (file != NULL && file[0] != '\0' && !pull_headers_read(&p->headers, file, why, sizeof why)) {
        pull_fail(p, why, 0);
        return;
    }
    uv_timer_start(&p->timer, pull_on_timeout, p->limits.timeout_ms, 0);
    pull_ask(p);
}

/* ---- what the store says ---- */

static void pull_on_run(struct pull *p, const struct message_run *m)
{
    if (worker_stopping(p->w))
        return;
    if (p->run == NULL) {
        pull_release(p);
        pull_begin(p, m);
        return;
    }
    p->token = 0;
    buffer_clear(&p->pending);
    message_run_pack(&p->pending, m);
    if (!buffer_ok(&p->pending))
        worker_exit(p->w, CONTRACT_EXIT_SHORT, "memory is short for a run");
    filter_run_stop(p->run, "nobody wants it any more");
}

static bool pull_on_message(struct worker *w, void *state, struct worker_peer *from, uint64_t type,
                            struct unpack *u)
{
    struct pull *p = state;
    struct message_run run;
    (void)w;
    if (strcmp(from->name, p->store) != 0 || type != MESSAGE_RUN || !message_run_unpack(u, &run))
        return false;
    pull_on_run(p, &run);
    return true;
}

static void pull_on_down(struct worker *w, void *state, struct worker_peer *peer,
                         struct slice reason)
{
    struct pull *p = state;
    (void)w;
    (void)reason;
    if (strcmp(peer->name, p->store) != 0)
        return;
    p->token = 0;
    buffer_clear(&p->pending);
    if (p->run != NULL)
        filter_run_stop(p->run, "the store is gone");
    else
        pull_release(p);
}

/* ---- life ---- */

static int pull_init(struct worker *w, void *state)
{
    struct pull *p = state;
    p->w = w;
    snprintf(p->store, sizeof p->store, "snapshot/%s/store",
             worker_setting_text(w, "snapshot.name"));
    p->filters = worker_setting(w, "command.argv.0") != NULL;
    if (p->filters)
        filter_program_read(&p->program, w, "command", worker_setting_text(w, "resource.name"),
                            false);
    p->limits = (struct filter_limits){.size_min = worker_setting_u64(w, "resource.size_min"),
                                       .size_max = worker_setting_u64(w, "resource.size_max"),
                                       .timeout_ms = worker_setting_u64(w, "resource.timeout"),
                                       .stop_ms = worker_setting_u64(w, "resource.stop_timeout")};
    const char *ca_file = worker_setting(w, "resource.tls_ca_file");
    uv_timer_init(worker_loop(w), &p->timer);
    p->timer.data = p;
    /* Our timer is the one that counts: it goes on over redirects. */
    const struct http_options options = {
        .parallel = 1,
        .timeout_ms = p->limits.timeout_ms + 1000 < 3600000 ? p->limits.timeout_ms + 1000 : 3600000,
        .answer_max = p->filters ? SNAPSHOT_BYTES_MAX : p->limits.size_max,
        .ca_file = ca_file != NULL ? ca_file : ""};
    int rc = child_process_adopt();
    if (rc == 0)
        rc = http_client_new(worker_loop(w), &options, &p->http);
    if (rc != 0)
        worker_exit_for(w, -rc, NULL, "a pull cannot be made ready");
    worker_monitor(w, slice_of(p->store));
    return 0;
}

static void pull_on_tick(struct worker *w, void *state)
{
    const struct pull *p = state;
    if (p->token == 0)
        worker_doing(w, "idle");
    else
        worker_doing(w, "%s for %.1fs", p->run != NULL ? "runs" : "pulls",
                     (double)(clock_mono_ms() - p->started_ms) / 1000);
}

static void pull_drain(struct worker *w, void *state)
{
    struct pull *p = state;
    if (p->run == NULL)
        worker_finished(w);
    else
        filter_run_stop(p->run, "its worker is stopped");
}

static void pull_fini(struct worker *w, void *state)
{
    struct pull *p = state;
    (void)w;
    if (p->run != NULL)
        filter_run_kill(p->run);
    if (p->timer.data != NULL) {
        pull_release(p);
        uv_close((uv_handle_t *)&p->timer, NULL);
    }
    http_client_free(p->http);
    filter_program_free(&p->program);
    buffer_fini(&p->url);
    buffer_fini(&p->pending);
}

const struct worker_ops worker_ops = {
    .type = "pull",
    .mailbox = &worker_mailbox,
    .state_size = sizeof(struct pull),
    .init = pull_init,
    .on_down = pull_on_down,
    .on_message = pull_on_message,
    .on_tick = pull_on_tick,
    .drain = pull_drain,
    .fini = pull_fini,
};
