/*
 * test_cache_member_move.c: cells that go where they are used: when, what is served meanwhile, and what does not move
 * (workers/cache/cache_member_walk.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "common/clock.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <unistd.h>

static int fd;

static void set_up(void)
{
    play_set_up();
    fake_manager.volatiles = "lock:*";
    play_begin();
    fd = node_connect();
}

static void tear_down(void)
{
    close(fd);
    play_tear_down();
}

static void write_one(const char *key)
{
    char line[128];
    snprintf(line, sizeof line, "SET %s v\r\n", key);
    node_expect(fd, line, "");
    play_grant(key);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
}

static void write_stored(const char *key)
{
    write_one(key);
    ck_assert(cache_behind_ask(node.behind, slice_of(key)));
    play_stored(key);
    ck_assert(!cache_db_is_dirty(node.db, slice_of(key)));
}

static void expect_release(const char *key, uint64_t number)
{
    node_until(fake_manager.count > 0);
    const struct play_said *release = play_heard(MESSAGE_RING_RELEASE);
    ck_assert_uint_eq(release->mark, 101);
    ck_assert_uint_eq(release->count, 1);
    ck_assert(release->cells[0].cell == play_cell(key));
    ck_assert_uint_eq(release->cells[0].number, number);
}

static enum cache_cell_action sent_from(uint32_t from, const char *key)
{
    cache_member_now(node.member);
    struct cache_member_who who = {.from = from};
    return cache_member_look(node.member, slice_of(key), who).action;
}

/* Thirty-one commands of another node move nothing; one more does, unless somebody here was in between. */
START_TEST(moves_after_so_many)
{
    write_stored("k");
    for (int i = 0; i < CACHE_CELLS_STREAK - 1; i++)
        ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
    play_hears_nothing();
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    for (int i = 0; i < CACHE_CELLS_STREAK - 1; i++)
        ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
    ck_assert_int_eq(sent_from(3, "k"), CACHE_DO_RUN);
    for (int i = 0; i < CACHE_CELLS_STREAK - 2; i++)
        ck_assert_int_eq(sent_from(3, "k"), CACHE_DO_RUN);
    play_hears_nothing();
    ck_assert_int_eq(sent_from(3, "k"), CACHE_DO_WAIT); /* withheld from that one on */
    node_turn(1);
    expect_release("k", 1);
}
END_TEST

static void send_so_often(const char *key)
{
    for (int i = 0; i < CACHE_CELLS_STREAK; i++)
        sent_from(2, key);
    node_turn(1);
}

/* While what is dirty is stored it is served, also here; then it goes. */
START_TEST(served_while_stored)
{
    write_one("k");
    send_so_often("k");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
    ck_assert(cache_member_is_settled(node.member, play_cell("k")));
    play_hears_nothing();
    fake_stored("k");
    expect_release("k", 1);
    ck_assert_uint_eq(node.member->move_count, 0);
}
END_TEST

/* Somebody here has used it meanwhile: it stays, and moves when they have used it as often again. */
START_TEST(used_here_while_stored)
{
    write_one("k");
    send_so_often("k");
    node_expect(fd, "GET k\r\n", "$1\r\nv\r\n");
    play_stored("k");
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    ck_assert_uint_eq(node.member->move_count, 0);
    send_so_often("k");
    expect_release("k", 1);
}
END_TEST

/* As another node's command would. */
static void written_from_elsewhere(const char *key)
{
    ck_assert_int_eq(sent_from(2, key), CACHE_DO_RUN);
    ck_assert_int_eq(
        cache_db_set(node.db, slice_of(key), slice_of("w"), CACHE_NEVER, CACHE_FORM_BYTES),
        CACHE_OK);
}

/*
 * One that is written all the time would never be clean: it is withheld when the store has taken it once, and goes when
 * it has again; who waits asks whose it is.
 */
START_TEST(withheld_while_written)
{
    write_one("k");
    send_so_often("k");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    written_from_elsewhere("k");
    node_turn(2);
    ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN); /* nothing was taken yet */
    fake_stored("k");
    node_turn(2);
    ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_WAIT);
    ck_assert(!cache_member_is_settled(node.member, play_cell("k")));
    node_expect(fd, "GET k\r\n", "");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    play_hears_nothing();
    fake_stored("k");
    expect_release("k", 1);
    node_turn(1);
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(play_own(claim, CACHE_RING_THEIRS, 2));
}
END_TEST

static void time_of_move_passes(void)
{
    ck_assert_uint_eq(node.member->move_count, 1);
    node.member->moves[0].until_us = clock_boot_us();
    node_turn(2);
}

/* A store that does not take it within that time: nobody has waited for it, and it is in peace for a while. */
START_TEST(not_stored_in_time)
{
    write_one("k");
    send_so_often("k");
    time_of_move_passes();
    for (int i = 0; i < 3 * CACHE_CELLS_STREAK; i++)
        ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_stored("k");
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    time_of_move_passes();
    sent_from(2, "k");
    expect_release("k", 1);
}
END_TEST

/* The same of one that is withheld: who waits is served. */
START_TEST(withheld_for_a_while)
{
    write_one("k");
    send_so_often("k");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    written_from_elsewhere("k");
    fake_stored("k");
    node_turn(2);
    node_expect(fd, "GET k\r\n", "");
    time_of_move_passes();
    ck_assert_str_eq(node_read(fd), "$1\r\nw\r\n");
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    ck_assert_uint_eq(node.member->withheld, 0);
}
END_TEST

/* What the store never takes does not move, nor is it asked for again and again. */
START_TEST(a_dead_letter_does_not_move)
{
    write_one("k");
    send_so_often("k");
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_answer(fake_find(FAKE_PUT, "k"),
                &(struct backing_answer){.result = BACKING_REFUSED, .why = "no"});
    node_turn(2);
    ck_assert(cache_db_is_dead(node.db, slice_of("k")));
    time_of_move_passes(); /* it rests, and that is over */
    ck_assert_uint_eq(node.member->move_count, 0);
    for (int i = 0; i < 3 * CACHE_CELLS_STREAK; i++)
        ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
    ck_assert_uint_eq(node.member->move_count, 0);
    play_hears_nothing();
}
END_TEST

/* While the store is away nothing moves, what is clean neither: whoever got it could not load it. */
START_TEST(nothing_moves_while_the_store_is_away)
{
    write_stored("k");
    write_one("dirty");
    cache_behind_ask(node.behind, slice_of("dirty"));
    while (cache_behind_trouble(node.behind)[0] == '\0') {
        cache_behind_ask(node.behind, slice_of("dirty"));
        node_until(fake_find(FAKE_PUT, "dirty") != NULL);
        fake_answer(fake_find(FAKE_PUT, "dirty"),
                    &(struct backing_answer){.result = BACKING_AWAY, .why = "away"});
    }
    for (int i = 0; i < 3 * CACHE_CELLS_STREAK; i++) {
        ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_RUN);
        ck_assert_int_eq(sent_from(2, "dirty"), CACHE_DO_RUN);
    }
    play_hears_nothing();
    cache_behind_ask(node.behind, slice_of("dirty"));
    play_stored("dirty");
    ck_assert_int_eq(sent_from(2, "k"), CACHE_DO_WAIT);
    node_turn(1);
    expect_release("k", 1);
}
END_TEST

/* A volatile one would be nowhere: it is served from here, however often it is used from elsewhere. */
START_TEST(volatile_does_not_move)
{
    write_one("lock:k");
    for (int i = 0; i < 3 * CACHE_CELLS_STREAK; i++) {
        sent_from(2, "lock:k");
        node_turn(1);
    }
    play_hears_nothing();
    node_expect(fd, "GET lock:k\r\n", "$1\r\nv\r\n");
    node_expect(fd, "DEL lock:k\r\n", ":1\r\n");
    for (int i = 0; i < CACHE_CELLS_STREAK; i++)
        sent_from(2, "lock:k");
    expect_release("lock:k", 1);
}
END_TEST

/* So many may be on their way at once; the next is served on, and moves later. */
START_TEST(moves_are_bounded)
{
    char key[16];
    for (int i = 0; i <= MEMBER_MOVES; i++) {
        snprintf(key, sizeof key, "k%d", i);
        write_one(key);
        send_so_often(key);
        for (size_t j = 0; j < node.member->move_count; j++)
            node.member->moves[j].until_us = INT64_MAX; /* none is over, however busy the host */
    }
    ck_assert_uint_eq(node.member->move_count, MEMBER_MOVES);
    fake_stored("k3");
    expect_release("k3", 4);
    sent_from(2, key);
    ck_assert_uint_eq(node.member->move_count, MEMBER_MOVES);
}
END_TEST

SUITE_MAIN_WITH("cache_member_move", set_up, tear_down, moves_after_so_many, served_while_stored,
                used_here_while_stored, withheld_while_written, not_stored_in_time,
                withheld_for_a_while, a_dead_letter_does_not_move,
                nothing_moves_while_the_store_is_away, volatile_does_not_move, moves_are_bounded)
