/*
 * test_job_schedule.c: schedules as they stand in Redis: what is written is read as the same, and what is wrong is
 * said.
 */
#include "test/unit/suite.h"
#include "workers/jobs/job_schedule.h"

#include <errno.h>

static int write_one(struct buffer *out, const char *const w[6], char why[JOB_SCHEDULE_WHY_SIZE])
{
    buffer_clear(out);
    return job_schedule_write(out, false, w[0], w[1], w[2], w[3], w[4], w[5], why);
}

START_TEST(what_is_written_is_read)
{
    struct buffer text = BUFFER_EMPTY;
    struct job_schedule s;
    char why[JOB_SCHEDULE_WHY_SIZE];
    for (int of_file = 0; of_file < 2; of_file++) {
        buffer_clear(&text);
        ck_assert_int_eq(job_schedule_write(&text, of_file, "coinis", "{\"date\": \"\u00e9\"}",
                                            "15 3 * * mon-fri", "0", "all", "allow", why),
                         0);
        ck_assert_int_eq(job_schedule_read(buffer_slice(&text), &s), 0);
        ck_assert_int_eq(s.of_file, of_file);
        ck_assert_str_eq(s.platform, "coinis");
        ck_assert_str_eq(s.settings, "{\"date\": \"\u00e9\"}");
        ck_assert_str_eq(s.cron, "15 3 * * mon-fri");
        ck_assert_str_eq(s.overlap, "allow");
        ck_assert_int_eq(s.policy, SCHEDULE_ALL);
        ck_assert_uint_eq(s.every_ms, 0);
        job_schedule_fini(&s);
    }
    buffer_clear(&text);
    ck_assert_int_eq(job_schedule_write(&text, false, "x", "{}", "", "60000", "skip", "skip", why),
                     0);
    ck_assert_int_eq(job_schedule_read(buffer_slice(&text), &s), 0);
    ck_assert_uint_eq(s.every_ms, 60000);
    ck_assert_str_eq(s.cron, "");
    job_schedule_fini(&s);
    buffer_fini(&text);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    static const struct {
        const char *words[6], *why;
    } rows[] = {
        {{"x", "{}", "", "soon", "once", "skip"}, "every: 'soon' is no number of ms"},
        {{"x", "[]", "@daily", "0", "once", "skip"}, "settings: a JSON object is wanted"},
        {{"x", "{\"a\":1,\"a\":2}", "@daily", "0", "once", "skip"}, "settings: a JSON object"},
        {{"x", "{}", "@daily", "0", "twice", "skip"}, "missed: once, skip or all is wanted"},
        {{"x", "{}", "@daily", "0", "once", "maybe"}, "overlap: skip or allow is wanted"},
        {{"x", "{}", "61 * * * *", "0", "once", "skip"}, ""},
        {{"x", "{}", "", "0", "once", "skip"}, ""},
        {{"x", "{}", "@daily", "60000", "once", "skip"}, ""},
    };
    struct buffer text = BUFFER_EMPTY;
    char why[JOB_SCHEDULE_WHY_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(write_one(&text, rows[i].words, why), -EINVAL);
        ck_assert_msg(why[0] != '\0' && strncmp(why, rows[i].why, strlen(rows[i].why)) == 0,
                      "row %zu: %s", i, why);
        ck_assert_uint_eq(text.len, 0);
    }
    buffer_fini(&text);
}
END_TEST

/* Of another version, or of whoever has a hand in Redis. */
START_TEST(what_is_none_is_refused)
{
    static const char *const texts[] = {"",
                                        "v",
                                        "v{",
                                        "v[]",
                                        "v{}",
                                        "v{\"cron\":\"@daily\"}",
                                        "v{\"cron\":\"@daily\",\"missed\":\"never\"}",
                                        "v{\"cron\":\"x\",\"missed\":\"once\"}",
                                        "v{\"every\":-5,\"missed\":\"once\"}",
                                        "v{\"every\":\"60000\",\"missed\":\"once\"}"};
    struct job_schedule s;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(job_schedule_read(slice_of(texts[i]), &s) == -EINVAL, "%s", texts[i]);
    ck_assert_int_eq(job_schedule_read(slice_of("v{\"cron\":\"@daily\",\"missed\":\"once\"}"), &s),
                     0);
    ck_assert_str_eq(s.platform, ""); /* it has none: the collector says so when it is due */
    job_schedule_fini(&s);
}
END_TEST

START_TEST(names)
{
    char long_one[JOB_SCHEDULE_NAME_MAX + 2];
    memset(long_one, 'a', sizeof long_one);
    ck_assert(job_schedule_is_name(slice_of("nightly_2-A")));
    ck_assert(job_schedule_is_name(slice_make(long_one, JOB_SCHEDULE_NAME_MAX)));
    ck_assert(!job_schedule_is_name(slice_make(long_one, JOB_SCHEDULE_NAME_MAX + 1)));
    ck_assert(!job_schedule_is_name(slice_of("")));
    ck_assert(!job_schedule_is_name(slice_of("a b")));
    ck_assert(!job_schedule_is_name(slice_of("a.b")));
    ck_assert(!job_schedule_is_name(slice_make("a\0b", 3)));
}
END_TEST

SUITE_MAIN("job_schedule", what_is_written_is_read, what_is_wrong_is_said, what_is_none_is_refused,
           names)
