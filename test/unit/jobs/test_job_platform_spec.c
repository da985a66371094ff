/* test_job_platform_spec.c: what a platform says of itself, and what is wrong with it. */
#include "workers/jobs/job_platform.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

/* 0, or -EINVAL with the reason in `why`. */
static int read_of(const char *text, struct job_platform_spec *out, struct buffer *why)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    ck_assert_msg(json != NULL, "%s: %s", text, error.text);
    int rc = job_platform_read_spec(json, out, why);
    json_decref(json);
    return rc;
}

START_TEST(all_may_be_absent)
{
    static const char *const texts[] = {
        "{}", "{\"display_name\":null,\"settings\":null,\"timeout\":null,\"retries\":null,"
              "\"rerun\":null,\"secrets\":null,\"more\":1}"};
    for (size_t i = 0; i < 2; i++) {
        struct job_platform_spec spec;
        struct buffer why = BUFFER_EMPTY;
        ck_assert_int_eq(read_of(texts[i], &spec, &why), 0);
        ck_assert_ptr_null(spec.display_name);
        ck_assert_uint_eq(spec.timeout_ms, 0);
        ck_assert_int_eq(spec.retries, -1);
        ck_assert(spec.rerun);
        json_t *none = job_settings_describe(spec.settings);
        ck_assert_uint_eq(json_object_size(none), 0);
        json_decref(none);
        job_platform_spec_fini(&spec);
        buffer_fini(&why);
    }
}
END_TEST

START_TEST(all_of_it)
{
    struct job_platform_spec spec;
    struct buffer why = BUFFER_EMPTY;
    ck_assert_int_eq(
        read_of("{\"display_name\":\"CoinIs\",\"settings\":{\"date\":{\"type\":\"str\"},"
                "\"key\":{\"type\":\"str\",\"default\":\"k\"},\"Db_Password\":{}},"
                "\"timeout\":1.5,\"retries\":0,\"rerun\":false,\"secrets\":[\"key\"]}",
                &spec, &why),
        0);
    ck_assert_str_eq(spec.display_name, "CoinIs");
    ck_assert_uint_eq(spec.timeout_ms, 1500);
    ck_assert_int_eq(spec.retries, 0);
    ck_assert(!spec.rerun);
    json_t *all = job_settings_describe(spec.settings);
    char *text = json_dumps(all, JSON_COMPACT);
    ck_assert_str_eq(text,
                     "{\"date\":{\"type\":\"datetime\",\"default\":null,\"required\":true,"
                     "\"secret\":false},\"key\":{\"type\":\"str\",\"default\":\"***\",\"required\":"
                     "false,\"secret\":true},\"Db_Password\":{\"type\":\"str\",\"default\":null,"
                     "\"required\":true,\"secret\":true}}");
    free(text);
    json_decref(all);
    json_t *values = json_pack("{s:s,s:s,s:n}", "date", "x", "key", "k", "Db_Password");
    json_t *secrets = job_settings_secrets(spec.settings, values);
    text = json_dumps(secrets, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"key\":\"k\"}");
    free(text);
    json_decref(secrets);
    json_decref(values);
    job_platform_spec_fini(&spec);
    ck_assert_int_eq(read_of("{\"timeout\":\"3m\"}", &spec, &why), 0);
    ck_assert_uint_eq(spec.timeout_ms, 180000);
    job_platform_spec_fini(&spec);
    buffer_fini(&why);
}
END_TEST

START_TEST(what_is_wrong)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[]", "an object with display_name"},
        {"{\"display_name\":1}", "display_name: "},
        {"{\"settings\":[]}", "settings: "},
        {"{\"display_name\":\"x\",\"settings\":{\"a\":{\"type\":\"number\"}}}",
         "settings: a: type is"},
        {"{\"timeout\":0}", "timeout: "},
        {"{\"timeout\":0.5}", "timeout: "},
        {"{\"timeout\":1e300}", "timeout: "},
        {"{\"timeout\":\"long\"}", "timeout: "},
        {"{\"timeout\":\"31d\"}", "timeout: "},
        {"{\"timeout\":true}", "timeout: "},
        {"{\"retries\":-1}", "retries: "},
        {"{\"retries\":1001}", "retries: "},
        {"{\"retries\":\"2\"}", "retries: "},
        {"{\"rerun\":0}", "rerun: "},
        {"{\"secrets\":\"a\"}", "secrets: a list"},
        {"{\"secrets\":[\"a\"]}", "secrets: 'a' is no setting"},
        {"{\"secrets\":[1]}", "secrets: '' is no setting"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job_platform_spec spec = {0};
        struct buffer why = BUFFER_EMPTY;
        ck_assert_int_eq(read_of(cases[i].text, &spec, &why), -EINVAL);
        ck_assert_msg(strncmp(buffer_text(&why), cases[i].says, strlen(cases[i].says)) == 0,
                      "%s: %s", cases[i].text, buffer_text(&why));
        ck_assert_ptr_null(spec.settings);
        buffer_fini(&why);
    }
}
END_TEST

SUITE_MAIN("job_platform_spec", all_may_be_absent, all_of_it, what_is_wrong)
