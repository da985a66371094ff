/*
 * test_cache_db_copy.c: what is to have a second copy until the store has it (workers/cache/cache_db_copy.c): which
 * changes are, in which order, and what counts as copied, after any steps.
 */
#include "test/unit/cache/cache_property.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_db_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define START_US INT64_C(1700000000000000)
#define KEYS     40

static const uint8_t hash_key[16] = {7};
static struct cache_db *db;
static int64_t now_us;

static void opened(bool copied)
{
    const struct cache_db_options options = {.memory_max = 64 << 20,
                                             .object_max = 1 << 20,
                                             .dirty_max = 1 << 20,
                                             .stored = true,
                                             .copied = copied,
                                             .volatiles = "v*"};
    db = cache_db_new(&options, hash_key);
    ck_assert_ptr_nonnull(db);
    now_us = START_US;
    cache_db_begin(db, now_us, 1);
}

static void set_up(void)
{
    opened(true);
}

static void tear_down(void)
{
    cache_db_free(db);
}

static void set(const char *key, const char *value)
{
    ck_assert_int_eq(
        cache_db_set(db, slice_of(key), slice_of(value), CACHE_NEVER, CACHE_FORM_BYTES), CACHE_OK);
}

static void del(const char *key)
{
    bool was;
    ck_assert_int_eq(cache_db_delete(db, slice_of(key), &was), CACHE_OK);
    ck_assert(was);
}

/* The next one that is to be copied has this key, and this number. Its version. */
static uint64_t takes(const char *key, uint64_t number)
{
    uint64_t told;
    ck_assert_uint_eq(cache_db_copy_next(db), number);
    const struct cache_object *o = cache_db_copy_take(db, &told);
    ck_assert_ptr_nonnull(o);
    ck_assert(slice_is(cache_object_key(o), key) && told == number);
    return o->version;
}

static void takes_nothing(void)
{
    uint64_t number;
    ck_assert_uint_eq(cache_db_copy_next(db), 0);
    ck_assert_ptr_null(cache_db_copy_take(db, &number));
}

/* The store takes what is dirty of that key. */
static void stored(const char *key)
{
    ck_assert(cache_db_ask(db, slice_of(key)));
    const struct cache_object *o = cache_db_take(db, INT64_MAX);
    ck_assert(o != NULL && slice_is(cache_object_key(o), key));
    ck_assert(cache_db_stored(db, slice_of(key), o->version, false));
}

START_TEST(in_the_order_of_their_changes)
{
    set("a", "1");
    set("b", "1");
    set("a", "2");
    set("c", "1");
    ck_assert_uint_eq(cache_db_copy_end(db), 4);
    ck_assert_uint_eq(cache_db_copy_of(db, slice_of("a")), 3);
    takes("a", 1); /* once, as it is now, by its first change */
    takes("b", 2);
    takes("c", 4);
    takes_nothing();
    set("b", "2"); /* once more */
    takes("b", 5);
}
END_TEST

START_TEST(copied_is_what_was_not_changed_since)
{
    set("a", "1");
    set("b", "1");
    uint64_t a = takes("a", 1), b = takes("b", 2);
    ck_assert_ptr_nonnull(cache_db_copy_find(db, slice_of("a")));
    set("b", "22");
    cache_db_copied(db, slice_of("a"), a);
    cache_db_copied(db, slice_of("b"), b);
    ck_assert_uint_eq(cache_db_copied_bytes(db), 2);
    ck_assert_ptr_null(cache_db_copy_find(db, slice_of("a")));
    b = takes("b", 3);
    cache_db_copied(db, slice_of("b"), b);
    ck_assert_uint_eq(cache_db_copied_bytes(db), 5);
    set("a", "3");
    ck_assert_uint_eq(cache_db_copied_bytes(db), 3);
    stored("b");
    ck_assert_uint_eq(cache_db_copied_bytes(db), 0);
}
END_TEST

START_TEST(what_is_stored_needs_no_copy)
{
    set("a", "1");
    set("b", "1");
    stored("a");
    takes("b", 2);
    stored("b");
    ck_assert_ptr_null(cache_db_copy_find(db, slice_of("b")));
    takes_nothing();
}
END_TEST

/* There may be a copy of what was there, and it must not come back. */
START_TEST(deletions_are_copied)
{
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("a"), 0), CACHE_OK);
    set("a", "1");
    takes("a", 1);
    del("a");
    ck_assert(cache_db_is_dirty(db, slice_of("a")));
    takes("a", 2);
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("b"), 0), CACHE_OK);
    set("b", "1");
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("b"), 0), CACHE_OK); /* a late answer */
    del("b");
    takes("b", 3);
    ck_assert_ptr_nonnull(cache_db_copy_find(db, slice_of("b")));
}
END_TEST

START_TEST(what_has_expired_is_a_deletion)
{
    ck_assert_int_eq(
        cache_db_set(db, slice_of("a"), slice_of("1"), START_US / 1000 + 5, CACHE_FORM_BYTES),
        CACHE_OK);
    uint64_t version = takes("a", 1);
    cache_db_begin(db, now_us + 10000, 11);
    ck_assert_ptr_null(cache_db_peek(db, slice_of("a")));
    ck_assert_uint_gt(takes("a", 2), version);
}
END_TEST

START_TEST(not_these)
{
    set("v1", "volatile");
    takes_nothing();
    ck_assert_int_eq(
        cache_db_learn(db, slice_of("l"), slice_of("v"), 5, CACHE_NEVER, CACHE_FORM_BYTES),
        CACHE_OK);
    takes_nothing();
    set("dead", "1");
    uint64_t version = takes("dead", 1);
    cache_db_copied(db, slice_of("dead"), version);
    cache_db_ask(db, slice_of("dead"));
    ck_assert_ptr_nonnull(cache_db_take(db, INT64_MAX));
    ck_assert(cache_db_give_up(db, slice_of("dead"), version, 0));
    ck_assert_uint_eq(cache_db_copied_bytes(db), 0);
    ck_assert(cache_db_dead_retry(db, slice_of("dead")));
    takes("dead", 2);
    set("s", "stray");
    takes("s", 3);
    uint32_t handle = cache_table_find(db->table, slice_of("s"), cache_db_hash(db, slice_of("s")));
    ck_assert_int_eq(cache_db_estrange(db, handle), CACHE_OK);
    takes_nothing();
}
END_TEST

START_TEST(all_of_it_anew)
{
    set("a", "1");
    set("b", "1");
    cache_db_copied(db, slice_of("a"), takes("a", 1));
    takes("b", 2); /* on its way */
    set("c", "1");
    cache_db_copy_anew(db);
    while (cache_db_copy_work(db))
        continue;
    ck_assert_uint_eq(cache_db_copied_bytes(db), 0);
    unsigned seen = 0;
    uint64_t number;
    for (const struct cache_object *o; (o = cache_db_copy_take(db, &number)) != NULL; seen++)
        ck_assert(number >= 3);
    ck_assert_uint_eq(seen, 3);
    ck_assert(!cache_db_copy_work(db));
}
END_TEST

START_TEST(without_copies_nothing_is)
{
    cache_db_free(db);
    opened(false);
    ck_assert_int_eq(cache_db_learn_absent(db, slice_of("a"), 0), CACHE_OK);
    set("a", "1");
    takes_nothing();
    ck_assert_uint_eq(cache_db_copy_end(db), 0);
    ck_assert_uint_eq(cache_db_copy_of(db, slice_of("a")), 0);
    del("a");
    ck_assert(!cache_db_is_dirty(db, slice_of("a")));
    cache_db_copy_anew(db);
    ck_assert(!cache_db_copy_work(db));
}
END_TEST

/* ---- what the log has lost ---- */

static bool restores(const char *key, const char *value, uint64_t version, bool deleted)
{
    bool newer;
    struct cache_db_copy copy = {.key = slice_of(key),
                                 .value = slice_of(value),
                                 .version = version,
                                 .expiry_ms = CACHE_NEVER,
                                 .deleted = deleted};
    ck_assert_int_eq(cache_db_restore(db, &copy, &newer), CACHE_OK);
    return newer;
}

START_TEST(what_is_newer_is_a_stray)
{
    set("a", "old");
    set("b", "new");
    uint64_t a = cache_db_dirty_version(db, slice_of("a")),
             b = cache_db_dirty_version(db, slice_of("b"));
    ck_assert(restores("a", "lost", a + 5, false));
    ck_assert(restores("a", "lost", a + 5, false)); /* told twice */
    ck_assert(!restores("b", "older", b - 1, false) && !restores("b", "new", b, false));
    ck_assert(restores("c", "", a + 6, true));
    ck_assert(!restores("v1", "volatile", a + 6, false));
    ck_assert_uint_eq(cache_db_strays(db).alive, 2);
    ck_assert_ptr_null(cache_db_peek(db, slice_of("a")));
    ck_assert(slice_is(cache_object_value(cache_db_peek(db, slice_of("b"))), "new"));
    const struct cache_object *o;
    unsigned strays = 0;
    while ((o = cache_db_take(db, INT64_MAX)) != NULL) {
        bool of_a = slice_is(cache_stray_key(cache_object_key(o)), "a");
        if (cache_stray_is(cache_object_key(o))) {
            ck_assert(o->gone == !of_a && o->version == a + 5 + !of_a);
            strays++;
        }
    }
    ck_assert_uint_eq(strays, 2);
}
END_TEST

/* Somebody has written it since: nobody misses it. */
START_TEST(a_stray_that_is_older_goes)
{
    ck_assert(restores("a", "lost", 5, false));
    const struct cache_object *o = cache_db_take(db, INT64_MAX);
    char name[64];
    struct slice key = cache_object_key(o);
    memcpy(name, key.ptr, key.len);
    ck_assert(!cache_db_give_up(db, slice_make(name, key.len), 5, 9));
    ck_assert_uint_eq(cache_db_strays(db).count, 0);
    ck_assert_uint_eq(cache_db_dirt(db).dead, 0);
}
END_TEST

/* ---- any steps ---- */

/* What the one who copies would know, and what there really is. */
static void agrees(const uint64_t copy[KEYS])
{
    size_t bytes = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%u", i);
        uint64_t dirty = cache_db_dirty_version(db, slice_of(key));
        bool has = dirty != 0 && copy[i] == dirty;
        ck_assert_msg((cache_db_copy_find(db, slice_of(key)) != NULL) == (dirty != 0 && !has),
                      "%s: version %" PRIu64 ", copied %" PRIu64, key, dirty, copy[i]);
        uint32_t handle =
            cache_table_find(db->table, slice_of(key), cache_db_hash(db, slice_of(key)));
        bytes += has ? cache_db_size_of(cache_table_at(db->table, handle)) : 0;
    }
    ck_assert_uint_eq(cache_db_copied_bytes(db), bytes);
}

START_TEST(after_any_steps)
{
    uint64_t copy[KEYS] = {0};
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = cache_random(KEYS);
        char key[8], value[40];
        bool was;
        uint64_t number;
        const struct cache_object *o;
        snprintf(key, sizeof key, "k%u", i);
        memset(value, 'v', sizeof value);
        value[cache_random(sizeof value - 1)] = '\0';
        switch (cache_random(8)) {
        case 0:
        case 1:
            set(key, value);
            break;
        case 2:
            cache_db_delete(db, slice_of(key), &was);
            break;
        case 3:
        case 4:
            if ((o = cache_db_copy_take(db, &number)) == NULL)
                break;
            slice_copy(cache_object_key(o), key, sizeof key);
            i = (unsigned)atoi(key + 1);
            copy[i] = o->version;
            cache_db_copied(db, slice_of(key), o->version);
            break;
        case 5:
            if (cache_db_is_dirty(db, slice_of(key)) && cache_db_ask(db, slice_of(key)))
                stored(key);
            break;
        case 6:
            cache_db_expire(db, slice_of(key), now_us / 1000 + 3);
            break;
        default:
            now_us += 1000;
            cache_db_begin(db, now_us, (uint64_t)step);
        }
        if (step % 16 == 0)
            agrees(copy);
    }
}
END_TEST

SUITE_MAIN_WITH("cache_db_copy", set_up, tear_down, in_the_order_of_their_changes,
                copied_is_what_was_not_changed_since, what_is_stored_needs_no_copy,
                deletions_are_copied, what_has_expired_is_a_deletion, not_these, all_of_it_anew,
                without_copies_nothing_is, what_is_newer_is_a_stray, a_stray_that_is_older_goes,
                after_any_steps)
