/* test_cache_reads_answer.c: what another node answers to PLATOON.COPY, right and wrong. */
#include "test/unit/suite.h"
#include "workers/cache/cache_db.h"
#include "workers/cache/cache_reads_answer.h"

#include <stdlib.h>

static struct cache_copy copy;

static bool takes(const char *text)
{
    return cache_reads_answer(slice_of(text), &copy);
}

START_TEST(what_is_there)
{
    ck_assert(takes("*4\r\n$5\r\nvalue\r\n:1700000000123\r\n:1700000000123456\r\n:2\r\n"));
    ck_assert(slice_is(copy.value, "value") && !copy.absent);
    ck_assert(copy.expiry_ms == 1700000000123 && copy.version == 1700000000123456);
    ck_assert(copy.form == CACHE_FORM_TERM && copy.confirmed_ms == 0);
    ck_assert(takes("*4\r\n$0\r\n\r\n:-1\r\n:1\r\n:0\r\n"));
    ck_assert(copy.value.len == 0 && !copy.absent && copy.expiry_ms == CACHE_NEVER);
    ck_assert(takes("*4\r\n$4\r\na\r\nb\r\n:-1\r\n:1\r\n:0\r\n"));
    ck_assert(slice_is(copy.value, "a\r\nb"));
}
END_TEST

START_TEST(what_is_not_there)
{
    ck_assert(takes("*4\r\n$-1\r\n:-1\r\n:0\r\n:0\r\n"));
    ck_assert(copy.absent && copy.value.len == 0 && copy.expiry_ms == CACHE_NEVER);
}
END_TEST

static const char *const wrong[] = {
    "",
    "*",
    "*4\r\n",
    "-ERR unknown command\r\n",
    "$5\r\nvalue\r\n",
    "*3\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n",
    "*5\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n:0\r\n",
    "*4\r\n:5\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$-2\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$6\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$4\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$9223372036854775807\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$99999999999999999999999\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n",
    "*4\r\n$5\r\nvalue\r\n$-1\r\n:1\r\n:0\r\n",
    "*4\r\n$5\r\nvalue\r\n:-1\r\n:-1\r\n:0\r\n",
    "*4\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n:4\r\n",
    "*4\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n:-1\r\n",
    "*4\r\n$5\r\nvalue\r\n:\r\n:1\r\n:0\r\n",
    "*4\r\n$5\r\nvalue\r\n:-1\r:1\r\n:0\r\n",
    "*4\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n+more\r\n",
};

START_TEST(what_is_wrong)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!takes(wrong[i]), "%s", wrong[i]);
}
END_TEST

/* Each of its beginnings, in memory that ends there: a sanitizer sees who reads beyond. */
START_TEST(what_is_cut)
{
    static const char whole[] = "*4\r\n$5\r\nvalue\r\n:-1\r\n:1\r\n:0\r\n";
    for (size_t len = 0; len < sizeof whole; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, whole, len);
        char *exact = realloc(cut, len > 0 ? len : 1);
        ck_assert_ptr_nonnull(exact);
        bool taken = cache_reads_answer(slice_make(exact, len), &copy);
        ck_assert_msg(taken == (len == sizeof whole - 1), "%zu", len);
        free(exact);
    }
}
END_TEST

SUITE_MAIN("cache_reads_answer", what_is_there, what_is_not_there, what_is_wrong, what_is_cut)
