/*
 * job_http_private.h: what the files of job_http share: routes, and how a call's answer is shown.
 *
 * Runs in collectors.
 */
#ifndef WORKERS_JOBS_JOB_HTTP_PRIVATE_H
#define WORKERS_JOBS_JOB_HTTP_PRIVATE_H

#include "workers/jobs/job_http.h"

struct job_http_route {
    const char *path;
    /* NULL: not for that method. Each answers, now or later; `body` is NULL, or the POST's object, borrowed. */
    void (*get)(struct job_http *h, struct http_request *r, const json_t *body);
    void (*post)(struct job_http *h, struct http_request *r, const json_t *body);
};

/* NULL: there is none. */
const struct job_http_route *job_http_find(const char *path);

/* What becomes of a call's answer. Each may be NULL. */
struct job_http_shape {
    /* Takes the answer, gives the message; *beside: further members of the whole. NULL: memory is short. */
    json_t *(*json)(json_t *answer, json_t **beside);
    /* The whole answer is text. */
    void (*text)(const json_t *answer, struct buffer *body);
    /* The message when Redis is away. */
    json_t *(*away)(void);
};

/* Begins a call; its end is the answer. */
void job_http_ask(struct job_http *h, struct http_request *r, const struct job_call_verb *verb,
                  const struct slice *args, const struct job_http_shape *shape);

void job_http_fail(struct http_request *r, unsigned status, const char *message);

#endif
