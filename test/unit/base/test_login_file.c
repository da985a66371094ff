/* test_login_file.c: the password file (common/login_file.h). */
#include "common/login_file.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/login.XXXXXX";

static void set_up(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    unlink(path);
}

static void write_file(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

START_TEST(one_line_and_two)
{
    static const struct {
        const char *text, *user, *password;
    } cases[] = {
        {"secret", "", "secret"},           {"secret\n", "", "secret"},
        {"secret\r\n", "", "secret"},       {"me\nsecret", "me", "secret"},
        {"me\nsecret\n", "me", "secret"},   {"me\r\nsecret\r\n", "me", "secret"},
        {"two words \n", "", "two words "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct login_file login;
        char why[256] = "";
        write_file(cases[i].text, strlen(cases[i].text));
        ck_assert_msg(login_file_read(&login, path, why, sizeof why) == 0, "%zu: %s", i, why);
        ck_assert_msg(slice_is(login.user, cases[i].user) &&
                          slice_is(login.password, cases[i].password),
                      "case %zu: %.*s", i, (int)login.password.len, login.password.ptr);
        login_file_wipe(&login);
        for (size_t k = 0; k < sizeof login.text; k++)
            ck_assert_int_eq(login.text[k], 0);
    }
}
END_TEST

/* The reason names the file and shows nothing of what is in it. */
START_TEST(files_that_hold_no_password)
{
    static char large[LOGIN_FILE_SIZE + 1];
    memset(large, 'S', sizeof large);
    const struct slice contents[] = {slice_of(""), slice_of("\n"), slice_of("a\nSECRET\nb\n"),
                                     slice_make(large, sizeof large)};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct login_file login;
        char why[512] = "";
        write_file(contents[i].ptr, contents[i].len);
        ck_assert_msg(login_file_read(&login, path, why, sizeof why) < 0, "case %zu", i);
        ck_assert_ptr_nonnull(strstr(why, path));
        ck_assert_ptr_null(strstr(why, "SECRET"));
    }
    struct login_file login;
    char why[512] = "";
    ck_assert_int_lt(login_file_read(&login, "/no/such/file", why, sizeof why), 0);
    ck_assert_ptr_nonnull(strstr(why, "/no/such/file"));
    ck_assert_int_lt(login_file_read(&login, "/tmp", why, sizeof why), 0);
    ck_assert_int_lt(login_file_read(&login, "/dev/null", why, sizeof why), 0);
}
END_TEST

SUITE_MAIN_WITH("login_file", set_up, tear_down, one_line_and_two, files_that_hold_no_password)
