/*
 * fuzz_job_http.c: bodies of questions over HTTP (workers/jobs/job_http_routes.c), and what a collector's answer
 * becomes.
 *
 * The file is compiled into this one, over a server that only pretends. Every question is answered, or asked on, once;
 * what is asked on is text, and settings an object.
 */
#include "workers/jobs/job_http_routes.c"

static const char *header;
static unsigned answered;

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* ---- the server ---- */

const char *http_request_header(const struct http_request *r, const char *name)
{
    (void)r;
    (void)name;
    return header;
}

const char *http_request_query(const struct http_request *r, const char *name)
{
    (void)r;
    (void)name;
    return header;
}

bool http_request_has_query(const struct http_request *r, const char *name)
{
    (void)r;
    (void)name;
    return header != NULL;
}

void http_request_answer_text(struct http_request *r, unsigned status, const char *text)
{
    (void)r;
    answered += status == 200 && text[0] != '\0';
}

void job_http_fail(struct http_request *r, unsigned status, const char *message)
{
    (void)r;
    if (status < 400 || message[0] == '\0')
        abort();
    answered++;
}

void job_http_follow(struct job_http *h, struct http_request *r, const char *job)
{
    (void)h;
    (void)r;
    if (job[0] == '\0')
        abort();
    answered++;
}

/* The answer is whatever the question was: a collector of another version may say anything. */
static void shape(const struct job_http_shape *as, const json_t *body)
{
    json_t *beside = NULL, *answer = json_deep_copy(body);
    struct buffer text = BUFFER_EMPTY;
    if (as->text != NULL)
        as->text(answer, &text);
    if (as->json != NULL)
        answer = as->json(answer, &beside);
    if (as->away != NULL)
        json_decref(as->away());
    json_decref(answer);
    json_decref(beside);
    buffer_fini(&text);
}

static const json_t *asked;

void job_http_ask(struct job_http *h, struct http_request *r, const struct job_call_verb *verb,
                  const struct slice *args, const struct job_http_shape *as)
{
    (void)h;
    (void)r;
    for (uint32_t i = 0; i < verb->count; i++)
        if (args[i].len > 0 && memchr(args[i].ptr, '\0', args[i].len) != NULL)
            abort();
    if (verb == &job_call_run) {
        json_t *settings = json_loadb(args[1].ptr, args[1].len, 0, NULL);
        if (args[0].len == 0 || !json_is_object(settings) || args[3].len > ROUTES_KEY_MAX)
            abort();
        json_decref(settings);
    }
    answered++;
    shape(as, asked);
}

/* The first byte is a route, a text that ends with a NUL a header's and a query's value, the rest a body. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *end = size > 0 ? memchr(data + 1, '\0', size - 1) : NULL;
    if (end == NULL)
        return 0;
    const struct job_http_route *route = &routes[data[0] % (sizeof routes / sizeof routes[0])];
    json_t *body = json_loadb((const char *)end + 1, size - (size_t)(end - data) - 1,
                              JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(body)) { /* else job_http.c has answered */
        header = end > data + 1 ? (const char *)data + 1 : NULL;
        asked = body;
        answered = 0;
        if (route->get != NULL)
            route->get(NULL, NULL, body);
        if (route->post != NULL)
            route->post(NULL, NULL, body);
        if (answered != (unsigned)(route->get != NULL) + (route->post != NULL))
            abort();
    }
    json_decref(body);
    return 0;
}
