/* test_web_query.c: what a reader asks for (workers/snapshot/web/web_query.h). */
#include "workers/snapshot/web/web_query.h"

#include "test/unit/suite.h"

START_TEST(contents)
{
    enum web_content c;
    ck_assert(web_content_read(NULL, &c) && c == WEB_CONTENT_DELTA);
    ck_assert(web_content_read("delta", &c) && c == WEB_CONTENT_DELTA);
    ck_assert(web_content_read("full", &c) && c == WEB_CONTENT_FULL);
    ck_assert(web_content_read("none", &c) && c == WEB_CONTENT_NONE);
    ck_assert(!web_content_read("", &c));
    ck_assert(!web_content_read("Full", &c));
}
END_TEST

START_TEST(ids)
{
    char text[WEB_ID_SIZE];
    struct web_id id;
    web_id_write(18446744073709551615u, "3fa90c1d2e4f5061728394a5b6c7d8e9f0a1b2c3", text);
    ck_assert_str_eq(text, "18446744073709551615-3fa90c1d2e4f");
    ck_assert(web_id_read(text, &id));
    ck_assert_uint_eq(id.seq, 18446744073709551615u);
    ck_assert_str_eq(id.commit, "3fa90c1d2e4f");
    static const char *const wrong[] = {"",
                                        "-",
                                        "12",
                                        "-3fa90c1d2e4f",
                                        "12-",
                                        "12-3fa90c1d2e4",
                                        "12-3fa90c1d2e4f5",
                                        "12-3FA90C1D2E4F",
                                        "12-3fa90c1d2e4f ",
                                        " 12-3fa90c1d2e4f",
                                        "+12-3fa90c1d2e4f",
                                        "18446744073709551616-3fa90c1d2e4f"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!web_id_read(wrong[i], &id), "%s", wrong[i]);
}
END_TEST

START_TEST(names)
{
    struct slice list = slice_of(",app,,raw,"), name;
    ck_assert(web_names_next(&list, &name) && slice_is(name, "app"));
    ck_assert(web_names_next(&list, &name) && slice_is(name, "raw"));
    ck_assert(!web_names_next(&list, &name));
    list = slice_of("");
    ck_assert(!web_names_next(&list, &name));
}
END_TEST

SUITE_MAIN("web-query", contents, ids, names)
