/* test_glob.c: patterns of keys: what Redis documents, what it does with malformed ones, and how long it may take. */
#include "common/glob.h"
#include "test/unit/suite.h"

#include <stdlib.h>

/* Both of exactly their size, for ASan. */
static bool matches_in(const char *pattern, const char *text, bool any_case)
{
    size_t p_len = strlen(pattern), t_len = strlen(text);
    char *p = malloc(p_len + 1), *t = malloc(t_len + 1);
    memcpy(p + 1, pattern, p_len);
    memcpy(t + 1, text, t_len);
    bool matches = glob_matches(slice_make(p + 1, p_len), slice_make(t + 1, t_len), any_case);
    free(p);
    free(t);
    return matches;
}

#define yes(pattern, text) ck_assert_msg(matches_in(pattern, text, false), "%s: %s", pattern, text)
#define no(pattern, text)  ck_assert_msg(!matches_in(pattern, text, false), "%s: %s", pattern, text)

/* https://redis.io/docs/latest/commands/keys/ */
START_TEST(documented)
{
    yes("h?llo", "hello"), yes("h?llo", "hallo"), yes("h?llo", "hxllo"), no("h?llo", "hllo");
    yes("h*llo", "hllo"), yes("h*llo", "heeeello"), no("h*llo", "hell");
    yes("h[ae]llo", "hello"), yes("h[ae]llo", "hallo"), no("h[ae]llo", "hillo");
    yes("h[^e]llo", "hallo"), yes("h[^e]llo", "hbllo"), no("h[^e]llo", "hello");
    yes("h[a-b]llo", "hallo"), yes("h[a-b]llo", "hbllo"), no("h[a-b]llo", "hcllo");
    yes("h\\?llo", "h?llo"), no("h\\?llo", "hello");
}
END_TEST

START_TEST(stars)
{
    yes("*", "a"), yes("***", "abc"), yes("a*", "a"), yes("a**", "a"), yes("*a", "aaa");
    yes("*ab*ab", "abcabab"), no("*ab*ab", "ab"), yes("a*b*c", "a__b__b__c"), no("a*b*c", "acb");
    yes("", ""), no("", "a"), no("a", "");
    no("*", ""), no("**", ""); /* Redis' oddity: KEYS takes "*" alone for no pattern */
}
END_TEST

/* As redis-server 7.0.15 answers; test_differential.py asks it for thousands more. */
START_TEST(malformed)
{
    yes("[ab", "a"), yes("[ab", "b"), no("[ab", "c");
    yes("[a-", "-"), yes("[a-", "a"), yes("[^", "x"), no("[", "["), no("[]", "]");
    yes("[c-a]", "b"), yes("[\\]]", "]"), yes("[\\-a]", "-"), no("[\\-a]", "b");
    yes("\\", "\\"), yes("a\\", "a\\"), yes("[\\", "\\");
    yes("[\x80-\x7f]", "a"); /* bytes are signed */
    no("[\x01-\xff]", "a"), yes("[\x01-\xff]", "\xff");
    yes("[^]a", "ba"), no("[^]a", "bc");
}
END_TEST

START_TEST(in_any_case)
{
    ck_assert(matches_in("MAX*", "maxmemory", true));
    ck_assert(matches_in("[A-C]x", "bX", true));
    ck_assert(!matches_in("[D-F]x", "bX", true));
    ck_assert(!matches_in("MAX*", "maxmemory", false));
}
END_TEST

START_TEST(bytes)
{
    ck_assert(glob_matches(slice_make("a\0?", 3), slice_make("a\0b", 3), false));
    ck_assert(!glob_matches(slice_make("a\0", 2), slice_make("a", 1), false));
    ck_assert(!glob_matches(slice_make("*\0", 2), slice_make("a", 1), false));
}
END_TEST

/*
 * CVE-2022-36021: with each star tried for each byte this is 10^40 steps, and the suite's deadline is a minute.
 * https://github.com/redis/redis/security/advisories/GHSA-jr7j-rfj5-8xqv
 */
START_TEST(many_stars)
{
    char pattern[4096], text[4096];
    for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
        memcpy(pattern + i, "a*", 3);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    strcpy(pattern + sizeof pattern - 3, "b");
    no(pattern, text);
    text[sizeof text - 2] = 'b';
    yes(pattern, text);
}
END_TEST

SUITE_MAIN("glob", documented, stars, malformed, in_any_case, bytes, many_stars)
