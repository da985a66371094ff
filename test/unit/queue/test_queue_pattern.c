/*
 * test_queue_pattern.c: which patterns are refused, and how that is told; beside Redis' own Lua, by random ones: what
 * is taken never raises there, what is refused does, and what is dropped before matching changes no answer.
 */
#include "proto/queue/queue_pattern.h"
#include "test/unit/queue/queue_fixture.h"

#include <errno.h>

static char why[400];

static void taken(const char *pattern)
{
    why[0] = '\0';
    ck_assert_msg(queue_pattern_check(slice_of(pattern), why, sizeof why) == 0, "%s: %s", pattern,
                  why);
}

static void refused(const char *pattern, const char *word)
{
    why[0] = '\0';
    ck_assert_msg(queue_pattern_check(slice_of(pattern), why, sizeof why) == -EINVAL, "%s is taken",
                  pattern);
    ck_assert_msg(strstr(why, word) != NULL, "%s: %s", pattern, why);
}

START_TEST(patterns_that_are_taken)
{
    static const char *const patterns[] = {"",           ".*",      ".*:page:.*google.*",
                                           "^page:%d+$", "user%-1", "[a-z]+:x",
                                           "a.-b",       "%.*x.*y", ".*.*a.*.*",
                                           "(a)%1",      "()",      "%b()x",
                                           "%f[%w]a",    "[]]",     "[^]x]",
                                           "[%]x]",      "https?:", "100%%",
                                           "{user}",     "[a|b]",   "$",
                                           "a$b",        "-x",      "%|",
                                           "[*-]x",      ".*^x",    "a.*[b].*"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        taken(patterns[i]);
}
END_TEST

START_TEST(what_is_meant_as_a_regex_is_told_its_spelling)
{
    refused("\\d+", "%d");
    refused("a\\.b", "%.");
    refused("\\w", "[%w_]");
    refused("x\\", "'\\\\'");
    refused("user-1", "user%-1");
    refused("user_-", "%-");
    refused("a{2}", "{2}");
    refused("a{2,3}b", "{2}");
    refused("[a]{2,}", "{2}");
    refused("a|b", "two queues");
    refused("(?:a)", "(?:");
    refused("(ab)*", "group");
    refused("(ab){2}", "group");
    refused("[[:alpha:]]x", "[%a]");
    refused("*.page", "%*");
    refused("a**", "%*");
    refused("^+", "%+");
}
END_TEST

START_TEST(what_lua_refuses)
{
    refused("a[", "missing ']'");
    refused("[]", "missing ']'");
    refused("[^]", "missing ']'");
    refused("[%]", "missing ']'");
    refused("%", "ends with '%'");
    refused("(a", "unfinished");
    refused("a)", "invalid pattern capture");
    refused("%1", "capture index");
    refused("(%1)", "capture index");
    refused("%0", "capture index");
    refused("%b(", "unbalanced");
    refused("%fa", "%f");
    refused("%f[a", "%f");
    ck_assert_int_eq(queue_pattern_check(slice_make("a\0b", 3), why, sizeof why), -EINVAL);
    char many[80];
    memset(many, '(', 33);
    memset(many + 33, ')', 33);
    many[66] = '\0';
    refused(many, "too many captures");
}
END_TEST

START_TEST(what_takes_too_long)
{
    taken(".*a.*b.*c.*");
    refused(".*a.*b.*c.*d.*", "repetitions");
    refused("a?b?c?", "repetitions");
    taken("%.*a.*");
    refused("%.*a.*b.*c", "repetitions");
    refused("^.*a.*b.*c", "repetitions");
    refused("a.*[b].*c.*", "repetitions");
    refused("a.*b.*$.*", "repetitions");
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[512] = '\0';
    taken(longest);
    longest[512] = 'x';
    longest[513] = '\0';
    refused(longest, "513 bytes");
}
END_TEST

/* ---- beside Redis' own Lua ---- */

#define BATCH 200

static uint64_t seed = 1;

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static char patterns[BATCH][24];

static void random_text(char *text, size_t size, const char *alphabet)
{
    size_t len = below((unsigned)size);
    for (size_t i = 0; i < len; i++)
        text[i] = alphabet[below((unsigned)strlen(alphabet))];
    text[len] = '\0';
}

/* Of each pattern in ARGV: 'r' when one of the subjects raises, else 'm' or '-' for each. */
static const char ask_lua[] =
    "local out = {} local subjects = {'', 'a', 'b', '1', 'ab', 'ba', 'aab', 'abab', 'a1b', '(a)', "
    "'[a]', '%%', '.*', "
    "'a.b', 'a-b', '*', '+', '-', '^a', 'a$', 'aaaa', 'bbbb', ')', ']', '(', '[', 'a)b]c'} "
    "for i, p in ipairs(ARGV) do local all = '' for _, s in ipairs(subjects) do "
    "local ok, at = pcall(string.find, s, p) all = all .. (not ok and 'r' or at and 'm' or '-') "
    "end out[i] = all end return out";

static void ask(size_t count)
{
    struct slice words[BATCH + 3] = {slice_of("EVAL"), slice_of(ask_lua), slice_of("0")};
    for (size_t i = 0; i < count; i++)
        words[3 + i] = slice_of(patterns[i]);
    queue_command(count + 3, words);
    ck_assert_msg(queue.reply->type == REDIS_REPLY_ARRAY, "%s", queue_text());
}

static bool raises(size_t i)
{
    return strchr(queue.reply->element[i]->str, 'r') != NULL;
}

START_TEST(what_is_taken_never_raises)
{
    const char *wrong;
    int malformed = 0, raised = 0;
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < BATCH; i++)
            random_text(patterns[i], 10, round % 2 ? "ab%.*+-?[]()^$1bf" : "a%[]()1bf.^");
        ask(BATCH);
        for (size_t i = 0; i < BATCH; i++) {
            bool well = queue_pattern_is_lua(slice_of(patterns[i]), &wrong);
            ck_assert_msg(!well || !raises(i), "%s is taken, and raises", patterns[i]);
            malformed += !well;
            raised += raises(i);
        }
    }
    /* What is malformed raises only with what it comes so far with. */
    ck_assert_msg(raised * 2 > malformed, "%d of %d", raised, malformed);
}
END_TEST

/* Behind what matches nothing but itself a wrong end is always come to. */
START_TEST(what_is_refused_raises)
{
    static const char *const ends[] = {"[",  "[]",   "[^]", "[a", "[%]", "%",  "(",   "(a*", ")",
                                       "%1", "()%2", "(%1", "%b", "%ba", "%f", "%fa", "%f[a"};
    const char *wrong;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(patterns[i], sizeof patterns[i], "a*%s", ends[i]);
        ck_assert_msg(!queue_pattern_is_lua(slice_of(patterns[i]), &wrong), "%s", patterns[i]);
    }
    ask(sizeof ends / sizeof *ends);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        ck_assert_msg(raises(i), "%s", patterns[i]);
}
END_TEST

/* What a delivery reaches is what string.find says, of every topic and pattern: also malformed ones. */
START_TEST(what_is_dropped_before_matching_changes_nothing)
{
    static const char found_lua[] =
        "local t = {} for i = 2, #ARGV do local ok, at = pcall(string.find, ARGV[1], ARGV[i]) "
        "if ok and at then t[#t + 1] = 'p' .. (i - 2) end end table.sort(t) return table.concat(t, "
        "' ')";
    static const char sorted_lua[] =
        "local t = redis.call('KEYS', '*:length') table.sort(t) for i, k in ipairs(t) do "
        "t[i] = string.match(k, ':(p%d+):') end table.sort(t) redis.call('FLUSHALL') return "
        "table.concat(t, ' ')";
    char topic[24], want[4096];
    for (int round = 0; round < 60; round++) {
        random_text(topic, 8, "ab.*^%[");
        struct slice words[70] = {slice_of("EVAL"), slice_of(found_lua), slice_of("0"),
                                  slice_of(topic)};
        for (size_t i = 0; i < 60; i++) {
            random_text(patterns[i], 9, i % 2 ? ".*.*a%^" : ".*ab%[]b$^");
            words[4 + i] = slice_of(patterns[i]);
            char name[8];
            snprintf(name, sizeof name, "p%zu", i);
            char key[64];
            snprintf(key, sizeof key, "%sregistered_queues", queue.space);
            const struct slice set[] = {slice_of("HSET"), slice_of(key), slice_of(name),
                                        slice_of(patterns[i])};
            queue_command(4, set);
        }
        queue_command(64, words);
        ck_assert_int_eq(queue.reply->type, REDIS_REPLY_STRING);
        snprintf(want, sizeof want, "%s", queue.reply->str);
        queue_deliver(topic, "f", "x");
        const struct slice sorted[] = {slice_of("EVAL"), slice_of(sorted_lua), slice_of("0")};
        queue_command(3, sorted);
        ck_assert_msg(strcmp(queue_text(), want) == 0, "topic '%s': %s, and not %s", topic,
                      queue_text(), want);
    }
}
END_TEST

SUITE_MAIN_WITH("queue_pattern", queue_set_up_fcall, queue_tear_down, patterns_that_are_taken,
                what_is_meant_as_a_regex_is_told_its_spelling, what_lua_refuses,
                what_takes_too_long, what_is_taken_never_raises, what_is_refused_raises,
                what_is_dropped_before_matching_changes_nothing)
