/* backing_s3_write.c: what puts and erases objects in S3, under conditions. See backing_s3.h. */
#include "workers/cache/backing/backing_s3_private.h"

#include "common/http/s3_sign.h"

#include <errno.h>
#include <stdio.h>

#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"

static uint64_t s3_now(const struct backing_call *call)
{
    return uv_now(call->store->loop);
}

static void s3_learn(struct backing_call *call, const char *etag, uint64_t version)
{
    backing_known_learn(call->store->known, call->name, etag, version, s3_now(call));
}

/* ---- what must wait until a lost request can no more arrive ---- */

static void s3_hold(struct backing_call *call, uint64_t until_ms)
{
    struct backing_answer answer = {
        .result = BACKING_AWAY,
        .meta = BACKING_META_NONE,
        .value = slice_of(""),
        .why = "an earlier request that was never answered could still undo this one",
        .retry_after_ms = until_ms - s3_now(call)};
    backing_s3_later(call, &answer);
}

/* The longest time for which a write that leaves this ETag must wait; 0: none. */
static uint64_t s3_doubted(struct backing_call *call)
{
    struct backing_known *doubts = call->store->doubts;
    char md5[S3_SIGN_MD5_SIZE], quoted[S3_SIGN_MD5_SIZE + 2];
    if (backing_known_doubted(doubts, call->name, NULL, s3_now(call)) == 0)
        return 0;
    if (s3_sign_md5(call->value, md5) != 0)
        return backing_known_doubted(doubts, call->name, NULL, s3_now(call));
    snprintf(quoted, sizeof quoted, "\"%s\"", md5);
    uint64_t until = backing_known_doubted(doubts, call->name, quoted, s3_now(call));
    uint64_t bare = backing_known_doubted(doubts, call->name, md5, s3_now(call));
    return bare > until ? bare : until;
}

/* ---- put ---- */

static void s3_on_put(const struct s3_answer *answer, void *ctx);
static void s3_on_put_seen(const struct s3_answer *answer, void *ctx);

static void s3_put_look(struct backing_call *call)
{
    backing_s3_short(call, backing_s3_head(call, s3_on_put_seen));
}

/* Over what is there with this ETag; "": over nothing. */
static int s3_put_write(struct backing_call *call, const char *etag)
{
    bool conditional = call->store->options.conditional;
    return backing_s3_write(call, conditional ? etag : "", conditional && etag[0] == '\0',
                            s3_on_put);
}

static void s3_on_put(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    call->request = NULL;
    switch (answer->result) {
    case S3_DONE:
        if (!backing_s3_is_put(call, answer))
            return;
        s3_learn(call, answer->etag, call->meta.version);
        backing_s3_finish_as(call, BACKING_DONE, call->meta.version, "");
        return;
    case S3_CHANGED:
    case S3_ABSENT: /* it is not there any more */
    case S3_BUSY:
        if (answer->status >= 500) /* of a proxy that has lost sight of it, perhaps */
            backing_s3_doubt(call);
        backing_known_forget(call->store->known, call->name);
        backing_s3_again(call, s3_put_look, answer);
        return;
    case S3_AWAY:
        backing_s3_doubt(call);
        break;
    case S3_FORBIDDEN:
    case S3_REFUSED:
        break;
    }
    backing_s3_finish_with(call, answer);
}

static void s3_put_over(struct backing_call *call, const struct s3_answer *answer)
{
    struct backing_meta there;
    if (!backing_s3_meta(call, answer, &there))
        return;
    s3_learn(call, answer->etag, there.version);
    if (there.version > call->meta.version)
        backing_s3_finish_as(call, BACKING_NEWER, there.version, "");
    else if (there.version == call->meta.version)
        backing_s3_finish_as(call, BACKING_DONE, there.version, "");
    else
        backing_s3_short(call, s3_put_write(call, answer->etag));
}

static void s3_on_put_seen(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    call->request = NULL;
    switch (answer->result) {
    case S3_DONE:
        s3_put_over(call, answer);
        return;
    case S3_ABSENT:
        backing_s3_short(call, s3_put_write(call, ""));
        return;
    case S3_CHANGED:
    case S3_BUSY:
        backing_s3_again(call, s3_put_look, answer);
        return;
    case S3_AWAY:
    case S3_FORBIDDEN:
    case S3_REFUSED:
        backing_s3_finish_with(call, answer);
        return;
    }
}

/* Whether what is known says enough to write at once; see backing_s3.h. */
static bool s3_is_fresh(const struct backing_call *call, const struct backing_fact *fact)
{
    return fact->etag[0] != '\0' && fact->version < call->meta.version &&
           strstr(fact->etag, EMPTY_MD5) == NULL &&
           s3_now(call) - fact->learned_ms < call->store->options.known_ms;
}

int backing_s3_put_begin(struct backing_call *call)
{
    const struct s3_backing *s = call->store;
    uint64_t until_ms = s3_doubted(call);
    const struct backing_fact *fact = backing_known_find(s->known, call->name);
    if (until_ms > 0) {
        s3_hold(call, until_ms);
        return 0;
    }
    if (fact != NULL && s3_is_fresh(call, fact))
        return s3_put_write(call, fact->etag);
    /* What is in doubt has likely been done: a look costs less than a refusal with all its bytes. */
    if (fact == NULL && s->options.conditional &&
        backing_known_doubted(s->doubts, call->name, NULL, s3_now(call)) == 0)
        return s3_put_write(call, "");
    return backing_s3_head(call, s3_on_put_seen);
}

/* ---- erase ---- */

static void s3_on_erase_seen(const struct s3_answer *answer, void *ctx);

static void s3_erase_look(struct backing_call *call)
{
    backing_s3_short(call, backing_s3_head(call, s3_on_erase_seen));
}

static void s3_on_erased(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    call->request = NULL;
    if (answer->result == S3_AWAY || (answer->result == S3_BUSY && answer->status >= 500))
        backing_s3_doubt(call);
    else
        backing_known_forget(call->store->known, call->name);
    if (answer->result == S3_CHANGED || answer->result == S3_BUSY)
        backing_s3_again(call, s3_erase_look, answer);
    else if (answer->result == S3_ABSENT)
        backing_s3_finish_as(call, BACKING_DONE, 0, "");
    else
        backing_s3_finish_with(call, answer);
}

static void s3_on_erase_seen(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    struct backing_meta there;
    call->request = NULL;
    if (answer->result == S3_ABSENT) {
        backing_s3_finish_as(call, BACKING_DONE, 0, "");
    } else if (answer->result == S3_CHANGED || answer->result == S3_BUSY) {
        backing_s3_again(call, s3_erase_look, answer);
    } else if (answer->result != S3_DONE) {
        backing_s3_finish_with(call, answer);
    } else if (backing_s3_meta(call, answer, &there)) {
        if (there.version != call->meta.version || !there.deleted)
            backing_s3_finish_as(call, BACKING_NEWER, there.version, "");
        else
            backing_s3_short(call, backing_s3_remove(call, answer->etag, s3_on_erased));
    }
}

/* Where a DELETE has no condition the tombstone stays: it could be an object again by then. */
int backing_s3_erase_begin(struct backing_call *call)
{
    struct s3_backing *s = call->store;
    struct backing_answer stays = {
        .result = BACKING_DONE, .meta = BACKING_META_NONE, .value = slice_of(""), .why = ""};
    uint64_t until_ms = backing_known_doubted(s->doubts, call->name, NULL, s3_now(call));
    if (s->head.erases && until_ms == 0)
        return backing_s3_head(call, s3_on_erase_seen);
    if (s->head.erases)
        s3_hold(call, until_ms);
    else
        backing_s3_later(call, &stays);
    return 0;
}
