/* test_pull_answer.c: what a pull makes of an answer, and the lines it sends along (pull_answer.h). */
#include "test/unit/suite.h"
#include "workers/snapshot/pull_answer.h"

#include <stdlib.h>
#include <sys/stat.h>

START_TEST(answers)
{
    static const struct {
        struct http_answer answer;
        bool conditional;
        enum pull_meaning meaning;
        const char *why;
    } cases[] = {
        {{.status = 200}, false, PULL_BYTES, ""},
        {{.status = 200}, true, PULL_BYTES, ""},
        {{.status = 304}, true, PULL_UNCHANGED, ""},
        {{.status = 304}, false, PULL_FAILED, "HTTP 304"},
        {{.status = 301}, false, PULL_FOLLOW, ""},
        {{.status = 308}, false, PULL_FOLLOW, ""},
        {{.status = 300}, false, PULL_FAILED, "HTTP 300"},
        {{.status = 206}, false, PULL_FAILED, "HTTP 206"},
        {{.status = 500}, true, PULL_FAILED, "HTTP 500"},
        {{.error = "nobody there"}, false, PULL_FAILED, "nobody there"},
        {{.error = "no", .remedy = "do this"}, false, PULL_FAILED, "no: do this"},
        {{.error = "5 bytes missing", .cut_short = true},
         false,
         PULL_FAILED,
         "cut short: 5 bytes missing"},
        {{.error = "", .too_long = true}, false, PULL_FAILED, "output above size_max (1MB)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[128] = "";
        ck_assert(pull_answer_read(&cases[i].answer, cases[i].conditional, 1048576, why,
                                   sizeof why) == cases[i].meaning);
        ck_assert_str_eq(why, cases[i].why);
    }
}
END_TEST

static bool read_headers(struct pull_headers *h, const char *text, mode_t mode, char why[300])
{
    char path[] = "/tmp/pull_answer_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
    bool good = pull_headers_read(h, path, why, 300);
    unlink(path);
    return good;
}

START_TEST(header_lines)
{
    struct pull_headers h;
    char why[300] = "";
    ck_assert_msg(read_headers(&h, "Authorization: Bearer x y\r\n\nX-A:b\n", 0600, why), "%s", why);
    ck_assert_uint_eq(h.count, 2);
    ck_assert_str_eq(h.list[0].name, "Authorization");
    ck_assert(slice_is(h.list[0].value, "Bearer x y"));
    ck_assert_str_eq(h.list[1].name, "X-A");
    ck_assert(slice_is(h.list[1].value, "b"));
    pull_headers_free(&h);
}
END_TEST

START_TEST(lines_that_are_none)
{
    static const char *const wrong[] = {"walrus\n", ": x\n",     "A B: x\n",
                                        "A:\n",     "A: x\ry\n", "A: x\x7f\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pull_headers h;
        char why[300] = "";
        ck_assert_msg(!read_headers(&h, wrong[i], 0600, why), "%s", wrong[i]);
        ck_assert_ptr_nonnull(strstr(why, "line 1 is no Name: value"));
        ck_assert_ptr_null(strstr(why, "walrus"));
        pull_headers_free(&h);
    }
}
END_TEST

START_TEST(a_file_that_others_may_read)
{
    struct pull_headers h;
    char why[300] = "";
    ck_assert(!read_headers(&h, "A: b\n", 0640, why));
    ck_assert_ptr_nonnull(strstr(why, "others may read it (mode 0640): chmod 600"));
    pull_headers_free(&h);
    ck_assert(!pull_headers_read(&h, "/nowhere/headers", why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "header_file /nowhere/headers: "));
    pull_headers_free(&h);
}
END_TEST

SUITE_MAIN("pull_answer", answers, header_lines, lines_that_are_none, a_file_that_others_may_read)
