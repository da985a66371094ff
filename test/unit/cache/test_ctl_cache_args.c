/* test_ctl_cache_args.c: the cache's verbs on platoonctl's command line; they are of two words. */
#include "test/unit/ctl/ctl_args_fixture.h"

START_TEST(half_of_a_verb)
{
    expect_refusal("cach", "did you mean 'cache'?");
    expect_refusal("cahe status x", "did you mean 'cache'?");
    expect_refusal("cache", "'cache' is not a verb: there are 'cache status'");
    expect_refusal("cache statsu", "did you mean 'cache status'");
}
END_TEST

SUITE_MAIN_WITH("ctl_cache_args", NULL, teardown, half_of_a_verb)
