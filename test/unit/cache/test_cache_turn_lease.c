/*
 * test_cache_turn_lease.c: what a node has done is acknowledged only while its lease runs: looked at once more before a
 * turn's answers leave (workers/cache/cache_turn.h).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <unistd.h>

static int fd;
static uv_check_t early; /* runs before the turn's own: what was started last does */
static bool ends;

static void on_check(uv_check_t *check)
{
    (void)check;
    if (ends)
        play_lease_over();
    ends = false;
}

static void say(const char *text)
{
    node_send(fd, text, strlen(text));
}

static const char *came_until(const char *end)
{
    static char came[4096];
    came[0] = '\0';
    node_until((strcat(came, node_read(fd)), strstr(came, end) != NULL));
    return came;
}

static void begin(enum cache_log_fsync fsync)
{
    fake_manager.fsync = fsync;
    play_begin();
    fake_manager.answers = true;
    uv_check_init(node.loop, &early);
    uv_check_start(&early, on_check);
    fd = node_connect();
    say("SET k 1\r\n");
    came_until("+OK\r\n");
}

static void tear_down(void)
{
    close(fd);
    uv_close((uv_handle_t *)&early, NULL);
    play_tear_down();
}

#define OVER "-TRYAGAIN the ring of cache/test/node.1: Redis has not confirmed for `lease`"

/* It ends between the commands and the end of their turn: writes and reads are taken back, each where it stood. */
START_TEST(over_in_the_turn)
{
    begin(CACHE_LOG_NO);
    ends = true;
    say("PING\r\nSET k 2\r\nECHO between\r\nGET k\r\nECHO end\r\n");
    const char *came = came_until("$3\r\nend\r\n");
    ck_assert_int_eq(strncmp(came, "+PONG\r\n" OVER, strlen("+PONG\r\n" OVER)), 0);
    const char *between = strstr(came, "$7\r\nbetween\r\n");
    ck_assert_ptr_nonnull(between);
    between += strlen("$7\r\nbetween\r\n");
    ck_assert_int_eq(strncmp(between, OVER, strlen(OVER)), 0);
    ck_assert_ptr_null(strstr(came, "+OK"));
    ck_assert_ptr_null(strstr(came, "$1\r\n"));
    /* It may have been done, and it was. */
    play_lease(PLAY_HOUR);
    say("GET k\r\n");
    ck_assert_str_eq(came_until("2\r\n"), "$1\r\n2\r\n");
    ck_assert_uint_eq(cache_log_written(node.log), cache_log_added(node.log));
}
END_TEST

/* What is acknowledged stays so: only the turn in which it ends is taken back. */
START_TEST(over_behind_the_turn)
{
    begin(CACHE_LOG_NO);
    node_expect(fd, "SET k 2\r\n", "+OK\r\n");
    play_lease_over();
    node_turn(3);
    node_expect(fd, "PING\r\n", "+PONG\r\n");
}
END_TEST

/* Nobody is told where CLIENT REPLY says so, and the connection is in step. */
START_TEST(over_and_hushed)
{
    begin(CACHE_LOG_NO);
    ends = true;
    say("CLIENT REPLY SKIP\r\nSET k 2\r\nECHO end\r\n");
    ck_assert_str_eq(came_until("$3\r\nend\r\n"), "$3\r\nend\r\n");
}
END_TEST

/* With always an answer waits for the disk: a lease that ends meanwhile takes it back. */
START_TEST(over_before_the_disk)
{
    begin(CACHE_LOG_ALWAYS);
    bool waited = false;
    for (int i = 0; i < 200 && !waited; i++) { /* a disk may be faster than a turn */
        ck_assert_int_eq(send(fd, "SET k 2\r\n", 9, 0), 9);
        node_turn(1);
        waited =
            node.turn.syncing != NULL && cache_log_synced(node.log) < cache_log_added(node.log);
        if (waited)
            play_lease_over();
        else
            came_until("+OK\r\n");
    }
    ck_assert(waited);
    const char *came = came_until("\r\n");
    ck_assert_int_eq(strncmp(came, OVER, strlen(OVER)), 0);
    play_lease(PLAY_HOUR);
    say("GET k\r\n");
    ck_assert_str_eq(came_until("2\r\n"), "$1\r\n2\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_turn_lease", play_set_up, tear_down, over_in_the_turn, over_behind_the_turn,
                over_and_hushed, over_before_the_disk)
