/* test_redis_answers.c: what a server says, cut into whole answers, however it comes. */
#include "test/unit/short_memory.h"

#include "common/redis/redis_answers.h"
#include "test/unit/suite.h"

#include <stdio.h>

static struct redis_answers answers;

static void set_up(void)
{
    answers = (struct redis_answers){.from = 0};
}

static void tear_down(void)
{
    redis_answers_fini(&answers);
}

static enum redis_answers_result next(struct slice *fresh, struct slice *answer)
{
    return redis_answers_next(&answers, fresh, answer);
}

static const struct slice all[] = {
#define ANSWER(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    ANSWER("+OK\r\n"),
    ANSWER("+\r\n"),
    ANSWER("-ERR unknown command 'x', with args beginning with: \r\n"),
    ANSWER("-%s%n\r\n"),
    ANSWER(":0\r\n"),
    ANSWER(":9223372036854775807\r\n"),
    ANSWER(":-9223372036854775808\r\n"),
    ANSWER("$-1\r\n"),
    ANSWER("$0\r\n\r\n"),
    ANSWER("$6\r\na\0\r\n$\xff\r\n"),
    ANSWER("*-1\r\n"),
    ANSWER("*0\r\n"),
    ANSWER("*2\r\n:7\r\n*-1\r\n"),
    ANSWER("*3\r\n$1\r\na\r\n$-1\r\n:7\r\n"),
    ANSWER("*2\r\n*2\r\n+OK\r\n-ERR no\r\n*1\r\n*0\r\n"),
    ANSWER("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:8\r\n"),
};
#define ALL (sizeof all / sizeof *all)

/* As they were said, in parts of each size. */
START_TEST(test_as_it_was_said)
{
    struct buffer stream = BUFFER_EMPTY;
    for (size_t i = 0; i < ALL; i++)
        buffer_append_slice(&stream, all[i]);
    for (size_t part = 1; part <= stream.len; part++) {
        size_t got = 0;
        for (size_t at = 0; at < stream.len; at += part) {
            size_t len = stream.len - at < part ? stream.len - at : part;
            struct slice fresh = slice_make(stream.data + at, len), answer;
            while (next(&fresh, &answer) == REDIS_ANSWERS_WHOLE) {
                ck_assert_uint_lt(got, ALL);
                ck_assert_msg(slice_equal(answer, all[got]), "%zu: %.*s", part, (int)answer.len,
                              answer.ptr);
                got++;
            }
            ck_assert_uint_eq(fresh.len, 0);
        }
        ck_assert_uint_eq(got, ALL);
        ck_assert_uint_eq(redis_answers_held(&answers), 0);
    }
    buffer_fini(&stream);
}
END_TEST

/* One that came whole stands where it came; one that did not is kept, and no more than that. */
START_TEST(test_what_is_copied)
{
    struct slice fresh = slice_of("+one\r\n+two\r\n+thr"), answer;
    const char *bytes = fresh.ptr;
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert_ptr_eq(answer.ptr, bytes);
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert_ptr_eq(answer.ptr, bytes + 6);
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_MORE);
    ck_assert_uint_eq(redis_answers_held(&answers), 4);
    fresh = slice_of("ee\r\n+four\r\n");
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert(slice_is(answer, "+three\r\n"));
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert(slice_is(answer, "+four\r\n"));
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_MORE);
    fresh = slice_of("+five\r\n");
    bytes = fresh.ptr;
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert_ptr_eq(answer.ptr, bytes);
}
END_TEST

/* Of a megabyte nothing stays; a line as long, byte by byte, takes no longer than its bytes. */
START_TEST(test_large)
{
    struct buffer big = BUFFER_EMPTY;
    struct slice answer;
    for (int round = 0; round < 2; round++) {
        buffer_clear(&big);
        buffer_append_text(&big, round == 0 ? "$1048576\r\n" : "+");
        char *to = buffer_reserve(&big, 1048576);
        ck_assert_ptr_nonnull(to);
        memset(to, 'x', 1048576);
        big.len += 1048576;
        buffer_append_text(&big, "\r\n");
        size_t step = round == 0 ? 4096 : 1;
        for (size_t at = 0; at < big.len; at += step) {
            size_t len = big.len - at < step ? big.len - at : step;
            struct slice fresh = slice_make(big.data + at, len);
            ck_assert_int_eq(next(&fresh, &answer),
                             at + len == big.len ? REDIS_ANSWERS_WHOLE : REDIS_ANSWERS_MORE);
        }
        ck_assert(slice_equal(answer, buffer_slice(&big)));
        struct slice none = slice_of("");
        ck_assert_int_eq(next(&none, &answer), REDIS_ANSWERS_MORE);
        ck_assert_uint_le(answers.held.cap, 65536);
    }
    buffer_fini(&big);
}
END_TEST

START_TEST(test_what_is_none)
{
    static const char *const bad[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "?",
        "\r\n",
        "+OK\n",
        ":\r\n",
        ":-\r\n",
        ":1x\r\n",
        ":12345678901234567890\r\n",
        "$\r\n",
        "$-2\r\n",
        "$x\r\n",
        "$1234567890123456789\r\n",
        "$1\r\nab\r\n",
        "*-2\r\n",
        "*1x\r\n",
        "*2\r\n:1\r\n%0\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:9\r\n",
        "_\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct slice fresh = slice_of(bad[i]), answer;
        ck_assert_msg(next(&fresh, &answer) == REDIS_ANSWERS_BAD, "%s", bad[i]);
        redis_answers_clear(&answers);
    }
}
END_TEST

/* What a length claims takes no memory; it only does not come. */
START_TEST(test_claims)
{
    static const char *const huge[] = {"$999999999999999999\r\nx", "*999999999999999999\r\n:1\r\n"};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        struct slice fresh = slice_of(huge[i]), answer;
        ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_MORE);
        ck_assert_uint_eq(redis_answers_held(&answers), strlen(huge[i]));
        ck_assert_uint_le(answers.held.cap, 256);
        redis_answers_clear(&answers);
    }
}
END_TEST

START_TEST(test_of_another_server)
{
    struct slice fresh = slice_of("*2\r\n:1\r\n$5\r\nab"), answer;
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_MORE);
    redis_answers_clear(&answers);
    ck_assert_uint_eq(redis_answers_held(&answers), 0);
    fresh = slice_of("+OK\r\n");
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
    ck_assert(slice_is(answer, "+OK\r\n"));
}
END_TEST

START_TEST(test_memory_short)
{
    struct slice fresh = slice_of("+O"), answer;
    short_memory_fail(1, true);
    enum redis_answers_result result = next(&fresh, &answer);
    short_memory_fail(0, false);
    ck_assert_int_eq(result, REDIS_ANSWERS_SHORT);
    redis_answers_clear(&answers);
    fresh = slice_of("+OK\r\n");
    ck_assert_int_eq(next(&fresh, &answer), REDIS_ANSWERS_WHOLE);
}
END_TEST

SUITE_MAIN_WITH("redis_answers", set_up, tear_down, test_as_it_was_said, test_what_is_copied,
                test_large, test_what_is_none, test_claims, test_of_another_server,
                test_memory_short)
