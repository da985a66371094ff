/* test_ctl_drain_args.c: the drain's verbs on platoonctl's command line; they are of two words. */
#include "test/unit/ctl/ctl_args_fixture.h"

START_TEST(words_behind_the_verb)
{
    ck_assert_int_eq(parse("drain dead visits retry 1 2"), 0);
    ck_assert_int_eq(args.verb, CTL_VERB_DRAIN_DEAD);
    ck_assert_int_eq(args.argc, 4);
    ck_assert_str_eq(args.argv[0], "visits");
    ck_assert_str_eq(args.argv[3], "2");
}
END_TEST

START_TEST(help_of_one)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert_int_eq(parse("drain wait -h"), 0);
    ck_assert(args.help && args.verb == CTL_VERB_DRAIN_WAIT);
    ctl_args_help(CTL_VERB_DRAIN_WAIT, &out);
    ck_assert_str_eq(buffer_text(&out), "usage: platoonctl drain wait NAME\n"
                                        "wait until nothing is pending or claimed\n");
    buffer_fini(&out);
}
END_TEST

START_TEST(half_of_a_verb)
{
    expect_refusal("drian", "did you mean 'drain'?");
    expect_refusal("drain wat visits", "did you mean 'drain wait'");
    expect_refusal("drain", "'drain status' 'drain dead' 'drain wait'");
    expect_refusal("drain something", "'drain status' 'drain dead' 'drain wait'");
}
END_TEST

SUITE_MAIN_WITH("ctl_drain_args", NULL, teardown, words_behind_the_verb, help_of_one,
                half_of_a_verb)
