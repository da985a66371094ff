/* test_s3_error.c: what an answer of S3 means (common/http/s3_error.h). */
#include "common/http/s3_error.h"
#include "test/unit/suite.h"

START_TEST(results_by_status)
{
    ck_assert_int_eq(s3_error_result(200, ""), S3_DONE);
    ck_assert_int_eq(s3_error_result(204, ""), S3_DONE);
    ck_assert_int_eq(s3_error_result(404, "NoSuchKey"), S3_ABSENT);
    ck_assert_int_eq(s3_error_result(404, "NoSuchBucket"), S3_FORBIDDEN);
    ck_assert_int_eq(s3_error_result(412, ""), S3_CHANGED);
    ck_assert_int_eq(s3_error_result(409, "ConditionalRequestConflict"), S3_BUSY);
    ck_assert_int_eq(s3_error_result(500, ""), S3_AWAY);
    ck_assert_int_eq(s3_error_result(503, "SlowDown"), S3_BUSY);
    ck_assert_int_eq(s3_error_result(400, "RequestTimeout"), S3_AWAY);
    ck_assert_int_eq(s3_error_result(400, "KeyTooLongError"), S3_REFUSED);
}
END_TEST

START_TEST(a_header_that_it_does_not_know)
{
    ck_assert_int_eq(s3_error_result(501, "NotImplemented"), S3_FORBIDDEN);
    ck_assert_int_eq(s3_error_result(501, ""), S3_AWAY);
}
END_TEST

/* What has no error of S3's own was said by whoever stands between: nothing follows from it for an object. */
START_TEST(what_a_proxy_says)
{
    static const int statuses[] = {302, 304, 400, 402, 404, 405, 410, 413, 418, 421, 451, 501, 502};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        ck_assert_msg(s3_error_result(statuses[i], "") == S3_AWAY, "%d", statuses[i]);
    ck_assert_int_eq(s3_error_result(404, "NotFound"), S3_AWAY);
    ck_assert_int_eq(s3_error_result(500, "NoSuchKey"), S3_AWAY);
    ck_assert_int_eq(s3_error_result(413, "EntityTooLarge"), S3_REFUSED);
    ck_assert_ptr_nonnull(strstr(s3_error_remedy(413, ""), "client_max_body_size"));
    ck_assert_ptr_nonnull(strstr(s3_error_remedy(405, ""), "what stands between"));
    ck_assert_ptr_null(s3_error_remedy(413, "EntityTooLarge"));
}
END_TEST

START_TEST(texts_of_a_body)
{
    static const char body[] =
        "<?xml?><Error><Code>NoSuchKey</Code><Message></Message><Key>a</Key>";
    char text[8];
    s3_error_text(slice_of(body), "Code", text, sizeof text);
    ck_assert_str_eq(text, "NoSuchK"); /* as much as there is room for */
    s3_error_text(slice_of(body), "Message", text, sizeof text);
    ck_assert_str_eq(text, "");
    s3_error_text(slice_of(body), "Key", text, sizeof text);
    ck_assert_str_eq(text, "a");
    s3_error_text(slice_of(body), "HostId", text, sizeof text);
    ck_assert_str_eq(text, "");
    s3_error_text(slice_of("<Code>x"), "Code", text, sizeof text);
    ck_assert_str_eq(text, "");
    s3_error_text(slice_of(""), "Code", text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(what_a_person_can_do)
{
    ck_assert_ptr_nonnull(strstr(s3_error_remedy(403, "RequestTimeTooSkewed"), "clock"));
    ck_assert_ptr_nonnull(strstr(s3_error_remedy(404, "NoSuchBucket"), "bucket"));
    ck_assert_ptr_nonnull(strstr(s3_error_remedy(301, ""), "endpoint"));
    ck_assert_ptr_null(s3_error_remedy(400, "EntityTooLarge"));
    ck_assert_ptr_null(s3_error_remedy(404, "NoSuchKey"));
}
END_TEST

SUITE_MAIN("s3_error", results_by_status, a_header_that_it_does_not_know, what_a_proxy_says,
           texts_of_a_body, what_a_person_can_do)
