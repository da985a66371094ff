/* test_web_splices.c: splices make the new text of the old one (workers/snapshot/web/web_splices.h). */
#include "workers/snapshot/web/web_splices.h"

#include "test/unit/suite.h"

#include <jansson.h>
#include <stdlib.h>

#define ROUNDS 3000
#define LINES  12

static enum web_spliced compare(const char *before, const char *after, struct buffer *out)
{
    buffer_clear(out);
    return web_splices(slice_of(before), slice_of(after), out);
}

#define SPLICES(before, after, want)                                                               \
    do {                                                                                           \
        struct buffer got = BUFFER_EMPTY;                                                          \
        ck_assert_int_eq(compare(before, after, &got), WEB_SPLICED);                               \
        ck_assert_str_eq(buffer_text(&got), want);                                                 \
        buffer_fini(&got);                                                                         \
    } while (0)

#define LONG "a line that nobody changes, and which is longer than what a splice says of it\n"

START_TEST(as_they_are_written)
{
    SPLICES(LONG "b\n" LONG, LONG "B\n" LONG, "[[1,1,\"B\\n\"]]");
    SPLICES(LONG "b\n" LONG, LONG LONG, "[[1,1,\"\"]]");
    SPLICES(LONG LONG, LONG "n\n" LONG, "[[1,0,\"n\\n\"]]");
    SPLICES(LONG, "n\n" LONG, "[[0,0,\"n\\n\"]]");
    SPLICES(LONG, LONG "n", "[[1,0,\"n\"]]");
    SPLICES(LONG "n", LONG "n\n", "[[1,1,\"n\\n\"]]");
    SPLICES("a\n" LONG LONG "b\n", LONG "x\n" LONG, "[[0,1,\"\"],[2,0,\"x\\n\"],[3,1,\"\"]]");
    SPLICES(LONG "\"\t\x01\n", LONG "\xc3\xa4\n", "[[1,1,\"\xc3\xa4\\n\"]]");
}
END_TEST

START_TEST(what_is_sent_whole)
{
    struct buffer out = BUFFER_EMPTY, large = BUFFER_EMPTY;
    ck_assert_int_eq(compare("a\n", "b\n", &out), WEB_SPLICES_LARGE);
    ck_assert_int_eq(compare("a\n", "", &out), WEB_SPLICES_LARGE);
    ck_assert_int_eq(compare("", "b\n", &out), WEB_SPLICES_LARGE);
    ck_assert_int_eq(compare(LONG "\xff\n", LONG, &out), WEB_SPLICES_BINARY);
    ck_assert_int_eq(compare(LONG, LONG "\xff\n", &out), WEB_SPLICES_BINARY);
    for (size_t i = 0; i <= WEB_SPLICES_TEXT_MAX; i++)
        buffer_append_char(&large, 'a');
    ck_assert_int_eq(web_splices(slice_of(LONG), buffer_slice(&large), &out), WEB_SPLICES_LARGE);
    ck_assert_int_eq(web_splices(buffer_slice(&large), slice_of(LONG), &out), WEB_SPLICES_LARGE);
    ck_assert_uint_eq(out.len, 0);
    buffer_clear(&large);
    for (size_t i = 0; i < WEB_SPLICES_LINES_MAX; i++)
        buffer_append_text(&large, i % 3 == 0 ? "a\n" : "b\n");
    ck_assert_int_eq(compare("x\n", buffer_text(&large), &out), WEB_SPLICES_LARGE);
    ck_assert_int_eq(compare("", buffer_text(&large), &out), WEB_SPLICES_LARGE);
    char *first = strdup(buffer_text(&large));
    first[0] = 'x';
    ck_assert_int_eq(compare(first, buffer_text(&large), &out), WEB_SPLICED); /* one of many */
    free(first);
    buffer_fini(&large);
    buffer_fini(&out);
}
END_TEST

/* ---- whatever they are ---- */

/* As a reader does it: from the last. Lines are found from the text's begin each time. */
static void apply(struct buffer *text, const json_t *splices)
{
    for (size_t i = json_array_size(splices); i-- > 0;) {
        const json_t *one = json_array_get(splices, i), *put = json_array_get(one, 2);
        size_t from = (size_t)json_integer_value(json_array_get(one, 0));
        size_t removed = (size_t)json_integer_value(json_array_get(one, 1));
        struct buffer next = BUFFER_EMPTY;
        size_t line = 0;
        for (size_t at = 0; at < text->len;) {
            const char *end = memchr(text->data + at, '\n', text->len - at);
            size_t len = end != NULL ? (size_t)(end - text->data) + 1 - at : text->len - at;
            if (line == from)
                buffer_append(&next, json_string_value(put), json_string_length(put));
            if (line < from || line >= from + removed)
                buffer_append(&next, text->data + at, len);
            line++;
            at += len;
        }
        ck_assert_uint_le(from + removed, line);
        if (from == line)
            buffer_append(&next, json_string_value(put), json_string_length(put));
        buffer_fini(text);
        *text = next;
    }
}

/* Few different lines, so that the same stand in both; often the last has no end. */
static void random_text(struct buffer *out)
{
    static const char *const lines[] = {"a\n",
                                        "bb\n",
                                        "\n",
                                        "a\r\n",
                                        "\"quoted\"\n",
                                        "\xc3\xa4\n",
                                        "a much longer line, so that splices are often shorter\n"};
    size_t count = (size_t)(rand() % LINES);
    buffer_clear(out);
    for (size_t i = 0; i < count; i++)
        buffer_append_text(out, lines[(size_t)rand() % (sizeof lines / sizeof lines[0])]);
    if (rand() % 3 == 0)
        buffer_append_text(out, rand() % 2 == 0 ? "no end" : "a");
}

START_TEST(random_texts)
{
    size_t spliced = 0;
    srand(20);
    for (int i = 0; i < ROUNDS; i++) {
        struct buffer before = BUFFER_EMPTY, after = BUFFER_EMPTY, out = BUFFER_EMPTY;
        random_text(&before);
        random_text(&after);
        if (web_splices(buffer_slice(&before), buffer_slice(&after), &out) == WEB_SPLICED) {
            json_t *splices = json_loadb(out.data, out.len, 0, NULL);
            ck_assert_ptr_nonnull(splices);
            ck_assert_uint_le(out.len, after.len);
            apply(&before, splices);
            ck_assert_msg(slice_equal(buffer_slice(&before), buffer_slice(&after)), "round %d: %s",
                          i, buffer_text(&out));
            json_decref(splices);
            spliced++;
        }
        buffer_fini(&before);
        buffer_fini(&after);
        buffer_fini(&out);
    }
    ck_assert_uint_gt(spliced, ROUNDS / 10);
}
END_TEST

static void set_up(void)
{
    ck_assert(web_splices_open());
}

SUITE_MAIN_WITH("web-splices", set_up, web_splices_close, as_they_are_written, what_is_sent_whole,
                random_texts)
