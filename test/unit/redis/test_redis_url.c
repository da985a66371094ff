/* test_redis_url.c: urls, and that no message shows a password. */
#include "common/redis/redis_conn.h"
#include "test/unit/suite.h"

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
    {"", "must be embedded, redis://"},
    {"http://h", "must be embedded, redis://"},
    {"u:s3cret@h", "must be embedded, redis://"},
    {"redis://", "no host"},
    {"redis://me@", "no host"},
    {"redis://:6379", "no host"},
    {"sentinel://a:1,b:2", "names nothing that the Sentinels watch: sentinel://host:26379"},
    {"sentinel://a/", "names nothing that the Sentinels watch: sentinel://host:26379"},
    {"sentinel://a//1", "names nothing that the Sentinels watch: sentinel://host:26379"},
    {"sentinel://a/orders/x", "database"},
    {"sentinels://u:s3cret@a/orders", "password_file"},
    {"redis://a,,b", "no host"},
    {"redis://a,b,", "no host"},
    {"redis://a,b:0", "port"},
    {"redis://a,u:s3cret@b", "password_file"},
    {"redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "more than 16"},
    {"redis://h:", "port"},
    {"redis://h:0", "port"},
    {"redis://h:65536", "port"},
    {"redis://h:12x", "port"},
    {"redis://h/x", "database"},
    {"redis://h/65536", "database"},
    {"redis://h/-1", "database"},
    {"redis://h?db=1", "has a \"?\""},
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

static void check_several(const struct redis_options *o)
{
    static const struct {
        const char *host;
        int port;
    } is[] = {{"a", 6379}, {"::1", 7}, {"c.example", 65535}};
    ck_assert_uint_eq(o->address_count, 3);
    ck_assert_str_eq(o->host, "a");
    ck_assert_int_eq(o->port, 6379);
    ck_assert_str_eq(o->user, "me");
    ck_assert_int_eq(o->database, 4);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(o->addresses[i].host, is[i].host);
        ck_assert_int_eq(o->addresses[i].port, is[i].port);
    }
}

START_TEST(test_several)
{
    char why[200] = "";
    struct redis_options o = {0}, copy = {0};
    const char *url = "rediss://me@a,[::1]:7,c.example:65535/4";
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(redis_options_parse_url(&o, url, why, sizeof why), 0);
        check_several(&o);
    }
    ck_assert_int_eq(redis_options_copy(&copy, &o), 0);
    ck_assert_int_eq(redis_options_parse_url(&o, "redis://one/", why, sizeof why), 0);
    ck_assert_uint_eq(o.address_count, 0);
    ck_assert_str_eq(o.host, "one");
    check_several(&copy);
    redis_options_fini(&o);
    redis_options_fini(&copy);
}
END_TEST

START_TEST(test_sentinel)
{
    char why[200] = "";
    struct redis_options o = {0}, copy = {0};
    ck_assert_int_eq(
        redis_options_parse_url(&o, "sentinels://me@a,b:7/or%20ders/4", why, sizeof why), 0);
    ck_assert_int_eq(redis_options_copy(&copy, &o), 0);
    ck_assert_str_eq(copy.sentinel_name, "or ders");
    ck_assert(copy.primary && copy.tls && copy.database == 4);
    ck_assert_uint_eq(copy.address_count, 2);
    ck_assert_int_eq(copy.addresses[0].port, 26379);
    ck_assert_int_eq(copy.addresses[1].port, 7);
    redis_options_fini(&o);
    ck_assert_int_eq(redis_options_parse_url(&o, "sentinel://a/x", why, sizeof why), 0);
    ck_assert(!o.tls && o.port == 26379 && strcmp(o.sentinel_name, "x") == 0);
    ck_assert_int_eq(redis_options_parse_url(&o, "redis://a", why, sizeof why), 0);
    ck_assert_ptr_null(o.sentinel_name);
    redis_options_fini(&o);
    redis_options_fini(&copy);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_url");
    TCase *tc = tcase_create("url");
    tcase_add_loop_test(tc, test_good, 0, sizeof goods / sizeof goods[0]);
    tcase_add_loop_test(tc, test_bad, 0, sizeof bads / sizeof bads[0]);
    tcase_add_test(tc, test_several);
    tcase_add_test(tc, test_sentinel);
    suite_add_tcase(s, tc);
    return suite_end(s);
}
