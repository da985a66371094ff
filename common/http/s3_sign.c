/* s3_sign.c: the steps of AWS Signature Version 4, one function each. See s3_sign.h. */
#include "common/http/s3_sign.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define S3_SIGN_ALGORITHM "AWS4-HMAC-SHA256"
#define S3_SIGN_SERVICE   "s3"
#define S3_SIGN_DAY_LEN   8 /* of a date: 20130524 */
#define S3_SIGN_BYTES     32

struct s3_key {
    unsigned char bytes[S3_SIGN_BYTES];
};

static void s3_hex(const unsigned char *bytes, size_t count, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * count] = '\0';
}

int s3_sign_hash(struct slice body, char hash[S3_SIGN_HASH_SIZE])
{
    unsigned char digest[S3_SIGN_BYTES];
    if (EVP_Digest(body.ptr, body.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    s3_hex(digest, sizeof digest, hash);
    return 0;
}

int s3_sign_md5(struct slice body, char md5[S3_SIGN_MD5_SIZE])
{
    unsigned char digest[16];
    if (EVP_Digest(body.ptr, body.len, digest, NULL, EVP_md5(), NULL) != 1)
        return -ENOMEM;
    s3_hex(digest, sizeof digest, md5);
    return 0;
}

bool s3_sign_date(time_t when, char date[S3_SIGN_DATE_SIZE])
{
    struct tm tm;
    return gmtime_r(&when, &tm) != NULL && tm.tm_year > -1900 && tm.tm_year < 8100 &&
           strftime(date, S3_SIGN_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == S3_SIGN_DATE_SIZE - 1;
}

static int s3_by_name(const void *a, const void *b)
{
    return strcmp(((const struct s3_header *)a)->name, ((const struct s3_header *)b)->name);
}

static void s3_append_names(struct buffer *out, const struct s3_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_char(out, ';');
        buffer_append_text(out, headers[i].name);
    }
}

/* Step 1: the request as both sides write it down. */
static void s3_append_canonical(struct buffer *out, const struct s3_request *r,
                                const struct s3_header *headers)
{
    buffer_append_text(out, r->method);
    buffer_append_char(out, '\n');
    buffer_append_slice(out, r->path);
    buffer_append_char(out, '\n');
    buffer_append_slice(out, r->query);
    buffer_append_char(out, '\n');
    for (size_t i = 0; i < r->header_count; i++) {
        buffer_append_text(out, headers[i].name);
        buffer_append_char(out, ':');
        buffer_append_slice(out, headers[i].value);
        buffer_append_char(out, '\n');
    }
    buffer_append_char(out, '\n');
    s3_append_names(out, headers, r->header_count);
    buffer_append_char(out, '\n');
    buffer_append_text(out, r->body_hash);
}

/* What the key is good for: a day, a region, a service. */
static void s3_append_scope(struct buffer *out, const struct s3_request *r,
                            const struct s3_credentials *c)
{
    buffer_append(out, r->date, S3_SIGN_DAY_LEN);
    buffer_append_char(out, '/');
    buffer_append_slice(out, c->region);
    buffer_append_text(out, "/" S3_SIGN_SERVICE "/aws4_request");
}

/* Step 2: the text that is signed, of step 1's hash. */
static int s3_append_to_sign(struct buffer *out, const struct s3_request *r,
                             const struct s3_credentials *c, struct slice canonical)
{
    char hash[S3_SIGN_HASH_SIZE];
    int rc = s3_sign_hash(canonical, hash);
    buffer_append_text(out, S3_SIGN_ALGORITHM "\n");
    buffer_append_text(out, r->date);
    buffer_append_char(out, '\n');
    s3_append_scope(out, r, c);
    buffer_append_char(out, '\n');
    buffer_append_text(out, rc == 0 ? hash : "");
    return rc;
}

/* False when OpenSSL has no memory. */
static bool s3_hmac(const void *key, size_t key_len, struct slice text, struct s3_key *out)
{
    unsigned len = 0;
    return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text.ptr, text.len,
                out->bytes, &len) != NULL;
}

static bool s3_next(struct s3_key *key, struct slice text)
{
    struct s3_key of = *key;
    return s3_hmac(of.bytes, sizeof of.bytes, text, key);
}

/* Step 3: the key of that scope, and with it the signature. */
static int s3_seal(const struct s3_request *r, const struct s3_credentials *c, struct slice text,
                   char signature[S3_SIGN_HASH_SIZE])
{
    struct buffer secret = BUFFER_EMPTY;
    struct s3_key key;
    buffer_append_text(&secret, "AWS4");
    buffer_append_slice(&secret, c->secret_key);
    bool ok = buffer_ok(&secret) &&
              s3_hmac(secret.data, secret.len, slice_make(r->date, S3_SIGN_DAY_LEN), &key) &&
              s3_next(&key, c->region) && s3_next(&key, slice_of(S3_SIGN_SERVICE)) &&
              s3_next(&key, slice_of("aws4_request")) && s3_next(&key, text);
    if (ok)
        s3_hex(key.bytes, sizeof key.bytes, signature);
    if (secret.data != NULL)
        OPENSSL_cleanse(secret.data, secret.cap);
    buffer_fini(&secret);
    OPENSSL_cleanse(&key, sizeof key);
    return ok ? 0 : -ENOMEM;
}

static void s3_append_header(struct buffer *out, const struct s3_request *r,
                             const struct s3_credentials *c, const struct s3_header *headers,
                             const char *signature)
{
    buffer_append_text(out, S3_SIGN_ALGORITHM " Credential=");
    buffer_append_slice(out, c->access_key);
    buffer_append_char(out, '/');
    s3_append_scope(out, r, c);
    buffer_append_text(out, ",SignedHeaders=");
    s3_append_names(out, headers, r->header_count);
    buffer_append_text(out, ",Signature=");
    buffer_append_text(out, signature);
}

int s3_sign(struct buffer *out, const struct s3_request *request,
            const struct s3_credentials *credentials)
{
    struct s3_header headers[S3_SIGN_HEADERS_MAX];
    char signature[S3_SIGN_HASH_SIZE] = "";
    struct buffer canonical = BUFFER_EMPTY, text = BUFFER_EMPTY;
    if (request->header_count > S3_SIGN_HEADERS_MAX)
        return -EINVAL;
    if (request->header_count > 0)
        memcpy(headers, request->headers, request->header_count * sizeof *headers);
    qsort(headers, request->header_count, sizeof *headers, s3_by_name);
    s3_append_canonical(&canonical, request, headers);
    int rc = buffer_ok(&canonical)
                 ? s3_append_to_sign(&text, request, credentials, buffer_slice(&canonical))
                 : -ENOMEM;
    if (rc == 0)
        rc = buffer_ok(&text) ? s3_seal(request, credentials, buffer_slice(&text), signature)
                              : -ENOMEM;
    s3_append_header(out, request, credentials, headers, signature);
    buffer_fini(&canonical);
    buffer_fini(&text);
    return rc == 0 && !buffer_ok(out) ? -ENOMEM : rc;
}
