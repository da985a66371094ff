/* test_cache_behind_file.c: the write-behind with a real store, its own timer and loop (cache_behind.h). */
#include "test/unit/cache/backing_fixture.h"
#include "workers/cache/backing/backing_file.h"
#include "workers/cache/cache_behind.h"

#include <stdlib.h>

static char dir[] = "/tmp/platoon-behind-XXXXXX";
static uv_loop_t loop;
static struct cache_db *db;
static struct backing *store;
static struct cache_behind *behind;

static void set_up(void)
{
    static const uint8_t key[16] = {1};
    const struct cache_db_options options = {
        .memory_max = 64 << 20, .object_max = 1 << 20, .dirty_max = 1 << 20, .stored = true};
    const struct cache_behind_options behind_options = {
        .write_delay_ms = 20, .retry_max_ms = 100, .timeout_ms = 10000, .parallel = 8};
    strcpy(dir, "/tmp/platoon-behind-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    const struct backing_file_options file_options = {.path = dir, .value_max = 1 << 20};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(backing_file_new(&loop, &file_options, &store), 0);
    ck_assert_int_eq(backing_check(&loop, store).result, BACKING_DONE);
    db = cache_db_new(&options, key);
    behind = cache_behind_new(&loop, db, store, &behind_options);
    ck_assert(db != NULL && behind != NULL);
}

static void tear_down(void)
{
    char command[64];
    cache_behind_free(behind);
    backing_end(&loop, store);
    cache_db_free(db);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void until_clean(void)
{
    while (cache_db_dirt(db).keys > 0)
        uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(a_directory_has_it)
{
    char key[16];
    bool was;
    cache_db_begin(db, INT64_C(1700000000000000), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(key, sizeof key, "%d", i);
            ck_assert_int_eq(
                cache_db_set(db, slice_of(key), slice_of(round == 2 ? "2" : "1"), CACHE_NEVER, 0),
                CACHE_OK);
        }
        if (round == 1)
            cache_db_delete(db, slice_of("7"), &was);
        until_clean();
        struct backing_got got = backing_get(&loop, store, "7");
        ck_assert_int_eq(got.result, round == 1 ? BACKING_ABSENT : BACKING_DONE);
    }
    ck_assert_str_eq(backing_get(&loop, store, "42").value, "2");
    ck_assert_uint_eq(cache_behind_counts(behind)->stores, 300);
    ck_assert_uint_eq(cache_behind_counts(behind)->errors, 0);
}
END_TEST

/* What is under way when it ends goes on, or does not: nobody is called. */
START_TEST(it_ends_in_the_middle)
{
    char key[16];
    cache_db_begin(db, INT64_C(1700000000000000), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "%d", i);
        cache_db_set(db, slice_of(key), slice_of("1"), CACHE_NEVER, 0);
    }
    cache_behind_all(behind);
    for (int i = 0; i < 3; i++)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_gt(cache_db_dirt(db).keys, 0);
}
END_TEST

SUITE_MAIN_WITH("cache_behind_file", set_up, tear_down, a_directory_has_it, it_ends_in_the_middle)
