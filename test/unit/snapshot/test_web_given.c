/* test_web_given.c: what a what-if is asked with over HTTP (workers/snapshot/web/web_given.h). */
#include "workers/snapshot/web/web_given.h"

#include "test/unit/suite.h"

#include <stdio.h>

static struct web_given g;

static const char *read_text(const char *text)
{
    web_given_free(&g);
    memset(&g, 0, sizeof g);
    return web_given_read(slice_of(text), &g);
}

static void finish(void)
{
    web_given_free(&g);
}

START_TEST(texts_and_bytes)
{
    ck_assert_ptr_null(
        read_text("{\"with\":{\"raw\":\"a\\u0000b\\n\",\"more\":{\"base64\":\"/wA=\"},"
                  "\"none\":\"\"},\"at\":\"2h\"}"));
    ck_assert_uint_eq(g.count, 3);
    ck_assert_str_eq(g.at, "2h");
    for (size_t i = 0; i < g.count; i++) {
        struct slice bytes = buffer_slice(&g.list[i].bytes);
        if (strcmp(g.list[i].name, "raw") == 0)
            ck_assert(slice_equal(bytes, slice_make("a\0b\n", 4)));
        else if (strcmp(g.list[i].name, "more") == 0)
            ck_assert(slice_equal(bytes, slice_make("\xff\0", 2)));
        else
            ck_assert(strcmp(g.list[i].name, "none") == 0 && bytes.len == 0);
    }
    ck_assert_ptr_null(read_text(" {\"with\": {\"raw\": \"\\u00fc\"}} "));
    ck_assert_str_eq(g.at, "");
    ck_assert(slice_is(buffer_slice(&g.list[0].bytes), "\xc3\xbc"));
}
END_TEST

START_TEST(what_is_none)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "[]",
                                        "\"with\"",
                                        "{}",
                                        "{\"with\":{}}",
                                        "{\"with\":[\"raw\"]}",
                                        "{\"with\":{\"raw\":null}}",
                                        "{\"with\":{\"raw\":{}}}",
                                        "{\"with\":{\"raw\":{\"base64\":1}}}",
                                        "{\"with\":{\"raw\":{\"base64\":\"?\"}}}",
                                        "{\"with\":{\"raw\":{\"base64\":\"\",\"more\":1}}}",
                                        "{\"with\":{\"\":\"x\"}}",
                                        "{\"with\":{\"raw\":\"x\",\"raw\":\"x\"}}",
                                        "{\"with\":{\"raw\":\"x\"},\"at\":null}",
                                        "{\"with\":{\"raw\":\"x\"},\"at\":\"a\\u0000b\"}",
                                        "{\"with\":{\"raw\":\"x\"},\"At\":\"2h\"}",
                                        "{\"with\":{\"raw\":\"x\"}} x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(read_text(wrong[i]) != NULL, "%s", wrong[i]);
}
END_TEST

START_TEST(bounds)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "{\"with\":{");
    for (int i = 0; i < SNAPSHOT_GIVEN_MAX; i++)
        buffer_printf(&text, "%s\"r%d\":\"x\"", i > 0 ? "," : "", i);
    size_t len = text.len;
    buffer_append_text(&text, "}}");
    ck_assert_ptr_null(read_text(buffer_text(&text)));
    ck_assert_uint_eq(g.count, SNAPSHOT_GIVEN_MAX);
    text.len = len;
    buffer_append_text(&text, ",\"one more\":\"x\"}}");
    ck_assert_ptr_nonnull(read_text(buffer_text(&text)));
    buffer_clear(&text);
    buffer_printf(&text, "{\"with\":{\"%0*d\":\"x\"}}", CONTRACT_NAME_MAX, 1);
    ck_assert_ptr_nonnull(read_text(buffer_text(&text)));
    buffer_clear(&text);
    buffer_printf(&text, "{\"with\":{\"raw\":\"x\"},\"at\":\"%0*d\"}", WEB_AT_SIZE, 1);
    ck_assert_ptr_nonnull(read_text(buffer_text(&text)));
    buffer_fini(&text);
}
END_TEST

SUITE_MAIN_WITH("web_given", NULL, finish, bounds, texts_and_bytes, what_is_none)
