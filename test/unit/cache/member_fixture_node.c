/* member_fixture_node.c: the node itself: its log, its store, its life. See member_fixture.h. */
#include "test/unit/cache/member_fixture.h"

#include "workers/cache/cache_second.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t play_key[16] = "sixteen bytes!!";

/* ---- the log ---- */

static int play_on_records(const struct cache_log_record *r, size_t count, uint32_t segment,
                           void *ctx)
{
    (void)ctx;
    return cache_db_replay(r, count, segment, node.db);
}

static bool play_is_alive(struct cache_log_record *r, uint32_t segment, void *ctx)
{
    (void)ctx;
    return cache_db_is_alive(r, segment, node.db);
}

static void play_on_moved(const struct cache_log_record *r, uint32_t segment, void *ctx)
{
    (void)ctx;
    cache_db_moved(r, segment, node.db);
}

static void play_on_synced(void *ctx)
{
    (void)ctx;
    fake_manager.synced++;
    cache_turn_synced(&node.turn);
    cache_member_synced(node.member);
}

static void play_on_alive(void *ctx)
{
    (void)ctx;
}

static void play_open_log(void)
{
    static const struct cache_log_events events = {.on_records = play_on_records,
                                                   .on_synced = play_on_synced,
                                                   .is_alive = play_is_alive,
                                                   .on_moved = play_on_moved};
    struct cache_log_options options = {.dir = fake_manager.dir,
                                        .segment_max = 1 << 20,
                                        .fsync = fake_manager.fsync,
                                        .store = "file /fake"};
    struct cache_log_found found;
    char why[512];
    cache_turn_begin(&node.turn);
    int rc = cache_log_open(node.loop, &options, &events, NULL, play_on_alive, &found, &node.log,
                            why, sizeof why);
    ck_assert_msg(rc == 0, "%s", why);
    cache_db_attach(node.db, node.log);
}

/* ---- the store ---- */

static bool play_may(void *ctx)
{
    (void)ctx;
    return node.member != NULL && cache_member_may_store(node.member);
}

static enum cache_may_put play_may_put(void *ctx, struct slice key)
{
    (void)ctx;
    return cache_member_may_put(node.member, key);
}

static void play_on_change(void *ctx)
{
    (void)ctx;
    cache_park_changed(node.park);
    cache_member_changed(node.member);
}

static void play_on_stored(void *ctx, struct slice key, uint64_t version)
{
    (void)ctx;
    cache_park_passed(node.park, key, version);
}

static void play_on_kept(void *ctx, struct slice key, uint64_t version)
{
    (void)ctx;
    if (node.second != NULL)
        cache_second_drop(node.second, key, version);
}

static void play_open_store(void)
{
    struct cache_park_options park = {.node = &node,
                                      .backing = &fake.head,
                                      .hash_key = play_key,
                                      .timeout_ms = fake_manager.timeout_ms,
                                      .retry_max_ms = 100,
                                      .parallel = 64};
    struct cache_behind_options behind = {.write_delay_ms = PLAY_HOUR,
                                          .retry_max_ms = 100,
                                          .timeout_ms = 60000,
                                          .parallel = 8,
                                          .may = play_may,
                                          .may_put = play_may_put,
                                          .on_change = play_on_change,
                                          .on_stored = play_on_stored,
                                          .on_kept = play_on_kept};
    node.park = cache_park_new(&park);
    node.behind = cache_behind_new(node.loop, node.db, &fake.head, &behind);
    ck_assert(node.park != NULL && node.behind != NULL);
}

/* ---- life ---- */

void play_set_up(void)
{
    static const struct message_ring_joined joined = {
        .incarnation = 1, .mark = 101, .epoch = 1001, .redis_us = 1700000000000000};
    fake_manager = (struct fake_manager){.joined = joined,
                                         .seed = "sixteen  bytes!",
                                         .fsync = CACHE_LOG_NO,
                                         .timeout_ms = 60000,
                                         .left = -1};
    snprintf(fake_manager.dir, sizeof fake_manager.dir, "%s/cache-member.XXXXXX",
             access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(fake_manager.dir));
    snprintf(fake_manager.path, sizeof fake_manager.path, "%s/ring", fake_manager.dir);
    node_set_up();
    play_manager_begin();
}

bool play_try_open(char *why, size_t why_size)
{
    struct cache_db_options db = {.memory_max = node.options.memory_max,
                                  .object_max = node.options.object_max,
                                  .dirty_max = node_dirty_max,
                                  .evict = true,
                                  .stored = true,
                                  .copied = fake_manager.copied,
                                  .volatiles = fake_manager.volatiles};
    fake_set_up();
    node.turn.began = false; /* the new one has not been told the time */
    cache_db_free(node.db);
    node.options.stored = true;
    node.options.fsync = fake_manager.fsync;
    node.options.timeout_ms = fake_manager.timeout_ms;
    node.db = cache_db_new(&db, play_key);
    ck_assert_ptr_nonnull(node.db);
    node.member = play_new(why, why_size);
    if (node.member == NULL)
        return false;
    if (fake_manager.copied)
        play_open_second();
    play_open_log();
    play_open_store();
    return true;
}

void play_open(void)
{
    char why[512];
    ck_assert_msg(play_try_open(why, sizeof why), "%s", why);
}

/* The database stays for whoever frees it; it tells nobody any more. */
void play_shut(void)
{
    cache_client_end_all(&node);
    cache_second_free(node.second);
    node.second = NULL;
    cache_member_free(node.member);
    node.member = NULL;
    node_store_end();
    ck_assert_int_eq(cache_log_close(node.log), 0);
    node.log = NULL;
    cache_db_attach(node.db, NULL);
    fake_manager.first = fake_manager.count = 0;
    fake_manager.left = -1;
    node_turn(2);
}

static int play_remove(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

void play_tear_down(void)
{
    if (node.member != NULL)
        play_shut();
    play_manager_end();
    node_tear_down();
    nftw(fake_manager.dir, play_remove, 8, FTW_DEPTH | FTW_PHYS);
}

void play_begin(void)
{
    play_open();
    play_join();
    play_nodes((const int[]){1, 2, 3, 0});
    play_lease(PLAY_HOUR);
    ck_assert(cache_member_serves(node.member));
}
