/* test_job_settings.c: what a platform takes, what a request gives, and the messages of those that do not fit. */
#include "workers/jobs/job_settings.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>

#define NOW 1795861440 /* Saturday 2026-11-28 10:24:00 UTC */

static json_t *json_of(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    ck_assert_msg(value != NULL, "%s: %s", text, error.text);
    return value;
}

static struct job_settings *settings(const char *spec)
{
    struct job_settings *s = NULL;
    struct buffer why = BUFFER_EMPTY;
    json_t *json = json_of(spec);
    int rc = job_settings_new(json, &s, &why);
    ck_assert_msg(rc == 0, "%s: %s", spec, rc != 0 ? buffer_text(&why) : "");
    json_decref(json);
    buffer_fini(&why);
    return s;
}

/* The job's settings as text, or why there are none; to be freed. */
static char *read_of(const struct job_settings *s, const char *given)
{
    json_t *json = given != NULL ? json_of(given) : NULL, *values = NULL;
    struct buffer why = BUFFER_EMPTY;
    int rc = job_settings_read(s, json, NULL, NOW, &values, &why);
    char *text = rc == 0 ? json_dumps(values, JSON_COMPACT) : strdup(buffer_text(&why));
    ck_assert(rc == 0 || (rc == -EINVAL && values == NULL));
    json_decref(json);
    json_decref(values);
    buffer_fini(&why);
    return text;
}

static void expect(const char *spec, const char *given, const char *want)
{
    struct job_settings *s = settings(spec);
    char *got = read_of(s, given);
    ck_assert_msg(strcmp(got, want) == 0, "%s: %s, not %s", given != NULL ? given : "nothing", got,
                  want);
    free(got);
    job_settings_free(s);
}

#define ALL                                                                                        \
    "{\"s\":{\"type\":\"str\"},\"i\":{\"type\":\"int\"},\"f\":{\"type\":\"float\"},"               \
    "\"b\":{\"type\":\"bool\"},\"d\":{\"type\":\"datetime\"},\"l\":{\"type\":\"list\"},"           \
    "\"o\":{\"type\":\"dict\"}}"

START_TEST(values_and_texts)
{
    expect(
        ALL,
        "{\"s\":\"x\",\"i\":7,\"f\":1.5,\"b\":true,\"d\":\"yesterday\",\"l\":[1],\"o\":{\"a\":1}}",
        "{\"s\":\"x\",\"i\":7,\"f\":1.5,\"b\":true,\"d\":\"2026-11-27T00:00:00+00:00\",\"l\":[1],"
        "\"o\":{\"a\":1}}");
    expect(
        ALL,
        "{\"o\":\"{\\\"a\\\":1}\",\"l\":\" [1] \",\"d\":\"2026-11-20\",\"b\":\"Yes\",\"f\":\"2\","
        "\"i\":\" -007 \",\"s\":\"\"}",
        "{\"s\":\"\",\"i\":-7,\"f\":2.0,\"b\":true,\"d\":\"2026-11-20T00:00:00+00:00\",\"l\":[1],"
        "\"o\":{\"a\":1}}");
}
END_TEST

START_TEST(one_type_at_a_time)
{
    static const char *const cases[][3] = {
        {"int", "9223372036854775807", "9223372036854775807"},
        {"int", "\"-9223372036854775808\"", "-9223372036854775808"},
        {"int", "\"9223372036854775808\"", NULL},
        {"int", "\"-9223372036854775809\"", NULL},
        {"int", "\"+5\"", "5"},
        {"int", "\"-0\"", "0"},
        {"int", "\"99999999999999999999999\"", NULL},
        {"int", "1.0", NULL},
        {"int", "true", NULL},
        {"int", "\"\"", NULL},
        {"int", "\"-\"", NULL},
        {"int", "\"1 2\"", NULL},
        {"int", "\"1.5\"", NULL},
        {"float", "3", "3.0"},
        {"float", "\"1e3\"", "1000.0"},
        {"float", "\"nan\"", NULL},
        {"float", "\"1e999\"", NULL},
        {"float", "\"1,5\"", NULL},
        {"float", "\"true\"", NULL},
        {"bool", "\"OFF\"", "false"},
        {"bool", "\"1\"", "true"},
        {"bool", "\"no\"", "false"},
        {"bool", "1", NULL},
        {"bool", "\"maybe\"", NULL},
        {"str", "5", NULL},
        {"str", "[]", NULL},
        {"list", "\"{}\"", NULL},
        {"list", "\"1,2\"", NULL},
        {"list", "{}", NULL},
        {"dict", "\"[]\"", NULL},
        {"dict", "\"{\\\"a\\\":1,\\\"a\\\":2}\"", NULL},
        {"datetime", "1795861440", NULL},
        {"datetime", "\"\"", NULL},
        {"datetime", "\"9000 years from now\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char spec[64], given[128], want[128];
        snprintf(spec, sizeof spec, "{\"x\":{\"type\":\"%s\"}}", cases[i][0]);
        snprintf(given, sizeof given, "{\"x\":%s}", cases[i][1]);
        bool hidden = cases[i][0][0] == 'l' || strcmp(cases[i][0], "dict") == 0;
        if (cases[i][2] != NULL)
            snprintf(want, sizeof want, "{\"x\":%s}", cases[i][2]);
        else /* what does not read as a dict or a list may have a secret anywhere */
            snprintf(want, sizeof want, "Invalid parameters in request: x: no %s%s%s",
                     strcmp(cases[i][0], "datetime") == 0 ? "date" : cases[i][0],
                     hidden ? "" : ": ", hidden ? "" : cases[i][1]);
        expect(spec, given, want);
    }
}
END_TEST

START_TEST(messages)
{
    const char *spec =
        "{\"a\":{\"type\":\"int\"},\"b\":{\"type\":\"str\"},\"date\":{\"default\":\"today\"},"
        "\"key\":{\"type\":\"int\",\"secret\":true,\"default\":1}}";
    expect(spec, NULL, "Missing parameters in request: a, b");
    expect(spec, "{\"a\":null,\"x\":1}", "Missing parameters in request: a, b");
    expect(spec, "{\"a\":1,\"b\":\"\",\"x\":1,\"y\":2}", "Unknown parameters in request: x, y");
    expect(spec, "{\"a\":\"one\",\"b\":\"\",\"date\":\"yestrday\",\"key\":\"hush\"}",
           "Invalid parameters in request: a: no int: \"one\", date: no date: \"yestrday\", key: "
           "no int");
    expect(spec, "[1]", "Invalid parameters in request: settings: no dict");
    expect(spec, "{\"a\":\"\\n\\u00e4\",\"b\":\"\"}",
           "Invalid parameters in request: a: no int: \"\\n\\u00E4\"");
    expect("{}", "{}", "{}");
    expect("{}", NULL, "{}");
}
END_TEST

START_TEST(where_rows_may_go)
{
    static const char spec[] = "{\"storage\":{\"type\":\"dict\"},\"other\":{\"default\":{}}}";
    static const char *const good[] = {
        "{\"storage\":{\"type\":\"mysql\",\"settings\":{}},\"other\":{\"type\":\"csv\","
        "\"settings\":{}}}",
        "{\"storage\":{\"type\":\"store\",\"settings\":{}},\"other\":{}}",
        "{\"storage\":{\"type\":\"a word of its own\"},\"other\":{}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        expect(spec, good[i], good[i]);
    expect(spec, "{\"storage\":{\"type\":\"csv\",\"settings\":{\"password\":\"hush\"}}}",
           "Invalid parameters in request: storage: its type is neither mysql nor store");
    expect(spec, "{\"storage\":[{\"password\":\"hush\"}]}",
           "Invalid parameters in request: storage: no dict");
}
END_TEST

START_TEST(a_message_is_bounded)
{
    struct job_settings *s = settings("{}");
    json_t *given = json_object(), *values = NULL;
    struct buffer why = BUFFER_EMPTY;
    char name[200];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "\xc3\xa4%0150d", i);
        json_object_set_new(given, name, json_true());
    }
    ck_assert_int_eq(job_settings_read(s, given, NULL, NOW, &values, &why), -EINVAL);
    ck_assert_uint_le(why.len, JOB_SETTINGS_WHY_MAX);
    ck_assert_uint_gt(why.len, JOB_SETTINGS_WHY_MAX - 8);
    ck_assert_str_eq(buffer_text(&why) + why.len - 3, "…");
    json_decref(given);
    buffer_fini(&why);
    job_settings_free(s);
}
END_TEST

START_TEST(defaults)
{
    const char *spec =
        "{\"n\":{\"default\":3},\"r\":{\"default\":1.5},\"l\":{\"default\":[]},\"none\":"
        "{\"type\":\"str\",\"required\":false},\"start_date\":{\"type\":\"str\",\"default\":"
        "\"yesterday\"}}";
    expect(
        spec, NULL,
        "{\"n\":3,\"r\":1.5,\"l\":[],\"none\":null,\"start_date\":\"2026-11-27T00:00:00+00:00\"}");
    expect(spec, "{\"n\":null,\"end_date\":null}", "Unknown parameters in request: end_date");
    expect("{\"n\":{\"default\":3,\"required\":true}}", "{}", "Missing parameters in request: n");
}
END_TEST

START_TEST(secrets)
{
    struct job_settings *s =
        settings("{\"key\":{\"secret\":true,\"default\":\"k\"},\"pin\":{\"type\":\"int\","
                 "\"secret\":true,\"required\":false},\"n\":{\"default\":3}}");
    json_t *shown = job_settings_describe(s);
    char *text = json_dumps(shown, JSON_COMPACT);
    ck_assert_str_eq(
        text, "{\"key\":{\"type\":\"str\",\"default\":\"***\",\"required\":false,\"secret\":true},"
              "\"pin\":{\"type\":\"int\",\"default\":null,\"required\":false,\"secret\":true},"
              "\"n\":{\"type\":\"int\",\"default\":3,\"required\":false,\"secret\":false}}");
    free(text);
    json_decref(shown);
    json_t *values = json_of("{\"key\":\"hush\",\"pin\":null,\"n\":4}"),
           *masked = job_settings_mask(s, values);
    text = json_dumps(masked, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"key\":\"***\",\"pin\":null,\"n\":4}");
    ck_assert_str_eq(json_string_value(json_object_get(values, "key")), "hush");
    free(text);
    json_decref(values);
    json_decref(masked);
    job_settings_free(s);
}
END_TEST

START_TEST(what_a_platform_must_not_say)
{
    static const char *const bad[][2] = {
        {"[]", "settings: an object of at most 256 is wanted"},
        {"{\"1a\":{}}", "settings: 1a: a name is letters, digits and _, up to 64"},
        {"{\"\":{}}", "settings: : a name is letters, digits and _, up to 64"},
        {"{\"a\":1}", "settings: a: an object with type, default, required, secret is wanted"},
        {"{\"a\":{\"type\":7}}", "settings: a: type is a text"},
        {"{\"a\":{\"type\":\"foo\"}}",
         "settings: a: type is none of str int float bool datetime list dict"},
        {"{\"a\":{\"required\":1}}", "settings: a: required and secret are true or false"},
        {"{\"b\":{\"default\":2},\"a\":{\"type\":\"int\",\"default\":\"x\"}}",
         "settings: a: its default is not of its type"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct job_settings *s = NULL;
        struct buffer why = BUFFER_EMPTY;
        json_t *spec = json_of(bad[i][0]);
        ck_assert_int_eq(job_settings_new(spec, &s, &why), -EINVAL);
        ck_assert_str_eq(buffer_text(&why), bad[i][1]);
        ck_assert_ptr_null(s);
        json_decref(spec);
        buffer_fini(&why);
    }
    job_settings_free(NULL);
}
END_TEST

SUITE_MAIN("job-settings", values_and_texts, one_type_at_a_time, messages, where_rows_may_go,
           a_message_is_bounded, defaults, secrets, what_a_platform_must_not_say)
