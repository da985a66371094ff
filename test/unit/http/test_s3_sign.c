/*
 * test_s3_sign.c: AWS' own examples of signed requests to S3 (Authenticating Requests: Using the Authorization Header,
 * Examples: Signature Calculations).
 */
#include "common/http/s3_sign.h"
#include "test/unit/suite.h"

#include <errno.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DATE  "20130524T000000Z"
#define HOST  "examplebucket.s3.amazonaws.com"

static const struct s3_credentials credentials = {
    .access_key = {"AKIAIOSFODNN7EXAMPLE", 20},
    .secret_key = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
    .region = {"us-east-1", 9}};

static struct buffer out;

static const char *signed_as(const char *method, const char *path, const char *query,
                             const char *body_hash, const struct s3_header *headers, size_t count)
{
    struct s3_request r = {.method = method,
                           .path = slice_of(path),
                           .query = slice_of(query),
                           .headers = headers,
                           .header_count = count,
                           .body_hash = body_hash,
                           .date = DATE};
    buffer_clear(&out);
    ck_assert_int_eq(s3_sign(&out, &r, &credentials), 0);
    return buffer_text(&out);
}

static struct s3_header header(const char *name, const char *value)
{
    return (struct s3_header){name, slice_of(value)};
}

#define AUTHORIZATION(headers, signature)                                                          \
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"         \
    "SignedHeaders=" headers ",Signature=" signature

START_TEST(get_an_object)
{
    struct s3_header headers[] = {header("x-amz-date", DATE), header("host", HOST),
                                  header("range", "bytes=0-9"),
                                  header("x-amz-content-sha256", EMPTY)};
    ck_assert_str_eq(signed_as("GET", "/test.txt", "", EMPTY, headers, 4),
                     AUTHORIZATION("host;range;x-amz-content-sha256;x-amz-date",
                                   "f0e8bdb87c964420e857bd35b5d6ed31"
                                   "0bd44f0170aba48dd91039c6036bdb41"));
}
END_TEST

START_TEST(put_an_object)
{
    char hash[S3_SIGN_HASH_SIZE];
    ck_assert_int_eq(s3_sign_hash(slice_of("Welcome to Amazon S3."), hash), 0);
    struct s3_header headers[] = {header("date", "Fri, 24 May 2013 00:00:00 GMT"),
                                  header("host", HOST), header("x-amz-date", DATE),
                                  header("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                                  header("x-amz-content-sha256", hash)};
    ck_assert_str_eq(
        signed_as("PUT", "/test%24file.text", "", hash, headers, 5),
        AUTHORIZATION("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
}
END_TEST

static const struct s3_header *plain_headers(void)
{
    static struct s3_header headers[3];
    headers[0] = header("host", HOST);
    headers[1] = header("x-amz-content-sha256", EMPTY);
    headers[2] = header("x-amz-date", DATE);
    return headers;
}

START_TEST(queries)
{
    static const char *const cases[][2] = {
        {"lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"max-keys=2&prefix=J",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = signed_as("GET", "/", cases[i][0], EMPTY, plain_headers(), 3);
        ck_assert_msg(strstr(text, cases[i][1]) != NULL, "%s", text);
    }
}
END_TEST

START_TEST(dates)
{
    char date[S3_SIGN_DATE_SIZE];
    ck_assert(s3_sign_date(1369353600, date));
    ck_assert_str_eq(date, DATE);
    ck_assert(s3_sign_date(0, date));
    ck_assert_str_eq(date, "19700101T000000Z");
    ck_assert(!s3_sign_date((time_t)1 << 60, date));
}
END_TEST

/* RFC 1321's. */
START_TEST(etags)
{
    char md5[S3_SIGN_MD5_SIZE];
    ck_assert_int_eq(s3_sign_md5(slice_of(""), md5), 0);
    ck_assert_str_eq(md5, "d41d8cd98f00b204e9800998ecf8427e");
    ck_assert_int_eq(s3_sign_md5(slice_of("message digest"), md5), 0);
    ck_assert_str_eq(md5, "f96b697d7cb7938d525a2f31aaf161d0");
}
END_TEST

START_TEST(too_many_headers)
{
    struct s3_request r = {.method = "GET", .header_count = S3_SIGN_HEADERS_MAX + 1, .date = DATE};
    ck_assert_int_eq(s3_sign(&out, &r, &credentials), -EINVAL);
}
END_TEST

SUITE_MAIN("s3_sign", get_an_object, put_an_object, queries, dates, etags, too_many_headers)
