/* test_crc32c.c: the checksum of what is on disk (common/crc32c.h), by RFC 3720's examples and against a table. */
#include "common/crc32c.h"
#include "test/unit/suite.h"

#include <stdlib.h>

static void expect(const void *bytes, size_t len, uint32_t crc)
{
    ck_assert_uint_eq(crc32c(0, slice_make(bytes, len)), crc);
    ck_assert_uint_eq(crc32c_by_table(0, slice_make(bytes, len)), crc);
}

START_TEST(examples_of_iscsi)
{
    char bytes[32];
    memset(bytes, 0, sizeof bytes);
    expect(bytes, sizeof bytes, 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    expect(bytes, sizeof bytes, 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    expect(bytes, sizeof bytes, 0x46dd794e);
    expect("123456789", 9, 0xe3069283);
    expect("", 0, 0);
}
END_TEST

/* Of any length, from any place in memory, in one or in two. */
START_TEST(hardware_and_table_agree)
{
    char bytes[300];
    srand(1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)rand();
    for (size_t from = 0; from < 16; from++)
        for (size_t len = 0; len + from <= sizeof bytes; len++) {
            struct slice all = slice_make(bytes + from, len);
            uint32_t crc = crc32c_by_table(7, all);
            ck_assert_uint_eq(crc32c(7, all), crc);
            size_t cut = len / 3;
            uint32_t half = crc32c(7, slice_make(bytes + from, cut));
            ck_assert_uint_eq(crc32c(half, slice_make(bytes + from + cut, len - cut)), crc);
        }
}
END_TEST

SUITE_MAIN("crc32c", examples_of_iscsi, hardware_and_table_agree)
