/* web_put.c: a new version over HTTP: its bytes go to the store piece by piece. See web_private.h. */
#include "workers/snapshot/web/web_private.h"

#include "common/json/json_value.h"
#include "proto/snapshot/snapshot_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct web_putting {
    struct web_wait wait;
    struct web_served *s;
    const struct web_resource *of;
    char id[48];
    char by[WEB_TOKEN_NAME_MAX + 16];
    char blob[WEB_COMMIT_SIZE]; /* what If-Match says; "" for nothing */
    size_t sent;
};

static void putting_free(struct web_wait *wait)
{
    free((struct web_putting *)wait);
}

static void putting_answer(struct http_request *r, struct slice packed)
{
    struct buffer body = BUFFER_EMPTY;
    json_t *value = NULL;
    json_value_unpack(packed, UNPACK_DEPTH_MAX, &value);
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    if (text != NULL)
        buffer_append_text(&body, text);
    else
        body.failed = true;
    buffer_append_char(&body, '\n');
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_answer(r, MHD_HTTP_OK, WEB_JSON, &body);
    buffer_fini(&body);
    free(text);
    json_decref(value);
}

static void putting_on_piece(void *ctx, enum control_status status, struct slice body);

static void putting_piece(struct web_putting *p)
{
    struct http_request *r = p->wait.r;
    struct slice all = http_request_body(r);
    size_t left = all.len - p->sent, len = left < SNAPSHOT_PIECE_MAX ? left : SNAPSHOT_PIECE_MAX;
    char offset[24], size[24];
    snprintf(offset, sizeof offset, "%zu", p->sent);
    snprintf(size, sizeof size, "%zu", all.len);
    const struct slice words[] = {slice_of(p->of->name),
                                  slice_of(p->id),
                                  slice_of(offset),
                                  slice_of(size),
                                  slice_of(p->blob),
                                  slice_of(p->by),
                                  slice_make(all.len > 0 ? all.ptr + p->sent : "", len)};
    p->sent += len;
    if (web_ask(p->s, "snapshot-put", 7, words, putting_on_piece, p))
        return;
    web_wait_end(&p->wait);
    web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is away: nothing was accepted");
}

static void putting_on_piece(void *ctx, enum control_status status, struct slice body)
{
    struct web_putting *p = ctx;
    struct http_request *r = p->wait.r;
    if (status == CONTROL_OK && p->sent < http_request_body(r).len) {
        putting_piece(p);
        return;
    }
    if (status == CONTROL_OK)
        putting_answer(r, body);
    else
        web_fail_for(r, status, body);
    web_wait_end(&p->wait);
}

/* If-Match: one blob in quotes, or * for any version there is. False: the request was answered. */
static bool put_condition(struct http_request *r, const struct web_resource *of, char *blob)
{
    const char *match = http_request_header(r, "If-Match");
    blob[0] = '\0';
    if (match == NULL || (strcmp(match, "*") == 0 && of->has))
        return true;
    size_t len = strlen(match);
    if (len == WEB_COMMIT_SIZE + 1 && match[0] == '"' && match[len - 1] == '"' &&
        slice_copy(slice_make(match + 1, len - 2), blob, WEB_COMMIT_SIZE))
        return true;
    web_fail(r, MHD_HTTP_PRECONDITION_FAILED,
             "If-Match: %s is not the newest version's ETag: look at it first", match);
    return false;
}

void web_put(struct web_served *s, struct web_resource *of, struct http_request *r, const char *by)
{
    char blob[WEB_COMMIT_SIZE];
    if (!put_condition(r, of, blob))
        return;
    struct web_putting *p = calloc(1, sizeof *p);
    if (p == NULL) {
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
        return;
    }
    p->s = s;
    p->of = of;
    memcpy(p->blob, blob, sizeof p->blob);
    snprintf(p->id, sizeof p->id, "web.%" PRIx64 ".%" PRIx64, worker_generation(s->web->w),
             ++s->web->asking.given);
    snprintf(p->by, sizeof p->by, "%s", by[0] != '\0' ? by : "web");
    web_wait_begin(&p->wait, s->web, r, putting_free);
    putting_piece(p);
}
