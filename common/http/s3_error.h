/*
 * s3_error.h: what an answer of S3 means. See s3_client.h.
 *
 * Runs in workers that keep objects in S3. Pure.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
#ifndef COMMON_S3_ERROR_H
#define COMMON_S3_ERROR_H

#include "common/http/s3_client.h"

#define S3_CODE_SIZE 64

/* What stands between <tag> and </tag> in a body (S3's errors are flat), without entities; "" when it is not there. */
void s3_error_text(struct slice body, const char *tag, char *text, size_t size);

/*
 * Of a status; `code` is the body's <Code>, "" when it has none. Only S3 itself knows what is not there, or that it
 * will not take this object: NoSuchKey alone is ABSENT, and a 4xx without a code, which is a proxy's or another
 * server's, is AWAY.
 */
enum s3_result s3_error_result(int status, const char *code);

/* What a person can do about that code, or NULL. */
const char *s3_error_remedy(int status, const char *code);

#endif
