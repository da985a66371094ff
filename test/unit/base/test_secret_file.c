/* test_secret_file.c: a small file with a secret (common/secret_file.h). */
#include "common/secret_file.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

static char path[] = "/tmp/platoon-secret-XXXXXX";

static void written(const char *text, size_t len)
{
    strcpy(path, "/tmp/platoon-secret-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

START_TEST(whole_or_not)
{
    char text[6];
    struct stat st;
    written("abcde", 5);
    ck_assert_int_eq(secret_file_load(path, text, sizeof text, &st), 5);
    ck_assert_mem_eq(text, "abcde", 5);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(secret_file_load(path, text, 5, NULL), -EFBIG); /* no byte stays free */
    unlink(path);
    ck_assert_int_eq(secret_file_load(path, text, sizeof text, NULL), -ENOENT);
    ck_assert_int_eq(secret_file_load("/tmp", text, sizeof text, NULL), -EINVAL);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(secret_file_load(path, text, sizeof text, NULL), -EINVAL); /* and at once */
    unlink(path);
    ck_assert_str_eq(secret_file_say(-EINVAL), "it is not a regular file");
    ck_assert_str_eq(secret_file_say(-ENOENT), strerror(ENOENT));
}
END_TEST

START_TEST(lines)
{
    struct slice rest = slice_of("one\r\n\ntwo\r");
    ck_assert(slice_is(secret_file_line(&rest), "one"));
    ck_assert(slice_is(secret_file_line(&rest), ""));
    ck_assert(slice_is(secret_file_line(&rest), "two"));
    ck_assert_uint_eq(rest.len, 0);
    ck_assert(slice_is(secret_file_line(&rest), ""));
}
END_TEST

START_TEST(one_line)
{
    static const struct {
        const char *text;
        size_t len;
        int rc;
        const char *says;
    } cases[] = {
        {"pass", 4, 0, ""},
        {"pass\r\n", 6, 0, ""},
        {"", 0, -EBADMSG, "holds no password: write"},
        {"\n", 1, -EBADMSG, "holds no password: write"},
        {"a\nb\n", 4, -EBADMSG, "holds more than one line: write"},
        {"a\0b\n", 4, -EBADMSG, "holds a NUL: write"},
    };
    char text[64], why[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        written(cases[i].text, cases[i].len);
        ck_assert_int_eq(secret_file_read(path, text, sizeof text, why, sizeof why), cases[i].rc);
        if (cases[i].rc == 0)
            ck_assert_str_eq(text, "pass");
        else
            ck_assert_msg(strncmp(why, path, strlen(path)) == 0 &&
                              strstr(why, cases[i].says) != NULL,
                          "%s", why);
        unlink(path);
    }
    ck_assert_int_eq(secret_file_read("/tmp", text, sizeof text, why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "/tmp: it is not a regular file: write the password into it, one line, "
                          "for platoon's user");
}
END_TEST

START_TEST(for_its_owner_alone)
{
    static const mode_t others[] = {0640, 0604, 0620, 0602, 0610};
    char text[64], why[512];
    written("walrus\n", 7);
    ck_assert_int_eq(secret_file_read_private(path, "cookie", text, sizeof text, why, sizeof why),
                     0);
    ck_assert_str_eq(text, "walrus");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        ck_assert_int_eq(chmod(path, others[i]), 0);
        ck_assert_int_eq(
            secret_file_read_private(path, "cookie", text, sizeof text, why, sizeof why), -EPERM);
        ck_assert(strstr(why, "others than its owner may read or write it: chmod 600 ") != NULL);
    }
    ck_assert_int_eq(secret_file_read(path, text, sizeof text, why, sizeof why), 0);
    unlink(path);
    written("", 0);
    ck_assert_int_eq(secret_file_read_private(path, "cookie", text, sizeof text, why, sizeof why),
                     -EBADMSG);
    ck_assert(strstr(why, "it holds no cookie: write the cookie into it") != NULL);
    unlink(path);
}
END_TEST

SUITE_MAIN("secret_file", whole_or_not, lines, one_line, for_its_owner_alone)
