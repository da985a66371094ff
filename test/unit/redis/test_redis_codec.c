/*
 * test_redis_codec.c: commands as bytes (common/redis/redis_codec.h; RESP:
 * https://redis.io/docs/reference/protocol-spec/).
 */
#include "common/redis/redis_codec.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(commands)
{
    struct slice bytes;
    const struct slice set[] = {slice_of("SET"), slice_of("k"), slice_make("\0\r\n", 3)};
    ck_assert_int_eq(redis_codec_encode(3, set, &bytes), 0);
    static const char wanted[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\0\r\n\r\n";
    ck_assert(slice_equal(bytes, slice_make(wanted, sizeof wanted - 1)));
    redis_codec_free(bytes, true);
    const struct slice empty[] = {slice_of("ECHO"), slice_of("")};
    ck_assert_int_eq(redis_codec_encode(2, empty, &bytes), 0);
    ck_assert(slice_is(bytes, "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"));
    redis_codec_free(bytes, false);
}
END_TEST

START_TEST(numbers_of_arguments)
{
    struct slice bytes = {"untouched", 9};
    ck_assert_int_eq(redis_codec_encode(0, NULL, &bytes), -EINVAL);
    struct slice *many = calloc(REDIS_ARGC_MAX + 1, sizeof *many);
    for (size_t i = 0; i <= REDIS_ARGC_MAX; i++)
        many[i] = slice_of("");
    ck_assert_int_eq(redis_codec_encode(REDIS_ARGC_MAX + 1, many, &bytes), -EINVAL);
    ck_assert(slice_is(bytes, "untouched"));
    ck_assert_int_eq(redis_codec_encode(REDIS_ARGC_MAX, many, &bytes), 0);
    redis_codec_free(bytes, false);
    free(many);
}
END_TEST

#define SHA "0123456789012345678901234567890123456789"

START_TEST(evalsha_becomes_eval)
{
    struct slice bytes, wanted;
    struct buffer out = BUFFER_EMPTY;
    const struct slice sha[] = {slice_of("EVALSHA"), slice_of(SHA), slice_of("1"), slice_of("key"),
                                slice_make("a\0b", 3)};
    const struct slice eval[] = {slice_of("EVAL"), slice_of("return 1"), slice_of("1"),
                                 slice_of("key"), slice_make("a\0b", 3)};
    ck_assert_int_eq(redis_codec_encode(5, sha, &bytes), 0);
    ck_assert_int_eq(redis_codec_encode(5, eval, &wanted), 0);
    ck_assert_int_eq(redis_codec_eval(bytes, "return 1", &out), 0);
    ck_assert(slice_equal(buffer_slice(&out), wanted));
    redis_codec_free(bytes, false);
    redis_codec_free(wanted, false);
    buffer_fini(&out);
}
END_TEST

START_TEST(what_is_no_evalsha)
{
    struct slice bytes;
    struct buffer out = BUFFER_EMPTY;
    const struct slice get[] = {slice_of("GET"), slice_of("k")};
    ck_assert_int_eq(redis_codec_encode(2, get, &bytes), 0);
    ck_assert_int_eq(redis_codec_eval(bytes, "return 1", &out), -EINVAL);
    redis_codec_free(bytes, false);
    const struct slice sha[] = {slice_of("EVALSHA"), slice_of(SHA), slice_of("0")};
    ck_assert_int_eq(redis_codec_encode(3, sha, &bytes), 0);
    for (size_t len = 0; len < strlen("*3\r\n$7\r\nEVALSHA\r\n$40\r\n" SHA "\r\n"); len++) {
        char *exact = malloc(len + (len == 0));
        memcpy(exact, bytes.ptr, len);
        ck_assert_msg(redis_codec_eval(slice_make(exact, len), "return 1", &out) == -EINVAL,
                      "%zu bytes", len);
        free(exact);
    }
    redis_codec_free(bytes, false);
    buffer_fini(&out);
}
END_TEST

/* One behind the other, as hiredis would have written each. */
START_TEST(appended_as_encoded)
{
    static char text[100001];
    static const size_t lens[] = {0, 1, 9, 10, 99, 100, 999, 1000, 99999, 100000};
    struct buffer out = BUFFER_EMPTY, wanted = BUFFER_EMPTY;
    for (size_t argc = 1; argc <= 12; argc++)
        for (size_t first = 0; first < sizeof lens / sizeof *lens; first++) {
            struct slice argv[12], bytes;
            for (size_t i = 0; i < argc; i++)
                argv[i] = slice_make(text, lens[(first + i * i) % (sizeof lens / sizeof *lens)]);
            ck_assert_int_eq(redis_codec_append(argc, argv, &out), 0);
            ck_assert_int_eq(redis_codec_encode(argc, argv, &bytes), 0);
            buffer_append_slice(&wanted, bytes);
            redis_codec_free(bytes, false);
            ck_assert(slice_equal(buffer_slice(&out), buffer_slice(&wanted)));
        }
    ck_assert_int_eq(redis_codec_append(0, NULL, &out), -EINVAL);
    ck_assert_int_eq(redis_codec_append(REDIS_ARGC_MAX + 1, NULL, &out), -EINVAL);
    ck_assert(slice_equal(buffer_slice(&out), buffer_slice(&wanted)));
    buffer_fini(&out);
    buffer_fini(&wanted);
}
END_TEST

SUITE_MAIN("redis_codec", commands, numbers_of_arguments, appended_as_encoded, evalsha_becomes_eval,
           what_is_no_evalsha)
