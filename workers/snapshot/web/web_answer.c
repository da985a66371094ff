/*
 * web_answer.c: what is answered when it is no success, and who waits for an answer. See web_private.h.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/json/json_write.h"
#include "common/utf8.h"

#include <stdio.h>

/* ---- answers ---- */

static void answer_fail(struct http_request *r, unsigned status, struct slice what)
{
    struct buffer body = BUFFER_EMPTY;
    buffer_append_text(&body, "{\"error\":");
    json_write_string(&body, what);
    buffer_append_text(&body, "}\n");
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_answer(r, status, WEB_JSON, &body);
    buffer_fini(&body);
}

void web_fail(struct http_request *r, unsigned status, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    utf8_mend(text);
    answer_fail(r, status, slice_of(text));
}

/* A store says why in words, for people; these are what programs must tell apart. */
static unsigned answer_status_of(const char *why)
{
    static const struct {
        const char *says;
        unsigned status;
    } words[] = {{"its newest version is", MHD_HTTP_PRECONDITION_FAILED},
                 {"makes it", MHD_HTTP_CONFLICT},
                 {"nobody makes it", MHD_HTTP_CONFLICT},
                 {"more than size_max", MHD_HTTP_CONTENT_TOO_LARGE},
                 {"fewer than size_min", MHD_HTTP_UNPROCESSABLE_CONTENT},
                 {"has no such version", MHD_HTTP_NOT_FOUND},
                 {"o space left", MHD_HTTP_INSUFFICIENT_STORAGE},
                 {"is read-only", MHD_HTTP_INSUFFICIENT_STORAGE},
                 {"quota exceeded", MHD_HTTP_INSUFFICIENT_STORAGE},
                 {"the difference has more", MHD_HTTP_CONTENT_TOO_LARGE}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(why, words[i].says) != NULL)
            return words[i].status;
    return MHD_HTTP_SERVICE_UNAVAILABLE;
}

void web_fail_for(struct http_request *r, enum control_status status, struct slice body)
{
    char why[1024];
    struct unpack u = unpack_start(body);
    struct slice text = unpack_str(&u);
    size_t len = text.len < sizeof why ? text.len : sizeof why - 1;
    if (!unpack_ok(&u) || !slice_copy(slice_make(text.ptr, len), why, sizeof why))
        snprintf(why, sizeof why, "the store has no answer");
    utf8_mend(why);
    web_fail(r,
             status == CONTROL_NO_NAME ? MHD_HTTP_NOT_FOUND
             : status == CONTROL_USAGE ? MHD_HTTP_BAD_REQUEST
             : status == CONTROL_ERROR ? answer_status_of(why)
                                       : MHD_HTTP_SERVICE_UNAVAILABLE,
             "%s", why);
}

/* ---- who waits ---- */

void web_wait_begin(struct web_wait *wait, struct web *web, struct http_request *r,
                    void (*fn)(struct web_wait *wait))
{
    wait->web = web;
    wait->r = r;
    wait->free = fn;
    http_request_keep(r, wait);
}

void web_wait_end(struct web_wait *wait)
{
    web_ask_forget(wait->web, wait);
    http_request_keep(wait->r, NULL);
    wait->free(wait);
}
