/* test_buffer.c: the growing buffer and its sticky failure (common/buffer.h). */
#include "common/buffer.h"
#include "test/unit/suite.h"

#include <stdint.h>
#include <stdlib.h>

START_TEST(appends_grow_it)
{
    struct buffer b = BUFFER_EMPTY;
    for (int i = 0; i < 5000; i++) {
        buffer_append_char(&b, (char)('a' + i % 26));
        buffer_append_text(&b, "-");
        buffer_append_slice(&b, slice_make("\0x", 2));
        buffer_printf(&b, "%04d", i);
    }
    ck_assert(buffer_ok(&b));
    ck_assert_uint_eq(b.len, 5000 * 8);
    ck_assert_mem_eq(b.data + 8 * 4321, "f-\0x4321", 8);
    buffer_fini(&b);
    ck_assert_uint_eq(b.len, 0);
    buffer_append_text(&b, "usable again");
    ck_assert_str_eq(buffer_text(&b), "usable again");
    buffer_fini(&b);
}
END_TEST

START_TEST(nothing_is_nothing)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append(&b, NULL, 0);
    buffer_append_slice(&b, slice_of(""));
    buffer_printf(&b, "%s", "");
    buffer_consume(&b, 0);
    ck_assert_uint_eq(buffer_slice(&b).len, 0);
    ck_assert_ptr_nonnull(buffer_slice(&b).ptr);
    ck_assert_ptr_nonnull(
        buffer_reserve(&b, 0)); /* NULL means that memory is short, and it is not */
    ck_assert_str_eq(buffer_text(&b), "");
    ck_assert(buffer_ok(&b));
    buffer_fini(&b);
    struct buffer fresh = BUFFER_EMPTY;
    ck_assert_ptr_nonnull(buffer_reserve(&fresh, 0));
    buffer_fini(&fresh);
}
END_TEST

START_TEST(failure_is_sticky_until_cleared)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append_text(&b, "before");
    ck_assert_ptr_null(buffer_reserve(&b, SIZE_MAX / 2));
    ck_assert(!buffer_ok(&b));
    buffer_append_text(&b, "after");
    buffer_printf(&b, "%d", 1);
    ck_assert_uint_eq(b.len, 6);
    ck_assert_ptr_null(buffer_text(&b));
    ck_assert_ptr_null(buffer_take(&b, NULL));
    ck_assert_ptr_null(buffer_reserve(&b, 0));
    buffer_clear(&b);
    buffer_append_text(&b, "again");
    ck_assert_str_eq(buffer_text(&b), "again");
    buffer_fini(&b);
}
END_TEST

START_TEST(sizes_that_overflow)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append_text(&b, "x");
    ck_assert_ptr_null(buffer_reserve(&b, SIZE_MAX));
    buffer_clear(&b);
    ck_assert_ptr_null(buffer_reserve(&b, SIZE_MAX - 1));
    buffer_fini(&b);
}
END_TEST

START_TEST(consume_takes_from_the_front)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append_text(&b, "0123456789");
    buffer_consume(&b, 3);
    ck_assert_str_eq(buffer_text(&b), "3456789");
    buffer_consume(&b, 7);
    ck_assert_uint_eq(b.len, 0);
    buffer_fini(&b);
}
END_TEST

START_TEST(take_moves_the_memory_out)
{
    struct buffer b = BUFFER_EMPTY;
    size_t len = 0;
    buffer_append(&b, "a\0b", 3);
    char *taken = buffer_take(&b, &len);
    ck_assert_uint_eq(len, 3);
    ck_assert_mem_eq(taken, "a\0b\0", 4);
    ck_assert_uint_eq(b.len, 0);
    ck_assert_uint_eq(b.cap, 0);
    buffer_fini(&b);
    free(taken);
}
END_TEST

START_TEST(reset_gives_large_memory_back)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_reserve(&b, 100000);
    buffer_append_text(&b, "x");
    buffer_reset(&b, 200000);
    ck_assert_uint_ge(b.cap, 100000);
    ck_assert_uint_eq(b.len, 0);
    buffer_append_text(&b, "y");
    buffer_reset(&b, 1000);
    ck_assert_uint_eq(b.cap, 0);
    buffer_fini(&b);
}
END_TEST

/* Text to the last byte of the capacity: printf and text need one more for their NUL. */
START_TEST(exact_fits)
{
    for (size_t n = 250; n < 260; n++) {
        struct buffer b = BUFFER_EMPTY;
        for (size_t i = 0; i < n; i++)
            buffer_append_char(&b, 'x');
        ck_assert_uint_eq(strlen(buffer_text(&b)), n);
        buffer_printf(&b, "%s", "yz");
        ck_assert_uint_eq(strlen(buffer_text(&b)), n + 2);
        buffer_fini(&b);
    }
}
END_TEST

SUITE_MAIN("buffer", appends_grow_it, nothing_is_nothing, failure_is_sticky_until_cleared,
           sizes_that_overflow, consume_takes_from_the_front, take_moves_the_memory_out,
           reset_gives_large_memory_back, exact_fits)
