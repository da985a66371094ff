/* test_name_index.c: what is added is found, and nothing else, also when the table has grown. */
#include "common/name_index.h"
#include "test/unit/suite.h"

#define MANY 5000

static char names[MANY][16];

START_TEST(test_each_is_found)
{
    struct name_index x = NAME_INDEX_EMPTY;
    ck_assert_ptr_null(name_index_find(&x, 0, slice_of("n1")));
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        ck_assert(name_index_add(&x, (unsigned)i % 3, names[i], names[i]));
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_eq(name_index_find(&x, (unsigned)i % 3, slice_of(names[i])), names[i]);
        ck_assert_ptr_null(name_index_find(&x, (unsigned)(i + 1) % 3, slice_of(names[i])));
    }
    ck_assert_ptr_null(name_index_find(&x, 0, slice_of("n")));
    ck_assert_ptr_null(name_index_find(&x, 0, slice_of("")));
    name_index_fini(&x);
}
END_TEST

START_TEST(test_the_first_of_a_name_stays)
{
    struct name_index x = NAME_INDEX_EMPTY;
    int one = 1, other = 2;
    ck_assert(name_index_add(&x, 0, "a", &one));
    ck_assert(name_index_add(&x, 0, "a", &other));
    ck_assert_ptr_eq(name_index_find(&x, 0, slice_of("a")), &one);
    ck_assert_uint_eq(x.count, 1);
    name_index_fini(&x);
}
END_TEST

START_TEST(test_part_of_a_longer_text)
{
    struct name_index x = NAME_INDEX_EMPTY;
    ck_assert(name_index_add(&x, 0, "site", &x));
    ck_assert_ptr_eq(name_index_find(&x, 0, slice_make("site/web", 4)), &x);
    name_index_fini(&x);
}
END_TEST

SUITE_MAIN("name_index", test_each_is_found, test_the_first_of_a_name_stays,
           test_part_of_a_longer_text)
