/*
 * test_cache_forward_again.c: commands for another node that moved, was not reached, or died: what runs again, and what
 * never does (workers/cache/cache_forward_again.c, workers/cache/cache_forward_answer.c).
 */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"

#include <stdlib.h>
#include <unistd.h>

#define WAITS "-PLATOONMOVED WAITS it is not stored\r\n"
#define MOVED "-PLATOONMOVED it is not node.2's\r\n"

static void begin(uint64_t timeout_ms)
{
    if (timeout_ms != 60000)
        far_begin(timeout_ms);
    play_owner("k2", 2);
    play_owner("j2", 2);
    play_owner("{k2}b", 2);
}

static void set_up(void)
{
    far_set_up();
    begin(60000);
}

/* What is said of an owner counts at once for those that are not known; these are. */
static void know(void)
{
    far_send(far_client, "GET k2|GET j2");
    far_heard(2);
    far_say(2, "$-1\r\n");
    far_heard(2);
    far_say(2, "$-1\r\n");
    far_expect(far_client, "$-1\r\n$-1\r\n");
}

/* ---- moved ---- */

/* It was given up there, and is ours by now: it runs here. */
START_TEST(moved_to_us)
{
    far_send(far_client, "SET k2 v");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 v");
    play_owner("k2", 0);
    far_say(2, MOVED);
    far_expect(far_client, "+OK\r\n");
    ck_assert_uint_eq(cache_db_count(node.db), 1);
    far_get("GET k2", "$1\r\nv\r\n");
    far_hears_nothing(2);
}
END_TEST

/* It is asked for until it is stored: the answer is what would have been told to one that waited there. */
START_TEST(waits_until_it_is_stored)
{
    far_send(far_client, "PLATOON.DUMP k2 WAIT 0|GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.DUMP k2 WAIT 0");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, WAITS);
    far_say(2, "$1\r\nj\r\n");
    for (int i = 0; i < 3; i++) {
        ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.DUMP k2 WAIT 0");
        far_say(2, i < 2 ? WAITS : ":0\r\n");
    }
    far_expect(far_client, ":1\r\n$1\r\nj\r\n");
    far_send(far_client, "PLATOON.DUMP k2 WAIT 0"); /* there is nothing to store */
    far_heard(2);
    far_say(2, ":0\r\n");
    far_expect(far_client, ":0\r\n");
}
END_TEST

/* It was not stored at an owner that is gone: that whoever has the object since has nothing to store says nothing. */
static void waits_at_one_that_goes(uint32_t owner, bool lost)
{
    play_nodes((const int[]){1, 2, 3, 0});
    far_send(far_client, "PLATOON.DUMP k2 WAIT 0");
    far_heard(2);
    far_say(2, WAITS);
    far_heard(2);
    play_owner("k2", owner);
    if (lost)
        play_nodes((const int[]){1, -2, 3, 0});
    far_say(2, MOVED);
    if (owner == 0)
        return;
    far_heard(owner);
    far_say(owner, ":0\r\n");
}

START_TEST(waits_at_one_that_is_gone)
{
    static const char gone[] =
        "-TRYAGAIN the node that had the object is gone: whether it has stored it is not known\r\n";
    waits_at_one_that_goes(3, true);
    far_expect(far_client, gone);
    play_owner("k2", 2);
    cache_member_moved(node.member, slice_of("k2"), 3);
    waits_at_one_that_goes(0, true);
    far_expect(far_client, gone);
}
END_TEST

/* The same of one that let it wait, and whose connection was lost while it did. */
START_TEST(waited_at_one_that_is_gone)
{
    for (int lost = 0; lost < 2; lost++) {
        play_nodes((const int[]){1, 2, 3, 0});
        far_send(far_client, "PLATOON.DUMP k2 WAIT 0");
        far_heard(2);
        far_cut(2);
        far_heard(2);
        play_owner("k2", 3);
        if (lost)
            play_nodes((const int[]){1, -2, 3, 0});
        far_say(2, MOVED);
        far_heard(3);
        far_say(3, ":0\r\n");
        far_expect(
            far_client,
            lost ? "-TRYAGAIN the node that had the object is gone: whether it has stored it is "
                   "not known\r\n"
                 : ":1\r\n");
        play_owner("k2", 2);
        cache_member_moved(node.member, slice_of("k2"), 3);
    }
}
END_TEST

/* One that is there has stored it before it gave it up. */
START_TEST(waits_at_one_that_gives_it_up)
{
    waits_at_one_that_goes(3, false);
    far_expect(far_client, ":1\r\n");
    play_owner("k2", 2);
    cache_member_moved(node.member, slice_of("k2"), 3);
    waits_at_one_that_goes(0, false);
    far_expect(far_client, ":1\r\n");
}
END_TEST

/* No longer than it says, and it is told why. */
START_TEST(waits_as_long_as_it_says)
{
    far_send(far_client, "PLATOON.DUMP k2 WAIT 60");
    far_heard(2);
    far_say(2, WAITS);
    for (int i = 0; i < 1000; i++) {
        const char *came = node_read(far_client);
        if (came[0] != '\0') {
            ck_is_over(came, "it is not stored\r\n");
            return;
        }
        if (far_takes(2))
            far_say(2, WAITS);
        node_wait();
    }
    ck_abort_msg("it waits for ever");
}
END_TEST

/* To a third node; that is told that Redis has been asked. */
START_TEST(moved_to_another)
{
    far_send(far_client, "SET k2 v");
    far_heard(2);
    play_owner("k2", 3);
    far_say(2, MOVED);
    ck_heard(3, "PLATOON.FOR 3 1 1 SET k2 v");
    far_say(3, "+OK\r\n");
    far_expect(far_client, "+OK\r\n");
}
END_TEST

/* Again and again, with pauses, as long as there is time. */
START_TEST(moved_again_and_again)
{
    far_send(far_client, "INCR k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 INCR k2");
    for (int i = 0; i < 6; i++) {
        far_say(2, MOVED);
        ck_heard(2, "PLATOON.FOR 2 1 1 INCR k2");
    }
    far_say(2, ":7\r\n");
    far_expect(far_client, ":7\r\n");
    /* The next command of it is not told so. */
    far_send(far_client, "INCR k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 INCR k2");
    far_say(2, ":8\r\n");
    far_expect(far_client, ":8\r\n");
}
END_TEST

START_TEST(moved_until_its_time_is_over)
{
    begin(200);
    far_send(far_client, "INCR k2|PING");
    const char *came = "";
    for (int i = 0; i < 10000 && came[0] == '\0'; i++) {
        if (far_takes(2))
            far_say(2, MOVED);
        node_wait();
        came = node_read(far_client);
    }
    ck_is_over(came, "the object's owner changes: ask again\r\n");
}
END_TEST

/* Its pauses are its own: what others ask meanwhile is not delayed, and the client's next waits. */
START_TEST(a_pause_delays_its_client_only)
{
    int other = node_connect();
    know();
    far_send(far_client, "INCR k2");
    far_send(far_client, "SET own 1");
    for (int i = 0; i < 5; i++) {
        far_heard(2);
        far_say(2, MOVED);
        far_send(other, "PING");
        far_expect(other, "+PONG\r\n");
    }
    far_heard(2);
    far_expect_nothing(far_client);
    far_say(2, ":9\r\n");
    far_expect(far_client, ":9\r\n+OK\r\n");
    close(other);
}
END_TEST

/* Of several under way those that did not run run again, in their order, when all are answered. */
START_TEST(some_of_a_pipeline)
{
    know();
    far_send(far_client, "SET k2 1|SET j2 2");
    far_heard(2);
    far_heard(2);
    far_say(2, MOVED);
    far_hears_nothing(2); /* not before the other is answered */
    far_say(2, "+OK\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 1 SET k2 1");
    far_say(2, "+OK\r\n");
    far_expect(far_client, "+OK\r\n+OK\r\n");
    far_send(far_client, "GET k2|GET j2|INCR k2");
    for (int i = 0; i < 3; i++)
        far_heard(2);
    far_say(2, "$1\r\n1\r\n" MOVED MOVED);
    ck_heard(2, "PLATOON.FOR 2 1 1 GET j2");
    far_hears_nothing(2);
    far_say(2, "$1\r\n2\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 1 INCR k2");
    far_say(2, ":2\r\n");
    far_expect(far_client, "$1\r\n1\r\n$1\r\n2\r\n:2\r\n");
}
END_TEST

/* One that a later one of the same cell has overtaken never runs: it would undo what that did. */
START_TEST(overtaken)
{
    know();
    far_send(far_client, "SET k2 1|SET {k2}b 2");
    far_heard(2);
    far_heard(2);
    far_say(2, MOVED "+OK\r\n");
    const char *came = far_came(far_client, "+OK\r\n");
    ck_says(came, "-TRYAGAIN the object's owner changed between two commands of this pipeline");
    far_hears_nothing(2);
    far_send(far_client, "GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$-1\r\n");
    far_expect(far_client, "$-1\r\n");
}
END_TEST

/* Of many keys one is enough, wherever it stands among the others. */
START_TEST(overtaken_by_one_of_many)
{
    static const char *const later[] = {"MSET {k2}b 2 {y}j2 1", "MSET {y}j2 1 {k2}b 2",
                                        "SET {k2}b 2"};
    know();
    play_owner("{y}j2", 2);
    play_owner("{x}1", 2);
    far_send(far_client, "MGET {x}1 {y}j2");
    far_heard(2);
    far_say(2, "*2\r\n$-1\r\n$-1\r\n");
    far_expect(far_client, "*2\r\n$-1\r\n$-1\r\n");
    for (size_t i = 0; i < 3; i++) {
        char line[128];
        snprintf(line, sizeof line, "MGET %s|%s",
                 i % 2 == 0 ? "k2 {x}1 {x}2 {x}3" : "{x}1 {x}2 {x}3 k2", later[i]);
        far_send(far_client, line);
        far_heard(2);
        far_heard(2);
        far_say(2, MOVED "+OK\r\n");
        ck_says(far_came(far_client, "+OK\r\n"), "-TRYAGAIN the object's owner changed between");
    }
    far_send(far_client, "MSET {x}1 1 {x}2 2|SET {y}j2 2");
    far_heard(2);
    far_heard(2);
    far_say(2, MOVED "+OK\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 1 MSET {x}1 1 {x}2 2");
    far_say(2, "+OK\r\n");
    far_expect(far_client, "+OK\r\n+OK\r\n");
}
END_TEST

/* Two that read do not disturb each other, but for WATCH: what is read behind it must not be older than it. */
START_TEST(reads_are_not_overtaken)
{
    know();
    far_send(far_client, "MGET k2 j2|GET {k2}b|MGET j2 k2");
    for (int i = 0; i < 3; i++)
        far_heard(2);
    far_say(2, MOVED "$1\r\nb\r\n*2\r\n$-1\r\n$-1\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 1 MGET k2 j2");
    far_say(2, "*2\r\n$-1\r\n$1\r\na\r\n");
    far_expect(far_client, "*2\r\n$-1\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$-1\r\n$-1\r\n");
    far_send(far_client, "WATCH k2|GET k2");
    far_heard(2);
    far_heard(2);
    far_say(2, MOVED "$1\r\nb\r\n");
    ck_says(far_came(far_client, "b\r\n"), "-TRYAGAIN the object's owner changed between");
    far_hears_nothing(2);
}
END_TEST

/* Hushed as it was, also when it runs again. */
START_TEST(hushed_again)
{
    know();
    far_send(far_client, "CLIENT REPLY SKIP|SET k2 1");
    far_heard(2);
    far_say(2, MOVED);
    ck_heard(2, "PLATOON.FOR 2 1 1 SET k2 1");
    play_owner("k2", 0);
    far_say(2, MOVED);
    node_until(cache_db_count(node.db) == 1);
    far_get("GET k2", "$1\r\n1\r\n");
    far_get("PING", "+PONG\r\n");
}
END_TEST

/* The client ends in a pause, or while it waits for the cell. */
START_TEST(client_goes_in_a_pause)
{
    know();
    far_send(far_client, "INCR k2");
    for (int i = 0; i < 4; i++) {
        far_heard(2);
        far_say(2, MOVED);
    }
    node_turn(1);
    cache_client_end_all(&node);
    far_hears_nothing(2);
}
END_TEST

/* ---- not reached ---- */

/* It is not there: nothing ran, so writes too run when it is; or when another has it. */
START_TEST(not_there)
{
    far_goes(2);
    far_send(far_client, "INCR k2");
    far_expect_nothing(far_client);
    far_comes(2);
    ck_heard(2, "PLATOON.FOR 2 1 0 INCR k2");
    far_say(2, ":1\r\n");
    far_expect(far_client, ":1\r\n");
}
END_TEST

START_TEST(not_there_in_time)
{
    begin(150);
    far_goes(2);
    far_send(far_client, "INCR k2");
    const char *came = far_came(far_client, "\r\n");
    ck_says(came, "-TRYAGAIN cache node node at unix:");
    ck_assert_ptr_null(strstr(came, "may have been done"));
    far_get("PING", "+PONG\r\n");
}
END_TEST

/* Sent, and not answered in time: of a write nobody knows. */
START_TEST(no_answer_in_time)
{
    begin(150);
    far_send(far_client, "INCR k2");
    far_heard(2);
    const char *came = far_came(far_client, "\r\n");
    ck_says(came, "-TRYAGAIN ");
    ck_says(came, "; it may have been done\r\n");
    far_send(far_client, "GET k2");
    far_heard(2);
    came = far_came(far_client, "\r\n");
    ck_says(came, "-TRYAGAIN ");
    ck_assert_ptr_null(strstr(came, "may have been done"));
    far_say(2, ":1\r\n$1\r\n1\r\n"); /* late: nobody's */
    far_get("PING", "+PONG\r\n");
}
END_TEST

/* The connection ends behind the command: a read is sent again, a write never. */
START_TEST(cut_behind_it)
{
    know();
    far_send(far_client, "GET k2");
    far_heard(2);
    far_cut(2);
    ck_heard(2, "PLATOON.FOR 2 1 1 GET k2");
    far_say(2, "$1\r\nv\r\n");
    far_expect(far_client, "$1\r\nv\r\n");
    far_send(far_client, "INCR k2|GET j2");
    far_heard(2);
    far_heard(2);
    far_cut(2);
    ck_heard(2, "PLATOON.FOR 2 1 1 GET j2");
    far_say(2, "$1\r\nj\r\n");
    const char *came = far_came(far_client, "$1\r\nj\r\n");
    ck_says(came, "-TRYAGAIN ");
    ck_says(came, "; it may have been done\r\n$1\r\nj\r\n");
}
END_TEST

/* A ring's node that nobody has told the connections of. */
START_TEST(no_node_any_more)
{
    begin(150);
    play_owner("k4", 4);
    play_nodes((const int[]){1, 2, 3, 4, 0});
    far_send(far_client, "INCR k4");
    const char *came = far_came(far_client, "\r\n");
    ck_says(came, "-TRYAGAIN it is no node of the ring any more");
    far_get("PING", "+PONG\r\n");
}
END_TEST

/* Larger than what another node is sent at once: said now, and never tried again; in parts, of which one is, too. */
START_TEST(never_to_be_sent)
{
    static const char *const heads[] = {"MSET k2 ", "MSET k3 1 k2 "};
    enum { VALUE = 600 * 1024 }; /* two of them: more than the fixture's queue_max */
    struct buffer line = BUFFER_EMPTY;
    play_owner("k3", 3);
    know();
    for (size_t i = 0; i < 2; i++) {
        buffer_clear(&line);
        buffer_append_text(&line, heads[i]);
        memset(buffer_reserve(&line, VALUE), 'x', VALUE);
        line.len += VALUE;
        buffer_append_text(&line, " {k2}b ");
        memset(buffer_reserve(&line, VALUE), 'x', VALUE);
        line.len += VALUE;
        far_send(far_client, buffer_text(&line));
        if (i == 1) {
            ck_heard(3, "PLATOON.FOR 3 1 0 MSET k3 1");
            far_say(3, "+OK\r\n");
        }
        const char *came = far_came(far_client, "\r\n");
        ck_says(came,
                "-ERR the command is larger than the 64 MB that another node is sent at once");
        far_hears_nothing(2);
    }
    buffer_fini(&line);
    far_get("PING", "+PONG\r\n");
}
END_TEST

SUITE_MAIN_WITH("cache_forward_again", set_up, far_tear_down, moved_to_us, waits_until_it_is_stored,
                waits_at_one_that_is_gone, waited_at_one_that_is_gone,
                waits_at_one_that_gives_it_up, waits_as_long_as_it_says, moved_to_another,
                moved_again_and_again, moved_until_its_time_is_over, a_pause_delays_its_client_only,
                some_of_a_pipeline, overtaken, overtaken_by_one_of_many, reads_are_not_overtaken,
                hushed_again, client_goes_in_a_pause, not_there, not_there_in_time,
                no_answer_in_time, cut_behind_it, no_node_any_more, never_to_be_sent)
