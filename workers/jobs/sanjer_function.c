/*
 * sanjer_function.c: what a function that rq's client has enqueued brings with it, and what its child says of it. See
 * sanjer.h.
 *
 * Its hash goes to the child as it is: only Python reads everybody's pickles. What is read here is what becomes of it:
 * its time, RQ's Retry, and what RQ 2 does around a job that nobody does here.
 */
#include "common/base64.h"
#include "proto/jobs/job_field.h"
#include "workers/jobs/job_functions.h"
#include "workers/jobs/sanjer.h"

#include <errno.h>
#include <stdlib.h>

#define FUNCTION_NUMBER_SIZE 32
#define FUNCTION_NAME_SIZE   128

/* More is for ever: milliseconds of it are still no overflow. */
#define FUNCTION_SECONDS_MAX 1e12

static const char function_ours[] = JOB_FIELD_PREFIX;

/* 0: there is none, or no number. */
static double function_number(struct slice text)
{
    char copy[FUNCTION_NUMBER_SIZE], *end = copy;
    double number = slice_copy(text, copy, sizeof copy) ? strtod(copy, &end) : 0;
    bool is_number = end != copy && *end == '\0' && number > -FUNCTION_SECONDS_MAX &&
                     number < FUNCTION_SECONDS_MAX;
    return is_number ? number : 0;
}

/* Seconds; below 0: for ever, as with RQ. */
static void function_timeout(struct sanjer_run *run, struct slice text)
{
    double seconds = function_number(text);
    if (seconds < 0)
        run->timeout_ms = 0;
    else if (seconds > 0)
        run->timeout_ms = (uint64_t)(seconds * 1000) + (seconds < 0.001);
}

/* Retry(max, interval): the pause before the next. With more retries than intervals the first counts again. */
static void function_retry(struct sanjer_run *run, struct slice left, struct slice intervals)
{
    double number = function_number(left);
    json_t *list = intervals.len > 0 ? json_loadb(intervals.ptr, intervals.len, 0, NULL) : NULL;
    size_t count = json_array_size(list);
    run->again_left = number > 0 ? (uint64_t)number : 0;
    size_t at = count > run->again_left ? count - (size_t)run->again_left : 0;
    double seconds = json_number_value(json_array_get(list, at));
    run->again_ms = seconds > 0 && seconds < FUNCTION_SECONDS_MAX ? (uint64_t)(seconds * 1000) : 0;
    json_decref(list);
}

static void function_refuse(struct sanjer_run *run, struct slice name, struct slice value)
{
    static const char *const names[] = {"rate_limit_key", "webhooks", "repeats_left"};
    bool empty = value.len == 0 || slice_is(value, "0") || slice_is(value, "[]") ||
                 slice_is(value, "{}") || slice_is(value, "null");
    for (size_t i = 0; !empty && i < sizeof names / sizeof names[0]; i++)
        if (slice_is(name, names[i]))
            snprintf(run->fault, sizeof run->fault,
                     "platform: sanjers do not know RQ's %s: use rq worker for such jobs, in a "
                     "queue that python.functions does not name",
                     names[i]);
}

/* What no name of RQ's is too long for; of what others have put there nothing is lost that RQ would miss. */
static int function_add(json_t *to, struct slice name, struct slice value)
{
    struct buffer text = BUFFER_EMPTY;
    char key[FUNCTION_NAME_SIZE];
    if (!slice_copy(name, key, sizeof key))
        return 0;
    base64_append(&text, value);
    bool ok =
        buffer_ok(&text) &&
        json_object_set_new(to, key, json_stringn(text.len > 0 ? text.data : "", text.len)) == 0;
    buffer_fini(&text);
    return ok ? 0 : -ENOMEM;
}

static bool function_is_ours(struct slice name)
{
    size_t len = sizeof function_ours - 1;
    return name.len >= len && memcmp(name.ptr, function_ours, len) == 0;
}

static int function_fields(struct sanjer_run *run, const redisReply *fields)
{
    struct slice left = slice_of(""), intervals = slice_of("");
    int rc = 0;
    for (size_t i = 0; rc == 0 && job_reply_at(fields, i + 1) != NULL; i += 2) {
        struct slice name = job_reply_bytes(fields->element[i]),
                     value = job_reply_bytes(fields->element[i + 1]);
        if (function_is_ours(name))
            continue;
        rc = function_add(run->function, name, value);
        function_refuse(run, name, value);
        if (slice_is(name, "retries_left"))
            left = value;
        if (slice_is(name, "retry_intervals"))
            intervals = value;
        if (slice_is(name, "timeout"))
            function_timeout(run, value);
    }
    function_retry(run, left, intervals);
    return rc;
}

int sanjer_function_read(struct sanjer_run *run, const redisReply *fields)
{
    bool is_function = false;
    for (size_t i = 0; !is_function && job_reply_at(fields, i + 1) != NULL; i += 2)
        is_function = slice_is(job_reply_bytes(fields->element[i]), JOB_FIELD("function"));
    if (!is_function)
        return 0;
    run->function = json_object();
    if (!job_functions_has(run->s->w, slice_of(run->queue)))
        snprintf(
            run->fault, sizeof run->fault,
            "platform: functions of the queue %.100s are not run here: name it in python.functions",
            run->queue);
    return run->function != NULL ? function_fields(run, fields) : -ENOMEM;
}

/* {"number","seconds"} of a Retry that it has returned. */
static void function_returned_retry(struct sanjer_run *run, const json_t *retry)
{
    json_int_t number = json_integer_value(json_object_get(retry, "number"));
    double seconds = json_number_value(json_object_get(retry, "seconds"));
    run->returned_retries = number > 0 ? (uint64_t)number : 0;
    run->returned_ms =
        seconds > 0 && seconds < FUNCTION_SECONDS_MAX ? (uint64_t)(seconds * 1000) : 0;
}

void sanjer_function_say(struct sanjer_run *run, const json_t *said)
{
    const char *returned = json_string_value(json_object_get(said, "return_value"));
    const json_t *more = json_object_get(said, "more"), *retry = json_object_get(said, "retry"),
                 *timeout = json_object_get(json_object_get(said, "exception"), "timeout");
    if (run->function == NULL)
        return;
    if (retry != NULL)
        function_returned_retry(run, retry);
    run->spent |= json_is_true(json_object_get(retry, "spent"));
    if (returned != NULL) {
        free(run->returned);
        run->returned = strdup(returned);
        if (run->returned == NULL)
            worker_exit(run->s->w, CONTRACT_EXIT_SHORT, "memory is short for a result");
    }
    if (json_is_integer(more) && json_integer_value(more) > 0)
        sanjer_run_more(run, 1000 * (uint64_t)json_integer_value(more));
    if (json_is_true(timeout) && run->why == SANJER_ITSELF)
        run->why = SANJER_TIMEOUT;
}
