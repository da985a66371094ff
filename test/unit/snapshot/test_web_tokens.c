/* test_web_tokens.c: the file of tokens, and what a header allows (workers/snapshot/web/web_tokens.h). */
#include "workers/snapshot/web/web_tokens.h"

#include "common/base64.h"
#include "test/unit/suite.h"

#define ANNA "anna-0123456789abcdef"
#define BOT  "bot-0123456789abcdefg"

static struct web_tokens t;
static const char file[] = "# who may\n\nanna act " ANNA "\r\n  bot\tread   " BOT "  \n";

static enum web_right right_of(const char *header, const char *want_name)
{
    const char *name;
    enum web_right right = web_tokens_find(&t, header, &name);
    ck_assert_str_eq(name, want_name);
    return right;
}

static void basic(const char *pair, size_t len, char *header, size_t size)
{
    struct buffer b = BUFFER_EMPTY;
    base64_append(&b, slice_make(pair, len));
    snprintf(header, size, "Basic %s", buffer_text(&b));
    buffer_fini(&b);
}

START_TEST(rights)
{
    char header[256];
    ck_assert_uint_eq(web_tokens_read(slice_of(file), &t), 0);
    ck_assert_uint_eq(t.count, 2);
    ck_assert_int_eq(right_of(NULL, ""), WEB_NONE);
    ck_assert_int_eq(right_of("Bearer " ANNA, "anna"), WEB_ACT);
    ck_assert_int_eq(right_of("bearer  " BOT, "bot"), WEB_READ);
    ck_assert_int_eq(right_of("Bearer " ANNA "x", ""), WEB_WRONG);
    ck_assert_int_eq(right_of("Bearer anna-0123456789abcde", ""), WEB_WRONG);
    ck_assert_int_eq(right_of("Bearer ", ""), WEB_WRONG);
    ck_assert_int_eq(right_of("", ""), WEB_WRONG);
    ck_assert_int_eq(right_of("Digest " ANNA, ""), WEB_WRONG);
    basic("git:" ANNA, strlen("git:" ANNA), header, sizeof header);
    ck_assert_int_eq(right_of(header, "anna"), WEB_ACT);
    basic(":" BOT, strlen(":" BOT), header, sizeof header);
    ck_assert_int_eq(right_of(header, "bot"), WEB_READ);
    basic("git:a:" ANNA, strlen("git:a:" ANNA), header, sizeof header);
    ck_assert_int_eq(right_of(header, ""), WEB_WRONG);
    basic(ANNA, strlen(ANNA), header, sizeof header);
    ck_assert_int_eq(right_of(header, ""), WEB_WRONG);
    basic("git:" ANNA "\0x", strlen("git:" ANNA) + 2, header, sizeof header);
    ck_assert_int_eq(right_of(header, ""), WEB_WRONG);
    ck_assert_int_eq(right_of("Basic !", ""), WEB_WRONG);
}
END_TEST

START_TEST(long_headers)
{
    char header[4096] = "Basic ";
    ck_assert_uint_eq(web_tokens_read(slice_of(file), &t), 0);
    memset(header + 6, 'A', sizeof header - 7);
    header[sizeof header - 1] = '\0';
    ck_assert_int_eq(right_of(header, ""), WEB_WRONG);
}
END_TEST

START_TEST(lines_that_are_none)
{
    static const char *const wrong[] = {
        "anna act\n",
        "anna act short\n",
        "anna write " ANNA "\n",
        "anna act " ANNA " more\n",
        "anna\n",
        "\xc3\xa4 act " ANNA "\n",
        "anna act " ANNA "\xff\n",
        "a-name-that-is-longer-than-any-name-has-to-be-which-is-sixty-three act " ANNA "\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "bot read %s\n%s", BOT, wrong[i]);
        ck_assert_msg(web_tokens_read(slice_of(text), &t) == 2, "%s", wrong[i]);
    }
    ck_assert_uint_eq(web_tokens_read(slice_of(""), &t), 0);
    ck_assert_uint_eq(t.count, 0);
    ck_assert_int_eq(right_of("Bearer " ANNA, ""), WEB_WRONG);
}
END_TEST

START_TEST(so_many)
{
    struct buffer text = BUFFER_EMPTY;
    for (int i = 0; i <= WEB_TOKENS_MAX; i++)
        buffer_printf(&text, "n%d read token-number-%08d\n", i, i);
    ck_assert_uint_eq(web_tokens_read(buffer_slice(&text), &t), WEB_TOKENS_MAX + 1);
    buffer_fini(&text);
}
END_TEST

SUITE_MAIN("web-tokens", rights, long_headers, lines_that_are_none, so_many)
