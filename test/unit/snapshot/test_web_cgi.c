/* test_web_cgi.c: heads of git's http-backend, whole, in pieces and wrong (workers/snapshot/web/web_cgi.h). */
#include "workers/snapshot/web/web_cgi.h"

#include "test/unit/suite.h"

#define REFS                                                                                       \
    "Expires: Fri, 01 Jan 1980 00:00:00 GMT\r\nPragma: no-cache\r\n"                               \
    "Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n"

START_TEST(heads)
{
    static const struct {
        const char *says;
        unsigned status;
        const char *type;
    } all[] = {
        {REFS, 200, "application/x-git-upload-pack-advertisement"},
        {"Status: 404 Not Found\r\nExpires: x\r\n\r\n", 404, "application/octet-stream"},
        {"status:403\n\n", 403, "application/octet-stream"},
        {"content-type:   text/plain\n\n", 200, "text/plain"},
        {"Content-Type: text/html\r\n\r\n", 200, "application/octet-stream"},
        {"\r\n", 200, "application/octet-stream"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct web_cgi_head h = {.status = 0};
        char text[512];
        snprintf(text, sizeof text, "%sbody\r\n\r\n", all[i].says);
        ck_assert_int_eq(web_cgi_read(slice_of(text), &h), WEB_CGI_READ);
        ck_assert_uint_eq(h.status, all[i].status);
        ck_assert_str_eq(h.type, all[i].type);
        ck_assert_uint_eq(h.len, strlen(all[i].says));
    }
}
END_TEST

START_TEST(pieces)
{
    struct web_cgi_head h;
    for (size_t len = 0; len < strlen(REFS); len++)
        ck_assert_int_eq(web_cgi_read(slice_make(REFS, len), &h), WEB_CGI_MORE);
    ck_assert_int_eq(web_cgi_read(slice_of(REFS), &h), WEB_CGI_READ);
}
END_TEST

START_TEST(what_is_none)
{
    static const char *const wrong[] = {
        "no colon\r\n\r\n",   ": no name\r\n\r\n",  "a name: x\r\n\r\n",
        "Status: 20\r\n\r\n", "Status: OK\r\n\r\n", "Status: 2000\r\n\r\n",
        "Status: 199 x\n\n",  "Status: 600 x\n\n",  "Status:\r\n\r\n"};
    struct web_cgi_head h;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(web_cgi_read(slice_of(wrong[i]), &h) == WEB_CGI_WRONG, "%s", wrong[i]);
    ck_assert_int_eq(web_cgi_read(slice_make("a: \0\n\n", 6), &h), WEB_CGI_WRONG);
}
END_TEST

START_TEST(a_head_without_an_end)
{
    static char text[WEB_CGI_HEAD_MAX + 10];
    struct web_cgi_head h;
    memset(text, 'x', sizeof text);
    ck_assert_int_eq(web_cgi_read(slice_make(text, WEB_CGI_HEAD_MAX - 1), &h), WEB_CGI_MORE);
    ck_assert_int_eq(web_cgi_read(slice_make(text, sizeof text), &h), WEB_CGI_WRONG);
    for (size_t i = 0; i + 5 <= sizeof text; i += 5)
        memcpy(text + i, "a: b\n", 5);
    memcpy(text + sizeof text - 5, "c: d\n", 5);
    ck_assert_int_eq(web_cgi_read(slice_make(text, sizeof text), &h), WEB_CGI_WRONG);
}
END_TEST

SUITE_MAIN("web-cgi", heads, pieces, what_is_none, a_head_without_an_end)
