/*
 * test_cache_forward_memory.c: memory is short for a command that goes to another node while others are away: no reply
 * stands in another's place (workers/cache/cache_forward.h).
 */
#include "test/unit/short_memory.h"

#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"

#include <sys/socket.h>
#include <unistd.h>

static const char behind[] = "*2\r\n$3\r\nGET\r\n$2\r\nj2\r\n";

static void set_up(void)
{
    far_set_up();
    play_owner("k2", 2);
    play_owner("j2", 2);
    far_send(far_client, "GET k2|GET j2");
    far_heard(2);
    far_say(2, "$-1\r\n");
    far_heard(2);
    far_say(2, "$-1\r\n");
    far_expect(far_client, "$-1\r\n$-1\r\n");
}

/* One is away; the next comes while the Nth allocation fails, `lasts`: and all behind it. */
static void next_is_short(long n, bool lasts)
{
    far_send(far_client, "GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    ck_assert_int_eq(send(far_client, behind, sizeof behind - 1, 0), sizeof behind - 1);
    short_memory_fail(n, lasts);
    node_turn(2);
    short_memory_fail(0, false);
}

/* What is kept of a command that is away are two: the first two of what is asked for. */
START_TEST(its_error_comes_behind)
{
    for (long n = 1; n <= 2; n++) {
        next_is_short(n, false);
        far_expect_nothing(far_client);
        far_say(2, "$1\r\nk\r\n");
        const char *came = far_came(far_client, "\r\n");
        ck_assert_msg(strncmp(came, "$1\r\nk\r\n-OOM ", 12) == 0, "%ld: %s", n, came);
        far_get("PING", "+PONG\r\n");
    }
    far_hears_nothing(2);
}
END_TEST

/* Not even for the error: what comes behind it would be taken for its answer. */
START_TEST(the_client_ends)
{
    next_is_short(1, true);
    ck_assert(node_is_closed(far_client));
    far_say(2, "$1\r\nk\r\n");
    far_hears_nothing(2);
    close(far_client);
    far_client = node_connect();
    far_get("PING", "+PONG\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_forward_memory", set_up, far_tear_down, its_error_comes_behind,
                the_client_ends)
