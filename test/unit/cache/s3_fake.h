/*
 * s3_fake.h: a small S3 in a suite's own loop: objects, ETags (MD5, as most have them), conditions, and what goes
 * wrong.
 *
 * Runs in the suites of backing_s3. It checks no signatures: a real server does (test/e2e/cache).
 */
#ifndef TEST_UNIT_S3_FAKE_H
#define TEST_UNIT_S3_FAKE_H

#include "test/unit/http/http_fake.h"

#define S3_FAKE_OBJECTS 64

struct s3_fake_object {
    char path[512]; /* "": free */
    char meta[128]; /* "": none */
    char etag[64];  /* in quotes */
    struct buffer body;
};

struct s3_fake {
    struct http_fake http;
    struct s3_fake_object objects[S3_FAKE_OBJECTS];
    char credentials[64]; /* a file */
    /* What kind of server it is. */
    bool bare; /* holds ETags in conditions to be other ones when they are quoted (Ceph) */
    bool ignores_match, ignores_none_match;
    bool honours_delete;
    bool loses_meta;
    bool hides_nothing;      /* 403 to who looks for what is not there */
    bool unknown_none_match; /* 501 to that header */
    /* What goes wrong. */
    unsigned fail_after;     /* when so many were done */
    unsigned fail_count;     /* so many requests are answered so */
    const char *fail_status; /* "503 Slow Down\r\nRetry-After: 7" */
    const char *fail_code;
    unsigned
        lose_one_in; /* of so many writes: one is done late or at once, and not answered; 0: none */
    unsigned late_ms;  /* longest delay of one that is done late */
    unsigned delay_ms; /* longest delay of any */
    bool stands;       /* nothing is answered, nor done */
    /* What it was asked. */
    unsigned requests, puts, heads;
    char last[1024];  /* head of the last request */
    unsigned waiting; /* requests that it has not done yet */
};

void s3_fake_start(struct s3_fake *s, uv_loop_t *loop);
void s3_fake_stop(struct s3_fake *s); /* with all that it holds, in the loop */

/* By its name behind the prefix; NULL: there is none. */
struct s3_fake_object *s3_fake_find(struct s3_fake *s, const char *name);

/* As if somebody had put it there by hand. */
void s3_fake_put(struct s3_fake *s, const char *name, const char *meta, const char *body);

#define S3_FAKE_URL "http://127.0.0.1:%d/bucket/prefix"

#endif
