/* test_erlang_write.c: terms as they are written, byte for byte what OTP 25's term_to_binary makes, and read again. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_term.h"
#include "workers/erlang/erlang_write.h"

static struct buffer out;

static void wrote(struct slice bytes)
{
    ck_assert(buffer_ok(&out) && slice_equal(buffer_slice(&out), bytes));
    buffer_clear(&out);
}

START_TEST(each_kind)
{
    erlang_write_version(&out);
    wrote(BYTES("\x83"));
    erlang_write_tuple(&out, 2);
    wrote(BYTES("h\2"));
    erlang_write_list(&out, 258);
    wrote(BYTES("l\0\0\1\2"));
    erlang_write_nil(&out);
    wrote(BYTES("j"));
    erlang_write_atom(&out, slice_of("ok"));
    wrote(BYTES("w\2ok"));
    erlang_write_binary(&out, BYTES("a\0"));
    wrote(BYTES("m\0\0\0\2a\0"));
    erlang_write_pid(&out, slice_of("n@h"), 1, 2, 0x01020304);
    wrote(BYTES("Xw\3n@h\0\0\0\1\0\0\0\2\1\2\3\4"));
    erlang_write_string(&out, slice_of(""));
    wrote(BYTES("j"));
    erlang_write_string(&out, BYTES("\0b"));
    wrote(BYTES("k\0\2\0b"));
}
END_TEST

START_TEST(numbers)
{
    static const int64_t values[] = {
        0, 1, 255, 256, -1, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 2147483648, -2147483649};
    erlang_write_i64(&out, 255);
    wrote(BYTES("a\xff"));
    erlang_write_i64(&out, -1);
    wrote(BYTES("b\xff\xff\xff\xff"));
    erlang_write_i64(&out, -2147483649);
    wrote(BYTES("n\x08\1\1\0\0\x80\0\0\0\0"));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        int64_t read = 0;
        erlang_write_i64(&out, values[i]);
        struct slice in = buffer_slice(&out);
        ck_assert(erlang_term_i64(&in, &read) && read == values[i] && in.len == 0);
        buffer_clear(&out);
    }
}
END_TEST

START_TEST(strings_of_all_lengths)
{
    static char text[70000];
    struct buffer read = BUFFER_EMPTY;
    memset(text, 0xe4, sizeof text);
    static const size_t lengths[] = {1, 65535, 65536, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        erlang_write_string(&out, slice_make(text, lengths[i]));
        struct slice in = buffer_slice(&out);
        ck_assert_int_eq(erlang_term_tag(in), lengths[i] > 65535 ? 'l' : 'k');
        buffer_clear(&read);
        ck_assert(erlang_term_string(&in, &read) && in.len == 0);
        ck_assert(slice_equal(buffer_slice(&read), slice_make(text, lengths[i])));
        buffer_clear(&out);
    }
    buffer_fini(&read);
}
END_TEST

SUITE_MAIN("erlang_write", each_kind, numbers, strings_of_all_lengths)
