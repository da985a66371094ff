/*
 * test_cache_forward_parts.c: commands of several keys that several nodes have (workers/cache/cache_forward.h,
 * workers/cache/cache_owner.h).
 */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"

#include <stdlib.h>
#include <unistd.h>

#define MOVED "-PLATOONMOVED it is not this node's\r\n"

static void own_them(void)
{
    play_owner("k2", 2);
    play_owner("j2", 2);
    play_owner("k3", 3);
}

static void set_up(void)
{
    far_set_up();
    own_them();
}

static void write_own(void)
{
    far_get("MSET own 1 mine 2", "+OK\r\n");
}

/* ---- joined ---- */

/* A part each, keys in their order; ours over a connection to ourselves; the values as the keys were named. */
START_TEST(values)
{
    write_own();
    far_send(far_client, "MGET k2 own k3 j2 mine k2|PING");
    ck_heard(1, "PLATOON.FOR 1 1 0 MGET own mine");
    ck_heard(2, "PLATOON.FOR 2 1 0 MGET k2 j2 k2");
    ck_heard(3, "PLATOON.FOR 3 1 0 MGET k3");
    far_say(3, "*1\r\n$-1\r\n");
    far_say(1, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    far_expect_nothing(far_client);
    far_say(2, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\na\r\n");
    far_expect(far_client, "*6\r\n$1\r\na\r\n$1\r\n1\r\n$-1\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n"
                           "+PONG\r\n");
}
END_TEST

/* All ours: no parts. */
START_TEST(all_ours)
{
    write_own();
    far_get("MGET own mine", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    far_get("DEL own mine", ":2\r\n");
    far_hears_nothing(1);
}
END_TEST

START_TEST(sums_and_ok)
{
    static const char *const names[] = {"DEL", "unlink", "Exists", "TOUCH"};
    char line[64];
    for (size_t i = 0; i < 4; i++) {
        snprintf(line, sizeof line, "%s k2 k3 j2", names[i]);
        far_send(far_client, line);
        snprintf(line, sizeof line, "PLATOON.FOR 2 1 0 %s k2 j2", names[i]);
        ck_heard(2, line);
        snprintf(line, sizeof line, "PLATOON.FOR 3 1 0 %s k3", names[i]);
        ck_heard(3, line);
        far_say(2, ":2\r\n");
        far_say(3, ":1\r\n");
        far_expect(far_client, ":3\r\n");
    }
    far_send(far_client, "MSET k2 a k3 b j2 c");
    ck_heard(2, "PLATOON.FOR 2 1 0 MSET k2 a j2 c");
    ck_heard(3, "PLATOON.FOR 3 1 0 MSET k3 b");
    far_say(2, "+OK\r\n");
    far_say(3, "+OK\r\n");
    far_expect(far_client, "+OK\r\n");
}
END_TEST

/* In RESP3 what is nil is nil. */
START_TEST(values_of_resp3)
{
    far_send(far_client, "HELLO 3");
    far_came(far_client, "$7\r\nmodules\r\n*0\r\n");
    far_send(far_client, "MGET k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(2, "*1\r\n$-1\r\n");
    far_say(3, "*1\r\n$1\r\n3\r\n");
    far_expect(far_client, "*2\r\n_\r\n$1\r\n3\r\n");
}
END_TEST

/* What needs all of its keys at one moment, and they are of two nodes. */
START_TEST(crosses)
{
    static const char crossslot[] = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    far_get("MSETNX k2 1 k3 2", crossslot);
    far_get("MSETNX own 1 k3 2", crossslot);
    far_hears_nothing(2);
    write_own();
    far_get("MSETNX own 1 mine 2", ":0\r\n");
    far_send(far_client, "MSETNX k2 1 j2 2");
    ck_heard(2, "PLATOON.FOR 2 1 0 MSETNX k2 1 j2 2");
    far_say(2, ":0\r\n");
    far_expect(far_client, ":0\r\n");
}
END_TEST

/* ---- one fails ---- */

/* An error is the answer, whatever the others say. */
START_TEST(one_part_is_an_error)
{
    write_own();
    far_send(far_client, "MSET k2 1 k3 2|GET own");
    far_heard(2);
    far_heard(3);
    far_say(3, "-OOM no room\r\n");
    far_expect_nothing(far_client);
    far_say(2, "+OK\r\n");
    far_expect(far_client, "-OOM no room\r\n$1\r\n1\r\n");
}
END_TEST

/* What no node answers to that. */
START_TEST(one_part_is_no_answer)
{
    far_send(far_client, "MGET k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(2, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    far_say(3, "*1\r\n$1\r\nc\r\n");
    far_expect(far_client, "-ERR another node gave no answer to its part\r\n");
    far_send(far_client, "DEL k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(2, "+OK\r\n");
    far_say(3, ":1\r\n");
    far_expect(far_client, "-ERR another node gave no answer to its part\r\n");
}
END_TEST

/* One moved: values are asked for anew, all of them; of all else what has not run, where it is by now. */
START_TEST(one_part_has_moved)
{
    far_send(far_client, "MGET k2 k3");
    far_heard(2);
    far_heard(3);
    play_owner("k2", 3);
    far_say(3, "*1\r\n$1\r\nc\r\n");
    far_say(2, MOVED);
    ck_heard(3, "PLATOON.FOR 3 1 1 MGET k2 k3");
    far_say(3, "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
    far_expect(far_client, "*2\r\n$1\r\na\r\n$1\r\nc\r\n");
    far_send(far_client, "MSET j2 1 k3 2");
    far_heard(2);
    far_heard(3);
    play_owner("j2", 3);
    far_say(3, "+OK\r\n");
    far_say(2, MOVED);
    ck_heard(3, "PLATOON.FOR 3 1 1 MSET j2 1");
    far_say(3, "+OK\r\n");
    far_expect(far_client, "+OK\r\n");
}
END_TEST

/* What the others have counted is added; again and again, in parts again, and here. */
START_TEST(parts_that_have_moved_count)
{
    write_own();
    play_owner("l3", 3);
    far_send(far_client, "DEL k2 k3 j2 l3 own|PING");
    ck_heard(1, "PLATOON.FOR 1 1 0 DEL own");
    ck_heard(2, "PLATOON.FOR 2 1 0 DEL k2 j2");
    ck_heard(3, "PLATOON.FOR 3 1 0 DEL k3 l3");
    play_owner("k2", 3);
    far_say(1, ":1\r\n");
    far_say(3, ":2\r\n");
    far_say(2, MOVED);
    ck_heard(2, "PLATOON.FOR 2 1 1 DEL j2");
    ck_heard(3, "PLATOON.FOR 3 1 1 DEL k2");
    play_owner("j2", 3);
    far_say(3, ":1\r\n");
    far_say(2, MOVED);
    ck_heard(3, "PLATOON.FOR 3 1 1 DEL j2");
    play_owner("j2", 0);
    far_say(3, MOVED);
    node_until(fake_find(FAKE_GET, "j2") != NULL);
    fake_have("j2", "v", 1);
    far_expect(far_client, ":5\r\n+PONG\r\n");
}
END_TEST

/* Whole, it is another node's answer that is added to; an error is none. */
START_TEST(an_error_of_what_has_moved)
{
    far_send(far_client, "UNLINK k2 k3");
    far_heard(2);
    far_heard(3);
    play_owner("k2", 3);
    far_say(3, ":1\r\n");
    far_say(2, MOVED);
    ck_heard(3, "PLATOON.FOR 3 1 1 UNLINK k2");
    far_say(3, ":1\r\n");
    far_expect(far_client, ":2\r\n");
    play_owner("k2", 2);
    cache_member_moved(node.member, slice_of("k2"), 3);
    far_send(far_client, "DEL k2 k3");
    far_heard(2);
    far_heard(3);
    play_owner("k2", 3);
    far_say(3, ":1\r\n");
    far_say(2, MOVED);
    far_heard(3);
    far_say(3, "-OOM no room\r\n");
    far_expect(far_client, "-OOM no room\r\n");
}
END_TEST

/* One of which nobody knows whether it ran, or that was refused, is the answer: nothing of the rest is sent again. */
START_TEST(moved_and_failed)
{
    static const char *const answers[] = {"-OOM no room\r\n", NULL};
    for (size_t i = 0; i < 2; i++) {
        far_send(far_client, "MSET k2 1 k3 2");
        far_heard(2);
        far_heard(3);
        far_say(2, MOVED);
        if (answers[i] != NULL)
            far_say(3, answers[i]);
        else
            far_cut(3);
        const char *came = far_came(far_client, "\r\n");
        ck_says(came, answers[i] != NULL ? answers[i] : "; it may have been done");
        far_hears_nothing(2);
    }
}
END_TEST

/* Its owner has to wait for something: again, until its time is over. */
START_TEST(one_part_has_to_wait)
{
    far_begin(300);
    own_them();
    far_send(far_client, "MSET k2 1 k3 2");
    far_heard(2);
    far_heard(3);
    far_say(3, "+OK\r\n");
    far_say(2, "-PLATOONMOVED WAITS no room\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 MSET k2 1");
    const char *came = "";
    far_say(2, "-PLATOONMOVED WAITS no room\r\n");
    for (int i = 0; i < 10000 && came[0] == '\0'; i++) {
        if (far_takes(2))
            far_say(2, "-PLATOONMOVED WAITS no room\r\n");
        node_wait();
        came = node_read(far_client);
    }
    ck_is_over(came, "no room\r\n");
    far_hears_nothing(3);
}
END_TEST

/* One was not reached, or died: the same. */
START_TEST(one_part_is_lost)
{
    far_send(far_client, "EXISTS k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(3, ":1\r\n");
    far_cut(2);
    ck_heard(2, "PLATOON.FOR 2 1 1 EXISTS k2");
    far_say(2, ":1\r\n");
    far_expect(far_client, ":2\r\n");
    far_send(far_client, "DEL k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(3, ":1\r\n");
    far_cut(2);
    const char *came = far_came(far_client, "\r\n");
    ck_says(came, "-TRYAGAIN ");
    ck_says(came, "; it may have been done");
}
END_TEST

/* In its time one does not answer. */
START_TEST(one_part_is_late)
{
    far_begin(150);
    own_them();
    far_send(far_client, "MSET k2 1 k3 2");
    far_heard(2);
    far_heard(3);
    far_say(3, "+OK\r\n");
    const char *came = far_came(far_client, "\r\n");
    ck_says(came, "; it may have been done");
    far_get("PING", "+PONG\r\n");
}
END_TEST

/* A node that nobody has told the connections of is one of them: nothing hangs. */
START_TEST(one_part_has_no_node)
{
    far_begin(150);
    own_them();
    play_owner("k4", 4);
    play_nodes((const int[]){1, 2, 3, 4, 0});
    far_send(far_client, "MSET k4 1 k3 2");
    far_heard(3);
    far_say(3, "+OK\r\n");
    ck_says(far_came(far_client, "\r\n"), "-TRYAGAIN it is no node of the ring any more\r\n");
    far_hears_nothing(3); /* its part is done */
    far_send(far_client, "MGET k4 k3");
    const char *came = "";
    for (int i = 0; i < 10000 && came[0] == '\0'; i++) {
        if (far_takes(3))
            far_say(3, "*1\r\n$1\r\nx\r\n");
        node_wait();
        came = node_read(far_client);
    }
    ck_assert_str_eq(came, "-TRYAGAIN it is no node of the ring any more\r\n");
}
END_TEST

/* The client goes while parts are out. */
START_TEST(client_goes)
{
    write_own();
    far_send(far_client, "MGET k2 k3");
    far_heard(2);
    far_heard(3);
    far_say(2, "*1\r\n$-1\r\n");
    node_turn(3);
    cache_client_end_all(&node);
    far_say(3, "*1\r\n$-1\r\n");
    node_turn(3);
    close(far_client);
    far_client = node_connect();
    far_get("GET own", "$1\r\n1\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_forward_parts", set_up, far_tear_down, values, all_ours, sums_and_ok,
                values_of_resp3, crosses, one_part_is_an_error, one_part_is_no_answer,
                one_part_has_moved, parts_that_have_moved_count, an_error_of_what_has_moved,
                moved_and_failed, one_part_has_to_wait, one_part_is_lost, one_part_is_late,
                one_part_has_no_node, client_goes)
