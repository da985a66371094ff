/* test_snapshot_stacked.c: several files in one stream, written and read back (snapshot_stacked.h). */
#include "test/unit/suite.h"
#include "workers/snapshot/snapshot_stacked.h"

START_TEST(as_it_is_written)
{
    static const struct {
        const char *content, *stream;
    } cases[] = {
        {"", "=====a b\n"},
        {"x\n", "=====a b\n\tx\n"},
        {"x", "=====a b\n\tx\n"},
        {"x\n\ny\n", "=====a b\n\tx\n\t\n\ty\n"},
        {"\t=====no\n=====nor this\n", "=====a b\n\t\t=====no\n\t=====nor this\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out = BUFFER_EMPTY;
        snapshot_stacked_write(slice_of("a b"), slice_of(cases[i].content), &out);
        ck_assert_str_eq(buffer_text(&out), cases[i].stream);
        buffer_fini(&out);
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    struct buffer out = BUFFER_EMPTY, content = BUFFER_EMPTY;
    struct slice header;
    snapshot_stacked_write(slice_of("one"), slice_of("1\n"), &out);
    snapshot_stacked_write(slice_of(""), slice_of(""), &out);
    snapshot_stacked_write(slice_of("three"), slice_of("a\n\tb"), &out);
    static const char *const headers[] = {"one", "", "three"}, *const contents[] = {"1\n", "",
                                                                                    "a\n\tb\n"};
    struct slice rest = buffer_slice(&out);
    for (size_t i = 0; i < 3; i++) {
        buffer_clear(&content);
        ck_assert(snapshot_stacked_read(&rest, &header, &content) == SNAPSHOT_STACKED_FILE);
        ck_assert(slice_is(header, headers[i]));
        ck_assert_str_eq(buffer_text(&content), contents[i]);
    }
    ck_assert(snapshot_stacked_read(&rest, &header, &content) == SNAPSHOT_STACKED_END);
    buffer_fini(&content);
    buffer_fini(&out);
}
END_TEST

START_TEST(what_is_no_stream)
{
    static const char *const wrong[] = {"x\n",         "\tx\n",      "====x\n",
                                        "=====a\nx\n", "=====a\n\n", "\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buffer content = BUFFER_EMPTY;
        struct slice rest = slice_of(wrong[i]), header;
        ck_assert(snapshot_stacked_read(&rest, &header, &content) == SNAPSHOT_STACKED_WRONG);
        buffer_fini(&content);
    }
}
END_TEST

SUITE_MAIN("snapshot_stacked", as_it_is_written, what_is_written_is_read, what_is_no_stream)
