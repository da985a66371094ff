/*
 * test_cache_member_release.c: cells that a node gives back: when, what is said, and never before the disk has
 * forgotten what was of them (workers/cache/cache_member_walk.c, workers/cache/cache_member_say.c).
 *
 * fsync and fdatasync are the suite's own, so that the disk can be slow.
 */
#include "test/unit/cache/member_fixture.h"

#include "test/unit/suite.h"
#include "workers/cache/cache_member_private.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t disk_moves = PTHREAD_COND_INITIALIZER;
static bool disk_stands;
static unsigned disk_waits; /* calls that stand */

static void disk_wait(void)
{
    pthread_mutex_lock(&disk_lock);
    disk_waits++;
    while (disk_stands)
        pthread_cond_wait(&disk_moves, &disk_lock);
    disk_waits--;
    pthread_mutex_unlock(&disk_lock);
}

int fsync(int fd)
{
    disk_wait();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    disk_wait();
    return (int)syscall(SYS_fdatasync, fd);
}

static void disk_stop(bool stands)
{
    pthread_mutex_lock(&disk_lock);
    disk_stands = stands;
    pthread_cond_broadcast(&disk_moves);
    pthread_mutex_unlock(&disk_lock);
}

static bool disk_is_waited_for(void)
{
    pthread_mutex_lock(&disk_lock);
    bool waits = disk_waits > 0;
    pthread_mutex_unlock(&disk_lock);
    return waits;
}

/* ---- what is there ---- */

static int fd;

static void set_up(void)
{
    play_set_up();
    fake_manager.idle_ms = 60000;
    fake_manager.volatiles = "lock:*";
    play_begin();
    fd = node_connect();
}

static void tear_down(void)
{
    disk_stop(false);
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

/* All was used then, in seconds from now; they are counted around their end. */
static void used_at(int32_t from_now_s)
{
    struct cache_cells_walk walk = {0};
    struct cache_cells_entry page[64];
    uint32_t then = member_now_s(node.member) + (uint32_t)from_now_s;
    while (!walk.end) {
        size_t count = cache_cells_page(node.member->cells, &walk, ~0u, page, 64);
        for (size_t i = 0; i < count; i++) {
            cache_cells_use(node.member->cells, page[i].cell, 0, then);
            if (page[i].first != 0)
                ((struct cache_object *)cache_db_object(node.db, page[i].first))->used_s = then;
        }
    }
    cache_member_tick(node.member);
}

/* Nobody has used any cell for longer than `idle`. */
static void time_passes(void)
{
    used_at(-120);
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

/* ---- idle ---- */

/* Out of memory and log; given back with the claim's number. Only then may anybody ask for it again. */
START_TEST(idle_is_given_back)
{
    write_stored("k");
    cache_member_tick(node.member);
    play_hears_nothing();
    time_passes();
    ck_assert_uint_eq(cache_db_count(node.db), 0);
    ck_assert_int_eq(play_state("k"), CACHE_CELL_LEAVING);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    expect_release("k", 1);
    ck_assert_int_eq(play_state("k"), CACHE_CELL_UNKNOWN);
    ck_assert_int_eq(play_looks("k"), CACHE_DO_WAIT);
    play_grant("k");
    ck_assert_int_eq(play_looks("k"), CACHE_DO_RUN);
}
END_TEST

/* Without a claim's time, nothing is: 0 keeps all. */
START_TEST(never_idle)
{
    write_stored("k");
    node.member->options.idle_ms = 0;
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
}
END_TEST

/* Somebody waits for something in it: that is use. */
START_TEST(not_while_it_is_loaded)
{
    node_expect(fd, "GET k\r\n", "");
    play_grant("k");
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "k"));
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    fake_have("k", "v", 5);
    node_turn(1);
    ck_assert_str_eq(node_read(fd), "$1\r\nv\r\n");
    time_passes();
    expect_release("k", 1);
}
END_TEST

/* What is kept of cells is memory; where that is full, those that have nothing in it go, and no others. */
START_TEST(empty_ones_when_memory_is_full)
{
    char key[16];
    size_t before = cache_db_bytes(node.db);
    node.member->options.idle_ms = 0;
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "k%d", i);
        play_looks(key);
    }
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_OURS, 1));
    fake_manager.number = 1;
    write_stored("full");
    node_turn(1);
    ck_assert_uint_ge(cache_db_bytes(node.db), before + 500 * sizeof(struct cache_cells_entry));
    time_passes();
    play_hears_nothing();
    node.options.memory_max = cache_db_bytes(node.db);
    cache_member_tick(node.member);
    node_until(fake_manager.count > 0);
    ck_assert_uint_eq(play_heard(MESSAGE_RING_RELEASE)->count, 500);
    ck_assert_int_eq(play_state("full"), CACHE_CELL_OURS);
    ck_assert_int_eq(play_state("k7"), CACHE_CELL_UNKNOWN);
    node_turn(1);
    ck_assert_uint_le(cache_db_bytes(node.db),
                      node.options.memory_max - 500 * sizeof(struct cache_cells_entry));
}
END_TEST

/* An entry whose maker's clock is a second ahead of the loop's is not one that was never used. */
START_TEST(not_what_is_of_the_next_second)
{
    write_stored("k");
    used_at(1);
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
}
END_TEST

/* The disk is slow: nothing is said until it has come so far, however far the log is written. */
START_TEST(not_before_the_disk)
{
    write_stored("k");
    disk_stop(true);
    time_passes();
    node_until(disk_is_waited_for());
    play_hears_nothing();
    ck_assert_uint_eq(cache_log_written(node.log), cache_log_added(node.log));
    ck_assert_uint_lt(cache_log_synced(node.log), cache_log_added(node.log));
    ck_assert_int_eq(play_state("k"), CACHE_CELL_LEAVING);
    node_expect(fd, "GET k\r\n", "");
    play_hears_nothing();
    disk_stop(false);
    expect_release("k", 1);
    play_grant("k");
    ck_assert_ptr_nonnull(fake_find(FAKE_GET, "k")); /* from the store: others may have had it */
}
END_TEST

/* What leaves while a sync is under way is not in that one: it waits for the next, which nobody has to ask for. */
START_TEST(two_behind_each_other)
{
    write_stored("a");
    disk_stop(true);
    time_passes();
    node_until(disk_is_waited_for());
    write_one("b");
    disk_stop(false);
    expect_release("a", 1);
    ck_assert(cache_behind_ask(node.behind, slice_of("b")));
    play_stored("b");
    disk_stop(true);
    time_passes();
    node_until(disk_is_waited_for());
    write_one("c");
    ck_assert(cache_behind_ask(node.behind, slice_of("c")));
    play_stored("c");
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("c"), CACHE_CELL_LEAVING);
    disk_stop(false);
    expect_release("b", 2);
    expect_release("c", 3);
}
END_TEST

/* What the store does not have stays: it is stored, and given back when nobody has used it since. */
START_TEST(dirty_is_stored_first)
{
    write_one("k");
    time_passes();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    play_stored("k");
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
    time_passes();
    expect_release("k", 1);
}
END_TEST

/* A dead letter is not in the store: its cell stays ours. */
START_TEST(a_dead_letter_stays)
{
    write_one("k");
    cache_behind_ask(node.behind, slice_of("k"));
    cache_behind_tick(node.behind);
    node_until(fake_find(FAKE_PUT, "k") != NULL);
    fake_answer(fake_find(FAKE_PUT, "k"),
                &(struct backing_answer){.result = BACKING_REFUSED, .why = "no"});
    node_turn(1);
    ck_assert(cache_db_is_dead(node.db, slice_of("k")));
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
}
END_TEST

/* What the store never hears of is in this memory only: its cell goes when it has gone, and not before. */
START_TEST(volatile_stays)
{
    write_one("lock:k");
    ck_assert(!cache_db_is_dirty(node.db, slice_of("lock:k")));
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("lock:k"), CACHE_CELL_OURS);
    node_expect(fd, "GET lock:k\r\n", "$1\r\nv\r\n");
    node_expect(fd, "DEL lock:k\r\n", ":1\r\n");
    time_passes();
    expect_release("lock:k", 1);
}
END_TEST

/* Without a lease, and while it is not settled, nothing is given back. */
START_TEST(not_without_a_lease)
{
    write_stored("k");
    play_lease_over();
    time_passes();
    play_hears_nothing();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_OURS);
}
END_TEST

/* A release that cannot be sent is sent later; the cell is nobody's meanwhile, here. */
START_TEST(release_is_not_sent)
{
    write_stored("k");
    fake_manager.deaf = true;
    time_passes();
    play_sync();
    ck_assert_int_eq(play_state("k"), CACHE_CELL_LEAVING);
    fake_manager.deaf = false;
    expect_release("k", 1);
}
END_TEST

/* Many at once go together, in the order in which they left. */
START_TEST(many_at_once)
{
    char line[64];
    fake_manager.answers = true;
    for (int i = 0; i < 1500; i++) {
        snprintf(line, sizeof line, "GET k%d\r\n", i);
        node_send(fd, line, strlen(line));
        node_until(fake_waiting(FAKE_GET) > 0);
        snprintf(line, sizeof line, "k%d", i);
        fake_absent(line, 0);
    }
    node_turn(2);
    ck_assert_uint_eq(cache_member_tell(node.member).cells, 1500);
    fake_manager.answers = false;
    time_passes(); /* of absences the log has nothing */
    node_until(fake_manager.count >= 2);
    size_t first = play_heard(MESSAGE_RING_RELEASE)->count,
           second = play_heard(MESSAGE_RING_RELEASE)->count;
    ck_assert_uint_eq(first, 1000);
    ck_assert_uint_eq(second, 500);
    ck_assert_uint_eq(cache_member_tell(node.member).cells, 0);
}
END_TEST

/* Foreign cells that were not used for so long are not known any more. */
START_TEST(foreign_are_forgotten)
{
    play_looks("k");
    ck_assert(play_own(play_heard(MESSAGE_RING_CLAIM), CACHE_RING_THEIRS, 2));
    time_passes();
    ck_assert_uint_eq(cache_member_tell(node.member).foreign, 0);
    play_hears_nothing();
}
END_TEST

/* It joins again while a cell leaves: said is that it leaves under the new join, or it is ours. */
START_TEST(leaving_while_it_rejoins)
{
    write_stored("k");
    disk_stop(true);
    time_passes();
    node_until(disk_is_waited_for());
    fake_manager.joined.mark = 102;
    fake_manager.joined.number = 1;
    cache_member_on_up(node.member);
    disk_stop(false);
    play_join();
    node_until(fake_manager.count > 0);
    const struct play_said *release = play_heard(MESSAGE_RING_RELEASE);
    ck_assert_uint_eq(release->mark, 102);
    ck_assert_uint_eq(release->cells[0].number, 1);
    ck_assert_int_eq(play_state("k"), CACHE_CELL_UNKNOWN);
}
END_TEST

SUITE_MAIN_WITH("cache_member_release", set_up, tear_down, idle_is_given_back, never_idle,
                not_while_it_is_loaded, empty_ones_when_memory_is_full,
                not_what_is_of_the_next_second, not_before_the_disk, two_behind_each_other,
                dirty_is_stored_first, a_dead_letter_stays, volatile_stays, not_without_a_lease,
                release_is_not_sent, many_at_once, foreign_are_forgotten, leaving_while_it_rejoins)
