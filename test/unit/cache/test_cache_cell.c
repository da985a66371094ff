/* test_cache_cell.c: tags as Redis Cluster cuts them, and what of a key decides its cell. */
#include "test/unit/suite.h"
#include "workers/cache/ring/cache_cell.h"

static const uint8_t seed[SIPHASH_KEY_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                               8, 9, 10, 11, 12, 13, 14, 15};

/* Those above the line are of Redis Cluster's specification. */
static const struct {
    const char *key, *tag;
} cases[] = {
    {"{user1000}.following", "user1000"},
    {"foo{}{bar}", "foo{}{bar}"},
    {"foo{{bar}}zap", "{bar"},
    {"foo{bar}{zap}", "bar"},
    /* ---- */
    {"", ""},
    {"{", "{"},
    {"}", "}"},
    {"{}", "{}"},
    {"}{", "}{"},
    {"a}b{c}", "c"},
    {"{a", "{a"},
    {"a{b", "a{b"},
    {"{a}", "a"},
    {"{{}", "{"},
    {"{ }", " "},
    {"plain", "plain"},
    {"{}{a}", "{}{a}"},
};

START_TEST(a_tag_is_cut_as_redis_cuts_it)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice tag = cache_cell_tag(slice_of(cases[i].key));
        ck_assert_msg(slice_is(tag, cases[i].tag), "%s: %.*s", cases[i].key, (int)tag.len, tag.ptr);
    }
}
END_TEST

START_TEST(bytes_are_bytes)
{
    struct slice tag = cache_cell_tag(slice_make("\0{\0}\0", 5));
    ck_assert(slice_equal(tag, slice_make("\0", 1)));
    ck_assert_uint_eq(cache_cell_tag(slice_make("{a}", 2)).len, 2); /* the rest is not the key's */
    ck_assert_uint_eq(cache_cell_tag(slice_make(NULL, 0)).len, 0);
}
END_TEST

/* The reference implementation's first vectors: what all nodes of a ring must agree on. */
START_TEST(a_cell_is_siphash_of_the_tag)
{
    ck_assert_uint_eq(cache_cell(slice_of(""), seed), UINT64_C(0x726fdb47dd0e0e31));
    ck_assert_uint_eq(cache_cell(slice_make("\0", 1), seed), UINT64_C(0x74f839c593dc67fd));
    ck_assert_uint_eq(cache_cell(slice_of("a{tag}b"), seed), cache_cell(slice_of("tag"), seed));
    ck_assert_uint_eq(cache_cell(slice_of("{tag}"), seed), cache_cell(slice_of("c{tag}{d}"), seed));
    ck_assert_uint_ne(cache_cell(slice_of("tag1"), seed), cache_cell(slice_of("tag2"), seed));
}
END_TEST

START_TEST(another_seed_is_another_ring)
{
    uint8_t other[SIPHASH_KEY_SIZE];
    memcpy(other, seed, sizeof other);
    other[15] ^= 0x80;
    ck_assert_uint_ne(cache_cell(slice_of("key"), seed), cache_cell(slice_of("key"), other));
}
END_TEST

SUITE_MAIN("cache_cell", a_tag_is_cut_as_redis_cuts_it, bytes_are_bytes,
           a_cell_is_siphash_of_the_tag, another_seed_is_another_ring)
