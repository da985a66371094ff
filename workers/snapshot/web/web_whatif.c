/*
 * web_whatif.c: what if, over HTTP: what is given goes to the store piece by piece, and its answer comes likewise. See
 * web_private.h.
 */
#include "workers/snapshot/web/web_private.h"

#include "common/json/json_write.h"
#include "common/utf8.h"
#include "workers/snapshot/web/web_given.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct web_whatif {
    struct web_wait wait;
    struct web_served *s;
    const struct web_resource *of;
    char id[SNAPSHOT_ASK_MAX];
    struct web_given given;
    size_t at, sent; /* of what is given: which one, and so much of it has been sent */
    char base[WEB_COMMIT_SIZE];
    uint64_t size;
    struct buffer bytes; /* of the answer */
};

static void whatif_free(struct web_wait *wait)
{
    struct web_whatif *q = (struct web_whatif *)wait;
    web_given_free(&q->given);
    buffer_fini(&q->bytes);
    free(q);
}

static void whatif_ask(struct web_whatif *q, const char *verb, size_t count,
                       const struct slice *words, snapshot_ask_fn fn)
{
    struct http_request *r = q->wait.r;
    if (web_ask_long(q->s, verb, count, words, fn, q))
        return;
    web_wait_end(&q->wait);
    web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the store is away: try again");
}

static void whatif_fail(struct web_whatif *q, enum control_status status, struct slice body)
{
    web_fail_for(q->wait.r, status, body);
    web_wait_end(&q->wait);
}

/* ---- its answer ---- */

static void whatif_show(struct web_whatif *q)
{
    struct http_request *r = q->wait.r;
    http_request_add(r, "X-Platoon-Base", q->base);
    http_request_add(r, "Content-Security-Policy", WEB_RESOURCE_CSP);
    http_request_add(r, "X-Content-Type-Options", "nosniff");
    http_request_answer(r, MHD_HTTP_OK, q->s->types[q->of - q->s->data.list], &q->bytes);
    web_wait_end(&q->wait);
}

/* A step has failed: {"error", "step", "stderr"}. */
static void whatif_show_step(struct web_whatif *q, struct slice step, struct slice error,
                             struct slice said)
{
    struct buffer body = BUFFER_EMPTY, text = BUFFER_EMPTY;
    buffer_printf(&text, "%.*s: %.*s", (int)step.len, step.ptr, (int)error.len, error.ptr);
    buffer_append_text(&body, "{\"error\":");
    if (buffer_text(&text) != NULL)
        utf8_mend(text.data);
    json_write_string(&body, buffer_slice(&text));
    buffer_append_text(&body, ",\"step\":");
    json_write_bytes(&body, step);
    buffer_append_text(&body, ",\"stderr\":");
    json_write_bytes(&body, said);
    buffer_append_text(&body, "}\n");
    body.failed = body.failed || text.failed;
    http_request_add(q->wait.r, "X-Platoon-Base", q->base);
    http_request_add(q->wait.r, "X-Content-Type-Options", "nosniff");
    http_request_answer(q->wait.r, MHD_HTTP_UNPROCESSABLE_CONTENT, WEB_JSON, &body);
    buffer_fini(&text);
    buffer_fini(&body);
    web_wait_end(&q->wait);
}

struct whatif_said {
    struct slice step, error, said; /* step: of one that failed */
    size_t got;
};

/* False: it is no answer of a store's. */
static bool whatif_read(struct web_whatif *q, struct slice body, struct whatif_said *said)
{
    struct unpack u = unpack_start(body);
    uint32_t count = unpack_map(&u);
    *said = (struct whatif_said){.step = slice_of("")};
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        struct slice key = unpack_bytes(&u);
        if (slice_is(key, "base")) {
            slice_copy(unpack_bytes(&u), q->base, sizeof q->base);
        } else if (slice_is(key, "size")) {
            q->size = unpack_u64(&u);
        } else if (slice_is(key, "step")) {
            said->step = unpack_bytes(&u);
        } else if (slice_is(key, "error")) {
            said->error = unpack_bytes(&u);
        } else if (slice_is(key, "stderr")) {
            said->said = unpack_bytes(&u);
        } else if (slice_is(key, "bytes")) {
            struct slice bytes = unpack_bytes(&u);
            buffer_append_slice(&q->bytes, bytes);
            said->got = bytes.len;
        } else {
            unpack_raw(&u);
        }
    }
    return unpack_ok(&u) && buffer_ok(&q->bytes) && q->bytes.len <= SNAPSHOT_BYTES_MAX;
}

static void whatif_on_answer(void *ctx, enum control_status status, struct slice body)
{
    struct web_whatif *q = ctx;
    struct whatif_said said;
    char offset[24];
    if (status != CONTROL_OK) {
        whatif_fail(q, status, body);
    } else if (!whatif_read(q, body, &said) ||
               (said.step.len == 0 && said.got == 0 && q->bytes.len < q->size)) {
        web_fail(q->wait.r, MHD_HTTP_SERVICE_UNAVAILABLE, "the answer cannot be read now");
        web_wait_end(&q->wait);
    } else if (said.step.len > 0) {
        whatif_show_step(q, said.step, said.error, said.said);
    } else if (q->bytes.len < q->size) {
        snprintf(offset, sizeof offset, "%zu", q->bytes.len);
        const struct slice words[] = {slice_of(q->id), slice_of(offset)};
        whatif_ask(q, "snapshot-whatif-more", 2, words, whatif_on_answer);
    } else {
        whatif_show(q);
    }
}

/* ---- what is given ---- */

static void whatif_on_piece(void *ctx, enum control_status status, struct slice body);

static void whatif_give(struct web_whatif *q)
{
    const struct web_given_one *one = &q->given.list[q->at];
    size_t left = one->bytes.len - q->sent;
    char offset[24], size[24];
    snprintf(offset, sizeof offset, "%zu", q->sent);
    snprintf(size, sizeof size, "%zu", one->bytes.len);
    size_t len = left < SNAPSHOT_PIECE_MAX ? left : SNAPSHOT_PIECE_MAX;
    const struct slice words[] = {
        slice_of(q->id),     slice_of(q->of->name),
        slice_of(one->name), slice_of(offset),
        slice_of(size),      slice_make(len > 0 ? one->bytes.data + q->sent : "", len)};
    q->sent += len;
    whatif_ask(q, "snapshot-whatif-give", 6, words, whatif_on_piece);
}

static void whatif_on_piece(void *ctx, enum control_status status, struct slice body)
{
    struct web_whatif *q = ctx;
    if (status != CONTROL_OK) {
        whatif_fail(q, status, body);
        return;
    }
    if (q->sent == q->given.list[q->at].bytes.len) {
        q->at++;
        q->sent = 0;
    }
    if (q->at < q->given.count) {
        whatif_give(q);
        return;
    }
    const struct slice words[] = {slice_of(q->id), slice_of(q->of->name), slice_of(q->given.at)};
    whatif_ask(q, "snapshot-whatif", 3, words, whatif_on_answer);
}

void web_whatif(struct web_served *s, struct web_resource *of, struct http_request *r)
{
    struct web_whatif *q = calloc(1, sizeof *q);
    if (q == NULL) {
        web_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, "memory is short");
        return;
    }
    const char *why = web_given_read(http_request_body(r), &q->given);
    if (why != NULL) {
        whatif_free(&q->wait);
        web_fail(r, MHD_HTTP_BAD_REQUEST, "%s", why);
        return;
    }
    q->s = s;
    q->of = of;
    snprintf(q->id, sizeof q->id, "web.%" PRIx64 ".%" PRIx64, worker_generation(s->web->w),
             ++s->web->asking.given);
    web_wait_begin(&q->wait, s->web, r, whatif_free);
    whatif_give(q);
}
