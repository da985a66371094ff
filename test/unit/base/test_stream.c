/* test_stream.c: frames over a socketpair, bounded both ways (common/stream.h). */
#include "common/stream.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX 1000u
#define QUEUE_MAX (400u * 1024)

static uv_loop_t loop;
static struct stream stream;
static int far; /* the other end, bare */

static struct {
    struct buffer text; /* every frame, each behind its length and a ':' */
    unsigned frames, ends, closed;
    int error;
    unsigned close_after, pause_after; /* frames; 0: never */
} seen;

static void on_frame(struct stream *s, struct slice frame, void *ctx)
{
    ck_assert_ptr_eq(ctx, &seen);
    seen.frames++;
    buffer_printf(&seen.text, "%zu:%.*s ", frame.len, frame.len < 20 ? (int)frame.len : 20,
                  frame.ptr);
    if (seen.frames == seen.close_after)
        stream_close(s);
    if (seen.frames == seen.pause_after)
        stream_pause(s);
}

static void on_end(struct stream *s, int error, void *ctx)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert(s->closing);
    seen.ends++;
    seen.error = error;
}

static void on_closed(struct stream *s, void *ctx)
{
    (void)s;
    (void)ctx;
    seen.closed++;
}

static const struct stream_events events = {
    .on_frame = on_frame, .on_end = on_end, .on_closed = on_closed};

static void set_up(void)
{
    int fds[2];
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    struct stream_limits limits = {.frame_max = FRAME_MAX, .queue_max = QUEUE_MAX};
    ck_assert_int_eq(stream_init(&stream, &loop, limits, &events, &seen), 0);
    ck_assert_int_eq(stream_open(&stream, fds[0]), 0);
    far = fds[1];
}

static void tear_down(void)
{
    stream_close(&stream);
    stream_close(&stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(seen.closed, 1);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    if (far >= 0)
        close(far);
    buffer_fini(&seen.text);
}

static void far_write(const void *bytes, size_t len)
{
    ck_assert_int_eq(write(far, bytes, len), (ssize_t)len);
}

static void far_close(void)
{
    close(far);
    far = -1;
}

static void run_until(const unsigned *counter, unsigned value)
{
    while (*counter < value) {
        bool alive = uv_run(&loop, UV_RUN_ONCE) != 0;
        ck_assert(alive || *counter >= value);
    }
}

START_TEST(frames_come_in_whole)
{
    far_write("\0\0\0\3abc\0\0\0\0\0\0\0\1x", 17 - 1);
    run_until(&seen.frames, 3);
    ck_assert_str_eq(buffer_text(&seen.text), "3:abc 0: 1:x ");
}
END_TEST

START_TEST(byte_by_byte)
{
    static const char bytes[] = "\0\0\0\3abc\0\0\0\2de";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        far_write(bytes + i, 1);
        uv_run(&loop, UV_RUN_ONCE);
        ck_assert_uint_eq(seen.frames, (i >= 6) + (i >= 12));
    }
    ck_assert_str_eq(buffer_text(&seen.text), "3:abc 2:de ");
}
END_TEST

START_TEST(many_frames_at_once)
{
    for (int round = 0; round < 50; round++) {
        char bytes[100 * 104];
        for (size_t i = 0; i < 100; i++) {
            memcpy(bytes + i * 104, "\0\0\0\x64", 4);
            memset(bytes + i * 104 + 4, 'z', 100);
        }
        far_write(bytes, sizeof bytes);
        run_until(&seen.frames, 100 * (unsigned)(round + 1));
    }
}
END_TEST

START_TEST(clean_end)
{
    far_write("\0\0\0\1x", 5);
    far_close();
    run_until(&seen.ends, 1);
    ck_assert_uint_eq(seen.frames, 1);
    ck_assert_int_eq(seen.error, 0);
}
END_TEST

START_TEST(end_inside_a_frame)
{
    static const size_t lengths[] = {1, 4, 6};
    far_write("\0\0\0\3ab", lengths[(size_t)_i]);
    far_close();
    run_until(&seen.ends, 1);
    ck_assert_uint_eq(seen.frames, 0);
    ck_assert_int_eq(seen.error, UV_EOF);
}
END_TEST

START_TEST(frame_at_and_above_the_limit)
{
    char bytes[4 + FRAME_MAX] = {0, 0, FRAME_MAX >> 8, (char)(FRAME_MAX & 255)};
    far_write(bytes, sizeof bytes);
    run_until(&seen.frames, 1);
    bytes[3]++;
    far_write(bytes, 4); /* the announcement is enough */
    run_until(&seen.ends, 1);
    ck_assert_int_eq(seen.error, UV_EMSGSIZE);
    ck_assert_uint_eq(seen.frames, 1);
}
END_TEST

START_TEST(close_from_on_frame)
{
    seen.close_after = 1;
    far_write("\0\0\0\1a\0\0\0\1b", 10);
    run_until(&seen.closed, 1);
    ck_assert_uint_eq(seen.frames, 1);
    ck_assert_uint_eq(seen.ends, 0); /* it was us */
}
END_TEST

START_TEST(a_paused_one_hands_up_nothing_until_it_is_resumed)
{
    seen.pause_after = 2;
    far_write("\0\0\0\1a\0\0\0\1b\0\0\0\1c\0\0\0\1", 19);
    run_until(&seen.frames, 2);
    far_write("d\0\0\0\1e", 6);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(seen.frames, 2);
    ck_assert(stream_is_behind(&stream));
    seen.pause_after = 3;
    stream_resume(&stream);
    ck_assert_uint_eq(seen.frames, 3);
    ck_assert(!stream_is_behind(&stream)); /* of d only the length has been read */
    stream_resume(&stream);
    far_close();
    run_until(&seen.ends, 1);
    ck_assert_str_eq(buffer_text(&seen.text), "1:a 1:b 1:c 1:d 1:e ");
    ck_assert_int_eq(seen.error, 0);
    stream_resume(&stream); /* closed: nothing */
}
END_TEST

START_TEST(what_is_sent_arrives)
{
    char got[32];
    ck_assert_int_eq(stream_send(&stream, slice_of("hello")), 0);
    ck_assert_int_eq(stream_send(&stream, slice_of("")), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(read(far, got, sizeof got), 13);
    ck_assert_mem_eq(got, "\0\0\0\5hello\0\0\0\0", 13);
    ck_assert_uint_eq(stream_queued(&stream), 0);
}
END_TEST

START_TEST(sending_is_bounded)
{
    char frame[FRAME_MAX + 1] = {0};
    ck_assert_int_eq(stream_send(&stream, slice_make(frame, FRAME_MAX + 1)), -EMSGSIZE);
    int rc = 0;
    unsigned sent = 0;
    while (rc == 0 && sent < 100000) {
        rc = stream_send(&stream, slice_make(frame, FRAME_MAX));
        sent += rc == 0;
    }
    ck_assert_int_eq(rc, UV_ENOBUFS); /* the peer does not read */
    ck_assert_uint_le(stream_queued(&stream), QUEUE_MAX + 4 * sent);
    ck_assert_int_eq(stream_send(&stream, slice_make(frame, FRAME_MAX)), UV_ENOBUFS);
    /* It reads after all: everything that was taken arrives. */
    size_t left = (size_t)sent * (4 + FRAME_MAX);
    while (left > 0) {
        char got[65536];
        uv_run(&loop, UV_RUN_NOWAIT);
        ssize_t n = recv(far, got, sizeof got, MSG_DONTWAIT);
        ck_assert(n > 0 || errno == EAGAIN);
        left -= n > 0 ? (size_t)n : 0;
    }
    ck_assert_int_eq(stream_send(&stream, slice_of("again")), 0);
}
END_TEST

START_TEST(sending_after_the_end)
{
    far_close();
    run_until(&seen.ends, 1);
    ck_assert_int_eq(stream_send(&stream, slice_of("x")), UV_ENOTCONN);
}
END_TEST

/* Closed with a queue: dropped, and nothing leaks (ASan). */
START_TEST(close_with_a_queue)
{
    char frame[FRAME_MAX] = {0};
    for (int i = 0; i < 380; i++)
        ck_assert_int_eq(stream_send(&stream, slice_make(frame, FRAME_MAX)), 0);
    stream_close(&stream);
    run_until(&seen.closed, 1);
    ck_assert_uint_eq(seen.ends, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *tc = tcase_create("stream");
    tcase_set_timeout(tc, SUITE_TIMEOUT_S);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    const TTest *const tests[] = {
        frames_come_in_whole,         byte_by_byte,
        many_frames_at_once,          clean_end,
        close_from_on_frame,          a_paused_one_hands_up_nothing_until_it_is_resumed,
        what_is_sent_arrives,         sending_is_bounded,
        sending_after_the_end,        close_with_a_queue,
        frame_at_and_above_the_limit, a_paused_one_hands_up_nothing_until_it_is_resumed};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tc, tests[i]);
    tcase_add_loop_test(tc, end_inside_a_frame, 0, 3);
    suite_add_tcase(suite, tc);
    return suite_end(suite);
}
