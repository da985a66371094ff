/*
 * test_cache_member_log.c: what a node's log has of cells when it starts, comes back, or Redis begins anew: it is
 * served, or dropped; what is dirty is never lost (workers/cache/cache_member_walk.c,
 * workers/cache/cache_member_event.c).
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_behind_private.h"
#include "workers/cache/cache_member_private.h"

#include <stdio.h>
#include <unistd.h>

static void write_one(int fd, const char *key, const char *value)
{
    char line[128];
    snprintf(line, sizeof line, "SET %s %s\r\n", key, value);
    node_expect(fd, line, "");
    play_grant(key);
    ck_assert_str_eq(node_read(fd), "+OK\r\n");
}

/* "dirty" has been written under claim 1, "clean" under claim 2 and is stored; then the process is gone, and back. */
static void begin_with_log(void)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "dirty", "1");
    write_one(fd, "clean", "2");
    cache_behind_ask(node.behind, slice_of("clean"));
    play_stored("clean");
    ck_assert(!cache_db_is_dirty(node.db, slice_of("clean")));
    ck_assert(cache_db_is_dirty(node.db, slice_of("dirty")));
    node_turn(1);
    close(fd);
    play_shut();
    fake_manager.joined.mark++;
    fake_manager.joined.number = 2;
    fake_manager.joined.was = CACHE_RING_LIVE;
    play_open();
    ck_assert_uint_eq(cache_db_count(node.db), 2);
}

static const struct play_said *reclaim(void)
{
    play_join();
    play_nodes((const int[]){1, 2, 3, 0});
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_eq(claim->count, 1);
    ck_assert(claim->cells[0].cell == play_cell("dirty"));
    return claim;
}

/* ---- a start ---- */

/* What is dirty is claimed by itself; nothing is served, nothing stored, no lease taken until that is answered. */
START_TEST(dirty_is_claimed_first)
{
    begin_with_log();
    const struct play_said *claim = reclaim();
    play_lease(PLAY_HOUR);
    ck_assert(!cache_member_serves(node.member));
    ck_assert(!cache_member_may_store(node.member));
    ck_assert_int_eq(play_looks("clean"), CACHE_DO_WAIT);
    play_hears_nothing();
    ck_assert(play_own(claim, CACHE_RING_OURS, 1));
    node_turn(1);
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
    ck_assert(cache_member_may_store(node.member));
}
END_TEST

/* Ours by the claim of before: served from memory. */
START_TEST(ours_since_before)
{
    begin_with_log();
    ck_assert(play_own(reclaim(), CACHE_RING_OURS, 1));
    node_turn(1);
    play_lease(PLAY_HOUR);
    int fd = node_connect();
    node_expect(fd, "GET dirty\r\n", "$1\r\n1\r\n");
    node_expect(fd, "GET clean\r\n", "");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 2));
    node_turn(2);
    ck_assert_str_eq(node_read(fd), "$1\r\n2\r\n");
    ck_assert_uint_eq(fake.made[FAKE_GET], 0);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    close(fd);
}
END_TEST

/* Ours by a later claim: somebody may have had it in between. What is dirty is stored first, then all is loaded. */
START_TEST(ours_by_a_later_claim)
{
    begin_with_log();
    ck_assert(play_own(reclaim(), CACHE_RING_OURS, 3));
    node_turn(1);
    play_lease(PLAY_HOUR);
    int fd = node_connect();
    node_expect(fd, "GET dirty\r\n", "");
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    ck_assert_uint_eq(fake_waiting(FAKE_GET), 0); /* not before its stray is stored */
    ck_assert_uint_eq(cache_member_claim(node.member, slice_of("dirty")), 0);
    play_stored("dirty");
    node_turn(2);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "dirty"));
    fake_have("dirty", "another's", 5);
    ck_assert_str_eq(node_read(fd), "$9\r\nanother's\r\n");
    node_expect(fd, "GET clean\r\n", "");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 4));
    play_sync();
    node_turn(2);
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "clean"));
    close(fd);
}
END_TEST

/* Another's by now: dropped. What was only here is put when the cell is ours again, with the version that it had. */
START_TEST(theirs_by_now)
{
    begin_with_log();
    uint64_t version = cache_db_dirty_version(node.db, slice_of("dirty"));
    ck_assert(play_own(reclaim(), CACHE_RING_THEIRS, 2));
    play_lease(PLAY_HOUR);
    ck_assert_int_eq(play_looks("dirty"),
                     CACHE_DO_WAIT); /* the log may have it, should the machine die */
    play_sync();
    node_turn(1);
    ck_assert_int_eq(play_looks("dirty"), CACHE_DO_FORWARD);
    ck_assert_uint_eq(cache_db_count(node.db), 1);
    cache_member_tick(node.member);
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert(claim->cells[0].cell == play_cell("dirty"));
    ck_assert(play_own(claim, CACHE_RING_THEIRS, 2));
    cache_behind_tick(node.behind);
    play_hears_nothing();
    ck_assert_uint_eq(fake_waiting(FAKE_PUT), 0);
    node.member->strays_s = 0; /* the next time */
    cache_member_tick(node.member);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 9));
    node_until(fake_find(FAKE_PUT, "dirty") != NULL);
    ck_assert_uint_eq(fake_find(FAKE_PUT, "dirty")->meta.version, version);
    fake_stored("dirty");
    node_turn(1);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    node.member->strays_s = 0;
    cache_member_tick(node.member);
    play_hears_nothing();
}
END_TEST

static void look_at_theirs(void)
{
    begin_with_log();
    ck_assert(play_own(reclaim(), CACHE_RING_THEIRS, 2));
    node_turn(1);
    play_lease(PLAY_HOUR);
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_GET, "dirty") != NULL);
    ck_assert_ptr_null(fake_find(FAKE_PUT, "dirty"));
}

/* While it is another's the store is looked at: when that one has stored a newer version, ours is a dead letter. */
START_TEST(written_by_them)
{
    look_at_theirs();
    fake_have("dirty", "another's", UINT64_C(1) << 61);
    node_turn(1);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 1);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 0);
    cache_member_tick(node.member);
    play_hears_nothing(); /* nothing is to be put any more */
}
END_TEST

/* What it has is older, or nothing, or it gives no answer: ours waits, and is put when its cell is ours. */
START_TEST(not_written_by_them)
{
    look_at_theirs();
    fake_have("dirty", "older", 1);
    node_turn(1);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    node_until(fake_find(FAKE_GET, "dirty") != NULL); /* once more, a little later */
    fake_absent("dirty", 0);
    node_turn(1);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    ck_assert_ptr_null(fake_find(FAKE_PUT, "dirty"));
    cache_member_tick(node.member);
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 9));
    play_stored("dirty");
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    ck_assert_int_eq(play_looks("dirty"), CACHE_DO_RUN);
}
END_TEST

/* In a new run nothing is granted to anybody yet: what was dropped is stored before that begins. */
START_TEST(strays_are_stored_before_it_opens)
{
    begin_with_log();
    fake_manager.joined.epoch++;
    fake_manager.joined.closed_ms = 3600000;
    play_join();
    play_lease(PLAY_HOUR);
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_PUT, "dirty") != NULL);
    fake_stored("dirty");
    node_turn(1);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    play_hears_nothing();
}
END_TEST

/* That it is closed, as a claim's answer says, may have been so long ago: for strays it is not. */
START_TEST(strays_when_it_may_be_open)
{
    begin_with_log();
    fake_manager.joined.epoch++;
    play_join();
    play_lease(PLAY_HOUR);
    ck_assert_int_eq(play_looks("dirty"), CACHE_DO_WAIT);
    ck_assert(play_obstruct(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_CLOSED, 3600000));
    cache_behind_tick(node.behind);
    node_until(node.behind->failed.count > 0);
    ck_assert_uint_eq(fake.made[FAKE_PUT], 0);
}
END_TEST

/* Of a lost node (it was another's, and that one died): the same. */
START_TEST(lost_by_now)
{
    begin_with_log();
    ck_assert(play_own(reclaim(), CACHE_RING_LOST_CELL, 2));
    play_lease(PLAY_HOUR);
    play_sync();
    ck_assert_int_eq(play_looks("dirty"), CACHE_DO_REFUSE);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
}
END_TEST

/* Told to be lost while it was away: nothing of before is served, nothing is claimed for it. */
START_TEST(outlived)
{
    begin_with_log();
    fake_manager.joined.incarnation = 4;
    fake_manager.joined.was = CACHE_RING_LOST_NODE;
    play_join();
    play_hears_nothing();
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
    /* A stray asks for its cell only when all else is settled. It outlives the next start, too. */
    play_shut();
    play_open();
    play_join();
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    play_hears_nothing();
    play_lease(PLAY_HOUR);
    cache_member_tick(node.member);
    play_grant("dirty");
    play_stored("dirty");
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
}
END_TEST

static void is_old(bool old)
{
    char text[256] = "";
    FILE *file = fopen(fake_manager.path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_msg(strncmp(text, "4 ", 2) == 0 && (strstr(text, " old\n") != NULL) == old, "%s",
                  text);
}

/*
 * Killed between the join and the walk's end it comes back as that incarnation: else that one would be a lost node that
 * has nothing. What its log has is no more that one's than before.
 */
START_TEST(killed_before_the_walk_ends)
{
    begin_with_log();
    fake_manager.joined.incarnation = 4;
    fake_manager.joined.was = CACHE_RING_NEW;
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    ck_assert_int_eq(node.member->walk, MEMBER_OUTLIVED);
    is_old(true);
    play_shut();
    fake_manager.joined.was = CACHE_RING_LIVE;
    fake_manager.joined.number = 9; /* more than what its log was claimed under */
    play_open();
    ck_assert_uint_eq(cache_member_incarnation(node.member), 4);
    ck_assert_uint_eq(cache_db_count(node.db), 2);
    play_lease(PLAY_HOUR);
    ck_assert_int_eq(play_looks("clean"), CACHE_DO_WAIT);
    cache_member_on_up(node.member);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_JOIN)->incarnation, 4);
    play_say_joined();
    node_until(node.member->walk == MEMBER_SETTLED);
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    is_old(false);
    /* And then its log is its own. */
    play_shut();
    play_open();
    ck_assert_int_eq(node.member->owed, MEMBER_SETTLED);
}
END_TEST

/* What was dropped is on its way out of the log, and not on the disk: the same. */
START_TEST(killed_before_the_log_is_synced)
{
    begin_with_log();
    fake_manager.joined.incarnation = 4;
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    node_until(cache_db_count(node.db) == 0);
    is_old(node.member->walk == MEMBER_FORGETS);
    node_until(node.member->walk == MEMBER_SETTLED);
    ck_assert_uint_eq(cache_log_synced(node.log), cache_log_added(node.log));
    is_old(false);
}
END_TEST

/* The ring is another by its seed: places are new, what is dirty a stray. */
START_TEST(made_anew)
{
    begin_with_log();
    fake_manager.seed[5] ^= 0x40;
    fake_manager.joined.number = 0;
    play_join();
    play_hears_nothing();
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    ck_assert_int_ne(cache_cell_objects_first(&node.member->objects, play_cell("dirty")), 0);
}
END_TEST

/* No lease yet when Redis began anew: others may have taken over, so all of it goes. */
START_TEST(new_run_at_the_start)
{
    begin_with_log();
    fake_manager.joined.epoch++;
    play_join();
    play_hears_nothing();
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
}
END_TEST

/* The claim for what is dirty is not answered: a rejoin asks again. */
START_TEST(joins_again_meanwhile)
{
    begin_with_log();
    uint64_t token = reclaim()->token;
    fake_manager.joined.mark++;
    cache_member_on_up(node.member);
    play_join();
    const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
    ck_assert_uint_ne(claim->token, token);
    ck_assert(play_own(claim, CACHE_RING_OURS, 1));
    node_turn(1);
    play_lease(PLAY_HOUR);
    ck_assert_int_eq(play_looks("dirty"), CACHE_DO_RUN);
}
END_TEST

/* ---- Redis begins anew ---- */

static void new_run(void)
{
    fake_manager.joined.epoch++;
    fake_manager.joined.mark++;
    fake_manager.joined.closed_ms = 12000;
    fake_manager.joined.number = 0; /* it has forgotten all */
    cache_member_on_up(node.member);
    play_join();
}

/* Who has a lease claims again what it has, by the same number, and is served when that is confirmed. */
START_TEST(held_with_a_lease)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "k", "v");
    node_expect(fd, "GET asked\r\n", "");
    play_heard(MESSAGE_RING_CLAIM);
    new_run();
    const struct play_said *held = play_heard(MESSAGE_RING_HELD);
    ck_assert_uint_eq(held->mark, 102);
    ck_assert_uint_eq(held->count, 1);
    ck_assert(held->cells[0].cell == play_cell("k"));
    ck_assert_uint_eq(held->cells[0].number, 1);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    ck_assert(!cache_member_may_store(node.member));
    play_heard(MESSAGE_RING_CLAIM); /* of "asked", whose client looks again */
    ck_assert(play_own(held, CACHE_RING_OURS, 1));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    node_expect(fd, "", "");
    ck_assert(cache_db_is_dirty(node.db, slice_of("k"))); /* it is what it was, no stray */
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    ck_assert(cache_member_may_store(node.member));
    close(fd);
}
END_TEST

/*
 * While something is held no lease is taken: in one more new run it would say that nobody has taken over since. What
 * was told meanwhile is taken then.
 */
START_TEST(no_lease_while_held)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "k", "v");
    new_run();
    const struct play_said *held = play_heard(MESSAGE_RING_HELD);
    play_lease_over();
    play_lease(PLAY_HOUR);
    ck_assert(!cache_member_serves(node.member));
    ck_assert(play_own(held, CACHE_RING_OURS, 1));
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    node_turn(1);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
    close(fd);
}
END_TEST

/* Without a lease nothing is held: somebody may have taken over, and Redis may have forgotten that. */
START_TEST(held_without_a_lease)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "k", "v");
    play_lease_over();
    new_run();
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_UNKNOWN);
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    close(fd);
}
END_TEST

/* Held too late, or not known to be: not now, later; and what another has claimed since is that one's. */
START_TEST(held_answers)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "late", "1");
    write_one(fd, "theirs", "2");
    new_run();
    const struct play_said *held = play_heard(MESSAGE_RING_HELD);
    ck_assert_uint_eq(held->count, 2);
    ck_assert(play_obstruct(held, 4, 0));
    node.member->later_us = 0;
    held = play_heard(MESSAGE_RING_HELD);
    ck_assert_uint_eq(held->count, 2);
    bool first = held->cells[0].cell == play_cell("late");
    ck_assert_uint_eq(held->cells[first ? 0 : 1].number, 1); /* it knows it still */
    ck_assert_uint_eq(held->cells[first ? 1 : 0].number, 2);
    const struct cache_ring_owner ours = {CACHE_RING_OURS, 1}, theirs = {CACHE_RING_THEIRS, 2};
    const struct cache_ring_owner owners[] = {first ? ours : theirs, first ? theirs : ours};
    ck_assert(play_own_each(held, owners, 2));
    play_sync();
    ck_assert_int_eq(play_looks("theirs"), CACHE_DO_FORWARD);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    new_run();
    held = play_heard(MESSAGE_RING_HELD);
    ck_assert_uint_eq(held->count, 1);
    ck_assert(play_obstruct(held, CACHE_RING_MOVED, 0)); /* the ring is open again */
    ck_assert_int_eq(play_state("late"), CACHE_CELL_UNKNOWN);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 2);
    close(fd);
}
END_TEST

/* By another claim than the one that it holds: somebody may have been there in between. */
START_TEST(held_by_another_claim)
{
    play_begin();
    int fd = node_connect();
    write_one(fd, "k", "v");
    new_run();
    ck_assert(play_own(play_heard(MESSAGE_RING_HELD), CACHE_RING_OURS, 2));
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 1);
    close(fd);
}
END_TEST

/* ---- many ---- */

/* More cells than one step of a walk: all of what is dirty is claimed before anything is served. */
START_TEST(many_at_the_start)
{
    fake_manager.answers = true;
    play_open();
    fake_manager.answers = false;
    play_join();
    play_nodes((const int[]){1, 0});
    play_lease(PLAY_HOUR);
    fake_manager.answers = true;
    int fd = node_connect();
    char line[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(line, sizeof line, "SET k%d v\r\n", i);
        node_send(fd, line, strlen(line));
    }
    node_until(cache_db_count(node.db) == 3000);
    close(fd);
    fake_manager.answers = false;
    play_shut();
    play_open();
    fake_manager.joined.mark++;
    fake_manager.joined.number = fake_manager.number;
    cache_member_on_up(node.member);
    play_heard(MESSAGE_RING_JOIN);
    play_say_joined();
    node_until(node.member->walk == MEMBER_RECLAIMS);
    for (size_t left = 3000; left > 0;) {
        const struct play_said *claim = play_heard(MESSAGE_RING_CLAIM);
        play_lease(PLAY_HOUR);
        ck_assert(!cache_member_serves(node.member));
        ck_assert(play_own(claim, CACHE_RING_OURS, 1));
        left -= claim->count;
    }
    node_turn(1);
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
    ck_assert_uint_eq(cache_member_tell(node.member).cells, 3000);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_member_log", play_set_up, play_tear_down, dirty_is_claimed_first,
                ours_since_before, ours_by_a_later_claim, theirs_by_now, written_by_them,
                not_written_by_them, strays_are_stored_before_it_opens, strays_when_it_may_be_open,
                lost_by_now, outlived, killed_before_the_walk_ends, killed_before_the_log_is_synced,
                made_anew, new_run_at_the_start, joins_again_meanwhile, held_with_a_lease,
                no_lease_while_held, held_without_a_lease, held_answers, held_by_another_claim,
                many_at_the_start)
