/* test_cache_member.c: a node joins its ring, comes back to it, has a lease, leaves (workers/cache/cache_member.h). */
#include "test/unit/cache/member_fixture.h"

#include "common/clock.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <unistd.h>

/* What is written here and is ours: by a client, answered. */
static void write_one(const char *key, const char *value)
{
    char line[128];
    int fd = node_connect();
    snprintf(line, sizeof line, "SET %s %s\r\n", key, value);
    node_expect(fd, line, "");
    play_grant(key);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
    close(fd);
}

/* ---- joining ---- */

START_TEST(says_who_it_is)
{
    play_open();
    play_hears_nothing(); /* nobody is there to hear it */
    ck_assert_uint_eq(cache_member_incarnation(node.member), 0);
    cache_member_tick(node.member);
    play_hears_nothing();
    cache_member_on_up(node.member);
    const struct play_said *join = play_heard(MESSAGE_RING_JOIN);
    ck_assert_uint_eq(join->incarnation, 0);
    ck_assert_uint_eq(join->mark, 0);
    ck_assert_str_eq(join->address, "unix:/run/node");
    cache_member_tick(node.member);
    play_hears_nothing(); /* it has asked */
    ck_assert_uint_eq(cache_member_tell(node.member).incarnation, 0);
    play_say_joined();
    ck_assert_uint_eq(cache_member_incarnation(node.member), 1);
    ck_assert_uint_eq(cache_member_tell(node.member).incarnation, 1);
    ck_assert(!cache_member_serves(node.member));
}
END_TEST

/* Seeds are random: two nodes that start a ring at a time do not say the same. */
START_TEST(makes_a_seed)
{
    uint8_t seeds[2][16];
    for (int i = 0; i < 2; i++) {
        play_open();
        cache_member_on_up(node.member);
        memcpy(seeds[i], play_heard(MESSAGE_RING_JOIN)->seed, 16);
        play_shut();
    }
    ck_assert(memcmp(seeds[0], seeds[1], 16) != 0);
    /* But who has joined says the ring's. */
    play_begin();
    play_shut();
    play_open();
    cache_member_on_up(node.member);
    ck_assert(memcmp(play_heard(MESSAGE_RING_JOIN)->seed, fake_manager.seed, 16) == 0);
}
END_TEST

/* A join that cannot be sent is tried again with each tick; one whose manager went away when it is back. */
START_TEST(asks_again)
{
    play_open();
    fake_manager.deaf = true;
    cache_member_on_up(node.member);
    cache_member_tick(node.member);
    fake_manager.deaf = false;
    cache_member_tick(node.member);
    play_heard(MESSAGE_RING_JOIN);
    cache_member_on_down(node.member);
    cache_member_tick(node.member);
    play_hears_nothing();
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
}
END_TEST

static bool say_joined_with(struct message_ring_joined joined)
{
    struct buffer out = BUFFER_EMPTY;
    message_ring_joined_pack(&out, &joined);
    bool taken = play_say(&out);
    buffer_fini(&out);
    return taken;
}

/* What no manager says is no message, and changes nothing. */
START_TEST(refuses_a_join_that_is_none)
{
    play_open();
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    struct message_ring_joined good = fake_manager.joined, bad;
    good.seed = slice_make((const char *)fake_manager.seed, 16);
    good.at_us = 1;
#define BAD(field, wrong)                                                                          \
    bad = good;                                                                                    \
    bad.field = wrong;                                                                             \
    ck_assert(!say_joined_with(bad))
    BAD(incarnation, 0);
    BAD(incarnation, (uint64_t)UINT32_MAX + 1);
    BAD(seed, slice_make((const char *)fake_manager.seed, 15));
    BAD(seed, slice_of(""));
    BAD(at_us, 0);
    BAD(at_us, (uint64_t)INT64_MAX + 1);
    BAD(closed_ms, UINT32_MAX);
    ck_assert_uint_eq(cache_member_incarnation(node.member), 0);
    ck_assert_int_ne(access(fake_manager.path, F_OK), 0);
    ck_assert(say_joined_with(good));
    ck_assert_uint_eq(cache_member_incarnation(node.member), 1);
    node_until(node.member->walk == MEMBER_SETTLED);
    ck_assert_int_eq(access(fake_manager.path, F_OK), 0);
    struct unpack u = unpack_start(slice_of(""));
    for (uint64_t type = MESSAGE_RING_JOINED - 10; type < MESSAGE_RING_JOINED + 30; type++)
        ck_assert(!cache_member_on_message(node.member, type, &u)); /* empty ones, and others' */
}
END_TEST

/* ---- leases ---- */

/* Nothing runs before there is one, nor after; who waits goes on when there is one again. */
START_TEST(runs_with_a_lease_only)
{
    play_open();
    int fd = node_connect();
    node_expect(fd, "SET k v\r\n", "");
    play_join();
    play_grant("k");
    ck_assert_str_eq(node_read(fd), "");
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_lease(PLAY_HOUR);
    node_turn(1);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    play_lease_over();
    node_expect(fd, "GET k\r\n", "");
    ck_assert(!cache_member_may_store(node.member));
    play_lease(PLAY_HOUR);
    node_turn(1);
    ck_assert_str_eq(node_read(fd), "$1\r\nv\r\n");
    ck_assert(cache_member_may_store(node.member));
    close(fd);
}
END_TEST

#define LEASE(...)                                                                                 \
    do {                                                                                           \
        struct buffer lease_out = BUFFER_EMPTY;                                                    \
        message_ring_lease_pack(&lease_out, &(struct message_ring_lease){__VA_ARGS__});            \
        taken = play_say(&lease_out);                                                              \
        buffer_fini(&lease_out);                                                                   \
        node_turn(1);                                                                              \
    } while (0)

/* Of another session, another incarnation, or one that has ended already: none. */
START_TEST(takes_its_own_leases)
{
    bool taken;
    play_open();
    uint64_t now = (uint64_t)clock_boot_us(), end = now + 3600000000;
    LEASE(.incarnation = 1, .mark = 101, .until_us = end, .at_us = now, .redis_us = 5);
    ck_assert(taken && !cache_member_serves(node.member)); /* it has not joined */
    play_join();
    LEASE(.incarnation = 1, .mark = 100, .until_us = end, .at_us = now, .redis_us = 5);
    ck_assert(taken && !cache_member_serves(node.member));
    LEASE(.incarnation = 2, .mark = 101, .until_us = end, .at_us = now, .redis_us = 5);
    ck_assert(taken && !cache_member_serves(node.member));
    LEASE(.incarnation = 1, .mark = 101, .until_us = now, .at_us = now, .redis_us = 5);
    ck_assert(taken && !cache_member_serves(node.member));
    LEASE(.incarnation = 1, .mark = 101, .until_us = 0, .at_us = now, .redis_us = 5);
    ck_assert(!taken);
    LEASE(.incarnation = 1, .mark = 101, .until_us = end, .at_us = 0, .redis_us = 5);
    ck_assert(!taken);
    LEASE(.incarnation = 1, .mark = 101, .until_us = end, .at_us = now, .redis_us = 0);
    ck_assert(!taken);
    LEASE(.incarnation = (uint64_t)1 << 33, .mark = 101, .until_us = end, .at_us = now,
          .redis_us = 5);
    ck_assert(!taken && !cache_member_serves(node.member));
    LEASE(.incarnation = 1, .mark = 101, .until_us = end, .at_us = now, .redis_us = 5);
    ck_assert(taken && cache_member_serves(node.member));
    LEASE(.incarnation = 1, .mark = 101, .until_us = now + 1, .at_us = now, .redis_us = 5);
    ck_assert(taken && cache_member_serves(node.member)); /* late: none becomes shorter */
}
END_TEST

/* Versions are of Redis' clock, not of this host's. */
START_TEST(versions_are_of_redis)
{
    fake_manager.joined.redis_us = UINT64_C(4000000000000000); /* in a hundred years */
    play_begin();
    write_one("k", "v");
    uint64_t version = cache_db_dirty_version(node.db, slice_of("k"));
    ck_assert_uint_ge(version, fake_manager.joined.redis_us);
    ck_assert_uint_lt(version, fake_manager.joined.redis_us + 3600000000u);
}
END_TEST

/* ---- coming back ---- */

/* Its manager was away: the same session's cells stay ours, and what was asked is asked again. */
START_TEST(rejoins_as_the_same)
{
    play_begin();
    write_one("k", "v");
    int fd = node_connect();
    node_expect(fd, "GET asked\r\n", "");
    uint64_t token = play_heard(MESSAGE_RING_CLAIM)->token;
    cache_member_on_down(node.member);
    ck_assert(cache_member_serves(node.member)); /* while its lease runs */
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    fake_manager.joined.mark = 102;
    fake_manager.joined.number = 1;
    cache_member_on_up(node.member);
    ck_assert_uint_eq(fake_manager.said[fake_manager.first].mark, 101);
    play_join();
    ck_assert(cache_member_serves(node.member));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    const struct play_said *again = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_ne(again->token, token);
    ck_assert_uint_eq(again->mark, 102);
    ck_assert(again->cells[0].cell == play_cell("asked"));
    play_lease(PLAY_HOUR);
    ck_assert(play_own(again, CACHE_RING_OURS, 2));
    ck_assert_int_eq(play_looks("asked"), CACHE_DO_RUN);
    close(fd);
}
END_TEST

/* Told that it was lost: nothing of before is served, and what only it has is a stray. */
START_TEST(rejoins_as_another)
{
    play_begin();
    write_one("k", "v");
    cache_member_on_down(node.member);
    fake_manager.joined.incarnation = 4;
    fake_manager.joined.mark = 104;
    fake_manager.joined.was = CACHE_RING_LOST_NODE;
    fake_manager.joined.number = 1;
    play_join();
    ck_assert_uint_eq(cache_member_incarnation(node.member), 4);
    ck_assert(!cache_member_serves(node.member)); /* the old lease is another's */
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    ck_assert_int_eq(play_state("k"), CACHE_CELL_UNKNOWN);
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_CLAIM)->mark, 104);
}
END_TEST

/* A ring that was made anew: no key is where it was, and strays are found by the new places. */
START_TEST(rejoins_a_ring_made_anew)
{
    play_begin();
    write_one("k", "v");
    uint64_t before = play_cell("k");
    cache_member_on_down(node.member);
    fake_manager.seed[0] ^= 1;
    fake_manager.joined.mark = 102;
    fake_manager.joined.number = 1; /* the same incarnation, by chance */
    play_join();
    ck_assert(play_cell("k") != before);
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    play_lease(PLAY_HOUR);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_grant("k");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT); /* for its stray */
    play_stored("k");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
}
END_TEST

/* ---- leaving ---- */

START_TEST(leaves)
{
    play_begin();
    ck_assert_int_eq(access(fake_manager.path, F_OK), 0);
    cache_member_leave(node.member);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_LEAVE)->mark, 101);
    cache_member_tick(node.member); /* nobody has answered */
    ck_assert_uint_eq(play_heard(MESSAGE_RING_LEAVE)->mark, 101);
    ck_assert_int_eq(fake_manager.left, -1);
    struct buffer out = BUFFER_EMPTY;
    message_ring_left_pack(&out, &(struct message_ring_left){.result = CACHE_RING_OK});
    ck_assert(play_say(&out));
    ck_assert_int_eq(fake_manager.left, 1);
    ck_assert_int_ne(access(fake_manager.path, F_OK), 0);
    fake_manager.left = -1;
    ck_assert(play_say(&out)); /* once more, late */
    ck_assert_int_eq(fake_manager.left, -1);
    play_say_joined(); /* an answer that comes now is nobody's */
    cache_member_tick(node.member);
    play_hears_nothing();
    ck_assert_int_ne(access(fake_manager.path, F_OK), 0);
    buffer_fini(&out);
}
END_TEST

/* It stays what it is in the ring: the next start comes back to it. */
START_TEST(may_not_leave)
{
    play_begin();
    struct buffer out = BUFFER_EMPTY;
    message_ring_left_pack(&out, &(struct message_ring_left){.result = CACHE_RING_COPIED});
    ck_assert(play_say(&out)); /* it has not asked */
    ck_assert_int_eq(fake_manager.left, -1);
    cache_member_leave(node.member);
    play_heard(MESSAGE_RING_LEAVE);
    cache_member_on_down(node.member);
    cache_member_tick(node.member);
    play_hears_nothing();
    cache_member_on_up(node.member); /* it joins to leave: another manager does not know it */
    play_join();
    play_heard(MESSAGE_RING_LEAVE);
    ck_assert(play_say(&out));
    ck_assert_int_eq(fake_manager.left, 0);
    ck_assert_int_eq(access(fake_manager.path, F_OK), 0);
    buffer_fini(&out);
}
END_TEST

static void say_left(uint64_t result)
{
    struct buffer out = BUFFER_EMPTY;
    message_ring_left_pack(&out, &(struct message_ring_left){.result = result});
    ck_assert(play_say(&out));
    buffer_fini(&out);
}

/* Its session is none any more: it leaves with the next one. Redis is away: it is tried again. Nothing runs so long. */
START_TEST(leaves_in_the_end)
{
    play_begin();
    write_one("k", "v");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    cache_member_leave(node.member);
    play_heard(MESSAGE_RING_LEAVE);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    say_left(4);
    ck_assert_int_eq(fake_manager.left, -1);
    cache_member_tick(node.member);
    play_heard(MESSAGE_RING_LEAVE);
    say_left(CACHE_RING_MUST_JOIN);
    ck_assert_int_eq(fake_manager.left, -1);
    fake_manager.joined.mark = 102;
    play_join();
    ck_assert_uint_eq(play_heard(MESSAGE_RING_LEAVE)->mark, 102);
    say_left(CACHE_RING_OK);
    ck_assert_int_eq(fake_manager.left, 1);
    ck_assert_int_ne(access(fake_manager.path, F_OK), 0);
}
END_TEST

/* It was never there: it has left. */
START_TEST(leaves_what_it_has_not_joined)
{
    play_open();
    cache_member_leave(node.member);
    ck_assert_int_eq(fake_manager.left, 1);
    play_hears_nothing();
}
END_TEST

SUITE_MAIN_WITH("cache_member", play_set_up, play_tear_down, says_who_it_is, makes_a_seed,
                asks_again, refuses_a_join_that_is_none, runs_with_a_lease_only,
                takes_its_own_leases, versions_are_of_redis, rejoins_as_the_same,
                rejoins_as_another, rejoins_a_ring_made_anew, leaves, may_not_leave,
                leaves_in_the_end, leaves_what_it_has_not_joined)
