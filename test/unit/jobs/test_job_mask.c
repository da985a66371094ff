/* test_job_mask.c: values of secrets, out of texts and JSON. */
#include "workers/jobs/job_mask.h"

#include "test/unit/suite.h"

#include <stdlib.h>

static struct job_mask *mask(const char *secrets)
{
    struct job_mask *m;
    json_t *json = json_loads(secrets, 0, NULL);
    ck_assert_ptr_nonnull(json);
    ck_assert_int_eq(job_mask_new(json, &m), 0);
    json_decref(json);
    return m;
}

START_TEST(texts)
{
    static const struct {
        const char *secrets, *text, *want;
    } cases[] = {
        {"{\"a\":\"correct\"}", "correct, incorrectly correct", "***, in***ly ***"},
        {"{\"a\":\"aaaaaa\"}", "aaaaaaaaaaaaa", "******a"},
        {"{\"a\":\"short\"}", "short", "short"},
        {"{\"a\":123456}", "123456", "123456"},
        {"{\"a\":[\"secret1\",{\"b\":\"secret2\"}]}", "secret2secret1", "******"},
        {"{}", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job_mask *m = mask(cases[i].secrets);
        struct buffer text = BUFFER_EMPTY;
        buffer_append_text(&text, cases[i].text);
        job_mask_text(m, &text, text.len);
        ck_assert_str_eq(buffer_text(&text), cases[i].want);
        buffer_fini(&text);
        job_mask_free(m);
    }
}
END_TEST

/* Cut anywhere between two writes. */
START_TEST(across_writes)
{
    static const char all[] = "it is secret1.";
    struct job_mask *m = mask("{\"a\":\"secret1\",\"b\":\"longersecret\"}");
    for (size_t cut = 0; cut < sizeof all; cut++) {
        struct buffer text = BUFFER_EMPTY;
        buffer_append(&text, all, cut);
        job_mask_text(m, &text, cut);
        buffer_append(&text, all + cut, sizeof all - 1 - cut);
        job_mask_text(m, &text, sizeof all - 1 - cut);
        ck_assert_str_eq(buffer_text(&text), "it is ***.");
        buffer_fini(&text);
    }
    job_mask_free(m);
}
END_TEST

START_TEST(tails)
{
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {{"", 0},         {"x", 0},       {"s", 1},        {"xsecret", 6}, {"secret1", 0},
                 {"secresec", 3}, {"longers", 7}, {"longersx", 0}, {"lon", 3},     {"on", 0}};
    struct job_mask *m = mask("{\"a\":\"secret1\",\"b\":\"longersecret\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_uint_eq(job_mask_tail(m, slice_of(cases[i].text)), cases[i].want);
    ck_assert_uint_eq(job_mask_tail(NULL, slice_of("secret")), 0);
    job_mask_free(m);
}
END_TEST

START_TEST(values)
{
    struct job_mask *m = mask("{\"a\":\"secret1\"}");
    json_t *value = json_loads("{\"secret1\":[\"x secret1\",1,null,{\"k\":\"secret1\"}]}", 0, NULL);
    json_t *masked = job_mask_json(m, value), *same = job_mask_json(NULL, value);
    char *text = json_dumps(masked, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"***\":[\"x ***\",1,null,{\"k\":\"***\"}]}");
    ck_assert(json_equal(same, value));
    free(text);
    json_decref(same);
    json_decref(masked);
    json_decref(value);
    job_mask_free(m);
}
END_TEST

SUITE_MAIN("job_mask", texts, across_writes, tails, values)
