/* backing_s3.c: see backing_s3.h. */
#include "workers/cache/backing/backing_s3_private.h"

#include "workers/cache/backing/backing_retry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- memory ---- */

static void s3_on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void backing_s3_doubt(struct backing_call *call)
{
    struct s3_backing *s = call->store;
    backing_known_forget(s->known, call->name);
    backing_known_doubt(s->doubts, call->name, call->etag, uv_now(s->loop) + s->options.doubt_ms);
}

/* A write that nobody waits for any more may be done all the same, now or late. */
static void s3_call_leave(struct backing_call *call)
{
    struct s3_backing *s = call->store;
    if (call->request != NULL) {
        s3_client_cancel(call->request);
        if (call->writes)
            backing_s3_doubt(call);
    }
    if (call->before != NULL)
        call->before->next = call->next;
    else
        s->calls = call->next;
    if (call->next != NULL)
        call->next->before = call->before;
    uv_close((uv_handle_t *)&call->timer, s3_on_timer_closed);
}

/* ---- ends ---- */

void backing_s3_finish(struct backing_call *call, const struct backing_answer *answer)
{
    backing_answer_fn fn = call->fn;
    void *ctx = call->ctx;
    s3_call_leave(call); /* freed by the loop: answer may lie in it */
    fn(answer, ctx);
}

void backing_s3_finish_as(struct backing_call *call, enum backing_result result, uint64_t version,
                          const char *why)
{
    struct backing_answer answer = {
        .result = result, .meta = BACKING_META_NONE, .value = slice_of(""), .why = why};
    answer.meta.version = version;
    backing_s3_finish(call, &answer);
}

void backing_s3_finish_with(struct backing_call *call, const struct s3_answer *answer)
{
    static const enum backing_result results[] = {
        [S3_DONE] = BACKING_DONE,       [S3_ABSENT] = BACKING_ABSENT,
        [S3_CHANGED] = BACKING_AWAY,    [S3_BUSY] = BACKING_AWAY,
        [S3_AWAY] = BACKING_AWAY,       [S3_FORBIDDEN] = BACKING_FORBIDDEN,
        [S3_REFUSED] = BACKING_REFUSED,
    };
    struct backing_answer out = {.result = results[answer->result],
                                 .meta = BACKING_META_NONE,
                                 .value = slice_of(""),
                                 .why = answer->why,
                                 .retry_after_ms = answer->retry_after_ms};
    backing_s3_finish(call, &out);
}

void backing_s3_short(struct backing_call *call, int rc)
{
    if (rc != 0)
        backing_s3_finish_as(call, BACKING_AWAY, 0, "memory is short");
}

static void s3_on_timer(uv_timer_t *timer)
{
    struct backing_call *call = timer->data;
    uint64_t now = uv_now(call->store->loop);
    void (*resume)(struct backing_call *) = call->resume;
    call->resume = NULL;
    if (resume != NULL && now < call->deadline_ms) {
        uv_timer_start(timer, s3_on_timer, call->deadline_ms - now, 0);
        resume(call);
        return;
    }
    unsigned long long ms = call->timeout_ms;
    if (call->said[0] != '\0')
        snprintf(call->why, sizeof call->why, "%.500s (tried for %llu ms)", call->said, ms);
    else
        snprintf(call->why, sizeof call->why, "%.400s: no answer for %llu ms",
                 call->store->options.s3.url, ms);
    backing_s3_finish_as(call, BACKING_AWAY, 0, call->why);
}

static void s3_call_pause(struct backing_call *call, uint64_t ms,
                          void (*resume)(struct backing_call *call))
{
    uint64_t now = uv_now(call->store->loop);
    uint64_t left = call->deadline_ms > now ? call->deadline_ms - now : 0;
    call->resume = resume;
    uv_timer_start(&call->timer, s3_on_timer, ms < left ? ms : left, 0);
}

static void s3_give_verdict(struct backing_call *call)
{
    backing_s3_finish(call, &call->verdict);
}

void backing_s3_later(struct backing_call *call, const struct backing_answer *answer)
{
    call->verdict = *answer;
    s3_call_pause(call, 1, s3_give_verdict); /* 0 is due within the same turn, again and again */
}

/*
 * What a server asks for that is busy with all (Retry-After) is for the caller, who can leave it alone for so long; and
 * so is one that is busy for longer than a moment: nobody hears of it while it is tried here.
 */
void backing_s3_again(struct backing_call *call, void (*resume)(struct backing_call *call),
                      const struct s3_answer *answer)
{
    uint32_t random = 0;
    bool busy = answer->result == S3_BUSY;
    call->busy += busy;
    if (++call->tries >= S3_TRIES || call->busy >= call->busy_max || answer->retry_after_ms > 0) {
        backing_s3_finish_with(call, answer);
        return;
    }
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL); /* when it fails: no jitter */
    slice_copy(slice_of(answer->why), call->said, sizeof call->said);
    uint64_t pause = busy ? backing_retry_pause(call->busy, 0, S3_BUSY_PAUSE, random) : 0;
    s3_call_pause(call, pause, resume);
}

/* ---- requests ---- */

/* S3 gives an ETag with all that it has: a proxy's page has none, or a proxy holds it back. */
static void s3_finish_foreign(struct backing_call *call, const char *to)
{
    snprintf(call->why, sizeof call->why,
             "%.250s answers 200 to %s without an ETag, which S3 gives: let what stands between "
             "through, and leave the header in",
             call->store->options.s3.url, to);
    backing_s3_finish_as(call, BACKING_FORBIDDEN, 0, call->why);
}

bool backing_s3_is_put(struct backing_call *call, const struct s3_answer *answer)
{
    if (answer->etag[0] != '\0' || !call->store->put_etags)
        return true;
    backing_s3_doubt(call);
    s3_finish_foreign(call, "a PUT");
    return false;
}

bool backing_s3_meta(struct backing_call *call, const struct s3_answer *answer,
                     struct backing_meta *meta)
{
    *meta = BACKING_META_NONE;
    if (answer->etag[0] == '\0' && (call->store->options.conditional || answer->meta == NULL)) {
        s3_finish_foreign(call, "a GET or HEAD");
        return false;
    }
    if (answer->meta == NULL || backing_meta_read(slice_of(answer->meta), meta))
        return true;
    snprintf(call->why, sizeof call->why,
             "object %.250s: its x-amz-meta-platoon is damaged: take the object away, or copy it "
             "onto itself without that",
             call->name);
    backing_s3_finish_as(call, BACKING_REFUSED, 0, call->why);
    return false;
}

const char *backing_s3_condition(const struct backing_call *call, const char *etag,
                                 char text[S3_ETAG_SIZE])
{
    struct slice bare = slice_of(etag);
    if (call->bare && bare.len >= 2 && bare.ptr[0] == '"' && bare.ptr[bare.len - 1] == '"')
        bare = slice_make(bare.ptr + 1, bare.len - 2);
    slice_copy(bare, text, S3_ETAG_SIZE);
    return text;
}

int backing_s3_head(struct backing_call *call, s3_answer_fn on_answer)
{
    call->writes = false;
    return s3_client_head(call->store->client, slice_of(call->name), on_answer, call,
                          &call->request);
}

/* Remembers what would have to be doubted. */
static struct s3_condition s3_call_condition(struct backing_call *call, const char *etag,
                                             bool absent, char text[S3_ETAG_SIZE])
{
    char same[S3_ETAG_SIZE]; /* etag may be call->etag */
    slice_copy(slice_of(etag), same, sizeof same);
    memcpy(call->etag, same, sizeof same);
    call->writes = true;
    return (struct s3_condition){.absent = absent,
                                 .etag = backing_s3_condition(call, call->etag, text)};
}

int backing_s3_write(struct backing_call *call, const char *etag, bool absent,
                     s3_answer_fn on_answer)
{
    char text[S3_ETAG_SIZE], meta[BACKING_META_SIZE];
    struct s3_condition condition = s3_call_condition(call, etag, absent, text);
    return s3_client_put(call->store->client, slice_of(call->name), call->value,
                         backing_meta_write(&call->meta, meta), condition, on_answer, call,
                         &call->request);
}

int backing_s3_remove(struct backing_call *call, const char *etag, s3_answer_fn on_answer)
{
    char text[S3_ETAG_SIZE];
    struct s3_condition condition = s3_call_condition(call, etag, false, text);
    return s3_client_delete(call->store->client, slice_of(call->name), condition, on_answer, call,
                            &call->request);
}

/* ---- get ---- */

static void s3_on_got(const struct s3_answer *answer, void *ctx);

static int s3_get_begin(struct backing_call *call)
{
    call->writes = false;
    return s3_client_get(call->store->client, slice_of(call->name), s3_on_got, call,
                         &call->request);
}

static void s3_get_again(struct backing_call *call)
{
    backing_s3_short(call, s3_get_begin(call));
}

static void s3_on_got(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    struct s3_backing *s = call->store;
    struct backing_answer out = {.result = BACKING_DONE, .value = answer->body, .why = ""};
    call->request = NULL;
    if (answer->result == S3_BUSY) {
        backing_s3_again(call, s3_get_again, answer);
    } else if (answer->result != S3_DONE) {
        backing_s3_finish_with(call, answer);
    } else if (backing_s3_meta(call, answer, &out.meta)) {
        backing_known_learn(s->known, call->name, answer->etag, out.meta.version, uv_now(s->loop));
        if (out.meta.deleted) {
            out.result = BACKING_ABSENT;
            out.value = slice_of("");
        }
        backing_s3_finish(call, &out);
    }
}

/* ---- calls ---- */

static struct backing_call *s3_call_new(struct s3_backing *s, uint64_t timeout_ms,
                                        backing_answer_fn fn, void *ctx)
{
    struct backing_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->store = s;
    call->fn = fn;
    call->ctx = ctx;
    call->timeout_ms = timeout_ms;
    call->bare = s->bare;
    call->busy_max = S3_BUSY_TRIES;
    call->deadline_ms = uv_now(s->loop) + timeout_ms;
    call->value = slice_of("");
    uv_timer_init(s->loop, &call->timer);
    call->timer.data = call;
    uv_timer_start(&call->timer, s3_on_timer, timeout_ms, 0);
    call->next = s->calls;
    if (s->calls != NULL)
        s->calls->before = call;
    s->calls = call;
    return call;
}

static int s3_call_begin(struct backing_call *call, struct slice key,
                         int (*begin)(struct backing_call *call), struct backing_call **out)
{
    int rc = backing_name(BACKING_S3, key, call->name) ? begin(call) : -ENOMEM;
    if (rc != 0) {
        s3_call_leave(call);
        return -ENOMEM;
    }
    *out = call;
    return 0;
}

static int s3_check(struct backing *b, uint64_t timeout_ms, backing_answer_fn fn, void *ctx,
                    struct backing_call **out)
{
    struct backing_call *call = s3_call_new((struct s3_backing *)b, timeout_ms, fn, ctx);
    return call != NULL ? s3_call_begin(call, slice_of(""), backing_s3_probe_begin, out) : -ENOMEM;
}

static int s3_put(struct backing *b, struct slice key, struct slice value,
                  const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                  void *ctx, struct backing_call **out)
{
    struct backing_call *call = s3_call_new((struct s3_backing *)b, timeout_ms, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    call->value = value;
    call->meta = *meta;
    return s3_call_begin(call, key, backing_s3_put_begin, out);
}

static int s3_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                  void *ctx, struct backing_call **out)
{
    struct backing_call *call = s3_call_new((struct s3_backing *)b, timeout_ms, fn, ctx);
    return call != NULL ? s3_call_begin(call, key, s3_get_begin, out) : -ENOMEM;
}

static int s3_erase(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                    backing_answer_fn fn, void *ctx, struct backing_call **out)
{
    struct backing_call *call = s3_call_new((struct s3_backing *)b, timeout_ms, fn, ctx);
    if (call == NULL)
        return -ENOMEM;
    call->meta =
        (struct backing_meta){.version = version, .expiry_ms = BACKING_NEVER, .deleted = true};
    return s3_call_begin(call, key, backing_s3_erase_begin, out);
}

static void s3_free(struct backing *b)
{
    struct s3_backing *s = (struct s3_backing *)b;
    while (s->calls != NULL)
        s3_call_leave(s->calls);
    s3_client_free(s->client);
    backing_known_free(s->known);
    backing_known_free(s->doubts);
    free((void *)(uintptr_t)s->options.s3.url);
    free(s);
}

static const struct backing_ops s3_ops = {.check = s3_check,
                                          .put = s3_put,
                                          .get = s3_get,
                                          .erase = s3_erase,
                                          .cancel = s3_call_leave,
                                          .free = s3_free};

int backing_s3_new(uv_loop_t *loop, const struct backing_s3_options *options, struct backing **out,
                   char *why, size_t why_size)
{
    struct s3_backing *s = calloc(1, sizeof *s);
    int rc = -ENOMEM;
    snprintf(why, why_size, "memory is short");
    if (s == NULL)
        return rc;
    s->head.ops = &s3_ops;
    s->loop = loop;
    s->options = *options;
    s->options.s3.url = strdup(options->s3.url); /* the client copies the rest */
    s->known = backing_known_new(options->known_max);
    s->doubts = backing_known_new(options->known_max);
    if (s->options.s3.url != NULL && s->known != NULL && s->doubts != NULL)
        rc = s3_client_new(loop, &options->s3, &s->client, why, why_size);
    if (rc != 0) {
        s3_free(&s->head);
        return rc;
    }
    *out = &s->head;
    return 0;
}
