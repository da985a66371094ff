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

SUITE_MAIN_WITH("jobs_tree", start, finish, test_workers_of_a_section)
