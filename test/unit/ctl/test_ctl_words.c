/* test_ctl_words.c: a verb's own options among its words (master/ctl/ctl_words.h). */
#include "master/ctl/ctl_words.h"

#include "test/unit/suite.h"

static const char *const options[] = {"--limit", NULL};
static const char *argv[8], *list[2], *values[1], *on;
static struct ctl c;
static int count;

static int take(const char *text)
{
    static char words[100];
    snprintf(words, sizeof words, "%s", text);
    c = (struct ctl){.args = {.argv = argv, .verb = (enum ctl_verb)0}};
    for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " "))
        argv[c.args.argc++] = w;
    values[0] = on = list[0] = list[1] = NULL;
    return ctl_words_take(&c, options, values, &on, list, 2, &count);
}

START_TEST(options_stand_anywhere)
{
    ck_assert_int_eq(take("a --limit 3 b --on shop"), CONTROL_OK);
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(list[0], "a");
    ck_assert_str_eq(list[1], "b");
    ck_assert_str_eq(values[0], "3");
    ck_assert_str_eq(on, "shop");
    ck_assert_int_eq(take("--limit=4 - --"), CONTROL_OK);
    ck_assert_str_eq(values[0], "4");
    ck_assert_int_eq(count, 2);
}
END_TEST

START_TEST(what_is_wrong_is_usage)
{
    ck_assert_int_eq(take("a b c"), CONTROL_USAGE);
    ck_assert_int_eq(take("--what a"), CONTROL_USAGE);
    ck_assert_int_eq(take("a --limit"), CONTROL_USAGE);
}
END_TEST

START_TEST(flags)
{
    ck_assert_int_eq(take("a --limit 1"), CONTROL_OK);
    argv[0] = "--raw", argv[1] = "a", c.args.argc = 2;
    ck_assert(ctl_words_flag(&c, "--raw") && c.args.argc == 1);
    ck_assert_str_eq(argv[0], "a");
    ck_assert(!ctl_words_flag(&c, "--raw") && c.args.argc == 1);
}
END_TEST

SUITE_MAIN("ctl_words", options_stand_anywhere, what_is_wrong_is_usage, flags)
