/* test_redis_url.c: urls, and that no message shows a password. */
#include "common/redis/redis_conn.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

struct good {
    const char *url, *host, *unix_path, *user;
    int port, database;
    bool tls;
    const char *name;
};

static const struct good goods[] = {
    {"redis://h", "h", NULL, NULL, 6379, 7, false, "h:6379"},
    {"redis://h:1234/3", "h", NULL, NULL, 1234, 3, false, "h:1234"},
    {"redis://h/", "h", NULL, NULL, 6379, 7, false, "h:6379"},
    {"redis://me@h/0", "h", NULL, "me", 6379, 0, false, "h:6379"},
    {"redis://m%40e@h", "h", NULL, "m@e", 6379, 7, false, "h:6379"},
    {"rediss://me@10.0.0.1:6380", "10.0.0.1", NULL, "me", 6380, 7, true, "10.0.0.1:6380 (TLS)"},
    {"redis://[::1]", "::1", NULL, NULL, 6379, 7, false, "[::1]:6379"},
    {"redis://[fe80::1]:99/1", "fe80::1", NULL, NULL, 99, 1, false, "[fe80::1]:99"},
    {"unix:///run/redis.sock", NULL, "/run/redis.sock", NULL, 0, 7, false, "unix:/run/redis.sock"},
    {"unix:///a%20b?db=12", NULL, "/a b", NULL, 0, 12, false, "unix:/a b"},
    {"unix:///a%20", NULL, "/a ", NULL, 0, 7, false, "unix:/a "},
};

static void ck_text(const char *is, const char *wanted)
{
    if (wanted == NULL)
        ck_assert_ptr_null(is);
    else
        ck_assert_str_eq(is, wanted);
}

START_TEST(test_good)
{
    const struct good *g = &goods[_i];
    struct redis_options o = {.database = 7};
    char why[200] = "", name[REDIS_NAME_SIZE];
    ck_assert_msg(redis_options_parse_url(&o, g->url, why, sizeof why) == 0, "%s", why);
    ck_text(o.host, g->host);
    ck_text(o.unix_path, g->unix_path);
    ck_text(o.user, g->user);
    ck_assert_int_eq(o.port, g->port);
    ck_assert_int_eq(o.database, g->database);
    ck_assert_int_eq(o.tls, g->tls);
    redis_options_name(&o, name);
    ck_assert_str_eq(name, g->name);
    redis_options_fini(&o);
    ck_assert_ptr_null(o.host);
}
END_TEST

struct bad {
    const char *url, *why;
};

static const struct bad bads[] = {
    {"", "must start with"},
    {"http://h", "must start with"},
    {"u:s3cret@h", "must start with"},
    {"redis://", "no host"},
    {"redis://me@", "no host"},
    {"redis://:6379", "no host"},
    {"redis://h:", "port"},
    {"redis://h:0", "port"},
    {"redis://h:65536", "port"},
    {"redis://h:12x", "port"},
    {"redis://h/x", "database"},
    {"redis://h/65536", "database"},
    {"redis://h/-1", "database"},
    {"redis://h?db=1", "no \"?\""},
    {"redis://[::1", "brackets"},
    {"redis://[::1]x", "brackets"},
    {"redis://u:s3cret@h", "password_file"},
    {"redis://:s3cret@h", "password_file"},
    {"redis://u:s3cret/x@h", "password_file"},
    {"redis://u:s3c@ret@h", "password_file"},
    {"redis://u:s3cret?#@h", "password_file"},
    {"redis://u%zz@h", "cannot be read"},
    {"redis://u%4@h", "cannot be read"},
    {"redis://u%00@h", "cannot be read"},
    {"unix://run/redis.sock", "absolute"},
    {"unix:///", "absolute"},
    {"unix:///a?x=1", "only ?db=N"},
    {"unix:///a?db=", "database"},
    {"unix:///a?db=x", "database"},
    {"unix:///a%00", "cannot be read"},
};

START_TEST(test_bad)
{
    struct redis_options o = {.port = 5, .database = 7, .tls = true, .host = strdup("keep")};
    char why[200] = "";
    ck_assert_int_eq(redis_options_parse_url(&o, bads[_i].url, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, bads[_i].why) != NULL, "%s: %s", bads[_i].url, why);
    ck_assert_ptr_null(strstr(why, "s3c"));
    ck_assert_str_eq(o.host, "keep");
    ck_assert(o.port == 5 && o.database == 7 && o.tls && o.user == NULL);
    redis_options_fini(&o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_url");
    TCase *tc = tcase_create("url");
    tcase_add_loop_test(tc, test_good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(tc, test_bad, 0, sizeof bads / sizeof bads[0]);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? 1 : 0;
}
