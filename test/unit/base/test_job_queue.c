/* test_job_queue.c: queues of jobs: names of templates, scopes, what is said of them. */
#include "common/job_queue.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <string.h>

static const char *name_of(const char *text, const char *platform, const char *id)
{
    static char name[JOB_QUEUE_SIZE];
    char why[256];
    struct template *t = NULL;
    ck_assert_int_eq(job_queue_compile(text, &t, why, sizeof why), 0);
    ck_assert_int_eq(job_queue_name(t, slice_of(platform), slice_of(id), name), 0);
    template_free(t);
    return name;
}

START_TEST(names)
{
    char name[160];
    ck_assert_str_eq(name_of("q", "coinis", "x"), "q");
    ck_assert_str_eq(name_of("etl-{platform}.{id}", "coinis", "dev"), "etl-coinis.dev");
    ck_assert_str_eq(name_of("{id}", "coinis", "a:b c*\xc3\xa4"), "a_b_c___");
    ck_assert_str_eq(name_of("{id}", "coinis", ""), "_");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_uint_eq(strlen(name_of("a{id}", "", name)), JOB_QUEUE_SIZE - 1);
}
END_TEST

START_TEST(scopes)
{
    static const struct {
        const char *one, *other;
        bool meet;
    } cases[] = {
        {"a", "a", true},    {"a", "b", false},     {"a", "ab", false},  {"a*", "ab", true},
        {"ab", "a*", true},  {"a*", "a", true},     {"ab*", "a", false}, {"*", "x", true},
        {"a*", "ab*", true}, {"a-*", "b-*", false}, {"*", "*", true},    {"a*", "b", false},
    };
    char scope[JOB_QUEUE_SIZE];
    job_queue_scope("a-{id}", scope);
    ck_assert_str_eq(scope, "a-*");
    job_queue_scope("a", scope);
    ck_assert_str_eq(scope, "a");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(job_queue_scopes_meet(cases[i].one, cases[i].other), cases[i].meet);
        ck_assert_int_eq(job_queue_scopes_meet(cases[i].other, cases[i].one), cases[i].meet);
    }
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *text;
        unsigned least;
        int rc;
    } cases[] = {
        {"", 0, 0},
        {"  a=1\n\tb=0 ", 0, 0},
        {"a=1 ab=1", 0, 0},
        {"a=0", 1, -EINVAL},
        {"=1", 0, -EINVAL},
        {"a=", 0, -EINVAL},
        {"a", 0, -EINVAL},
        {"a=1=2", 0, -EINVAL},
        {"a=-1", 0, -EINVAL},
        {"a=1 a=2", 0, -EINVAL},
        {"a=1,b=2", 0, -EINVAL},
    };
    char why[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_int_eq(job_queue_numbers_check(cases[i].text, cases[i].least, why, sizeof why),
                         cases[i].rc);
}
END_TEST

SUITE_MAIN("job_queue", names, scopes, numbers)
