/*
 * test_cache_cell_objects.c: what of a cell is in memory is what its list says (workers/cache/cache_cell_objects.h),
 * whatever random work does with objects, and with memory that fails.
 */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/cache_cell_objects.h"
#include "workers/cache/cache_db_private.h"
#include "workers/cache/ring/cache_cell.h"

#define KEYS 400
#define TAGS 20 /* half of the keys share these cells */

static const uint8_t hash_key[16] = {7}, seed[16] = {9}, other_seed[16] = {3};
static size_t at_start;
static struct cache_db *db;
static struct cache_cells *cells;
static struct cache_cell_objects objects;
static int64_t now_us;
static uint64_t mono_ms;

static void set_up(void)
{
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 32 << 20,
                                             .stored = true,
                                             .volatiles = "lock:*"};
    at_start = short_memory_bytes();
    now_us = INT64_C(1700000000000000);
    mono_ms = 1000000;
    db = cache_db_new(&options, hash_key);
    cells = cache_cells_new(CACHE_CELLS_FOREIGN_MAX);
    ck_assert(db != NULL && cells != NULL);
    cache_cell_objects_init(&objects, db, cells, seed);
    cache_db_begin(db, now_us, mono_ms);
    ck_assert(cache_db_place(db, &objects.places));
}

static void tear_down(void)
{
    cache_db_free(db);
    cache_cell_objects_fini(&objects);
    ck_assert_uint_eq(cache_cell_objects_bytes(&objects), 0);
    for (unsigned s = 0; s < CACHE_CELL_STATE_COUNT; s++)
        ck_assert(s == CACHE_CELL_OURS || cache_cells_count(cells, (enum cache_cell_state)s) == 0);
    cache_cells_free(cells);
    MUST(short_memory_is(at_start, 0));
}

static struct slice key_of(unsigned i)
{
    static char text[32];
    int len = i % 4 < 2 ? snprintf(text, sizeof text, "%s:%u", i % 4 == 0 ? "key" : "lock", i)
                        : snprintf(text, sizeof text, "%u{%u}", i, i / 4 % TAGS);
    return slice_make(text, (size_t)len);
}

/* ---- what there is, by the table alone ---- */

static struct {
    uint64_t cell;
    uint32_t handle;
    bool listed;
} there[KEYS];
static size_t there_count;

static void on_seen(struct cache_table *t, uint32_t handle, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < there_count; i++)
        if (there[i].handle == handle)
            return;
    MUST(there_count < KEYS);
    there[there_count].cell = cache_cell(cache_object_key(cache_table_at(t, handle)), objects.seed);
    there[there_count].listed = false;
    there[there_count++].handle = handle;
}

static void see_all(void)
{
    uint64_t cursor = 0;
    there_count = 0;
    do
        cursor = cache_table_scan(db->table, cursor, on_seen, NULL);
    while (cursor != 0);
    MUST(there_count == cache_table_count(db->table));
}

/* It is one of the cell's, and in no list before this one. */
static void expect_listed(uint64_t cell, uint32_t handle)
{
    size_t i = 0;
    while (i < there_count && there[i].handle != handle)
        i++;
    MUST(i < there_count && there[i].cell == cell && !there[i].listed);
    there[i].listed = true;
}

static void expect_lists(void)
{
    struct cache_cells_walk walk = {0};
    struct cache_cells_entry page[16];
    size_t listed = 0;
    see_all();
    while (!walk.end) {
        size_t count = cache_cells_page(cells, &walk, ~0u, page, 16);
        for (size_t i = 0; i < count; i++) {
            MUST(page[i].first == cache_cell_objects_first(&objects, page[i].cell));
            for (uint32_t h = page[i].first; h != 0; h = cache_cell_list_next(&objects.list, h)) {
                expect_listed(page[i].cell, h);
                listed++;
            }
        }
    }
    MUST(listed == there_count);
}

/* ---- random work ---- */

static void write_one(struct slice key)
{
    int64_t now_ms = now_us / 1000;
    int64_t expiry_ms = cache_random(3) == 0 ? now_ms + 1 + cache_random(50) : CACHE_NEVER;
    bool was;
    size_t len;
    switch (cache_random(7)) {
    case 0:
        cache_db_delete(db, key, &was);
        break;
    case 1:
        cache_db_learn_absent(db, key, (uint64_t)now_us);
        break;
    case 2:
        cache_db_append(db, key, slice_of("tail"), &len);
        break;
    case 3:
        cache_db_expire(db, key, expiry_ms);
        break;
    case 4:
        cache_db_learn(db, key, slice_of("stored"), (uint64_t)now_us, expiry_ms, 0);
        break;
    default:
        cache_db_set(db, key, slice_of("value"), expiry_ms, 0);
    }
}

/* The store takes it, or does not. */
static void store_one(void)
{
    char key[32];
    const struct cache_object *o = cache_db_take(db, INT64_MAX);
    if (o == NULL)
        return;
    uint64_t version = o->version;
    MUST(slice_copy(cache_object_key(o), key, sizeof key));
    switch (cache_random(8)) {
    case 0:
        cache_db_give_up(db, slice_of(key), version, version + cache_random(2));
        break;
    case 1:
        cache_db_give_back(db, slice_of(key), true);
        break;
    default:
        cache_db_stored(db, slice_of(key), version, false);
    }
}

/* Some of what is clean is evicted. */
static void evict_some(void)
{
    size_t max = db->options.memory_max;
    db->options.memory_max = cache_db_bytes(db) - cache_random(1000);
    cache_db_room(db);
    db->options.memory_max = max;
}

/* A cell leaves, but for what the store does not have. */
static void leave_one(struct slice key)
{
    uint64_t cell = cache_cell(key, objects.seed);
    uint32_t next;
    for (uint32_t h = cache_cell_objects_first(&objects, cell); h != 0; h = next) {
        next = cache_cell_list_next(&objects.list, h);
        const struct cache_object *o = cache_db_object(db, h);
        bool may = !o->dirty && !o->busy, left;
        MUST(cache_cell(cache_object_key(o), objects.seed) == cell);
        MUST(cache_db_leave(db, h, &left) == CACHE_OK && left == may);
        MUST(cache_cell_list_has(&objects.list, h) == !left);
    }
}

static void work_one(void)
{
    bool was;
    switch (cache_random(40)) {
    case 0:
        evict_some();
        break;
    case 1:
        now_us += cache_random(30000);
        cache_db_begin(db, now_us, mono_ms += 200);
        cache_db_work(db);
        break;
    case 2:
        cache_db_idle(db, 20000, cache_random(2) == 0);
        break;
    case 3:
        leave_one(key_of(cache_random(KEYS)));
        break;
    case 4:
        cache_db_dead_drop(db, key_of(cache_random(KEYS)), &was);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
        store_one();
        break;
    default:
        write_one(key_of(cache_random(KEYS)));
    }
}

START_TEST(each_cell_has_what_there_is_of_it)
{
    size_t most = 0;
    for (unsigned turn = 1; turn <= 60000; turn++) {
        if (turn % 4 == 0)
            short_memory_fail(1 + cache_random(4), cache_random(2) == 0);
        work_one();
        short_memory_fail(0, false);
        if (turn % 50 == 0)
            expect_lists();
        most = there_count > most ? there_count : most;
    }
    ck_assert_uint_gt(most, KEYS / 4);
    ck_assert_uint_gt(db->stats.evicted, 100);
    ck_assert_uint_gt(db->stats.expired, 100);
}
END_TEST

/* A cell that is ours keeps its entry when its last object goes, and one of which nothing is known does not. */
START_TEST(an_entry_stays_as_long_as_it_is_needed)
{
    struct slice key = slice_of("lock:a");
    uint64_t cell = cache_cell(key, seed);
    bool was;
    cache_db_set(db, key, slice_of("value"), CACHE_NEVER, 0);
    ck_assert_uint_eq(cache_cells_find(cells, cell)->used_s, 1000);
    ck_assert_uint_ne(cache_cell_objects_first(&objects, cell), 0);
    ck_assert_uint_gt(cache_cell_objects_bytes(&objects), 0);
    cache_db_delete(db, key, &was);
    ck_assert_ptr_null(cache_cells_find(cells, cell));
    ck_assert_uint_eq(cache_cell_objects_first(&objects, cell), 0);
    cache_cells_set(cells, cell, CACHE_CELL_OURS, 0, 1);
    cache_db_set(db, key, slice_of("value"), CACHE_NEVER, 0);
    cache_db_delete(db, key, &was);
    ck_assert_uint_eq(cache_cells_find(cells, cell)->first, 0);
}
END_TEST

/* The nth of all that a new object needs fails: it is not there, and nothing of it is. */
START_TEST(without_memory_for_its_cell_there_is_no_object)
{
    struct slice key = slice_of("lock:a");
    enum cache_fault fault = CACHE_FAULT_MEMORY;
    long n = 1;
    for (; fault != CACHE_OK; n++) {
        cache_db_free(db);
        cache_cell_objects_fini(&objects);
        cache_cells_free(cells);
        set_up();
        short_memory_fail(n, false);
        fault = cache_db_set(db, key, slice_of("value"), CACHE_NEVER, 0);
        short_memory_fail(0, false);
        MUST(fault == CACHE_OK || (fault == CACHE_FAULT_MEMORY && cache_db_count(db) == 0));
        MUST((cache_cells_find(cells, cache_cell(key, seed)) != NULL) == (fault == CACHE_OK));
        expect_lists();
    }
    ck_assert_int_gt(n, 5); /* at least: the object, its handle, links and their chunk, its cell */
}
END_TEST

START_TEST(with_another_seed_they_are_in_other_cells)
{
    for (unsigned i = 0; i < KEYS; i++)
        MUST(cache_db_set(db, key_of(i), slice_of("value"), CACHE_NEVER, 0) == CACHE_OK);
    expect_lists();
    ck_assert(cache_db_place(db, NULL));
    cache_cell_objects_fini(&objects);
    ck_assert_uint_eq(cache_cells_count(cells, CACHE_CELL_UNKNOWN), 0);
    cache_cell_objects_init(&objects, db, cells, other_seed);
    short_memory_fail(4, true);
    bool placed = cache_db_place(db, &objects.places);
    short_memory_fail(0, false);
    ck_assert(!placed);
    ck_assert_uint_eq(cache_cells_count(cells, CACHE_CELL_UNKNOWN), 0);
    ck_assert(cache_db_place(db, &objects.places));
    expect_lists();
    ck_assert_uint_ne(cache_cell_objects_first(&objects, cache_cell(key_of(0), other_seed)), 0);
    ck_assert_uint_eq(cache_cell_objects_first(&objects, cache_cell(key_of(0), seed)), 0);
}
END_TEST

SUITE_MAIN_WITH("cache_cell_objects", set_up, tear_down, each_cell_has_what_there_is_of_it,
                an_entry_stays_as_long_as_it_is_needed,
                without_memory_for_its_cell_there_is_no_object,
                with_another_seed_they_are_in_other_cells)
