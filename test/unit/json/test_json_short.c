/* test_json_short.c: whether it was for want of memory that a value was not read (common/json/json_short.h). */
#include "test/unit/short_memory.h"

#include "common/json/json_short.h"
#include "test/unit/suite.h"

#include <jansson.h>

static const char right[] =
    "{\"do\":\"done\",\"id\":\"a string that is longer than most\",\"n\":[1,2.5]}";

START_TEST(what_is_right_or_wrong)
{
    json_short_begin();
    json_t *value = json_loads(right, 0, NULL);
    ck_assert(!json_short_end());
    ck_assert_ptr_nonnull(value);
    json_decref(value);
    json_short_begin();
    ck_assert_ptr_null(json_loads("{\"do\":", 0, NULL));
    ck_assert(!json_short_end());
}
END_TEST

/* Each allocation fails once, whatever jansson makes of it; and what is freed afterwards is what was allocated. */
START_TEST(each_that_fails)
{
    bool failed = true;
    for (long n = 1; failed; n++) {
        ck_assert_int_lt(n, 1000);
        json_short_begin();
        short_memory_fail(n, false);
        json_t *value = json_loads(right, 0, NULL);
        failed = short_memory_after < 0;
        short_memory_fail(0, false);
        bool is_short = json_short_end();
        ck_assert_int_eq(is_short, failed);
        ck_assert(failed || value != NULL);
        json_decref(value);
    }
}
END_TEST

SUITE_MAIN("json_short", what_is_right_or_wrong, each_that_fails)
