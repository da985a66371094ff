/* test_erlang_command.c: a Redis command as a term, and replies as terms. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_command.h"

#include <errno.h>

static struct erlang_command c;

/* The words with a blank between. */
static const char *words(struct slice term)
{
    static char text[512];
    const char *why = NULL;
    size_t at = 0;
    if (erlang_command_read(term, &c, &why) != 0) {
        ck_assert(why != NULL && strstr(why, "a command is a list") != NULL);
        return NULL;
    }
    for (size_t i = 0; i < c.count; i++) {
        memcpy(text + at, c.words[i].ptr, c.words[i].len);
        at += c.words[i].len;
        text[at++] = i + 1 < c.count ? ' ' : '\0';
    }
    erlang_command_fini(&c);
    return text;
}

START_TEST(each_kind_of_word)
{
    ck_assert_str_eq(words(BYTES("l\0\0\0\3w\3setk\0\6walrusm\0\0\0\7bubblesj")),
                     "set walrus bubbles");
    ck_assert_str_eq(words(BYTES("l\0\0\0\3a\7b\xff\xff\xff\xff"
                                 "F\x3f\xf8\0\0\0\0\0\0j")),
                     "7 -1 1.5");
    /* ["a", <<"b">>, $c, ["d" | <<"e">>]], and [] */
    ck_assert_str_eq(words(BYTES("l\0\0\0\3w\1x"
                                 "l\0\0\0\4k\0\1am\0\0\0\1ba\143l\0\0\0\1k\0\1dm\0\0\0\1ejjj")),
                     "x abcde ");
    ck_assert_str_eq(words(BYTES("l\0\0\0\1k\0\0j")), "");
}
END_TEST

START_TEST(what_is_no_command)
{
    static const struct slice terms[] = {
        BYTES("j"),
        BYTES("w\3get"),
        BYTES("m\0\0\0\1x"),
        BYTES("k\0\1x"),                              /* [120] */
        BYTES("l\0\0\0\1w\3getw\1k"),                 /* [get | k] */
        BYTES("l\0\0\0\1h\0j"),                       /* [{}] */
        BYTES("l\0\0\0\1l\0\0\0\1b\0\0\1\0jj"),       /* [[256]] */
        BYTES("l\0\0\0\1l\0\0\0\1w\1xjj"),            /* [[x]] */
        BYTES("l\0\0\0\1l\0\0\0\1k\0\1xw\1xj"),       /* [["x" | x]] */
        BYTES("l\0\0\0\1n\x09\0\0\0\0\0\0\0\0\0\1j"), /* [1 bsl 64] */
        BYTES("l\xff\xff\xff\xff"
              "a\1j"),
    };
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        ck_assert_msg(words(terms[i]) == NULL, "%zu", i);
}
END_TEST

START_TEST(deep_lists)
{
    struct buffer term = BUFFER_EMPTY;
    buffer_append(&term, "l\0\0\0\1", 5);
    for (size_t i = 0; i < 100000; i++)
        buffer_append(&term, "l\0\0\0\1", 5);
    buffer_append_char(&term, 'j');
    for (size_t i = 0; i < 100001; i++)
        buffer_append_char(&term, 'j');
    ck_assert_ptr_null(words(buffer_slice(&term)));
    buffer_fini(&term);
}
END_TEST

/* What Redis has said, by hiredis' reader. */
static void answers(const char *said, struct slice term, size_t max)
{
    struct buffer out = BUFFER_EMPTY;
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    redisReaderFeed(reader, said, strlen(said));
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    erlang_command_answer(&out, reply, max);
    ck_assert_msg(slice_equal(buffer_slice(&out), term), "%s", said);
    freeReplyObject(reply);
    redisReaderFree(reader);
    buffer_fini(&out);
}

START_TEST(each_kind_of_reply)
{
    answers("+OK\r\n", BYTES("h\2w\2okm\0\0\0\2OK"), 100);
    answers("$2\r\nhi\r\n", BYTES("h\2w\2okm\0\0\0\2hi"), 100);
    answers(":-7\r\n", BYTES("h\2w\2okb\xff\xff\xff\xf9"), 100);
    answers("$-1\r\n", BYTES("h\2w\2okw\x09undefined"), 100);
    answers("*0\r\n", BYTES("h\2w\2okj"), 100);
    answers("*2\r\n:1\r\n*1\r\n-ERR x\r\n",
            BYTES("h\2w\2okl\0\0\0\2a\1l\0\0\0\1h\2w\5errorm\0\0\0\5ERR xjj"), 100);
    answers("-ERR x\r\n", BYTES("h\2w\5errorm\0\0\0\5ERR x"), 100);
}
END_TEST

START_TEST(too_large)
{
    struct buffer out = BUFFER_EMPTY;
    erlang_command_error(&out, "the command has run, but its reply is too large, or nested too "
                               "deeply, to be sent: ask for less at a time");
    answers("$5\r\nhello\r\n", buffer_slice(&out), 10);
    answers("*3\r\n:1\r\n:1\r\n:1\r\n", buffer_slice(&out), 10);
    answers("$5\r\nhello\r\n", BYTES("h\2w\2okm\0\0\0\5hello"), 16);
    buffer_fini(&out);
}
END_TEST

SUITE_MAIN("erlang_command", each_kind_of_word, what_is_no_command, deep_lists, each_kind_of_reply,
           too_large)
