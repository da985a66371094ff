/*
 * s3_sign.h: signs a request to S3 (AWS Signature Version 4), and names what is sent.
 *
 * Runs in workers that keep objects in S3. Pure: no clock, no socket; who sends the request sends exactly what was
 * signed. The whole body is hashed, because only that lets the server refuse what was damaged on its way.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
#ifndef COMMON_S3_SIGN_H
#define COMMON_S3_SIGN_H

#include "common/buffer.h"

#include <time.h>

#define S3_SIGN_HASH_SIZE   65 /* of a body: 64 hex digits and a NUL */
#define S3_SIGN_MD5_SIZE    33
#define S3_SIGN_DATE_SIZE   17 /* 20130524T000000Z and a NUL */
#define S3_SIGN_HEADERS_MAX 16

struct s3_credentials {
    struct slice access_key, secret_key;
    struct slice region;
};

struct s3_header {
    const char *name;   /* lower case */
    struct slice value; /* without blanks at its ends */
};

/* Borrowed: all of it lives for the call. */
struct s3_request {
    const char *method;
    struct slice path; /* as it is sent: percent-encoded, with its first slash */
    struct slice
        query; /* as it is sent, without "?": encoded, sorted, "name=" where there is no value; or empty */
    const struct s3_header
        *headers; /* all that are to be signed: host, x-amz-date, x-amz-content-sha256, … */
    size_t header_count;   /* at most S3_SIGN_HEADERS_MAX */
    const char *body_hash; /* of s3_sign_hash; what x-amz-content-sha256 says */
    const char *date;      /* of s3_sign_date; what x-amz-date says */
};

/* SHA-256 of a body in hex. 0, or -ENOMEM. */
int s3_sign_hash(struct slice body, char hash[S3_SIGN_HASH_SIZE]);

/* MD5 of a body in hex, which is its ETag on most servers. 0, or -ENOMEM: also where OpenSSL has no MD5. */
int s3_sign_md5(struct slice body, char md5[S3_SIGN_MD5_SIZE]);

/* A time as x-amz-date has it; false for one outside of the years 1 to 9999. */
bool s3_sign_date(time_t when, char date[S3_SIGN_DATE_SIZE]);

/*
 * Appends the value of the header Authorization. 0; -EINVAL: too many headers; -ENOMEM. What is appended on failure is
 * not to be used.
 */
int s3_sign(struct buffer *out, const struct s3_request *request,
            const struct s3_credentials *credentials);

#endif
