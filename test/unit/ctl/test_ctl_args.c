/* test_ctl_args.c: platoonctl's command line: options, verbs, what a wrong word gets. */
#include "test/unit/ctl/ctl_args_fixture.h"

START_TEST(every_verb_is_found_and_has_a_record)
{
    for (int i = 0; i < CTL_VERB_COUNT; i++) {
        enum ctl_verb verb = (enum ctl_verb)i;
        ck_assert_int_eq(parse(ctl_verb_words(verb)), 0);
        ck_assert_int_eq(args.verb, i);
        ck_assert_int_eq(args.argc, 0);
        ck_assert_ptr_nonnull(ctl_verb_handler(verb));
        ck_assert_int_le(ctl_verb_min(verb), ctl_verb_max(verb));
        ck_assert_uint_ge(ctl_verb_timeout_ms(verb), CONTROL_TIMEOUT_MS);
    }
}
END_TEST

START_TEST(words_behind_the_verb)
{
    ck_assert_int_eq(parse("logs visits -n 2 -f"), 0);
    ck_assert_int_eq(args.verb, CTL_VERB_LOGS);
    ck_assert_int_eq(args.argc, 4);
    ck_assert_str_eq(args.argv[0], "visits");
    ck_assert_str_eq(args.argv[3], "-f");
}
END_TEST

START_TEST(options_before_and_behind)
{
    ck_assert_int_eq(parse("-s /a --timeout 250ms status --json x --no-color"), 0);
    ck_assert_str_eq(args.socket, "/a");
    ck_assert_uint_eq(args.timeout_ms, 250);
    ck_assert(args.timeout_given && args.json && args.no_color && !args.help);
    ck_assert_int_eq(args.argc, 1);
    ck_assert_str_eq(args.argv[0], "x");

    ck_assert_int_eq(parse("--timeout=2m --config=f tree"), 0);
    ck_assert_uint_eq(args.timeout_ms, 120000);
    ck_assert_str_eq(args.config, "f");
    ck_assert_int_eq(parse("tree"), 0);
    ck_assert(!args.timeout_given && args.socket == NULL && args.config == NULL);
}
END_TEST

START_TEST(redis_keeps_what_is_behind_it)
{
    ck_assert_int_eq(parse("--json redis SET --json -s -- x"), 0);
    ck_assert_int_eq(args.verb, CTL_VERB_REDIS);
    ck_assert(args.json && args.socket == NULL);
    ck_assert_int_eq(args.argc, 5);
    ck_assert_str_eq(args.argv[1], "--json");
    ck_assert_str_eq(args.argv[3], "--");
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
    ck_assert_int_eq(parse("send x -- --json"), 0);
    ck_assert(!args.json);
    ck_assert_int_eq(args.argc, 2);
    ck_assert_str_eq(args.argv[1], "--json");
    ck_assert_int_eq(parse("send x -1"), 0);
    ck_assert_str_eq(args.argv[1], "-1");
}
END_TEST

START_TEST(help_and_version_need_no_verb)
{
    ck_assert_int_eq(parse("--help"), 0);
    ck_assert(args.help && args.verb == CTL_VERB_COUNT);
    ck_assert_int_eq(parse("wait -h"), 0);
    ck_assert(args.help && args.verb == CTL_VERB_WAIT);
    ck_assert_int_eq(parse("-V"), 0);
    ck_assert(args.version);
}
END_TEST

static const struct {
    const char *line;
    const char *said; /* part of the message */
} wrong[] = {
    {"", "what shall it do"},
    {"tre", "did you mean 'tree'"},
    {"shutdwn", "did you mean 'shutdown'"},
    {"xyzzy", "unknown verb 'xyzzy'"},
    {"--jsn tree", "did you mean --json"},
    {"--bogus tree", "unknown option --bogus"},
    {"-s", "-s needs a value"},
    {"tree --timeout", "--timeout needs a value"},
    {"--timeout x tree", "--timeout x: not a duration"},
    {"--timeout 0 tree", "--timeout 0: not a duration"},
    {"--timeout 5 tree", "--timeout 5: not a duration"},
    {"--timeout 30d tree", "--timeout 30d: not a duration"},
};

START_TEST(wrong_words)
{
    expect_refusal(wrong[_i].line, wrong[_i].said);
}
END_TEST

START_TEST(a_verbs_own_option)
{
    const char *words[] = {"--by", "path", "--top=3", "--bypass", "--by"};
    const char *value = NULL;
    int at = 0;
    ck_assert_int_eq(ctl_args_take(words, 5, &at, "--by", &value), 1);
    ck_assert_str_eq(value, "path");
    ck_assert_int_eq(at, 1);
    at = 2;
    ck_assert_int_eq(ctl_args_take(words, 5, &at, "--top", &value), 1);
    ck_assert_str_eq(value, "3");
    ck_assert_int_eq(at, 2);
    at = 3;
    ck_assert_int_eq(ctl_args_take(words, 5, &at, "--by", &value), 0);
    at = 4;
    ck_assert_int_eq(ctl_args_take(words, 5, &at, "--by", &value), -EINVAL);
    ck_assert_int_eq(at, 4);
}
END_TEST

START_TEST(help_holds_the_lists)
{
    struct buffer out = BUFFER_EMPTY;
    ctl_args_help(CTL_VERB_COUNT, &out);
    const char *text = buffer_text(&out);
    for (int i = 0; i < CTL_VERB_COUNT; i++) {
        ck_assert_ptr_nonnull(strstr(text, ctl_verb_grammar((enum ctl_verb)i)));
        ck_assert_ptr_nonnull(strstr(text, ctl_verb_help((enum ctl_verb)i)));
    }
#define X(NAME, short_name, long_name, value, help)                                                \
    ck_assert_ptr_nonnull(strstr(text, long_name));                                                \
    ck_assert_ptr_nonnull(strstr(text, help));
    CTL_OPTION_LIST(X)
#undef X
    buffer_clear(&out);
    ctl_args_help(CTL_VERB_VERSION, &out);
    ck_assert_str_eq(buffer_text(&out), "usage: platoonctl version\n"
                                        "print the versions of tool and master\n");
    buffer_fini(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl_args");
    TCase *tc = tcase_create("ctl_args");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, every_verb_is_found_and_has_a_record);
    tcase_add_test(tc, words_behind_the_verb);
    tcase_add_test(tc, options_before_and_behind);
    tcase_add_test(tc, redis_keeps_what_is_behind_it);
    tcase_add_test(tc, two_dashes_end_the_options);
    tcase_add_test(tc, help_and_version_need_no_verb);
    tcase_add_loop_test(tc, wrong_words, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tc, a_verbs_own_option);
    tcase_add_test(tc, help_holds_the_lists);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
