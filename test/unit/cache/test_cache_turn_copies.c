/*
 * test_cache_turn_copies.c: with copies = 2 who has written, or reads what was just written, is told when it has a
 * second copy, or that it has none (workers/cache/cache_turn.h); a cell is given up when its copies are gone, and a
 * process asks for those that its log has lost. The manager is the test's.
 */
#include "proto/cache/cache_ring_answer.h"
#include "test/unit/cache/member_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"
#include "workers/cache/cache_second.h"

#include <unistd.h>

#define REFUSED "-NOREPLICAS Not enough good replicas to write.\r\n"

static int fd;

static void begin(uint64_t timeout_ms)
{
    fake_manager.copied = true;
    fake_manager.timeout_ms = timeout_ms;
    play_begin();
    fake_manager.answers = true;
    fd = node_connect();
    while (fake_manager.count > 0)
        play_heard(fake_manager.said[fake_manager.first].type);
}

static void tear_down(void)
{
    close(fd);
    play_tear_down();
}

static void say(int to, const char *text)
{
    node_send(to, text, strlen(text));
}

/* What has come when so much has. */
static const char *came(int from, const char *end)
{
    static char all[4096];
    all[0] = '\0';
    node_until((strcat(all, node_read(from)), strstr(all, end) != NULL));
    return all;
}

static bool is_said(uint64_t type)
{
    return fake_manager.count > 0 && fake_manager.said[fake_manager.first].type == type;
}

/* The next request to copy; claims of cells before it are answered by the fixture. */
static const struct play_said *copy_heard(void)
{
    node_until(is_said(MESSAGE_RING_COPY));
    return play_heard(MESSAGE_RING_COPY);
}

/* Written, copied and acknowledged. */
static void kept(const char *text)
{
    say(fd, text);
    ck_assert(play_copied(copy_heard(), CACHE_RING_OK, ""));
    came(fd, "+OK\r\n");
}

START_TEST(a_write_waits_for_its_copy)
{
    begin(60000);
    say(fd, "SET k 1\r\n");
    const struct play_said *copy = copy_heard();
    node_turn(5);
    ck_assert_str_eq(node_read(fd), "");
    ck_assert(play_copied(copy, CACHE_RING_OK, ""));
    ck_assert_str_eq(came(fd, "\r\n"), "+OK\r\n");
}
END_TEST

/* What is read waits only for what it read; what comes behind it on its connection keeps its order. */
START_TEST(a_read_of_it_waits_too)
{
    begin(60000);
    kept("SET old 0\r\n");
    int other = node_connect(), third = node_connect();
    say(fd, "SET k 1\r\n");
    const struct play_said *copy = copy_heard();
    say(other, "GET k\r\nPING\r\n");
    say(third, "GET old\r\n");
    ck_assert_str_eq(came(third, "0\r\n"), "$1\r\n0\r\n");
    node_turn(5);
    ck_assert_str_eq(node_read(other), "");
    ck_assert(play_copied(copy, CACHE_RING_OK, ""));
    ck_assert_str_eq(came(other, "+PONG\r\n"), "$1\r\n1\r\n+PONG\r\n");
    ck_assert_str_eq(came(fd, "\r\n"), "+OK\r\n");
    close(other);
    close(third);
}
END_TEST

/* Errors stand where the answers would, and what needs no copy has its own. */
START_TEST(no_copy_in_time)
{
    begin(100);
    kept("SET old 0\r\n");
    say(fd, "ECHO first\r\nSET k 1\r\nGET old\r\nGET k\r\nECHO last\r\n");
    copy_heard();
    ck_assert_str_eq(came(fd, "last\r\n"),
                     "$5\r\nfirst\r\n" REFUSED "$1\r\n0\r\n" REFUSED "$4\r\nlast\r\n");
    /* Now writes are refused before they are done. */
    node_until(cache_second_is_late(node.second));
    say(fd, "SET old 1\r\nGET old\r\n");
    ck_assert_str_eq(came(fd, "0\r\n"), REFUSED "$1\r\n0\r\n");
}
END_TEST

/* It was written all the same, and is copied as soon as that goes. */
START_TEST(what_was_refused_may_be_there)
{
    begin(100);
    say(fd, "SET k 1\r\n");
    const struct play_said *copy = copy_heard();
    ck_assert_str_eq(came(fd, "\r\n"), REFUSED);
    ck_assert(play_copied(copy, CACHE_RING_OK, ""));
    node_turn(2);
    ck_assert(!cache_second_is_late(node.second));
    node_expect(fd, "GET k\r\n", "$1\r\n1\r\n");
    kept("SET k 2\r\n");
}
END_TEST

/* The lease is looked at when the copy is there, not before. */
START_TEST(the_lease_ends_before_the_copy_is_there)
{
    begin(60000);
    say(fd, "SET k 1\r\n");
    const struct play_said *copy = copy_heard();
    play_lease_over();
    ck_assert(play_copied(copy, CACHE_RING_OK, ""));
    ck_assert_int_eq(strncmp(came(fd, "\r\n"), "-TRYAGAIN the ring of ", 22), 0);
}
END_TEST

START_TEST(a_transaction_is_one)
{
    begin(60000);
    kept("SET k 1\r\n");
    say(fd, "MULTI\r\nGET k\r\nINCR k\r\nEXEC\r\n");
    const struct play_said *copy = copy_heard();
    ck_assert_uint_eq(copy->count, 1);
    ck_assert_ptr_null(strstr(node_read(fd), ":2"));
    ck_assert(play_copied(copy, CACHE_RING_OK, ""));
    ck_assert(strstr(came(fd, ":2\r\n"), "*2\r\n$1\r\n1\r\n:2\r\n") != NULL);
}
END_TEST

/* ---- cells that go, and processes that come ---- */

/* A copy that is left would be stored when the node is lost, whatever became of the object by then. */
START_TEST(a_cell_goes_when_its_copies_are_gone)
{
    begin(60000);
    kept("SET k 1\r\n");
    ck_assert(cache_behind_ask(node.behind, slice_of("k")));
    play_stored("k");
    node_until(is_said(MESSAGE_RING_DROP));
    const struct play_said *drop = play_heard(MESSAGE_RING_DROP);
    fake_manager.answers = false;
    ck_assert_uint_eq(drop->count, 1);
    ck_assert_int_eq(member_event(node.member, play_cell("k"), CACHE_ON_IDLE, 0), CACHE_DO_RELEASE);
    node_turn(2);
    play_sync();
    play_hears_nothing();
    ck_assert(play_copied(drop, CACHE_RING_OK, ""));
    node_turn(2);
    play_heard(MESSAGE_RING_RELEASE);
}
END_TEST

/* Which copies there are; what is copied before is. */
static const struct play_said *fetch_heard(void)
{
    node_until(fake_manager.count > 0);
    while (is_said(MESSAGE_RING_COPY)) {
        play_copied(play_heard(MESSAGE_RING_COPY), CACHE_RING_OK, "");
        node_until(fake_manager.count > 0);
    }
    return play_heard(MESSAGE_RING_FETCH);
}

static bool tell(const struct play_said *request, uint64_t result, const char *cursor,
                 struct slice copies)
{
    struct buffer out = BUFFER_EMPTY;
    struct message_ring_fetched m = {
        .token = request->token, .result = result, .cursor = slice_of(cursor), .copies = copies};
    message_ring_fetched_pack(&out, &m);
    bool said = play_say(&out);
    buffer_fini(&out);
    return said;
}

/* The process is another, as who it was; the manager has joined for it, and is asked which copies there are. */
static const struct play_said *again(void)
{
    close(fd);
    play_shut();
    play_open();
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    fake_manager.joined.mark++;
    fake_manager.joined.was = 1;
    fake_manager.joined.number = fake_manager.number;
    play_say_joined();
    fake_manager.answers = false;
    node_until(node.member->walk == MEMBER_RESTORES);
    fd = node_connect();
    return fetch_heard();
}

/* All that it claims was its own before. True: it serves. */
static bool is_granted(void)
{
    while (fake_manager.count > 0)
        if (is_said(MESSAGE_RING_COPY))
            ck_assert(play_copied(play_heard(MESSAGE_RING_COPY), CACHE_RING_OK, ""));
        else
            ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 1));
    return node.member->walk == MEMBER_SETTLED;
}

START_TEST(a_process_asks_for_what_its_log_lost)
{
    struct buffer list = BUFFER_EMPTY;
    struct cache_ring_object lost = {.expiry_ms = INT64_MAX, .value = slice_of("lost")};
    begin(60000);
    kept("SET k 1\r\n");
    kept("SET same 1\r\n");
    uint64_t version = cache_db_dirty_version(node.db, slice_of("k"));
    const struct play_said *fetch = again();
    ck_assert(slice_is(slice_make(fetch->list, fetch->list_len), "0"));
    cache_ring_put_copy(&list, slice_of("k"), version + 10, &lost);
    struct play_said first = *fetch;
    ck_assert(tell(&first, 0, "", buffer_slice(&list))); /* a part of a page */
    node_turn(2);
    while (is_said(MESSAGE_RING_COPY))
        ck_assert(play_copied(play_heard(MESSAGE_RING_COPY), CACHE_RING_OK, ""));
    play_hears_nothing();
    buffer_clear(&list);
    fetch = &first;
    cache_ring_put_copy(&list, slice_of("same"), version - 10, &lost);
    ck_assert(tell(fetch, 0, "17", buffer_slice(&list)));
    node_turn(2);
    ck_assert_int_eq(node.member->walk, MEMBER_RESTORES); /* nothing is served yet */
    fetch = fetch_heard();
    ck_assert(slice_is(slice_make(fetch->list, fetch->list_len), "17"));
    buffer_clear(&list);
    ck_assert(tell(fetch, 0, "0", buffer_slice(&list)));
    node_until(is_granted());
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    ck_assert_ptr_null(cache_db_peek(node.db, slice_of("k")));
    ck_assert(slice_is(cache_object_value(cache_db_peek(node.db, slice_of("same"))), "1"));
    buffer_fini(&list);
}
END_TEST

START_TEST(it_asks_again)
{
    begin(60000);
    kept("SET k 1\r\n");
    const struct play_said *fetch = again();
    ck_assert(tell(fetch, 4, "0", slice_of("")));
    node_turn(2);
    ck_assert_int_eq(node.member->walk, MEMBER_RESTORES);
    node.member->restore_us = 0;
    cache_member_tick(node.member);
    fetch = fetch_heard();
    struct play_said old = *fetch;
    old.token--;
    ck_assert(tell(&old, 0, "0", slice_of(""))); /* of nobody's */
    ck_assert_int_eq(node.member->walk, MEMBER_RESTORES);
    ck_assert(!tell(fetch, 0, "0", slice_of("no list")));
    node.member->restore_token = fetch->token;
    ck_assert(tell(fetch, 0, "0", slice_of("")));
    node_until(is_granted());
    ck_assert(!node.member->restores);
}
END_TEST

SUITE_MAIN_WITH("cache_turn_copies", play_set_up, tear_down, a_write_waits_for_its_copy,
                a_read_of_it_waits_too, no_copy_in_time, what_was_refused_may_be_there,
                the_lease_ends_before_the_copy_is_there, a_transaction_is_one,
                a_cell_goes_when_its_copies_are_gone, a_process_asks_for_what_its_log_lost,
                it_asks_again)
