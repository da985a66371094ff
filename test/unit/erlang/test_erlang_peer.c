/* test_erlang_peer.c: connections whose other ends are the test's: who is read, written to, held back and ended. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/erlang/erlang_world.h"
#include "workers/erlang/erlang_peer.h"

#include <errno.h>
#include <sys/socket.h>

#define PID     "Xw\3n@h\0\0\0\1\0\0\0\2\0\0\0\3"
#define OURS    "Xw\3g@h\0\0\0\1\0\0\0\0\0\0\0\5"
#define MESSAGE "\0\0\0\x1dp\x83h\3a\2w\0" OURS "\x83h\0" /* an empty tuple, for OURS */
#define TICK    "\0\0\0\0"

static struct erlang_peers *peers;
static bool full;
static unsigned messages, rooms;
static bool asks; /* each message is one thing more that is under way */
static char last[64];
static uint32_t last_lane;

static void on_message(void *ctx, struct erlang_peer *from, const struct erlang_control *message)
{
    ck_assert_ptr_eq(ctx, &rooms);
    ck_assert(slice_equal(message->message, BYTES("h\0")));
    messages++;
    snprintf(last, sizeof last, "%s", erlang_peer_name(from));
    last_lane = erlang_peer_lane(from);
    if (asks)
        erlang_peer_asks(from);
}

static bool is_full(void *ctx)
{
    (void)ctx;
    return full;
}

static void on_room(void *ctx)
{
    (void)ctx;
    rooms++;
}

/* The other end of a new one. */
static int connect_as(const char *name)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    erlang_peers_add(peers, pair[1], slice_of(name));
    return pair[0];
}

static void say(int fd, struct slice bytes)
{
    ck_assert_int_eq(send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
}

/* All that has come; "gone" when it has closed. */
static struct slice hear(int fd)
{
    static char came[65536];
    world_turns(3);
    ssize_t n = recv(fd, came, sizeof came, 0);
    return n == 0 ? slice_of("gone") : slice_make(came, n > 0 ? (size_t)n : 0);
}

static bool is_gone(int fd)
{
    return slice_is(hear(fd), "gone");
}

static void set_up(void)
{
    static const struct erlang_peers_events events = {
        .on_message = on_message, .is_full = is_full, .on_room = on_room};
    world_begin();
    peers = erlang_peers_new(NULL, &events, &rooms);
}

static void tear_down(void)
{
    erlang_peers_close(peers);
    world_end();
}

/* ---- */

START_TEST(messages_both_ways)
{
    int fd = connect_as("n@h"), other = connect_as("o@h");
    say(fd, BYTES(MESSAGE));
    say(other, BYTES(MESSAGE MESSAGE));
    world_until(messages == 3);
    ck_assert(erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), BYTES("a\7")));
    ck_assert(slice_equal(hear(fd), BYTES("\0\0\0\x1dp\x83h\3a\2w\0" PID "\x83"
                                          "a\7")));
    ck_assert_uint_eq(hear(other).len, 0);
    ck_assert(!erlang_peers_send(peers, slice_of("nobody@h"), BYTES(PID), BYTES("a\7")));
    ck_assert_uint_eq(world_counts[COUNTER_ERLANG_MESSAGES], 3);
    close(fd);
    close(other);
}
END_TEST

/* Links, and what is none of ours. */
START_TEST(what_is_said_back)
{
    int fd = connect_as("n@h");
    say(fd, BYTES("\0\0\0\x2ap\x83h\3a\1" PID OURS));
    ck_assert(slice_equal(hear(fd), BYTES("\0\0\0\x32p\x83h\4a\3" OURS PID "w\6noproc")));
    say(fd, BYTES("\0\0\0\x2ap\x83h\3a\x63" PID OURS)); /* of no known kind */
    ck_assert_uint_eq(hear(fd).len, 0);
    close(fd);
}
END_TEST

/* net_kernel is there: who monitors it while it pings is not told that it is not. */
START_TEST(the_kernel_is_there)
{
    int fd = connect_as("n@h");
    say(fd, BYTES("\0\0\0\x34p\x83h\4a\x13" PID "w\x0anet_kernelZ\0\1w\3n@h\0\0\0\1\0\0\0\7"));
    ck_assert_uint_eq(hear(fd).len, 0);
    close(fd);
}
END_TEST

START_TEST(what_is_no_message)
{
    static const struct slice frames[] = {BYTES("\0\0\0\1x"), BYTES("\0\0\0\2p\x83"),
                                          BYTES("\x7f\xff\xff\xff")};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        int fd = connect_as("n@h");
        say(fd, frames[i]);
        world_until(is_gone(fd));
        close(fd);
    }
    world_until(erlang_peers_count(peers) == 0);
    ck_assert_uint_eq(rooms, 3);
}
END_TEST

/* It knows nothing of its old connection any more; and its lane is another one. */
START_TEST(connected_anew)
{
    int old = connect_as("n@h");
    say(old, BYTES(MESSAGE));
    world_until(messages == 1);
    uint32_t lane = last_lane;
    int new = connect_as("n@h");
    world_until(is_gone(old));
    say(new, BYTES(MESSAGE));
    world_until(messages == 2);
    ck_assert_uint_ne(last_lane, lane);
    ck_assert(erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), BYTES("a\7")));
    ck_assert_uint_gt(hear(new).len, 0);
    close(old);
    close(new);
}
END_TEST

/* ---- who is held back ---- */

START_TEST(so_many_under_way)
{
    int fd = connect_as("n@h"), other = connect_as("o@h");
    asks = true;
    for (unsigned i = 0; i < ERLANG_CALLS_MAX + 10; i++)
        say(fd, BYTES(MESSAGE));
    world_until(messages == ERLANG_CALLS_MAX);
    world_turns(5);
    ck_assert_uint_eq(messages, ERLANG_CALLS_MAX);
    uint32_t lane = last_lane;
    say(other, BYTES(MESSAGE)); /* others are read */
    world_until(messages == ERLANG_CALLS_MAX + 1);
    ck_assert_str_eq(last, "o@h");
    erlang_peers_over(peers, lane + 100); /* of one that is gone */
    world_turns(5);
    ck_assert_uint_eq(messages, ERLANG_CALLS_MAX + 1);
    erlang_peers_over(peers, lane);
    erlang_peers_over(peers, lane);
    world_until(messages == ERLANG_CALLS_MAX + 3);
    world_turns(5);
    ck_assert_uint_eq(messages, ERLANG_CALLS_MAX + 3);
    close(fd);
    close(other);
}
END_TEST

/* Nobody is read while the gate is full; then all are, the last one first. */
START_TEST(a_full_gate)
{
    int fd = connect_as("n@h"), other = connect_as("o@h");
    say(fd, BYTES(MESSAGE));
    say(other, BYTES(MESSAGE));
    world_until(messages == 2);
    full = true;
    say(fd, BYTES(MESSAGE MESSAGE));
    say(other, BYTES(MESSAGE MESSAGE));
    world_turns(5);
    ck_assert_uint_le(messages, 4); /* one each: that it is full is seen behind it */
    unsigned before = messages;
    erlang_peers_tick(peers);
    world_turns(5);
    ck_assert_uint_eq(messages, before);
    full = false;
    erlang_peers_over(peers, 0);
    world_until(messages == 6);
    close(fd);
    close(other);
}
END_TEST

/* A megabyte and more for one to read: it may ask for nothing more until it has read that. */
START_TEST(who_reads_late)
{
    static char large[(3 << 20) + 5] = {'m', 0, 0x30, 0, 0};
    int fd = connect_as("n@h");
    size_t sum = 0;
    ck_assert(
        erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), slice_make(large, sizeof large)));
    say(fd, BYTES(MESSAGE MESSAGE));
    world_until(messages == 1); /* that it reads late is seen behind its first */
    world_turns(5);
    ck_assert_uint_eq(messages, 1);
    world_until((sum += hear(fd).len) > sizeof large);
    world_until(messages == 2);
    close(fd);
}
END_TEST

START_TEST(who_does_not_read)
{
    static char large[(20 << 20) + 5] = {'m', 1, 0x40, 0, 0};
    int fd = connect_as("n@h"), other = connect_as("o@h");
    struct slice message = slice_make(large, sizeof large);
    for (int i = 0; i < 3; i++)
        ck_assert(erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), message));
    ck_assert(!erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), message));
    ck_assert_uint_eq(world_counts[COUNTER_ERLANG_DROPPED], 1);
    ck_assert(!erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), BYTES("a\7")));
    ck_assert(erlang_peers_send(peers, slice_of("o@h"), BYTES(PID), BYTES("a\7")));
    world_until(erlang_peers_count(peers) == 1);
    close(fd);
    close(other);
}
END_TEST

/* Above what a message may be: it is lost, and its node stays. */
START_TEST(an_answer_too_large)
{
    int fd = connect_as("n@h");
    char *large = calloc(1, ERLANG_FRAME_MAX);
    ck_assert_ptr_nonnull(large);
    ck_assert(
        erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), slice_make(large, ERLANG_FRAME_MAX)));
    free(large);
    ck_assert(erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), BYTES("a\7")));
    ck_assert_uint_eq(hear(fd).len, 4 + 0x1d);
    close(fd);
}
END_TEST

/* ---- ticks ---- */

START_TEST(ticks)
{
    int fd = connect_as("n@h");
    erlang_peers_tick(peers);
    ck_assert_uint_eq(hear(fd).len, 0);
    world_later_ms = ERLANG_TICK_MS + 1000;
    erlang_peers_tick(peers);
    ck_assert(slice_equal(hear(fd), BYTES(TICK)));
    erlang_peers_tick(peers);
    ck_assert_uint_eq(hear(fd).len, 0); /* not long ago */
    say(fd, BYTES(TICK));
    ck_assert_uint_eq(hear(fd).len, 0); /* nor is one answered that soon */
    world_later_ms += ERLANG_TICK_MS / 2 + 1000;
    say(fd, BYTES(TICK));
    ck_assert(slice_equal(hear(fd), BYTES(TICK)));
    close(fd);
}
END_TEST

START_TEST(silence)
{
    int fd = connect_as("n@h"), other = connect_as("o@h");
    world_later_ms = (uint64_t)4 * ERLANG_TICK_MS;
    erlang_peers_tick(peers);
    say(other, BYTES(TICK));
    world_turns(3);
    world_later_ms += ERLANG_TICK_MS + 1000;
    erlang_peers_tick(peers);
    world_until(erlang_peers_count(peers) == 1);
    ck_assert(!erlang_peers_send(peers, slice_of("n@h"), BYTES(PID), BYTES("a\7")));
    ck_assert(erlang_peers_send(peers, slice_of("o@h"), BYTES(PID), BYTES("a\7")));
    close(fd);
    close(other);
}
END_TEST

/* Who is not read cannot be heard. */
START_TEST(silence_of_who_is_not_read)
{
    int fd = connect_as("n@h");
    asks = true;
    for (unsigned i = 0; i < ERLANG_CALLS_MAX; i++)
        say(fd, BYTES(MESSAGE));
    world_until(messages == ERLANG_CALLS_MAX);
    world_later_ms = (uint64_t)10 * ERLANG_TICK_MS;
    erlang_peers_tick(peers);
    erlang_peers_over(peers, last_lane);
    say(fd, BYTES(MESSAGE));
    world_until(messages == ERLANG_CALLS_MAX + 1);
    ck_assert_uint_eq(erlang_peers_count(peers), 1);
    close(fd);
}
END_TEST

/* Its other end is closed first; or ours, with all that waits. */
START_TEST(ends)
{
    close(connect_as("n@h"));
    world_until(erlang_peers_count(peers) == 0);
    ck_assert_uint_eq(rooms, 1);
    int fd = connect_as("n@h");
    erlang_peers_close(peers);
    world_until(is_gone(fd));
    ck_assert_uint_eq(rooms, 1);
    peers = NULL; /* as often as one likes */
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("erlang_peer", set_up, tear_down, messages_both_ways, what_is_said_back,
                the_kernel_is_there, what_is_no_message, connected_anew, so_many_under_way,
                a_full_gate, who_reads_late, who_does_not_read, an_answer_too_large, ticks, silence,
                silence_of_who_is_not_read, ends)
