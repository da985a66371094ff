/* test_log.c: log lines hold text only, are bounded, and say what they were told (common/log.h). */
#include "common/log.h"
#include "common/utf8.h"
#include "test/unit/suite.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char got[LOG_LINE_MAX + 1];
static size_t got_len;
static unsigned got_lines;
static enum log_level got_level;

static void sink(enum log_level level, struct slice line, void *ctx)
{
    ck_assert_str_eq(ctx, "mine");
    ck_assert_uint_lt(line.len, sizeof got);
    memcpy(got, line.ptr, line.len);
    got[line.len] = '\0';
    got_len = line.len;
    got_level = level;
    got_lines++;
}

static void set_up(void)
{
    static char ctx[] = "mine";
    log_set_level(LOG_LEVEL_INFO);
    log_set_sink(sink, ctx);
    got_lines = 0;
}

static void is_clean(void)
{
    ck_assert(utf8_valid(slice_make(got, got_len)));
    for (size_t i = 0; i < got_len; i++)
        ck_assert_uint_ge((unsigned char)got[i], ' ');
}

START_TEST(a_line)
{
    log_info("claim-expired", "id=%s count=%d", "41", 7);
    ck_assert_str_eq(got, "claim-expired id=41 count=7");
    ck_assert_int_eq(got_level, LOG_LEVEL_INFO);
    log_error("alone", "%s", "");
    ck_assert_str_eq(got, "alone ");
}
END_TEST

START_TEST(levels)
{
    enum log_level level = LOG_LEVEL_WARN;
    log_debug("quiet", "x=%d", 1);
    ck_assert_uint_eq(got_lines, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("loud", "x=%d", 1);
    ck_assert_uint_eq(got_lines, 1);
    log_set_level(LOG_LEVEL_ERROR);
    log_warn("quiet", "x=%d", 1);
    ck_assert_uint_eq(got_lines, 1);
    ck_assert_int_eq(log_get_level(), LOG_LEVEL_ERROR);
    ck_assert(!log_level_parse("INFO", &level));
    ck_assert(!log_level_parse("", &level));
    ck_assert_int_eq(level, LOG_LEVEL_WARN);
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert(log_level_parse(names[i], &level));
        ck_assert_str_eq(log_level_name(level), names[i]);
    }
}
END_TEST

START_TEST(control_bytes_do_not_get_in)
{
    log_info("event", "text=%s", "one\ntwo\rthree\x1b[31mred\tx\x7f\x01");
    ck_assert_str_eq(got, "event text=one two three [31mred x  ");
    log_info("event", "text=%s", "a\xff\xc3z\xe2\x82");
    ck_assert_str_eq(got, "event text=a??z??");
    is_clean();
}
END_TEST

/* At every length around the limit, with characters of one to four bytes at the cut. */
START_TEST(long_lines_are_cut)
{
    static const char *const letters[] = {"x", "ä", "€", "😀", "\xff"};
    char *text = malloc(4 * LOG_LINE_MAX);
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++) {
        for (size_t shift = 0; shift < 8; shift++) {
            size_t len = shift;
            memset(text, '-', shift);
            while (len < LOG_LINE_MAX + 20) {
                memcpy(text + len, letters[k], strlen(letters[k]));
                len += strlen(letters[k]);
            }
            text[len] = '\0';
            log_info("e", "%s", text);
            ck_assert_uint_lt(got_len, LOG_LINE_MAX);
            ck_assert_uint_gt(got_len, LOG_LINE_MAX - 10);
            ck_assert_str_eq(got + got_len - strlen("…"), "…");
            ck_assert(letters[k][0] == '\xff' || strchr(got, '?') == NULL);
            is_clean();
        }
    }
    for (size_t len = LOG_LINE_MAX - 10; len < LOG_LINE_MAX + 3; len++) {
        memset(text, 'y', len);
        text[len] = '\0';
        log_info("e", "%s", text);
        bool whole = len + 2 < LOG_LINE_MAX;
        ck_assert_int_eq(strstr(got, "…") == NULL, whole);
        ck_assert(!whole || got_len == len + 2);
    }
    free(text);
}
END_TEST

START_TEST(long_event_names_are_cut_too)
{
    char *name = malloc(2 * LOG_LINE_MAX);
    for (size_t len = LOG_LINE_MAX - 4; len < LOG_LINE_MAX + 4; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        log_write(LOG_LEVEL_INFO, name, "%s", "body");
        ck_assert_uint_lt(got_len, LOG_LINE_MAX);
        is_clean();
    }
    free(name);
}
END_TEST

START_TEST(quoting)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *quoted;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "plain"},
        {"tracking:pending", 16, "tracking:pending"},
        {"two words", 9, "\"two words\""},
        {"a=b", 3, "\"a=b\""},
        {"say \"hi\"", 8, "\"say \\\"hi\\\"\""},
        {"back\\slash", 10, "\"back\\\\slash\""},
        {"\n\t\0\x7f", 4, "\"\\x0a\\x09\\x00\\x7f\""},
        {"ä€😀", 9, "ä€😀"},
        {"ä €", 6, "\"ä €\""},
        {"a\xc2\x9b"
         "b",
         4,
         "\"a\\xc2\\x9b"
         "b\""},                                    /* C1: CSI */
        {"\xe2\x80\xae", 3, "\"\\xe2\\x80\\xae\""}, /* right to left from here */
        {"\xff\xc3", 2, "\"\\xff\\xc3\""},
        {"a\xe2\x82", 3, "\"a\\xe2\\x82\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *exact = malloc(cases[i].len + (cases[i].len == 0));
        memcpy(exact, cases[i].bytes, cases[i].len);
        ck_assert_str_eq(log_quote(slice_make(exact, cases[i].len)), cases[i].quoted);
        free(exact);
    }
    ck_assert_str_eq(log_quote_text("a b"), "\"a b\"");
}
END_TEST

START_TEST(quoting_is_bounded)
{
    static const char *const letters[] = {"x",  "ä",  "€",        "😀",           "\xff",
                                          "\"", "\n", "\xc2\x9b", "\xe2\x80\xae"};
    char value[1000];
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++) {
        for (size_t want = 190; want < 210; want++) {
            size_t n = 0;
            while (n < want) {
                memcpy(value + n, letters[k], strlen(letters[k]));
                n += strlen(letters[k]);
            }
            const char *quoted = log_quote(slice_make(value, n));
            ck_assert_uint_le(strlen(quoted), 4 * 204 + 5);
            ck_assert(utf8_valid(slice_of(quoted)));
            ck_assert_msg(n <= 203 || strcmp(quoted + strlen(quoted) - 4, "...\"") == 0,
                          "%zu of %s: %s", n, letters[k], quoted);
        }
    }
}
END_TEST

START_TEST(eight_quotes_fit_into_one_line)
{
    const char *q[8];
    for (int i = 0; i < 8; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        q[i] = log_quote_text(text);
    }
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(q[i][0], 'a' + i);
}
END_TEST

START_TEST(stderr_gets_the_level_and_one_line)
{
    int pipe_fds[2];
    char text[128];
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    int kept = dup(STDERR_FILENO);
    dup2(pipe_fds[1], STDERR_FILENO);
    log_set_sink(NULL, NULL);
    log_warn("event", "text=%s", "a\nb");
    dup2(kept, STDERR_FILENO);
    ssize_t n = read(pipe_fds[0], text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "<4>event text=a b\n");
}
END_TEST

START_TEST(whole_values_are_quoted_alike)
{
    struct buffer out = BUFFER_EMPTY;
    static const char *const values[] = {"plain",  "",          "two words",   "a=b",
                                         "a\"b\\", "\x1b[0m",   "\xff",        "ü",
                                         "\x7f",   "a\xc2\x9b", "\xe2\x80\xae"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        buffer_clear(&out);
        log_quote_whole(&out, slice_of(values[i]));
        ck_assert_str_eq(buffer_text(&out), log_quote_text(values[i]));
    }
    char longer[3000];
    memset(longer, 'x', sizeof longer);
    buffer_clear(&out);
    log_quote_whole(&out, slice_make(longer, sizeof longer));
    ck_assert_uint_eq(out.len, sizeof longer);
    buffer_fini(&out);
}
END_TEST

START_TEST(cleaning)
{
    char line[] = "a\x1b[31m\tb\xff ü\x7f\xc2\x9b-\xe2\x80\xae-\xe2\x81\xa6.";
    log_clean(line, sizeof line - 1);
    ck_assert_str_eq(line, "a [31m b? ü   -   -   .");
}
END_TEST

SUITE_MAIN_WITH("log", set_up, NULL, a_line, levels, control_bytes_do_not_get_in,
                long_lines_are_cut, long_event_names_are_cut_too, quoting, quoting_is_bounded,
                eight_quotes_fit_into_one_line, stderr_gets_the_level_and_one_line,
                whole_values_are_quoted_alike, cleaning)
