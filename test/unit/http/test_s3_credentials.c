/* test_s3_credentials.c: AWS' credentials file (common/http/s3_credentials.h). */
#include "common/http/s3_credentials.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static char path[] = "/tmp/platoon-aws-XXXXXX";
static struct s3_credentials_file file;
static char why[512];

static void set_up(void)
{
    strcpy(path, "/tmp/platoon-aws-XXXXXX");
    close(mkstemp(path));
}

static void tear_down(void)
{
    unlink(path);
}

static int reads(const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    return s3_credentials_read(&file, path, why, sizeof why);
}

START_TEST(the_default_section)
{
    ck_assert_int_eq(reads("aws_access_key_id=before\n[other]\naws_access_key_id = no\n"
                           "aws_secret_access_key = no\n  [default]  \r\n# c\n; c\nregion = x\n"
                           "aws_access_key_id = AK\r\n aws_secret_access_key\t=\ta+b/c= \n"
                           "aws_session_token = t\n[last]\naws_access_key_id = no\n"),
                     0);
    ck_assert(slice_is(file.access_key, "AK"));
    ck_assert(slice_is(file.secret_key, "a+b/c="));
    ck_assert(slice_is(file.token, "t"));
    ck_assert_int_eq(reads("aws_access_key_id=A\naws_secret_access_key=B"), 0);
    ck_assert(slice_is(file.secret_key, "B") && file.token.len == 0);
    s3_credentials_wipe(&file);
    for (size_t i = 0; i < sizeof file.text; i++)
        ck_assert_int_eq(file.text[i], 0);
}
END_TEST

START_TEST(what_is_none)
{
    static const char *const texts[] = {"", "[default]", "nonsense\n=\n", "aws_access_key_id=A\n",
                                        "[x]\naws_access_key_id=A\naws_secret_access_key=B\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_int_eq(reads(texts[i]), -EINVAL);
        ck_assert_ptr_nonnull(strstr(why, path));
    }
    chmod(path, 0604);
    ck_assert_int_eq(s3_credentials_read(&file, path, why, sizeof why), -EPERM);
    ck_assert_ptr_nonnull(strstr(why, "chmod 600"));
    ck_assert_int_eq(s3_credentials_read(&file, "/", why, sizeof why), -EINVAL);
    ck_assert_int_eq(s3_credentials_read(&file, "/nowhere", why, sizeof why), -ENOENT);
}
END_TEST

SUITE_MAIN_WITH("s3_credentials", set_up, tear_down, the_default_section, what_is_none)
