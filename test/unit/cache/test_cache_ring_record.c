/* test_cache_ring_record.c: copies in messages and records come out as they went in, and what is none is refused. */
#include "proto/cache/cache_ring_record.h"
#include "test/unit/suite.h"

static const struct cache_ring_object objects[] = {
    {.expiry_ms = INT64_MAX, .value = {"", 0}},
    {.expiry_ms = 1700000000123, .form = 2, .value = {"\0value\xff", 7}},
    {.expiry_ms = -1, .form = 1, .value = {"x", 1}},
    {.expiry_ms = INT64_MAX, .deleted = true, .value = {"", 0}},
};
#define OBJECTS (sizeof objects / sizeof objects[0])

static const char *const keys[OBJECTS] = {"", "k", "user:1", "gone"};

START_TEST(a_list_comes_back)
{
    struct buffer out = BUFFER_EMPTY, again = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    for (size_t i = 0; i < OBJECTS; i++)
        cache_ring_put_copy(&out, slice_of(keys[i]), UINT64_C(9999999999999999) - i, &objects[i]);
    struct slice list = buffer_slice(&out);
    for (size_t i = 0; i < OBJECTS; i++) {
        struct cache_ring_object object;
        ck_assert(cache_ring_take_copy(&list, &copy));
        ck_assert(slice_is(copy.key, keys[i]) && copy.version == UINT64_C(9999999999999999) - i);
        ck_assert(cache_ring_read_record(copy.record, &object));
        ck_assert(object.expiry_ms == objects[i].expiry_ms && object.form == objects[i].form &&
                  object.deleted == objects[i].deleted &&
                  slice_equal(object.value, objects[i].value));
        cache_ring_put_same(&again, &copy);
    }
    ck_assert(!cache_ring_take_copy(&list, &copy) && list.len == 0);
    ck_assert(slice_equal(buffer_slice(&again), buffer_slice(&out)));
    buffer_fini(&out);
    buffer_fini(&again);
}
END_TEST

START_TEST(a_drop_has_no_record)
{
    struct buffer out = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    struct cache_ring_object object;
    cache_ring_put_drop(&out, slice_of("k"), 7);
    ck_assert_uint_eq(out.len, CACHE_RING_COPY_SIZE + 1);
    struct slice list = buffer_slice(&out);
    ck_assert(cache_ring_take_copy(&list, &copy) && slice_is(copy.key, "k") && copy.version == 7);
    ck_assert(copy.record.len == 0 && !cache_ring_read_record(copy.record, &object));
    buffer_fini(&out);
}
END_TEST

/* Cut off anywhere: what is whole before it is read, and that it is no list is seen by what is left. */
START_TEST(what_is_cut_off_is_none)
{
    struct buffer out = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    cache_ring_put_copy(&out, slice_of("key"), 1, &objects[1]);
    for (size_t len = 1; len < out.len; len++) {
        struct slice list = slice_make(out.data, len);
        ck_assert(!cache_ring_take_copy(&list, &copy) && list.len == len);
    }
    memset(out.data, 0xff, 8); /* lengths that are more than there can be */
    struct slice list = buffer_slice(&out);
    ck_assert(!cache_ring_take_copy(&list, &copy));
    buffer_fini(&out);
}
END_TEST

START_TEST(what_is_no_record)
{
    struct cache_ring_object object;
    static const char deleted[] = "\0\0\0\0\0\0\0\1\4value", form[] = "\0\0\0\0\0\0\0\1\3",
                      flags[] = "\0\0\0\0\0\0\0\1\x08";
    ck_assert(!cache_ring_read_record(slice_make(deleted, sizeof deleted - 1), &object));
    ck_assert(!cache_ring_read_record(slice_make(form, sizeof form - 1), &object));
    ck_assert(!cache_ring_read_record(slice_make(flags, sizeof flags - 1), &object));
    ck_assert(!cache_ring_read_record(slice_make(form, 8), &object));
    ck_assert(cache_ring_read_record(slice_make(deleted, 9), &object) && object.deleted);
}
END_TEST

SUITE_MAIN("cache_ring_record", a_list_comes_back, a_drop_has_no_record, what_is_cut_off_is_none,
           what_is_no_record)
