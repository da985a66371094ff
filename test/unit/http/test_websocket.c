/* test_websocket.c: what clients of a WebSocket say, right and wrong, in pieces (common/http/websocket.h). */
#include "common/http/websocket.h"

#include "test/unit/suite.h"

#include <stdlib.h>

/* A client's frame, masked as it must be. */
static void say(struct buffer *b, int first, const void *data, size_t len)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    char head[WEBSOCKET_HEAD_MAX];
    size_t size = websocket_head(len, head);
    head[0] = (char)first;
    head[1] = (char)(head[1] | 0x80);
    buffer_append(b, head, size);
    buffer_append(b, mask, sizeof mask);
    for (size_t i = 0; i < len; i++)
        buffer_append_char(b, (char)(((const unsigned char *)data)[i] ^ mask[i % 4]));
}

/* What is answered to it, taken `step` bytes at a time. Whether it goes on. */
static bool hears(const struct buffer *said, size_t step, struct buffer *out)
{
    struct websocket *w = websocket_new();
    bool on = true;
    ck_assert_ptr_nonnull(w);
    for (size_t at = 0; on && at < said->len; at += step) {
        size_t len = said->len - at < step ? said->len - at : step;
        on = websocket_take(w, slice_make(said->data + at, len), out);
    }
    websocket_free(w);
    return on;
}

static const size_t steps[] = {1, 3, 4096, 1000000};

#define FOR_STEPS(i) for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)

static void ends_with(struct buffer *said, unsigned code)
{
    FOR_STEPS(i)
    {
        struct buffer out = BUFFER_EMPTY;
        ck_assert_msg(!hears(said, steps[i], &out), "%02x %02x goes on in steps of %zu",
                      (unsigned char)said->data[0], (unsigned char)said->data[1], steps[i]);
        ck_assert_msg(out.len >= 4, "%zu bytes of %02x %02x in steps of %zu", out.len,
                      (unsigned char)said->data[0], (unsigned char)said->data[1], steps[i]);
        const unsigned char *end = (unsigned char *)out.data;
        ck_assert_msg(end[0] == 0x88, "step %zu: %02x", steps[i], end[0]);
        ck_assert_uint_eq(end[1], out.len - 2); /* a reason may stand behind the code */
        ck_assert_uint_eq((unsigned)(end[2] << 8 | end[3]), code);
        buffer_fini(&out);
    }
    buffer_fini(said);
}

static void goes_on(struct buffer *said, struct slice answer)
{
    FOR_STEPS(i)
    {
        struct buffer out = BUFFER_EMPTY;
        ck_assert(hears(said, steps[i], &out));
        ck_assert(slice_equal(buffer_slice(&out), answer));
        buffer_fini(&out);
    }
    buffer_fini(said);
}

START_TEST(what_is_allowed_goes_on)
{
    static char large[WEBSOCKET_IN_MAX];
    struct buffer b = BUFFER_EMPTY;
    memset(large, 'x', sizeof large);
    say(&b, 0x81, large, sizeof large);
    say(&b, 0x01, "in ", 3);
    say(&b, 0x89, "ping", 4);
    say(&b, 0x80, "pieces", 6);
    say(&b, 0x8a, "", 0);
    say(&b, 0x82, "\xff\0", 2);
    goes_on(&b, slice_make("\x8a\x04ping", 6));
}
END_TEST

START_TEST(what_is_not_ends_it)
{
    static char large[WEBSOCKET_IN_MAX + 1];
    static const struct {
        int first;
        const char *data;
        size_t len;
        unsigned code;
    } wrong[] = {
        {0x83, "x", 1, 1002},        {0x8b, "x", 1, 1002},
        {0xc1, "x", 1, 1002},        {0x80, "x", 1, 1002},
        {0x09, "x", 1, 1002},        {0x88, "x", 1, 1002},
        {0x88, "\x03\xed", 2, 1002}, {0x81, "\xff", 1, 1007},
        {0x89, large, 126, 1002},    {0x82, large, sizeof large, 1009},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buffer b = BUFFER_EMPTY;
        say(&b, wrong[i].first, wrong[i].data, wrong[i].len);
        ends_with(&b, wrong[i].code);
    }
    struct buffer b = BUFFER_EMPTY;
    buffer_append(&b, "\x81\x01x", 3); /* not masked */
    ends_with(&b, 1002);
    say(&b, 0x01, "x", 1);
    say(&b, 0x81, "x", 1); /* within another */
    ends_with(&b, 1002);
    say(&b, 0x02, large, 40000);
    say(&b, 0x80, large, 40000);
    ends_with(&b, 1009);
    buffer_append(&b, "\x82\xff\0\0\1\0\0\0\0\0\1\2\3\4x", 15); /* as much as nobody has */
    ends_with(&b, 1009);
    buffer_append(&b, "\x82\xff\x80\0\1\0\0\0\0\0\1\2\3\4", 14); /* or can */
    ends_with(&b, 1002);
}
END_TEST

START_TEST(an_end_is_answered)
{
    FOR_STEPS(i)
    {
        struct buffer said = BUFFER_EMPTY, out = BUFFER_EMPTY;
        say(&said, 0x88,
            "\x03\xe8"
            "bye",
            5);
        ck_assert(!hears(&said, steps[i], &out));
        ck_assert_msg(out.len >= 4, "%zu bytes of %02x %02x in steps of %zu", out.len,
                      (unsigned char)said.data[0], (unsigned char)said.data[1], steps[i]);
        ck_assert(memcmp(out.data, "\x88", 1) == 0 && memcmp(out.data + 2, "\x03\xe8", 2) == 0);
        buffer_fini(&said);
        buffer_fini(&out);
    }
}
END_TEST

static bool between_after(struct websocket *w, struct buffer *said)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert(websocket_take(w, buffer_slice(said), &out));
    buffer_clear(said);
    buffer_fini(&out);
    return websocket_is_between(w);
}

/* So that who has said something needs no memory any more: not within a head, a frame, or a message of several. */
START_TEST(between_messages_nothing_is_under_way)
{
    static const char text[70000];
    struct websocket *w = websocket_new();
    struct buffer b = BUFFER_EMPTY;
    ck_assert_ptr_nonnull(w);
    ck_assert(websocket_is_between(w));
    for (size_t len = 0; len <= 65536; len = len * 2 + 63) {
        say(&b, 0x81, text, len);
        ck_assert_msg(between_after(w, &b), "%zu", len);
    }
    say(&b, 0x8a, "", 0); /* a pong */
    ck_assert(between_after(w, &b));
    buffer_append_char(&b, (char)0x81);
    ck_assert(!between_after(w, &b));
    say(&b, 0x81, "ab", 2);
    buffer_consume(&b, 1);
    ck_assert(between_after(w, &b));
    say(&b, 0x01, "a", 1); /* the first of several */
    ck_assert(!between_after(w, &b));
    say(&b, 0x8a, "x", 1);
    ck_assert(!between_after(w, &b));
    say(&b, 0x80, "b", 1);
    ck_assert(between_after(w, &b));
    buffer_fini(&b);
    websocket_free(w);
}
END_TEST

START_TEST(heads)
{
    static const struct {
        size_t len, size;
        const char *head;
    } all[] = {{0, 2, "\x81\0"},
               {125, 2, "\x81\x7d"},
               {126, 4, "\x81\x7e\0\x7e"},
               {65535, 4, "\x81\x7e\xff\xff"},
               {65536, 10, "\x81\x7f\0\0\0\0\0\1\0\0"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char head[WEBSOCKET_HEAD_MAX];
        ck_assert_uint_eq(websocket_head(all[i].len, head), all[i].size);
        ck_assert(memcmp(head, all[i].head, all[i].size) == 0);
    }
}
END_TEST

START_TEST(how_it_begins)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    ck_assert(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept)); /* RFC 6455, 1.3 */
    ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    static const char *const wrong[] = {NULL,
                                        "",
                                        "c2hvcnQ=",
                                        "dGhlIHNhbXBsZSBub25jZQ",
                                        "dGhlIHNhbXBsZSBub25jZQ== ",
                                        "dGhlIHNhbXBsZSBub25jZSB4"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert(!websocket_accept(wrong[i], accept));
    ck_assert(websocket_lists("keep-alive, Upgrade", "upgrade"));
    ck_assert(websocket_lists("WebSocket", "websocket"));
    ck_assert(websocket_lists(",,\tx ,upgrade", "upgrade"));
    ck_assert(!websocket_lists("upgrades, up, grade", "upgrade"));
    ck_assert(!websocket_lists(NULL, "upgrade"));
    ck_assert(!websocket_lists("", "upgrade"));
}
END_TEST

SUITE_MAIN("websocket", what_is_allowed_goes_on, what_is_not_ends_it, an_end_is_answered,
           between_messages_nothing_is_under_way, heads, how_it_begins)
