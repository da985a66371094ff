/* job_http_routes.c: the routes of the original, each as a call. See job_http.h. */
#include "common/text.h"
#include "common/json/json_text.h"
#include "workers/jobs/job_http_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUTES_LIST_MAX 500
#define ROUTES_KEY_MAX  200

static struct slice query(const struct http_request *r, const char *name)
{
    const char *value = http_request_query(r, name);
    return slice_of(value != NULL ? value : "");
}

/* Of an object's member; false: it is there and is no text. */
static bool text_of(const json_t *body, const char *name, struct slice *out)
{
    const json_t *value = json_object_get(body, name);
    *out = json_is_string(value) ? slice_make(json_string_value(value), json_string_length(value))
                                 : slice_of("");
    return value == NULL || json_is_null(value) || json_is_string(value);
}

static const struct job_http_shape shape_plain = {.json = NULL};

/* ---- system ---- */

static void route_alive(struct job_http *h, struct http_request *r, const json_t *body)
{
    (void)h;
    (void)body;
    http_request_answer_text(r, 200, "Alive");
}

static json_t *shape_alive_json(json_t *answer, json_t **beside)
{
    (void)beside;
    json_decref(answer);
    return json_pack("{s:b}", "Redis", 1);
}

static json_t *shape_alive_away(void)
{
    return json_pack("{s:b}", "Redis", 0);
}

static void route_alive_post(struct job_http *h, struct http_request *r, const json_t *body)
{
    static const struct job_http_shape shape = {.json = shape_alive_json, .away = shape_alive_away};
    (void)body;
    job_http_ask(h, r, &job_call_ping, NULL, &shape);
}

/* ---- platforms ---- */

static json_t *shape_platforms(json_t *answer, json_t **beside)
{
    json_t *sound = json_object(), *broken = json_object(), *row;
    size_t i;
    json_array_foreach(answer, i, row)
    {
        const char *id = json_string_value(json_object_get(row, "platform_id"));
        json_t *why = json_object_get(row, "broken");
        if (id == NULL) /* a file whose name is no text */
            continue;
        if (json_is_string(why))
            json_object_set(broken, id, why);
        else
            json_object_set_new(sound, id,
                                json_pack("{s:O,s:O}", "display_name",
                                          json_object_get(row, "display_name"), "settings",
                                          json_object_get(row, "settings")));
    }
    json_decref(answer);
    *beside = json_pack("{s:o}", "broken", broken);
    return sound;
}

static void route_platforms(struct job_http *h, struct http_request *r, const json_t *body)
{
    static const struct job_http_shape shape = {.json = shape_platforms};
    (void)body;
    job_http_ask(h, r, &job_call_platforms, NULL, &shape);
}

/* ---- execution ---- */

/* `replayed` is said when it is so. */
static json_t *shape_run(json_t *answer, json_t **beside)
{
    (void)beside;
    if (!json_is_true(json_object_get(answer, "replayed")))
        json_object_del(answer, "replayed");
    return answer;
}

static void route_run(struct job_http *h, struct http_request *r, const json_t *body)
{
    static const struct job_http_shape shape = {.json = shape_run};
    const char *key = http_request_header(r, "Idempotency-Key");
    const json_t *settings = json_object_get(body, "settings");
    struct slice id, platform;
    if (!text_of(body, "platform_id", &platform) || platform.len == 0) {
        job_http_fail(r, 400, "Missing or invalid platform_id");
        return;
    }
    if (!text_of(body, "_id", &id) ||
        (key != NULL && (key[0] == '\0' || strlen(key) > ROUTES_KEY_MAX)) ||
        (settings != NULL && !json_is_null(settings) && !json_is_object(settings))) {
        job_http_fail(r, 400,
                      !text_of(body, "_id", &id) ? "Invalid parameters in request: _id: no str"
                      : key != NULL && (key[0] == '\0' || strlen(key) > ROUTES_KEY_MAX)
                          ? "Idempotency-Key: 1 to 200 bytes are wanted"
                          : "Invalid parameters in request: settings: no dict");
        return;
    }
    char *text = json_is_object(settings) ? json_text(settings) : strdup("{}");
    if (text == NULL) {
        job_http_fail(r, 503, "memory is short: try again");
        return;
    }
    const struct slice args[] = {platform, slice_of(text), id, slice_of(key != NULL ? key : "")};
    job_http_ask(h, r, &job_call_run, args, &shape);
    free(text);
}

static bool job_of_query(struct http_request *r, struct slice *job)
{
    *job = query(r, "job_id");
    if (job->len == 0)
        job_http_fail(r, 400, "Missing job");
    return job->len > 0;
}

static void route_get(struct job_http *h, struct http_request *r, const json_t *body)
{
    struct slice args[2] = {slice_of(""), slice_of(http_request_has_query(r, "full") ? "1" : "")};
    (void)body;
    if (job_of_query(r, &args[0]))
        job_http_ask(h, r, &job_call_get, args, &shape_plain);
}

static void route_list(struct job_http *h, struct http_request *r, const json_t *body)
{
    struct slice limit = query(r, "limit");
    uint64_t number;
    (void)body;
    if (limit.len > 0 &&
        (text_parse_u64(limit, &number) != 0 || number == 0 || number > ROUTES_LIST_MAX)) {
        job_http_fail(r, 400,
                      "Invalid parameters in request: limit: a number from 1 to 500 is wanted");
        return;
    }
    const char *since = http_request_query(r, "since");
    uint64_t since_ms = 0;
    char ago[24];
    if (since != NULL && text_parse_span(slice_of(since), &since_ms) != 0) {
        job_http_fail(r, 400, "Invalid parameters in request: since: a span such as 1h is wanted");
        return;
    }
    snprintf(ago, sizeof ago, "%" PRIu64, since_ms);
    const struct slice args[] = {query(r, "status"),      limit.len > 0 ? limit : slice_of("50"),
                                 query(r, "platform_id"), query(r, "queue"),
                                 slice_of(ago),           query(r, "after")};
    job_http_ask(h, r, &job_call_list, args, &shape_plain);
}

static void route_move(struct job_http *h, struct http_request *r, const json_t *body,
                       const struct job_call_verb *verb)
{
    struct slice job;
    if (text_of(body, "job_id", &job) && job.len > 0)
        job_http_ask(h, r, verb, &job, &shape_plain);
    else
        job_http_fail(r, 400, "Missing job");
}

static void route_cancel(struct job_http *h, struct http_request *r, const json_t *body)
{
    route_move(h, r, body, &job_call_cancel);
}

static void route_retry(struct job_http *h, struct http_request *r, const json_t *body)
{
    route_move(h, r, body, &job_call_retry);
}

/* Bytes that are no text come as base64 (json_value.h). */
static void shape_tail_text(const json_t *answer, struct buffer *body)
{
    const json_t *output = json_object_get(answer, "output");
    buffer_append_text(body, json_is_string(output) ? json_string_value(output) : "");
}

static void route_tail(struct job_http *h, struct http_request *r, const json_t *body)
{
    static const struct job_http_shape shape = {.text = shape_tail_text};
    struct slice args[] = {slice_of(""), slice_of("0"), slice_of("0")};
    (void)body;
    if (!job_of_query(r, &args[0]))
        return;
    if (http_request_has_query(r, "follow"))
        job_http_follow(h, r, args[0].ptr);
    else
        job_http_ask(h, r, &job_call_tail, args, &shape);
}

static const struct job_http_route routes[] = {
    {"/system/alive", route_alive, route_alive_post},
    {"/platforms/get", route_platforms, NULL},
    {"/execution/run", NULL, route_run},
    {"/execution/get", route_get, NULL},
    {"/execution/list", route_list, NULL},
    {"/execution/cancel", NULL, route_cancel},
    {"/execution/retry", NULL, route_retry},
    {"/execution/tail", route_tail, NULL},
};

const struct job_http_route *job_http_find(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(path, routes[i].path) == 0)
            return &routes[i];
    return NULL;
}
