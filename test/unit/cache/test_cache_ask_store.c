/*
 * test_cache_ask_store.c: what the tool is told of dead letters when some of them are strays, of which one key may have
 * several (workers/cache/cache_ask_store.h).
 */
#include "common/pack.h"
#include "common/unpack.h"
#include "test/unit/cache/node_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/cache_ask.h"
#include "workers/cache/cache_db_private.h"
#include "workers/cache/cache_need.h"

#include <inttypes.h>
#include <stdio.h>

#define LETTERS_MAX 16

struct letter {
    struct slice key, value, reason;
    uint64_t version;
    bool lost, deleted;
};

static struct buffer out;
static struct cache_need need;
static struct letter letters[LETTERS_MAX];

static void set_up(void)
{
    node_set_up();
    node_store(60000);
    cache_db_begin(node.db, INT64_C(1700000000000000), 1);
}

static void tear_down(void)
{
    buffer_fini(&out);
    buffer_fini(&need.key);
    node_tear_down();
}

/* Words, and behind the last NULL. */
static enum control_status ask(const char *verb, const char *const *words)
{
    struct buffer args = BUFFER_EMPTY;
    uint32_t count = 0;
    while (words[count] != NULL)
        count++;
    pack_array(&args, count);
    for (uint32_t i = 0; i < count; i++)
        pack_bin(&args, slice_of(words[i]));
    enum control_status status = cache_ask(&node, slice_of(verb), buffer_slice(&args), &out, &need);
    buffer_fini(&args);
    return status;
}
#define ASK(verb, ...) ask(verb, (const char *const[]){__VA_ARGS__})

static unsigned count_of(enum control_status status)
{
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_int_eq(status, CONTROL_OK);
    ck_assert_uint_eq(unpack_map(&u), 1);
    ck_assert(slice_is(unpack_bytes(&u), "count"));
    unsigned count = (unsigned)unpack_u64(&u);
    ck_assert(unpack_end(&u));
    return count;
}

static unsigned letters_of(enum control_status status, bool shown)
{
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_int_eq(status, CONTROL_OK);
    uint32_t count = unpack_array(&u);
    ck_assert_uint_le(count, LETTERS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct letter *l = &letters[i];
        ck_assert_uint_eq(unpack_map(&u), shown ? 7 : 6);
        ck_assert(slice_is(unpack_bytes(&u), "key"));
        l->key = unpack_bytes(&u);
        ck_assert(slice_is(unpack_bytes(&u), "deleted"));
        l->deleted = unpack_bool(&u);
        ck_assert(slice_is(unpack_bytes(&u), "bytes"));
        unpack_u64(&u);
        ck_assert(slice_is(unpack_bytes(&u), "version"));
        l->version = unpack_u64(&u);
        ck_assert(slice_is(unpack_bytes(&u), "lost"));
        l->lost = unpack_bool(&u);
        ck_assert(slice_is(unpack_bytes(&u), "reason"));
        l->reason = unpack_bytes(&u);
        if (shown)
            ck_assert(slice_is(unpack_bytes(&u), "value"));
        l->value = shown ? unpack_bytes(&u) : slice_of("");
    }
    ck_assert(unpack_end(&u));
    return count;
}

static void expect_letter(unsigned i, const char *key, const char *value, bool lost)
{
    ck_assert(slice_is(letters[i].key, key));
    ck_assert(slice_is(letters[i].value, value));
    ck_assert_int_eq(letters[i].lost, lost);
}

/* A dead letter; `lost`: a stray. */
static void make_dead(const char *key, const char *value, bool lost)
{
    struct slice k = slice_of(key);
    char name[100];
    ck_assert_int_eq(cache_db_learn_absent(node.db, k, 0), CACHE_OK);
    ck_assert_int_eq(cache_db_set(node.db, k, slice_of(value), CACHE_NEVER, 0), CACHE_OK);
    if (lost)
        ck_assert_int_eq(cache_db_estrange(node.db, cache_table_find(node.db->table, k,
                                                                     cache_db_hash(node.db, k))),
                         CACHE_OK);
    const struct cache_object *o = cache_db_take_last(node.db);
    struct slice taken = cache_object_key(o);
    ck_assert_uint_le(taken.len, sizeof name);
    memcpy(name, taken.ptr, taken.len);
    ck_assert(cache_db_give_up(node.db, slice_make(name, taken.len), o->version, o->version + 1));
}

/* a, lost twice and not; b in between. */
static void make_some(void)
{
    make_dead("a", "1", true);
    make_dead("b", "2", false);
    make_dead("a", "3", true);
    make_dead("a", "4", false);
    make_dead("c", "5", true);
}

static unsigned dead(void)
{
    return (unsigned)cache_db_dirt(node.db).dead;
}

START_TEST(list_and_show)
{
    make_some();
    ck_assert_uint_eq(letters_of(ASK("dead-list", NULL), false), 5);
    expect_letter(0, "a", "", true);
    expect_letter(1, "b", "", false);
    expect_letter(2, "a", "", true);
    expect_letter(3, "a", "", false);
    expect_letter(4, "c", "", true);
    ck_assert_uint_eq(letters_of(ASK("dead-show", "b", "a", "x", NULL), true), 4);
    expect_letter(0, "b", "2", false);
    expect_letter(1, "a", "1", true);
    expect_letter(2, "a", "3", true);
    expect_letter(3, "a", "4", false);
    ck_assert_uint_eq(letters_of(ASK("dead-show", "c", NULL), true), 1);
    expect_letter(0, "c", "5", true);
}
END_TEST

/* From behind each, to the end, and none twice. */
START_TEST(page_by_page)
{
    char version[24];
    make_some();
    ck_assert_uint_eq(letters_of(ASK("dead-list", NULL), false), 5);
    struct letter all[5];
    memcpy(all, letters, sizeof all);
    static char keys[5][2];
    for (unsigned i = 0; i < 5; i++)
        keys[i][0] = all[i].key.ptr[0];
    for (unsigned i = 0; i < 5; i++) {
        snprintf(version, sizeof version, "%" PRIu64, all[i].version);
        ck_assert_uint_eq(letters_of(ASK("dead-list", keys[i], version, NULL), false), 4 - i);
        for (unsigned j = 0; i + 1 + j < 5; j++)
            ck_assert_uint_eq(letters[j].version, all[i + 1 + j].version);
    }
    ck_assert_uint_eq(letters_of(ASK("dead-list", "a", NULL), false), 1); /* the last of it */
    ck_assert_uint_eq(letters_of(ASK("dead-list", "b", NULL), false), 3);
    ck_assert_uint_eq(letters_of(ASK("dead-list", "x", NULL), false), 5); /* anew */
    ck_assert_uint_eq(letters_of(ASK("dead-list", "a", "7", NULL), false), 5);
    ck_assert_int_eq(ASK("dead-list", "a", "seven", NULL), CONTROL_ERROR);
    ck_assert_int_eq(ASK("dead-list", "a", "7", "8", NULL), CONTROL_USAGE);
}
END_TEST

START_TEST(drop)
{
    make_some();
    ck_assert_uint_eq(count_of(ASK("dead-drop", "c", "x", NULL)), 1);
    ck_assert_uint_eq(count_of(ASK("dead-drop", "a", NULL)), 3);
    ck_assert_uint_eq(dead(), 1);
    ck_assert_uint_eq(cache_db_strays(node.db).count, 0);
    ck_assert_uint_eq(count_of(ASK("dead-drop", "a", NULL)), 0);
    make_dead("c", "6", true);
    ck_assert_uint_eq(count_of(ASK("dead-drop", NULL)), 2);
    ck_assert_uint_eq(dead(), 0);
}
END_TEST

/* As they are: no version is another. */
START_TEST(retry)
{
    make_some();
    letters_of(ASK("dead-list", NULL), false);
    uint64_t version = letters[0].version;
    ck_assert_uint_eq(count_of(ASK("dead-retry", "a", "a", NULL)), 3);
    ck_assert_uint_eq(dead(), 2);
    ck_assert_uint_eq(cache_db_strays(node.db).alive, 2);
    const struct cache_object *o = cache_db_take(node.db, INT64_MIN);
    ck_assert(cache_stray_is(cache_object_key(o)) && o->version == version);
    ck_assert_uint_eq(count_of(ASK("dead-retry", NULL)), 2);
    ck_assert_uint_eq(dead(), 0);
}
END_TEST

/* Nobody is told of one that is to be stored yet, but by how much there is. */
START_TEST(what_is_no_dead_letter)
{
    ck_assert_int_eq(cache_db_set(node.db, slice_of("a"), slice_of("1"), CACHE_NEVER, 0), CACHE_OK);
    ck_assert_int_eq(
        cache_db_estrange(node.db, cache_table_find(node.db->table, slice_of("a"),
                                                    cache_db_hash(node.db, slice_of("a")))),
        CACHE_OK);
    ck_assert_uint_eq(letters_of(ASK("dead-list", NULL), false), 0);
    ck_assert_uint_eq(letters_of(ASK("dead-show", "a", NULL), true), 0);
    ck_assert_uint_eq(count_of(ASK("dead-drop", "a", NULL)), 0);
    ck_assert_uint_eq(count_of(ASK("dead-retry", "a", NULL)), 0);
    ck_assert_uint_eq(count_of(ASK("dump-all", NULL)), 1);
}
END_TEST

SUITE_MAIN_WITH("cache_ask_store", set_up, tear_down, list_and_show, page_by_page, drop, retry,
                what_is_no_dead_letter)
