/* test_jobs_tree.c: which nodes a jobs section makes, and what they are told. */
#include "test/unit/build/tree_build_fixture.h"

#include "test/unit/suite.h"

START_TEST(test_workers_of_a_section)
{
    build(PLATOON "redis main { url = \"redis://127.0.0.1:6379\" }\n"
                  "jobs a { platforms = p  strategy = rest_for_one  intensity = 3  period = 5s  "
                  "sanjer { workers = 2 } }\n");
    expect_workers("redis/send.1 jobs/a/keeper jobs/a/collector jobs/a/sanjer.1 jobs/a/sanjer.2 ");
    expect_outer_branch("jobs");
    expect_own_branch("jobs/a");
    ck_assert_uint_eq(find("jobs/a/sanjer.1")->pool, find("jobs/a/sanjer.2")->pool);
    ck_assert_str_eq(setting("jobs/a/sanjer.1", "jobs.queue"), "platoon");
    ck_assert_str_eq(setting("jobs/a/sanjer.1", "jobs.lost_max"), "2");
    ck_assert_str_eq(setting("jobs/a/keeper", "redis.url"), "redis://127.0.0.1:6379");
}
END_TEST

/* In the file's order, and only those of its own section. */
START_TEST(test_schedules_of_a_section)
{
    build(PLATOON
          "redis main { url = \"redis://127.0.0.1:6379\" }\n"
          "jobs a { platforms = p queue = a }\njobs b { platforms = p queue = b }\n"
          "schedule one { jobs = a platform = x every = 1m }\n"
          "schedule two { jobs = b platform = y cron = \"@daily\" missed = all }\n"
          "schedule three { jobs = a platform = z cron = \"@daily\" settings = '{\"k\":1}' }\n");
    ck_assert_str_eq(setting("jobs/a/keeper", "schedules.0.name"), "one");
    ck_assert_str_eq(setting("jobs/a/keeper", "schedules.0.every"), "60000");
    ck_assert_str_eq(setting("jobs/a/keeper", "schedules.1.name"), "three");
    ck_assert_str_eq(setting("jobs/a/keeper", "schedules.1.settings"), "{\"k\":1}");
    ck_assert_str_eq(setting("jobs/b/keeper", "schedules.0.missed"), "all");
    ck_assert_ptr_null(setting("jobs/b/keeper", "schedules.1.name"));
    ck_assert_ptr_null(setting("jobs/a/collector", "schedules.0.name"));
}
END_TEST

SUITE_MAIN_WITH("jobs_tree", start, finish, test_workers_of_a_section, test_schedules_of_a_section)
