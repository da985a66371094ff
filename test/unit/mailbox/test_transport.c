/*
 * test_transport.c: mailboxes over nanomsg (common/mailbox/transport.h). Sender and receiver share a loop
 * here; in life they never do.
 */
#include "common/mailbox/transport.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_MAX 5000u
#define COALESCE  1000u
#define QUEUE_MAX 100000u

static uv_loop_t loop;
static char dir[] = "/tmp/transport.XXXXXX";
static struct transport *receiver, *sender;
static struct transport_peer *peer;

static struct {
    unsigned frames;
    size_t bytes; /* without envelopes */
    struct buffer all;
} got;

/* "env0:", the digit being the last one of the frame's number. */
static void put_envelope(struct buffer *out, uint64_t number, uint64_t proof, void *ctx)
{
    ck_assert_ptr_eq(ctx, &got);
    ck_assert_uint_eq(proof, 7);
    buffer_append_text(out, "env");
    buffer_append_char(out, (char)('0' + number % 10));
    buffer_append_char(out, ':');
}

static void on_frame(struct slice frame, void *ctx)
{
    ck_assert_ptr_eq(ctx, &got);
    ck_assert_uint_le(frame.len, FRAME_MAX);
    ck_assert_uint_ge(frame.len, 5);
    ck_assert_mem_eq(frame.ptr, "env", 3);
    ck_assert_int_eq(frame.ptr[3], (int)('0' + got.frames % 10));
    got.frames++;
    got.bytes += frame.len - 5;
    buffer_append(&got.all, frame.ptr + 5, frame.len - 5);
}

static struct transport_options options(const char *id, uint64_t generation)
{
    return (struct transport_options){.dir = dir,
                                      .id = id,
                                      .generation = generation,
                                      .frame_max = FRAME_MAX,
                                      .coalesce = COALESCE,
                                      .queue_max = QUEUE_MAX,
                                      .put_envelope = put_envelope,
                                      .envelope_max = 5,
                                      .on_frame = on_frame,
                                      .ctx = &got};
}

static void set_up(void)
{
    memset(&got, 0, sizeof got);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    struct transport_options in = options("redis,visits,get-hash.1", 3), out = options("sender", 1);
    ck_assert_int_eq(transport_new(&loop, &in, &receiver), 0);
    ck_assert_int_eq(transport_new(&loop, &out, &sender), 0);
    peer = transport_peer_new(sender, transport_address(receiver), 7);
    ck_assert_ptr_nonnull(peer);
}

static void tear_down(void)
{
    transport_free(sender);
    transport_free(receiver);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_int_eq(rmdir(dir), 0); /* the mailboxes are unlinked */
    buffer_fini(&got.all);
}

static void run_until_bytes(size_t bytes)
{
    while (got.bytes < bytes)
        uv_run(&loop, UV_RUN_ONCE);
}

static void send_text(const char *text)
{
    ck_assert_int_eq(transport_send(peer, slice_of(text)), 0);
}

START_TEST(address_holds_the_incarnation)
{
    char wanted[128];
    struct stat st;
    snprintf(wanted, sizeof wanted, "ipc://%s/redis,visits,get-hash.1.3", dir);
    ck_assert_str_eq(transport_address(receiver), wanted);
    ck_assert_int_eq(stat(wanted + strlen("ipc://"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 077, 0); /* ours alone, whatever the umask */
}
END_TEST

START_TEST(one_turn_is_one_frame)
{
    send_text("one ");
    send_text("two ");
    send_text("three");
    ck_assert_uint_eq(transport_queued(sender), 4 + 5 + 4 + 4 + 5);
    ck_assert_uint_eq(transport_peer_queued(peer), transport_queued(sender));
    run_until_bytes(13);
    ck_assert_uint_eq(got.frames, 1);
    ck_assert_mem_eq(got.all.data, "one two three", 13);
    ck_assert_uint_eq(transport_queued(sender), 0);
}
END_TEST

START_TEST(order_is_kept)
{
    struct buffer sent = BUFFER_EMPTY;
    for (int i = 0; i < 3000; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d,", i);
        buffer_append_text(&sent, text);
        send_text(text);
        if (i % 7 == 0)
            uv_run(&loop, UV_RUN_NOWAIT);
    }
    run_until_bytes(sent.len);
    ck_assert(slice_equal(buffer_slice(&got.all), buffer_slice(&sent)));
    buffer_fini(&sent);
}
END_TEST

START_TEST(frames_leave_early_when_large)
{
    char text[COALESCE / 4];
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(
            transport_send(peer, slice_make(memset(text, 'x', sizeof text), sizeof text)), 0);
    run_until_bytes(40 * sizeof text);
    ck_assert_uint_ge(got.frames, 10);
}
END_TEST

START_TEST(sizes)
{
    char *text = calloc(1, FRAME_MAX + 1);
    ck_assert_int_eq(transport_send(peer, slice_make(text, FRAME_MAX + 1)), -EMSGSIZE);
    ck_assert_int_eq(transport_send(peer, slice_make(text, FRAME_MAX - 4)), -EMSGSIZE);
    ck_assert_int_eq(transport_send(peer, slice_make(text, SIZE_MAX)), -EMSGSIZE);
    ck_assert_uint_eq(transport_queued(sender), 0);
    ck_assert_int_eq(transport_send(peer, slice_make(text, FRAME_MAX - 5)), 0);
    send_text("behind it");
    run_until_bytes(FRAME_MAX - 5 + 9);
    ck_assert_uint_eq(got.frames, 2);
    free(text);
}
END_TEST

/* A peer nobody listens for: bounded, said, and nothing leaks when it is given up. */
START_TEST(queue_is_bounded)
{
    char address[128], text[900] = {0};
    snprintf(address, sizeof address, "ipc://%s/nobody.1", dir);
    struct transport_peer *nobody = transport_peer_new(sender, address, 7);
    ck_assert_ptr_nonnull(nobody);
    int rc = 0;
    unsigned sent = 0;
    while (rc == 0 && sent < 1000) {
        rc = transport_send(nobody, slice_make(text, sizeof text));
        sent += rc == 0;
    }
    ck_assert_int_eq(rc, -ENOBUFS);
    ck_assert_uint_le(transport_queued(sender), QUEUE_MAX);
    ck_assert_uint_ge(sent, QUEUE_MAX / 1000);
    send_text("others are served");
    run_until_bytes(17);
    transport_peer_free(nobody);
    ck_assert_uint_eq(transport_queued(sender), 0);
}
END_TEST

START_TEST(who_comes_later_gets_what_waits)
{
    struct transport *late;
    char address[128];
    struct transport_options in = options("late", 1);
    snprintf(address, sizeof address, "ipc://%s/late.1", dir);
    struct transport_peer *waiting = transport_peer_new(sender, address, 7);
    ck_assert_int_eq(transport_send(waiting, slice_of("patience")), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(transport_new(&loop, &in, &late), 0);
    run_until_bytes(8);
    transport_free(late);
}
END_TEST

START_TEST(addresses_that_cannot_be)
{
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct transport *t = NULL;
    struct transport_options long_id = options(name, 1), gone = options("x", 1),
                             relative = options("x", 1);
    gone.dir = "/tmp/there/is/no/such/directory";
    relative.dir = "tmp";
    ck_assert_int_eq(transport_new(&loop, &long_id, &t), -ENAMETOOLONG);
    ck_assert_int_lt(transport_new(&loop, &gone, &t), 0);
    ck_assert_int_eq(transport_new(&loop, &relative, &t), -EINVAL);
    ck_assert_ptr_null(t);
    char address[256];
    snprintf(address, sizeof address, "ipc://%s/%s", dir, name);
    errno = 0;
    ck_assert_ptr_null(transport_peer_new(sender, address, 7));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_null(transport_peer_new(sender, "tcp://127.0.0.1:5555", 7));
    ck_assert_ptr_null(transport_peer_new(sender, "ipc://relative", 7));
    ck_assert_ptr_null(transport_peer_new(sender, "", 7));
}
END_TEST

/* The longest path that fits is taken: one byte more and nanomsg would abort the process. */
START_TEST(the_longest_address)
{
    struct transport *t = NULL;
    char id[108];
    size_t room = 107 - strlen(dir) - strlen("/.1");
    memset(id, 'n', room);
    id[room] = '\0';
    struct transport_options fits = options(id, 1);
    ck_assert_int_eq(transport_new(&loop, &fits, &t), 0);
    ck_assert_uint_eq(strlen(transport_address(t)), strlen("ipc://") + 107);
    transport_free(t);
    id[room] = 'n';
    id[room + 1] = '\0';
    struct transport_options over = options(id, 1);
    ck_assert_int_eq(transport_new(&loop, &over, &t), -ENAMETOOLONG);
}
END_TEST

START_TEST(no_descriptor_for_a_peer)
{
    char address[256];
    struct rlimit before, none;
    snprintf(address, sizeof address, "ipc://%s/other.1", dir);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    errno = 0;
    struct transport_peer *none_left = transport_peer_new(sender, address, 7);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    ck_assert_ptr_null(none_left);
    ck_assert_int_eq(error, EMFILE);
    ck_assert_int_eq(transport_send(peer, slice_of("others are served")), 0);
    run_until_bytes(17);
}
END_TEST

START_TEST(freed_with_a_queue)
{
    char text[900] = {0};
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(transport_send(peer, slice_make(text, sizeof text)), 0);
    transport_free(sender);
    transport_free(NULL);
    sender = NULL;
    uv_run(&loop, UV_RUN_NOWAIT);
}
END_TEST

/* Two of them follow the last full frame, and no more: an idle pair costs nothing. */
START_TEST(empty_frames_follow_the_last_full_one)
{
    transport_tick(sender);
    ck_assert_uint_eq(transport_queued(sender), 0);
    send_text("full");
    transport_tick(sender); /* not before that has left */
    run_until_bytes(4);
    ck_assert_uint_eq(got.frames, 1);
    for (unsigned frames = 2; frames <= 3; frames++) {
        transport_tick(sender);
        while (got.frames < frames)
            uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_uint_eq(got.bytes, 4);
    transport_tick(sender);
    ck_assert_uint_eq(transport_queued(sender), 0);
    send_text("more");
    run_until_bytes(8);
    ck_assert_uint_eq(got.frames, 4);
}
END_TEST

SUITE_MAIN_WITH("transport", set_up, tear_down, address_holds_the_incarnation,
                one_turn_is_one_frame, order_is_kept, empty_frames_follow_the_last_full_one,
                frames_leave_early_when_large, sizes, queue_is_bounded,
                who_comes_later_gets_what_waits, addresses_that_cannot_be, the_longest_address,
                no_descriptor_for_a_peer, freed_with_a_queue)
