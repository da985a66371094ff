/* test_cache_forward.c: commands that another node runs, and the order of replies (workers/cache/cache_forward.h). */
#include "test/unit/cache/forward_fixture.h"

#include "test/unit/suite.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* k2 and j2 are node 2's, k3 is node 3's; all else is ours. */
static void set_up(void)
{
    far_set_up();
    play_owner("k2", 2);
    play_owner("j2", 2);
    play_owner("k3", 3);
}

/* Whose they are is known. */
static void know(void)
{
    far_send(far_client, "GET k2|GET j2|GET k3");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$-1\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, "$-1\r\n");
    ck_heard(3, "PLATOON.FOR 3 1 0 GET k3");
    far_say(3, "$-1\r\n");
    far_expect(far_client, "$-1\r\n$-1\r\n$-1\r\n");
    far_get("SET own 1", "+OK\r\n");
}

/* ---- there and back ---- */

START_TEST(goes_to_the_owner)
{
    far_send(far_client, "set k2 v ex 10");
    ck_heard(2, "PLATOON.FOR 2 1 0 set k2 v ex 10");
    far_expect_nothing(far_client);
    far_say(2, "+OK\r\n");
    far_expect(far_client, "+OK\r\n");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_forward_count(node.forward), 1);
    far_send(far_client, "GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\nv\r\n");
    far_expect(far_client, "$1\r\nv\r\n");
    far_get("SET own 1", "+OK\r\n");
    ck_assert_uint_eq(cache_forward_count(node.forward), 2);
}
END_TEST

/* Errors of the command are its reply. */
START_TEST(an_error_is_a_reply)
{
    far_send(far_client, "INCR k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 INCR k2");
    far_say(2, "-ERR value is not an integer or out of range\r\n");
    far_expect(far_client, "-ERR value is not an integer or out of range\r\n");
}
END_TEST

/* A command whose number of words is wrong, or that has no key, stays here. */
START_TEST(what_needs_no_owner)
{
    far_get("GET k2 k2", "-ERR wrong number of arguments for 'get' command\r\n");
    far_get("MSET k2 1 k3", "-ERR wrong number of arguments for 'mset' command\r\n");
    far_get("PING", "+PONG\r\n");
    far_get("ECHO k2", "$2\r\nk2\r\n");
    far_hears_nothing(2);
}
END_TEST

/* What is watched here is looked at before a transaction goes elsewhere. */
START_TEST(a_watch_of_this_node)
{
    int other = node_connect();
    know();
    far_get("WATCH own|MULTI|SET k2 1", "+OK\r\n+OK\r\n+QUEUED\r\n");
    far_send(other, "SET own 2");
    far_expect(other, "+OK\r\n");
    far_get("EXEC|EXEC", "*-1\r\n-ERR EXEC without MULTI\r\n");
    close(other);
    far_get("WATCH own|MULTI|SET k2 1|EXEC",
            "+OK\r\n+OK\r\n+QUEUED\r\n"
            "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    far_hears_nothing(2);
}
END_TEST

/* Watched there, and compared there; what has come here meanwhile is compared here. */
START_TEST(a_watch_of_another_node)
{
    int other = node_connect();
    know();
    far_send(far_client, "WATCH k2 j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.WATCH k2 j2");
    far_say(2, "*2\r\n$1\r\n7\r\n$1\r\n8\r\n");
    far_get("MULTI|SET k2 1", "+OK\r\n+OK\r\n+QUEUED\r\n");
    play_owner("k2", 0);
    play_owner("j2", 0);
    far_send(other, "SET k2 theirs");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 theirs");
    far_say(2, "-PLATOONMOVED it is not n2's\r\n");
    far_expect(other, "+OK\r\n");
    far_send(other, "SET j2 theirs");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET j2 theirs");
    far_say(2, "-PLATOONMOVED it is not n2's\r\n");
    far_expect(other, "+OK\r\n");
    far_get("EXEC|EXEC|GET k2", "*-1\r\n-ERR EXEC without MULTI\r\n$6\r\ntheirs\r\n");
    far_hears_nothing(1);
    far_hears_nothing(2);
    close(other);
}
END_TEST

/* In a transaction it would be about the connection that all clients of this node share. */
START_TEST(what_is_of_a_connection_stays)
{
    static const char *const about[] = {"CLIENT REPLY SKIP",
                                        "CLIENT REPLY OFF",
                                        "client reply on",
                                        "CLIENT GETNAME",
                                        "CLIENT SETNAME x",
                                        "CLIENT SETINFO lib-name x",
                                        "CLIENT ID",
                                        "CLIENT INFO",
                                        "CLIENT LIST",
                                        "CLIENT KILL ID 1",
                                        "CLIENT NO-EVICT on",
                                        "HELLO",
                                        "HELLO 3",
                                        "AUTH x",
                                        "READONLY",
                                        "READWRITE"};
    char line[128];
    for (size_t i = 0; i < sizeof about / sizeof about[0]; i++) {
        snprintf(line, sizeof line, "MULTI|SET k2 1|%s|EXEC", about[i]);
        far_send(far_client, line);
        ck_says(far_came(far_client, "before MULTI\r\n"),
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: what is "
                "about the connection");
    }
    far_hears_nothing(2);
    far_get("EXEC", "-ERR EXEC without MULTI\r\n");
    far_get("MULTI|SET own 1|CLIENT GETNAME|EXEC",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$-1\r\n");
    far_send(far_client, "MULTI|PING|GET k2|SELECT 0|EXEC");
    ck_heard(2, "PLATOON.FOR 2 1 0 PLATOON.EXEC 1 k2 0 1 PING 2 GET k2 2 SELECT 0");
    far_say(2, "*3\r\n+PONG\r\n$-1\r\n+OK\r\n");
    far_expect(far_client, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n$-1\r\n+OK\r\n");
}
END_TEST

/* ---- order ---- */

/* Ours behind another's waits for it; another's behind ours does not. */
START_TEST(own_foreign_own)
{
    know();
    far_send(far_client, "INCR own|GET k2|INCR own|GET j2|INCR own");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_expect(far_client, ":2\r\n");
    far_hears_nothing(2);
    far_say(2, "$1\r\na\r\n");
    far_expect(far_client, "$1\r\na\r\n:3\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, "$1\r\nb\r\n");
    far_expect(far_client, "$1\r\nb\r\n:4\r\n");
}
END_TEST

/* Consecutive ones for one owner leave together; replies come in their order, as they come. */
START_TEST(one_owner_is_pipelined)
{
    know();
    far_send(far_client, "SET k2 1|GET j2|GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 1");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "+OK\r\n$1\r\nj\r\n");
    far_expect(far_client, "+OK\r\n$1\r\nj\r\n");
    far_say(2, "$1\r\n1\r\n");
    far_expect(far_client, "$1\r\n1\r\n");
}
END_TEST

/* Of two owners the second waits: one of them could be ready long before the other. */
START_TEST(two_owners_wait)
{
    know();
    far_send(far_client, "GET k2|GET k3|GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_hears_nothing(3);
    far_say(2, "$1\r\n2\r\n");
    ck_heard(3, "PLATOON.FOR 3 1 0 GET k3");
    far_expect(far_client, "$1\r\n2\r\n");
    far_hears_nothing(2);
    far_say(3, "$1\r\n3\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\n4\r\n");
    far_expect(far_client, "$1\r\n3\r\n$1\r\n4\r\n");
}
END_TEST

/* What comes later joins what is away, too; other clients do not wait. */
START_TEST(later_and_others)
{
    int other = node_connect();
    know();
    far_send(far_client, "GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_send(far_client, "GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_send(far_client, "GET own");
    far_expect_nothing(far_client);
    far_send(other, "GET own|GET k2");
    far_expect(other, "$1\r\n1\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    far_expect(far_client, "$1\r\na\r\n$1\r\nb\r\n$1\r\n1\r\n");
    far_expect(other, "$1\r\nc\r\n");
    close(other);
}
END_TEST

/* So many of one client are away at once; the rest goes when they are back. */
START_TEST(many_are_bounded)
{
    struct buffer sent = BUFFER_EMPTY;
    know();
    for (int i = 0; i < 70; i++)
        buffer_printf(&sent, "%sGET k2", i > 0 ? "|" : "");
    far_send(far_client, buffer_text(&sent));
    for (int i = 0; i < 64; i++)
        ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_hears_nothing(2);
    for (int i = 0; i < 64; i++)
        far_say(2, ":1\r\n");
    for (int i = 0; i < 6; i++)
        ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    for (int i = 0; i < 6; i++)
        far_say(2, ":2\r\n");
    buffer_clear(&sent);
    for (int i = 0; i < 70; i++)
        buffer_append_text(&sent, i < 64 ? ":1\r\n" : ":2\r\n");
    const char *came = far_came(far_client, ":2\r\n:2\r\n:2\r\n:2\r\n:2\r\n:2\r\n");
    ck_assert_str_eq(came, buffer_text(&sent));
    buffer_fini(&sent);
}
END_TEST

/* What a line says, an error of the protocol, and QUIT come when all before them is answered. */
START_TEST(lines_behind)
{
    know();
    far_send(far_client, "GET k2");
    node_send(far_client, "GET j2\r\nGET \"own\"\r\n", 19);
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_hears_nothing(2);
    far_say(2, "$1\r\na\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, "$1\r\nb\r\n");
    far_expect(far_client, "$1\r\na\r\n$1\r\nb\r\n$1\r\n1\r\n");
}
END_TEST

START_TEST(quit_behind)
{
    know();
    far_send(far_client, "GET k2|QUIT|GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_expect_nothing(far_client);
    far_say(2, "$1\r\na\r\n");
    far_expect(far_client, "$1\r\na\r\n+OK\r\n");
    ck_assert(node_is_closed(far_client));
    far_hears_nothing(2);
}
END_TEST

static void bad_behind(const char *sent, const char *error)
{
    char text[128];
    far_send(far_client, "GET k2");
    node_send(far_client, sent, strlen(sent));
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_expect_nothing(far_client);
    far_say(2, "$1\r\na\r\n");
    snprintf(text, sizeof text, "$1\r\na\r\n-ERR Protocol error: %s\r\n", error);
    far_expect(far_client, text);
    ck_assert(node_is_closed(far_client));
    close(far_client);
    far_client = node_connect();
}

START_TEST(protocol_error_behind)
{
    know();
    bad_behind("*1\r\n+x\r\n", "expected '$', got '+'");
    bad_behind("*x\r\n", "invalid multibulk length");
    bad_behind("*2\r\n$3\r\nGET\r\n$x\r\n", "invalid bulk length");
}
END_TEST

/* A word that no object takes is skipped when nothing is away any more, and what is behind it is read as ever. */
START_TEST(large_word_behind)
{
    char head[64];
    size_t size = node.options.object_max + 70000;
    char *word = malloc(size);
    know();
    memset(word, 'x', size);
    far_send(far_client, "GET k2");
    snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$3\r\nown\r\n$%zu\r\n", size);
    node_send(far_client, head, strlen(head));
    node_send(far_client, word, size); /* all of it comes while the other is away */
    node_send(far_client, "\r\n", 2);
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_expect_nothing(far_client);
    far_say(2, "$1\r\na\r\n");
    char came[256] = "";
    for (int i = 0; i < 10000 && strstr(came, "-ERR ") == NULL; i++) {
        strncat(came, node_read(far_client), sizeof came - strlen(came) - 1);
        node_wait();
    }
    ck_assert_int_eq(strncmp(came, "$1\r\na\r\n-ERR ", 12), 0);
    far_get("GET own", "$1\r\n1\r\n");
    free(word);
}
END_TEST

/* Its end of file comes while commands are away: they are answered first. */
START_TEST(end_of_file_behind)
{
    know();
    far_send(far_client, "GET k2|GET j2");
    ck_assert_int_eq(shutdown(far_client, SHUT_WR), 0);
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, "$1\r\na\r\n$1\r\nb\r\n");
    far_expect(far_client, "$1\r\na\r\n$1\r\nb\r\n");
    ck_assert(node_is_closed(far_client));
}
END_TEST

/* ---- CLIENT REPLY ---- */

START_TEST(reply_off_and_skip)
{
    know();
    far_send(far_client, "CLIENT REPLY SKIP|SET k2 1|GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 1");
    far_say(2, "+OK\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\n1\r\n");
    far_expect(far_client, "$1\r\n1\r\n");
    far_send(far_client, "CLIENT REPLY OFF|SET k2 2|SET own 5|INCR k2|CLIENT REPLY ON|GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 2");
    far_say(2, "+OK\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 INCR k2");
    far_say(2, "-ERR no\r\n");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\n3\r\n");
    far_expect(far_client, "+OK\r\n$1\r\n3\r\n");
}
END_TEST

/* ---- the client goes ---- */

START_TEST(client_goes)
{
    know();
    far_send(far_client, "GET k2|SET j2 1|GET own");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET j2 1");
    size_t before = node.client_count;
    struct linger hard = {.l_onoff = 1};
    setsockopt(far_client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(far_client);
    far_client = node_connect();
    far_say(2, "$1\r\na\r\n");
    node_turn(3);
    far_say(2, "+OK\r\n");
    node_until(node.client_count == before);
    far_send(far_client, "GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    far_say(2, "$1\r\nc\r\n");
    far_expect(far_client, "$1\r\nc\r\n");
}
END_TEST

START_TEST(all_clients_go)
{
    know();
    far_send(far_client, "GET k2|GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    cache_client_end_all(&node);
    far_say(2, "$1\r\na\r\n");
    node_turn(3);
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
}
END_TEST

/* ---- RESP3 ---- */

START_TEST(nil_of_resp3)
{
    know();
    far_send(far_client, "HELLO 3");
    far_came(far_client, "$7\r\nmodules\r\n*0\r\n");
    far_send(far_client, "GET k2|GET j2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 GET j2");
    far_say(2, "$-1\r\n$5\r\n$-1\r\n\r\n");
    far_expect(far_client, "_\r\n$5\r\n$-1\r\n\r\n");
    far_send(far_client, "MGET k2 j2 k2|SET k2 1 NX");
    ck_heard(2, "PLATOON.FOR 2 1 0 MGET k2 j2 k2");
    ck_heard(2, "PLATOON.FOR 2 1 0 SET k2 1 NX");
    far_say(2, "*3\r\n$-1\r\n$3\r\n-1\r\r\n$-1\r\n*-1\r\n");
    far_expect(far_client, "*3\r\n_\r\n$3\r\n-1\r\r\n_\r\n_\r\n");
}
END_TEST

/* What is away counts as what waits here, and what was answered and is kept; no more than that may. */
START_TEST(what_is_away_counts)
{
    size_t before = node.waiting;
    far_send(far_client, "SET k2 0123456789|GET j2");
    far_heard(2);
    far_heard(2);
    size_t away = node.waiting;
    ck_assert_uint_gt(away, before + 10);
    node.waiting += CACHE_WAITING_MIN;
    int other = node_connect();
    far_send(other, "GET k2|PING");
    ck_says(far_came(other, "+PONG\r\n"), "-OOM ");
    far_hears_nothing(2);
    node.waiting -= CACHE_WAITING_MIN;
    ck_assert_uint_eq(node.waiting, away);
    far_say(2, "+OK\r\n$1\r\n1\r\n");
    far_expect(far_client, "+OK\r\n$1\r\n1\r\n");
    ck_assert_uint_eq(node.waiting, before);
    far_send(other, "GET k2");
    far_heard(2);
    close(other); /* it is gone; what it has asked for is not, yet */
    node_turn(3);
    ck_assert_uint_gt(node.waiting, before);
    far_say(2, "$1\r\n1\r\n");
    node_until(node.waiting == before);
}
END_TEST

/* In parts: so do the answers that wait for the others. */
START_TEST(parts_that_are_kept_count)
{
    size_t before = node.waiting;
    far_send(far_client, "MGET k2 k3");
    far_heard(2);
    far_heard(3);
    size_t away = node.waiting;
    far_say(2, "*1\r\n$10\r\n0123456789\r\n");
    node_until(node.waiting >= away + 10);
    far_say(3, "*1\r\n$1\r\n3\r\n");
    far_expect(far_client, "*2\r\n$10\r\n0123456789\r\n$1\r\n3\r\n");
    ck_assert_uint_eq(node.waiting, before);
}
END_TEST

/* Each client has its own answer, whichever comes first. */
START_TEST(answers_in_any_order)
{
    int other = node_connect();
    know();
    far_send(far_client, "GET k2|GET j2");
    far_send(other, "GET k2");
    for (int i = 0; i < 3; i++)
        far_heard(2);
    far_say_to(2, 2, "$1\r\no\r\n");
    far_expect(other, "$1\r\no\r\n");
    far_expect_nothing(far_client);
    far_say_to(2, 1, "$1\r\nj\r\n");
    far_expect_nothing(far_client);
    far_say(2, "$1\r\nk\r\n");
    far_expect(far_client, "$1\r\nk\r\n$1\r\nj\r\n");
    close(other);
}
END_TEST

/* Its owner is told which client it is, whose commands have an order, and a time that ends before its own does. */
START_TEST(its_lane_and_time)
{
    far_begin(8000);
    know();
    far_send(far_client, "GET k2|GET j2");
    far_heard(2);
    uint64_t lane = far_lane;
    ck_assert_uint_gt(lane, 0);
    ck_assert_uint_gt(far_ms, 0);
    ck_assert_uint_le(far_ms, 7000);
    far_heard(2);
    ck_assert_uint_eq(far_lane, lane);
    far_say(2, "$-1\r\n$-1\r\n");
    far_expect(far_client, "$-1\r\n$-1\r\n");
    int other = node_connect();
    far_send(other, "GET k2");
    far_heard(2);
    ck_assert_uint_ne(far_lane, lane);
    close(other);
}
END_TEST

/* What a client had sent when its owner let it wait in vain is not let wait there again. */
START_TEST(waits_in_vain_once)
{
    struct buffer line = BUFFER_EMPTY, said = BUFFER_EMPTY;
    know();
    buffer_append_text(&line, "PLATOON.DUMP k2 WAIT 100");
    buffer_append_text(&said, "-TRYAGAIN the store gives no answer\r\n");
    for (int i = 1; i < 70; i++) {
        buffer_append_text(&line, "|GET k2");
        buffer_append_text(&said, "$-1\r\n");
    }
    far_send(far_client, buffer_text(&line));
    for (int i = 0; i < 70; i++) {
        far_heard(2);
        ck_assert_int_eq(far_ms == 0, i >= 64);
        far_say(2, i == 0 ? "-TRYAGAIN the store gives no answer\r\n" : "$-1\r\n");
    }
    far_expect(far_client, buffer_text(&said));
    far_send(far_client, "GET k2");
    far_heard(2);
    ck_assert_uint_gt(far_ms, 0);
    buffer_fini(&line);
    buffer_fini(&said);
}
END_TEST

SUITE_MAIN_WITH("cache_forward", set_up, far_tear_down, what_is_away_counts,
                parts_that_are_kept_count, goes_to_the_owner, an_error_is_a_reply,
                what_needs_no_owner, what_is_of_a_connection_stays, a_watch_of_this_node,
                a_watch_of_another_node, own_foreign_own, one_owner_is_pipelined, two_owners_wait,
                later_and_others, many_are_bounded, lines_behind, quit_behind,
                protocol_error_behind, large_word_behind, end_of_file_behind, reply_off_and_skip,
                client_goes, all_clients_go, nil_of_resp3, answers_in_any_order, its_lane_and_time,
                waits_in_vain_once)
