/* test_job_secret.c: secrets within values: masked, left apart, and put together again. */
#include "workers/jobs/job_secret.h"

#include "test/unit/suite.h"

#include <stdlib.h>

static json_t *json_of(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

static void is(json_t *json, const char *want)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_str_eq(text, want);
    free(text);
    json_decref(json);
}

START_TEST(names)
{
    static const char *const yes[] = {"password", "DB_PASSWORD", "passwd", "my_secret",
                                      "token",    "Api_Key",     "secrets"};
    static const char *const no[] = {"", "pass", "apikey", "key", "user", "tok"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        ck_assert_msg(job_secret_is_name(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        ck_assert_msg(!job_secret_is_name(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(masked_apart_and_together)
{
    static const char *const cases[][3] = {
        {"{}", "{}", "{}"},
        {"{\"a\":1,\"b\":[1,{\"c\":2}]}", "{\"a\":1,\"b\":[1,{\"c\":2}]}", "{}"},
        {"{\"type\":\"mysql\",\"settings\":{\"host\":\"h\",\"password\":\"p\"}}",
         "{\"type\":\"mysql\",\"settings\":{\"host\":\"h\",\"password\":\"***\"}}",
         "{\"settings\":{\"password\":\"p\"}}"},
        {"{\"a\":{\"token\":{\"of\":[1]}},\"b\":{}}", "{\"a\":{\"token\":\"***\"},\"b\":{}}",
         "{\"a\":{\"token\":{\"of\":[1]}}}"},
        {"{\"l\":[1,{\"x\":[{\"passwd\":7}]}],\"m\":[2]}", "{\"l\":\"***\",\"m\":[2]}",
         "{\"l\":[1,{\"x\":[{\"passwd\":7}]}]}"},
        {"{\"password\":null,\"l\":[{\"token\":null}]}",
         "{\"password\":null,\"l\":[{\"token\":null}]}", "{}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = json_of(cases[i][0]), *masked = job_secret_mask(value),
               *picked = job_secret_pick(value);
        ck_assert_int_eq(job_secret_in(value), json_object_size(picked) > 0);
        is(json_deep_copy(masked), cases[i][1]);
        is(json_incref(picked), cases[i][2]);
        ck_assert_int_eq(job_secret_join(masked, picked), 0);
        ck_assert(json_equal(masked, value));
        json_decref(masked);
        json_decref(picked);
        json_decref(value);
    }
}
END_TEST

START_TEST(what_is_no_object)
{
    json_t *text = json_of("\"password\""), *list = json_of("[{\"password\":\"p\"}]");
    ck_assert(!job_secret_in(text));
    is(job_secret_mask(text), "\"password\"");
    is(job_secret_mask(list), "\"***\"");
    ck_assert_ptr_null(job_secret_pick(list));
    json_decref(text);
    json_decref(list);
}
END_TEST

SUITE_MAIN("job-secret", names, masked_apart_and_together, what_is_no_object)
