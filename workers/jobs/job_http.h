/*
 * job_http.h: jobs over HTTP, as the original had them: routes, who may ask, answers in JSON.
 *
 * Runs in collectors of sections that have `listen`. Each question is a call (job_call.h); nothing is kept between
 * them but who follows a job's output (job_http_tail.c). What is asked, and answered: JOBS.md, HTTP.
 */
#ifndef WORKERS_JOBS_JOB_HTTP_H
#define WORKERS_JOBS_JOB_HTTP_H

#include "common/http/http_server.h"
#include "workers/jobs/job_call.h"

#define JOB_HTTP_BODY_MAX  (1024u * 1024u)
#define JOB_HTTP_ANSWER_MS 20000u
#define JOB_HTTP_TOKEN_MAX 1024
#define JOB_HTTP_TAILS_MAX 64

struct job_http_asked;
struct job_http_tail;

/* Lies in the worker's state. Nothing of it is for others than job_http*.c. */
struct job_http {
    struct job_calls *calls;
    struct http_server server;
    bool open;
    bool unix_socket;
    char token[JOB_HTTP_TOKEN_MAX]; /* "": none is wanted */
    const char *cors, *folder;      /* "": none */
    struct job_http_asked *first;   /* who waits for an answer */
    struct job_http_tail *tails;
    uv_timer_t timer; /* of those */
};

/*
 * Reads the settings (jobs.listen, token_file, cors, static), and listens. 0, also when there is no `listen`; or an
 * exit code, after worker_trouble. `h` is all zeros before.
 */
int job_http_open(struct job_http *h, struct job_calls *calls);

/* Whoever waits is told 503. Harmless on one that is not open. Before the calls end. */
void job_http_close(struct job_http *h);

/* ---- job_http_tail.c ---- */

/* Answers with a job's output, and with what it still says until it ends. */
void job_http_follow(struct job_http *h, struct http_request *r, const char *job);
/* That one is answered otherwise. */
void job_http_follow_no_more(struct job_http *h, const struct http_request *r);
void job_http_tails_close(struct job_http *h);

#endif
