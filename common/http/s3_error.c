/* s3_error.c: see s3_error.h. */
#include "common/http/s3_error.h"

#include <stdio.h>

struct s3_error {
    const char *code;
    enum s3_result result;
    const char *remedy;
};

/* What the status alone does not say. */
static const struct s3_error s3_errors[] = {
    {"NoSuchKey", S3_ABSENT, NULL},
    {"NoSuchBucket", S3_FORBIDDEN, "make the bucket, or correct url"},
    {"PermanentRedirect", S3_FORBIDDEN, "url must name the bucket's own endpoint"},
    {"AuthorizationHeaderMalformed", S3_FORBIDDEN, "correct region"},
    {"IllegalLocationConstraintException", S3_FORBIDDEN, "correct region"},
    {"AccessDenied", S3_FORBIDDEN,
     "give this key s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket there"},
    {"InvalidAccessKeyId", S3_FORBIDDEN, "correct aws_access_key_id in credentials_file"},
    {"SignatureDoesNotMatch", S3_FORBIDDEN,
     "correct aws_secret_access_key in credentials_file, or region"},
    {"ExpiredToken", S3_FORBIDDEN, "write new credentials into credentials_file"},
    {"InvalidToken", S3_FORBIDDEN, "correct aws_session_token in credentials_file"},
    {"RequestTimeTooSkewed", S3_FORBIDDEN, "set this machine's clock (NTP)"},
    {"RequestExpired", S3_FORBIDDEN, "set this machine's clock (NTP)"},
    {"QuotaExceeded", S3_FORBIDDEN, "raise the quota of the bucket, or make room there"},
    {"XMinioStorageFull", S3_FORBIDDEN, "make room in the store"},
    {"PreconditionFailed", S3_CHANGED, NULL},
    {"ConditionalRequestConflict", S3_BUSY, NULL},
    {"OperationAborted", S3_BUSY, NULL},
    {"ConcurrentModification", S3_BUSY, NULL},
    {"RequestTimeout", S3_AWAY, NULL},
    {"NotImplemented", S3_FORBIDDEN, /* 501, to a header that it does not know */
     "take a server that knows S3's conditions, or let what stands between leave them alone"},
    {"MethodNotAllowed", S3_FORBIDDEN, "url must name a bucket"},
    {"BadDigest", S3_AWAY, NULL}, /* damaged on its way */
    {"XAmzContentSHA256Mismatch", S3_AWAY, NULL},
    {"IncompleteBody", S3_AWAY, NULL},
};

struct s3_status {
    int status;
    enum s3_result result;
    const char *remedy;
};

static const struct s3_status s3_statuses[] = {
    /* None of these is a word about an object: without S3's own error it is of what stands between. */
    {301, S3_FORBIDDEN, "url must name the bucket's own endpoint"},
    {307, S3_FORBIDDEN, "url must name the bucket's own endpoint"},
    {401, S3_FORBIDDEN, "correct credentials_file"},
    {403, S3_FORBIDDEN, "correct credentials_file, the key's rights, or this machine's clock"},
    {404, S3_AWAY, "correct url; or what stands between does not reach S3"},
    {408, S3_AWAY, NULL},
    {409, S3_BUSY, NULL},
    {412, S3_CHANGED, NULL},
    {413, S3_AWAY, "let what stands between take larger bodies (nginx: client_max_body_size)"},
    {429, S3_BUSY, NULL},
    {503, S3_BUSY, NULL},
    {507, S3_FORBIDDEN, "make room in the store"},
};

static const struct s3_error *s3_error_find(const char *code)
{
    for (size_t i = 0; i < sizeof s3_errors / sizeof *s3_errors; i++)
        if (strcmp(s3_errors[i].code, code) == 0)
            return &s3_errors[i];
    return NULL;
}

/* 413 with a code is S3's word about the object. */
static const struct s3_status *s3_status_find(int status, const char *code)
{
    if (status == 413 && code[0] != '\0')
        return NULL;
    for (size_t i = 0; i < sizeof s3_statuses / sizeof *s3_statuses; i++)
        if (s3_statuses[i].status == status)
            return &s3_statuses[i];
    return NULL;
}

enum s3_result s3_error_result(int status, const char *code)
{
    if (status >= 200 && status < 300)
        return S3_DONE;
    const struct s3_error *error = s3_error_find(code);
    const struct s3_status *known = s3_status_find(status, code);
    if (error != NULL && error->result == S3_ABSENT && status != 404)
        return S3_AWAY;
    return error != NULL                      ? error->result
           : known != NULL                    ? known->result
           : status >= 500 || code[0] == '\0' ? S3_AWAY
                                              : S3_REFUSED;
}

const char *s3_error_remedy(int status, const char *code)
{
    const struct s3_error *error = s3_error_find(code);
    const struct s3_status *known = s3_status_find(status, code);
    if (error != NULL || known != NULL)
        return error != NULL ? error->remedy : known->remedy;
    return code[0] == '\0' && status < 500 ? "correct url; or what stands between is at fault"
                                           : NULL;
}

void s3_error_text(struct slice body, const char *tag, char *text, size_t size)
{
    char open[S3_CODE_SIZE], close[S3_CODE_SIZE];
    snprintf(open, sizeof open, "<%s>", tag);
    snprintf(close, sizeof close, "</%s>", tag);
    text[0] = '\0';
    const char *from = memmem(body.ptr, body.len, open, strlen(open));
    if (from == NULL)
        return;
    from += strlen(open);
    size_t left = (size_t)(body.ptr + body.len - from);
    const char *to = memmem(from, left, close, strlen(close));
    if (to == NULL)
        return;
    size_t len = (size_t)(to - from);
    len = len < size ? len : size - 1;
    memcpy(text, from, len);
    text[len] = '\0';
}
