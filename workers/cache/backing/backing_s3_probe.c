/*
 * backing_s3_probe.c: what a server honours, found out with an object that is made for it. See backing_s3.h.
 *
 * One step after the other, each a request and what its answer must be: S3's servers differ in nothing so much as in
 * conditions, and one that ignores them answers as if all were well.
 */
#include "workers/cache/backing/backing_s3_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#define PROBE_OTHER_ETAG "\"00000000000000000000000000000000\""

enum probe_step {
    PROBE_NOTHING, /* a look at what is not there: a key without s3:ListBucket is told 403, for ever */
    PROBE_PUT,     /* without a condition: rights, bucket, clock */
    PROBE_LOOK,    /* x-amz-meta comes back */
    PROBE_ABSENT, /* If-None-Match: * must be refused */
    PROBE_QUOTED, /* If-Match with the ETag as it came */
    PROBE_BARE,   /* … without quotes, when it must not be quoted */
    PROBE_OTHER,  /* If-Match with another ETag must be refused */
    PROBE_REMOVE, /* DELETE If-Match with another ETag: refused where that is honoured */
    PROBE_LAST,   /* DELETE */
};

static int probe_send(struct backing_call *call);

static void probe_go(struct backing_call *call, enum probe_step step)
{
    call->step = step;
    backing_s3_short(call, probe_send(call));
}

/* The object is taken away in any case. */
static void probe_refuse(struct backing_call *call, const char *what)
{
    snprintf(call->why, sizeof call->why, "S3 at %.250s %s", call->store->options.s3.url, what);
    call->verdict.result = BACKING_REFUSED;
    probe_go(call, PROBE_LAST);
}

static void probe_begin_again(struct backing_call *call)
{
    backing_s3_short(call, backing_s3_probe_begin(call));
}

/* A server is refused for good by what it has shown twice: somebody may have taken the object away meanwhile. */
static void probe_end(struct backing_call *call)
{
    struct backing_answer verdict = call->verdict;
    verdict.why = call->why;
    if (verdict.result == BACKING_REFUSED && !call->again) {
        call->again = true;
        probe_begin_again(call);
        return;
    }
    if (verdict.result == BACKING_DONE) {
        verdict.why = "";
        call->store->bare = call->bare;
        call->store->put_etags = call->put_etags;
        call->store->head.erases = call->erases;
    }
    backing_s3_finish(call, &verdict);
}

#define PROBE_REMEDY                                                                               \
    ": an older version could overwrite a newer one there: take another server, or, with one "     \
    "platoon alone, write conditional = false"

static void probe_judge_nothing(struct backing_call *call, const struct s3_answer *answer)
{
    if (answer->result == S3_ABSENT)
        probe_go(call, PROBE_PUT);
    else
        backing_s3_finish_as(call, BACKING_FORBIDDEN, 0,
                             "what answers at url is no S3 server: it has an object that was never "
                             "put there: correct url, or let what stands between through");
}

static void probe_judge_look(struct backing_call *call, const struct s3_answer *answer)
{
    struct backing_meta meta;
    bool object = answer->meta != NULL || call->given[0] != '\0';
    bool good = answer->meta != NULL && backing_meta_read(slice_of(answer->meta), &meta) &&
                meta.version == call->meta.version && meta.deleted;
    if (!object)
        backing_s3_finish_as(call, BACKING_FORBIDDEN, 0,
                             "what answers at url is no S3 server: it gives neither ETag nor "
                             "x-amz-meta-platoon: correct url, or let what stands between through");
    else if (!good)
        probe_refuse(call, "loses the header x-amz-meta-platoon, without which versions are not "
                           "known: take another server");
    else if (call->given[0] == '\0' && call->store->options.conditional)
        probe_refuse(call, "gives no ETag" PROBE_REMEDY);
    else
        probe_go(call, call->store->options.conditional ? PROBE_ABSENT : PROBE_LAST);
}

/* Of a request that is there to be refused. */
static void probe_judge_refusal(struct backing_call *call, const struct s3_answer *answer,
                                const char *header, enum probe_step next)
{
    char what[sizeof PROBE_REMEDY + 64];
    snprintf(what, sizeof what, "does not honour %s" PROBE_REMEDY, header);
    if (answer->result == S3_CHANGED)
        probe_go(call, next);
    else
        probe_refuse(call, what);
}

static void probe_judge_match(struct backing_call *call, const struct s3_answer *answer)
{
    if (answer->result == S3_DONE) {
        probe_go(call, PROBE_OTHER);
    } else if (call->step == PROBE_QUOTED) {
        call->bare = true;
        probe_go(call, PROBE_BARE);
    } else {
        probe_refuse(call, "takes If-Match with the ETag that it gave neither in quotes nor "
                           "without" PROBE_REMEDY);
    }
}

static void probe_judge(struct backing_call *call, const struct s3_answer *answer)
{
    switch ((enum probe_step)call->step) {
    case PROBE_NOTHING:
        probe_judge_nothing(call, answer);
        return;
    case PROBE_PUT:
        probe_go(call, PROBE_LOOK);
        return;
    case PROBE_LOOK:
        probe_judge_look(call, answer);
        return;
    case PROBE_ABSENT:
        probe_judge_refusal(call, answer, "If-None-Match", PROBE_QUOTED);
        return;
    case PROBE_QUOTED:
    case PROBE_BARE:
        probe_judge_match(call, answer);
        return;
    case PROBE_OTHER:
        probe_judge_refusal(call, answer, "If-Match", PROBE_REMOVE);
        return;
    case PROBE_REMOVE:
        call->erases = answer->result == S3_CHANGED;
        probe_go(call, PROBE_LAST);
        return;
    case PROBE_LAST:
        probe_end(call);
        return;
    }
}

static void probe_again(struct backing_call *call)
{
    backing_s3_short(call, probe_send(call));
}

/*
 * A step whose answer says nothing about conditions says that the check could not be done: a 400 may pass, and does not
 * make a server one that ignores them. 501 NotImplemented is S3's word for a header that it does not know.
 */
static bool probe_is_answer(const struct backing_call *call, const struct s3_answer *answer)
{
    if (call->step == PROBE_LAST || answer->result == S3_DONE)
        return true;
    if (call->step < PROBE_ABSENT)
        return call->step == PROBE_NOTHING && answer->result == S3_ABSENT;
    bool unknown = answer->status == 501 && answer->result == S3_FORBIDDEN;
    return answer->result == S3_CHANGED || unknown ||
           (call->step == PROBE_QUOTED && answer->result == S3_REFUSED) ||
           (call->step == PROBE_REMOVE &&
            (answer->result == S3_ABSENT || answer->result == S3_REFUSED));
}

/* The configuration is refused by what a server has shown, by nothing that it says. */
static void probe_end_with(struct backing_call *call, const struct s3_answer *answer)
{
    struct s3_answer passing = *answer;
    if (passing.result == S3_REFUSED)
        passing.result = S3_FORBIDDEN;
    backing_s3_finish_with(call, &passing);
}

static void probe_on_answer(const struct s3_answer *answer, void *ctx)
{
    struct backing_call *call = ctx;
    call->request = NULL;
    if (call->step == PROBE_PUT)
        call->put_etags = answer->etag[0] != '\0';
    if (answer->etag[0] != '\0' && call->step < PROBE_ABSENT)
        slice_copy(slice_of(answer->etag), call->given, sizeof call->given);
    if (probe_is_answer(call, answer))
        probe_judge(call, answer);
    else if (answer->result == S3_BUSY)
        backing_s3_again(call, probe_again, answer);
    else if (answer->result == S3_ABSENT || answer->result == S3_CHANGED)
        backing_s3_finish_as(call, BACKING_AWAY, 0, "S3 has lost what was just put there");
    else
        probe_end_with(call, answer);
}

static int probe_send(struct backing_call *call)
{
    switch ((enum probe_step)call->step) {
    case PROBE_NOTHING: /* a GET: it has a body that says what is wrong */
        call->writes = false;
        return s3_client_get(call->store->client, slice_of(call->name), probe_on_answer, call,
                             &call->request);
    case PROBE_LOOK:
        return backing_s3_head(call, probe_on_answer);
    case PROBE_ABSENT:
        return backing_s3_write(call, "", true, probe_on_answer);
    case PROBE_QUOTED:
    case PROBE_BARE:
        return backing_s3_write(call, call->given, false, probe_on_answer);
    case PROBE_OTHER:
        return backing_s3_write(call, PROBE_OTHER_ETAG, false, probe_on_answer);
    case PROBE_REMOVE:
        return backing_s3_remove(call, PROBE_OTHER_ETAG, probe_on_answer);
    case PROBE_LAST:
        return backing_s3_remove(call, "", probe_on_answer);
    case PROBE_PUT:
        break;
    }
    return backing_s3_write(call, "", false, probe_on_answer);
}

/* A name of its own: two that probe at a time must not see each other's. A tombstone, should it be left. */
int backing_s3_probe_begin(struct backing_call *call)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -ENOMEM;
    snprintf(call->name, sizeof call->name, "%%-probe-%016" PRIx64, random);
    call->value = slice_of("platoon looks what this server honours; take this away\n");
    call->meta = (struct backing_meta){.version = 1, .expiry_ms = BACKING_NEVER, .deleted = true};
    call->verdict = (struct backing_answer){
        .result = BACKING_DONE, .meta = BACKING_META_NONE, .value = slice_of(""), .why = ""};
    call->bare = call->erases = false;
    call->given[0] = '\0';
    call->busy_max = S3_CHECK_TRIES;
    call->step = PROBE_NOTHING;
    return probe_send(call);
}
