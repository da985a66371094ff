/* test_cache_form.c: the names of forms, which stand in stores and messages. */
#include "test/unit/suite.h"
#include "workers/cache/cache_form.h"

START_TEST(names)
{
    enum cache_form form = CACHE_FORM_BYTES;
    ck_assert_str_eq(cache_form_name(0), "bytes");
    ck_assert_str_eq(cache_form_name(1), "string");
    ck_assert_str_eq(cache_form_name(2), "term");
    ck_assert_str_eq(cache_form_name(3), "bytes");
    ck_assert(cache_form_find(slice_of("term"), &form) && form == CACHE_FORM_TERM);
    ck_assert(cache_form_find(slice_of("bytes"), &form) && form == CACHE_FORM_BYTES);
    ck_assert(!cache_form_find(slice_of(""), &form) && !cache_form_find(slice_of("Term"), &form));
}
END_TEST

SUITE_MAIN("cache_form", names)
