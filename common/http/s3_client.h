/*
 * s3_client.h: objects in S3: put, get, head and delete, with the condition under which they may.
 *
 * Runs in workers that keep objects in S3. On http_client (curl) and s3_sign. What an answer means for whoever keeps
 * objects is decided here, once: done, not there, another has been there first, the store is away, this object is
 * refused, we are. It tries nothing again but what newly read credentials may cure; when to try again is the caller's.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ (PutObject, GetObject, HeadObject, DeleteObject, errors)
 */
#ifndef COMMON_S3_CLIENT_H
#define COMMON_S3_CLIENT_H

#include "common/http/http_client.h"

#define S3_ETAG_SIZE 128
#define S3_WHY_SIZE  512

struct s3_client;
struct s3_call;

struct s3_options {
    const char *url;              /* http(s)://ENDPOINT/BUCKET[/PREFIX] */
    const char *region;           /* "eu-west-1" */
    const char *credentials_file; /* s3_credentials.h */
    bool host_style;              /* BUCKET.ENDPOINT instead of ENDPOINT/BUCKET */
    bool bare_etags;              /* conditions name ETags without quotes (Ceph, DigitalOcean) */
    struct http_options http;
};

enum s3_result {
    S3_DONE,
    S3_ABSENT, /* there is no such object: S3 says so (NoSuchKey), and not whoever stands between */
    S3_CHANGED, /* the condition does not hold: another was first */
    S3_BUSY,    /* two at once, or too many: again in a moment */
    S3_AWAY,    /* no answer, or its own failure: again later */
    S3_FORBIDDEN, /* what a person must mend: bucket, keys, rights, clock, region; `why` has the remedy */
    S3_REFUSED, /* this request, for good, in S3's own words; an object above http.answer_max too */
};

struct s3_answer {
    enum s3_result result;
    int status;              /* 0: there was no answer */
    struct slice body;       /* of a get; lives for the callback, as all of it */
    const char *etag;        /* as it came, or "" */
    const char *meta;        /* x-amz-meta-platoon, or NULL: there is none */
    const char *why;         /* one line, unless DONE and ABSENT: what the server said */
    uint64_t retry_after_ms; /* what it asked for; 0: nothing */
};

typedef void (*s3_answer_fn)(const struct s3_answer *answer, void *ctx);

/* Under which it is done: always, when no such object is there, or when it has this ETag. */
struct s3_condition {
    bool absent;
    const char *etag; /* NULL or "": none */
};

/* 0 and *out for s3_client_free; or a negative errno and one line in `why`. Reads the credentials: blocks on a file. */
int s3_client_new(uv_loop_t *loop, const struct s3_options *options, struct s3_client **out,
                  char *why, size_t why_size);

/* As http_client_free. Accepts NULL. */
void s3_client_free(struct s3_client *c);

/*
 * Each: 0, and fn is called from the loop, never from here, with *call valid until then; -ENOMEM. `name`: of the
 * object, behind the prefix; of any bytes, encoded here. `body` is not copied: it lives until fn is called or the call
 * cancelled.
 * `meta`: x-amz-meta-platoon, printable ASCII. To a HEAD that is refused no body says why, or whether S3 says so at
 * all: it is asked again as a GET.
 */
int s3_client_put(struct s3_client *c, struct slice name, struct slice body, const char *meta,
                  struct s3_condition condition, s3_answer_fn fn, void *ctx, struct s3_call **call);
int s3_client_get(struct s3_client *c, struct slice name, s3_answer_fn fn, void *ctx,
                  struct s3_call **call);
int s3_client_head(struct s3_client *c, struct slice name, s3_answer_fn fn, void *ctx,
                   struct s3_call **call);
int s3_client_delete(struct s3_client *c, struct slice name, struct s3_condition condition,
                     s3_answer_fn fn, void *ctx, struct s3_call **call);

/* fn will not be called. The server may have done it all the same. */
void s3_client_cancel(struct s3_call *call);

#endif
