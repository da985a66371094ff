/* test_cache_table.c: the table beside a plain array of what is in it, while it grows, shrinks and lacks memory. */
#include "workers/cache/memory/cache_table.h"
#include "test/unit/cache/cache_property.h"

#define KEYS        30000
#define FIRST_CHUNK 4096 /* buckets that there is room for always */

static const uint8_t hash_key[SIPHASH_KEY_SIZE] = "a key of hashes";

/* What key i should be; handle 0: it is not there. */
struct model {
    uint32_t handle;
    uint32_t len;
    unsigned char fill;
    int64_t expiry_ms;
    unsigned seen;
};

static struct model model[KEYS];
static size_t model_count;
static struct cache_table *t;
static size_t at_start;

static void set_up(void)
{
    at_start = short_memory_bytes();
    t = cache_table_new(hash_key);
    MUST(t != NULL);
}

static void tear_down(void)
{
    short_memory_fail(0, false);
    cache_table_free(t);
    MUST(short_memory_is(at_start, 0));
}

/* Keys of different lengths, also none at all. */
static struct slice key_of(size_t i)
{
    static char bytes[64];
    return slice_make(bytes, i == 0 ? 0
                                    : (size_t)snprintf(bytes, sizeof bytes, "%zu:%.*s", i,
                                                       (int)(i % 23), "of several lengths each"));
}

static uint64_t hash_of(size_t i)
{
    return siphash(key_of(i), hash_key);
}

static struct cache_object *at(size_t i)
{
    return cache_table_at(t, model[i].handle);
}

/* Also what belongs to others must stay: `version` and `place`s of a sort that no other has. */
static void add(size_t i)
{
    uint32_t handle = cache_table_add(t, key_of(i), hash_of(i));
    if (handle == 0)
        return;
    model[i] = (struct model){.handle = handle, .expiry_ms = INT64_MAX};
    model_count++;
    MUST(at(i)->version == 0);
    MUST(at(i)->segment == 0);
    MUST(at(i)->used_s == 0);
    MUST(at(i)->older == 0);
    MUST(!at(i)->dirty && !at(i)->gone && !at(i)->watched && !at(i)->busy && !at(i)->main);
    at(i)->version = i;
    at(i)->dirty = i % 2;
}

static void resize(size_t i)
{
    uint32_t len = cache_random(4) == 0 ? cache_random(3000) : cache_random(40);
    int64_t expiry_ms = cache_random(3) == 0 ? (int64_t)i * 1000003 : INT64_MAX;
    char *value = cache_table_resize(t, model[i].handle, len, expiry_ms);
    if (value == NULL)
        return;
    size_t kept = len < model[i].len ? len : model[i].len;
    for (size_t k = 0; k < kept; k++)
        MUST((unsigned char)value[k] == model[i].fill);
    model[i].fill = (unsigned char)cache_random(256);
    model[i].len = len;
    model[i].expiry_ms = expiry_ms;
    memset(value, model[i].fill, len);
}

static void drop(size_t i)
{
    cache_table_remove(t, model[i].handle, hash_of(i));
    model[i].handle = 0;
    model_count--;
}

static void is_right(size_t i)
{
    MUST(cache_table_find(t, key_of(i), hash_of(i)) == model[i].handle);
    if (model[i].handle == 0)
        return;
    const struct cache_object *o = at(i);
    struct slice value = cache_object_value(o);
    MUST(slice_equal(cache_object_key(o), key_of(i)));
    MUST(cache_object_expiry(o) == model[i].expiry_ms);
    MUST(o->version == i);
    MUST(o->dirty == i % 2);
    MUST(value.len == model[i].len);
    for (size_t k = 0; k < value.len; k++)
        MUST((unsigned char)value.ptr[k] == model[i].fill);
}

static void all_is_right(void)
{
    for (size_t i = 0; i < KEYS; i++)
        is_right(i);
    MUST(cache_table_count(t) == model_count);
    MUST(short_memory_is(at_start, cache_table_bytes(t)));
}

/* One change of key i; `adds` of 100 that could add do. */
static void change(size_t i, unsigned adds)
{
    if (model[i].handle == 0) {
        if (cache_random(100) < adds)
            add(i);
    } else if (cache_random(2) == 0) {
        resize(i);
    } else if (cache_random(100) >= adds) {
        drop(i);
    }
    is_right(i);
}

static void grow_and_shrink(void)
{
    static const unsigned adds[] = {95, 50, 5, 60, 1, 99, 0};
    for (size_t phase = 0; phase < sizeof adds / sizeof *adds; phase++) {
        for (size_t step = 0; step < 3 * KEYS; step++)
            change(cache_random(KEYS), adds[phase]);
        all_is_right();
    }
}

START_TEST(as_the_model)
{
    grow_and_shrink();
    for (size_t i = 0; i < KEYS; i++)
        if (model[i].handle != 0)
            drop(i);
    all_is_right();
}
END_TEST

/* Any allocation may fail, one or a run of them: what was asked for is done or not, and nothing else has changed. */
START_TEST(as_the_model_while_memory_is_short)
{
    for (unsigned round = 0; round < 40000; round++) {
        size_t i = cache_random(KEYS);
        if (cache_random(3) == 0)
            short_memory_fail(1 + cache_random(4), cache_random(2) == 0);
        change(i, round % 20000 < 12000 ? 95 : 20);
        short_memory_fail(0, false);
        if (round % 1000 == 0)
            all_is_right();
    }
    all_is_right();
    grow_and_shrink();
}
END_TEST

/* There is memory for an object, but none for buckets; then there is. The bytes tell how many buckets came at last. */
START_TEST(growth_that_failed_is_made_up_for)
{
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    size_t wanted = cache_table_bytes(t);
    for (size_t i = 0; i < KEYS; i++)
        drop(i);
    for (size_t i = 0; i < KEYS; i++) {
        short_memory_fail(2, true);
        add(i);
        short_memory_fail(0, false);
        if (model[i].handle == 0)
            add(i); /* it was its handle that there was no memory for */
    }
    all_is_right();
    MUST(cache_table_bytes(t) < wanted - KEYS);
    for (unsigned n = 0; n < KEYS; n++) {
        drop(n % 7);
        add(n % 7);
    }
    all_is_right();
    MUST(cache_table_bytes(t) > wanted - KEYS && cache_table_bytes(t) < wanted + KEYS);
}
END_TEST

START_TEST(no_table_without_memory)
{
    for (long n = 1; n <= 3; n++) {
        size_t before = short_memory_bytes();
        short_memory_fail(n, false);
        struct cache_table *none = cache_table_new(hash_key);
        short_memory_fail(0, false);
        MUST(none == NULL);
        MUST(short_memory_is(before, 0));
    }
}
END_TEST

/* Shrinking and staying the same never ask for memory in vain. */
START_TEST(what_shrinks_cannot_fail)
{
    add(1);
    char *value = cache_table_resize(t, model[1].handle, 5000, 7);
    memset(value, 'x', 5000);
    short_memory_fail(1, true);
    value = cache_table_resize(t, model[1].handle, 5000, 8);
    MUST(value != NULL);
    value = cache_table_resize(t, model[1].handle, 5008, INT64_MAX);
    MUST(value != NULL);
    value = cache_table_resize(t, model[1].handle, 10, INT64_MAX);
    MUST(value != NULL);
    MUST(slice_is(slice_make(value, 10), "xxxxxxxxxx"));
    MUST(slice_equal(cache_object_key(at(1)), key_of(1)));
    MUST(cache_table_resize(t, model[1].handle, 1 << 20, INT64_MAX) == NULL);
    MUST(cache_object_value(at(1)).len == 10);
    short_memory_fail(0, false);
    MUST(short_memory_is(at_start, cache_table_bytes(t)));
}
END_TEST

START_TEST(memory_comes_back)
{
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    size_t full = cache_table_bytes(t);
    MUST(full / KEYS < 130); /* objects, handles, buckets */
    for (size_t i = 0; i < KEYS; i++)
        drop(i);
    MUST(cache_table_bytes(t) < 100000);
}
END_TEST

START_TEST(the_longest_value)
{
    add(3);
    char *value = cache_table_resize(t, model[3].handle, CACHE_VALUE_MAX, 12);
    MUST(value != NULL);
    value[CACHE_VALUE_MAX - 1] = 'z';
    MUST(cache_object_value(at(3)).len == CACHE_VALUE_MAX);
    MUST(cache_object_value(at(3)).ptr[CACHE_VALUE_MAX - 1] == 'z');
    MUST(cache_object_expiry(at(3)) == 12);
}
END_TEST

/* ---- scans ---- */

static size_t index_of(uint32_t handle)
{
    return cache_table_at(t, handle)->version;
}

static void on_scanned(struct cache_table *table, uint32_t handle, void *ctx)
{
    (void)ctx;
    size_t i = cache_table_at(table, handle)->version;
    MUST(model[i].handle == handle);
    model[i].seen++;
}

/* Changes between the steps of a scan, some dozen; every third key is left alone, and must be seen. */
static void scan_while(unsigned adds, unsigned changes)
{
    uint64_t cursor = 0;
    size_t steps = 0;
    for (size_t i = 0; i < KEYS; i++)
        model[i].seen = 0;
    do {
        cursor = cache_table_scan(t, cursor, on_scanned, NULL);
        for (unsigned n = 0; n < changes; n++) {
            size_t i = cache_random(KEYS);
            if (i % 3 != 0)
                change(i, adds);
        }
        MUST(++steps < 8 * KEYS);
    } while (cursor != 0);
    for (size_t i = 0; i < KEYS; i += 3)
        MUST(model[i].handle == 0 || model[i].seen > 0);
}

START_TEST(a_scan_sees_what_stays)
{
    for (size_t i = 0; i < 900; i++)
        add(i);
    scan_while(100, 40);
    scan_while(0, 5);
    scan_while(0, 40);
    scan_while(90, 20);
    for (size_t i = 0; i < KEYS; i += 3)
        if (model[i].handle == 0)
            add(i);
    for (unsigned round = 0; round < 3; round++) {
        scan_while(100, 3);
        scan_while(0, 3);
    }
    all_is_right();
}
END_TEST

/* Nothing changes: each once. */
START_TEST(a_scan_in_peace_sees_all_once)
{
    for (size_t count = 0; count < 600; count++) {
        scan_while(0, 0);
        for (size_t i = 0; i < KEYS; i++)
            MUST(model[i].seen == (model[i].handle != 0));
        add(count);
    }
}
END_TEST

static void on_scanned_change(struct cache_table *table, uint32_t handle, void *ctx)
{
    (void)table;
    (void)ctx;
    size_t i = index_of(handle);
    model[i].seen++;
    if (i % 3 == 1)
        drop(i);
    else
        resize(i);
}

START_TEST(what_is_scanned_may_go_or_be_resized)
{
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(t, cursor, on_scanned_change, NULL);
    while (cursor != 0);
    for (size_t i = 0; i < KEYS; i++) {
        MUST(model[i].seen >= 1);
        MUST((model[i].handle == 0) == (i % 3 == 1));
    }
    all_is_right();
}
END_TEST

static void on_scanned_drop(struct cache_table *table, uint32_t handle, void *ctx)
{
    (void)table;
    (void)ctx;
    drop(index_of(handle));
}

START_TEST(a_scan_may_empty_it)
{
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    uint64_t cursor = 0;
    do
        cursor = cache_table_scan(t, cursor, on_scanned_drop, NULL);
    while (cursor != 0);
    all_is_right();
    MUST(model_count == 0);
}
END_TEST

START_TEST(a_random_one)
{
    MUST(cache_table_random(t, 5) == 0);
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    for (size_t i = 50; i < KEYS; i++)
        drop(i);
    for (unsigned n = 0; n < 20000; n++) {
        uint32_t handle = cache_table_random(t, (uint64_t)cache_random(UINT32_MAX) << 32 | n);
        MUST(handle != 0);
        model[index_of(handle)].seen++;
    }
    for (size_t i = 0; i < 50; i++)
        MUST(model[i].seen > 50 && model[i].seen < 1200); /* 400 each, if it were even */
}
END_TEST

/* As many buckets at once as they will need, which stay while it is empty; then what is left over goes. */
START_TEST(room_for_what_is_expected)
{
    for (size_t i = 0; i < KEYS; i++)
        add(i);
    size_t grown = cache_table_bytes(t);
    for (size_t i = 0; i < KEYS; i++)
        drop(i);
    size_t empty = cache_table_bytes(t);
    cache_table_expect(t, KEYS);
    MUST(cache_table_bytes(t) >= empty + (2 * KEYS - FIRST_CHUNK) * sizeof(uint32_t));
    all_is_right();
    for (size_t i = 0; i < 100; i++)
        add(i);
    all_is_right();
    MUST(cache_table_bytes(t) >= empty + (2 * KEYS - FIRST_CHUNK) * sizeof(uint32_t));
    for (size_t i = 100; i < KEYS; i++)
        add(i);
    all_is_right();
    size_t come = cache_table_bytes(t);
    MUST(come < grown + FIRST_CHUNK && come > grown - FIRST_CHUNK); /* less than a chunk: 16 KB */
    cache_table_expect(t, 0);
    MUST(cache_table_bytes(t) == come);
    all_is_right();
}
END_TEST

START_TEST(room_for_what_does_not_come_is_given_back)
{
    for (size_t i = 0; i < KEYS / 10; i++)
        add(i);
    size_t grown = cache_table_bytes(t);
    for (size_t i = 0; i < KEYS / 10; i++)
        drop(i);
    cache_table_expect(t, KEYS);
    for (size_t i = 0; i < KEYS / 10; i++)
        add(i);
    MUST(cache_table_bytes(t) > grown + KEYS * sizeof(uint32_t));
    cache_table_expect(t, 0);
    MUST(cache_table_bytes(t) < grown + 1000); /* pointers to chunks */
    all_is_right();
    grow_and_shrink();
}
END_TEST

/* As far as memory reaches; of what has objects already nothing is made at once. */
START_TEST(expected_while_memory_is_short)
{
    for (long n = 1; n < 40; n++) {
        short_memory_fail(n, true);
        cache_table_expect(t, KEYS);
        short_memory_fail(0, false);
        for (size_t i = 0; i < 200; i++)
            add(i);
        cache_table_expect(t, KEYS);
        all_is_right();
        cache_table_expect(t, 0);
        all_is_right();
        for (size_t i = 0; i < 200; i++)
            drop(i);
    }
    grow_and_shrink();
}
END_TEST

/* In one allocation what are two otherwise, and the same. */
START_TEST(added_with_room)
{
    for (size_t i = 0; i < 200; i++) {
        size_t before = cache_table_bytes(t);
        add(i);
        resize(i);
        size_t took = cache_table_bytes(t) - before;
        struct model was = model[i];
        drop(i);
        short_memory_fail(1, true);
        MUST(cache_table_add_sized(t, key_of(i), hash_of(i), was.len, was.expiry_ms) == 0);
        short_memory_fail(0, false);
        model[i] = was;
        before = cache_table_bytes(t);
        model[i].handle = cache_table_add_sized(t, key_of(i), hash_of(i), was.len, was.expiry_ms);
        model_count++;
        MUST(model[i].handle != 0);
        MUST(i == 0 || cache_table_bytes(t) - before == took);
        memset((char *)(uintptr_t)cache_object_value(at(i)).ptr, was.fill, was.len);
        at(i)->version = i;
        at(i)->dirty = i % 2;
    }
    all_is_right();
}
END_TEST

/* Of what is there and what is not, in an empty table too. */
START_TEST(fetching_changes_nothing)
{
    uint64_t hashes[CACHE_TABLE_FETCH_MAX];
    for (size_t i = 0; i < CACHE_TABLE_FETCH_MAX; i++)
        hashes[i] = hash_of(i);
    cache_table_fetch(t, hashes, CACHE_TABLE_FETCH_MAX);
    for (size_t i = 0; i < KEYS; i += 2)
        add(i);
    for (size_t n = 0; n <= CACHE_TABLE_FETCH_MAX; n++)
        cache_table_fetch(t, hashes, n);
    all_is_right();
}
END_TEST

SUITE_MAIN_WITH("cache_table", set_up, tear_down, as_the_model, as_the_model_while_memory_is_short,
                growth_that_failed_is_made_up_for, no_table_without_memory,
                what_shrinks_cannot_fail, memory_comes_back, the_longest_value,
                a_scan_sees_what_stays, a_scan_in_peace_sees_all_once,
                what_is_scanned_may_go_or_be_resized, a_scan_may_empty_it, a_random_one,
                room_for_what_is_expected, room_for_what_does_not_come_is_given_back,
                expected_while_memory_is_short, added_with_room, fetching_changes_nothing)
