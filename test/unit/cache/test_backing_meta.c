/* test_backing_meta.c: the text beside an object's bytes (backing_meta.h), both ways, and hostile. */
#include "test/unit/cache/cache_property.h"
#include "workers/cache/backing/backing_meta.h"
#include "workers/cache/cache_db.h"

#include <check.h>

static const char *written(uint64_t version, int64_t expiry_ms, unsigned form, bool deleted)
{
    static char text[BACKING_META_SIZE];
    struct backing_meta meta = {version, expiry_ms, form, deleted};
    return backing_meta_write(&meta, text);
}

START_TEST(writes)
{
    ck_assert_str_eq(written(5, BACKING_NEVER, CACHE_FORM_BYTES, false), "v=5");
    ck_assert_str_eq(written(5, 77, CACHE_FORM_STRING, false), "v=5;e=77;f=string");
    ck_assert_str_eq(written(UINT64_MAX, INT64_MAX - 1, CACHE_FORM_STRING, true),
                     "v=18446744073709551615;e=9223372036854775806;f=string;d=1");
    ck_assert_str_eq(written(1, BACKING_NEVER, CACHE_FORM_TERM, true), "v=1;f=term;d=1");
}
END_TEST

START_TEST(reads_what_it_wrote)
{
    for (int round = 0; round < 20000; round++) {
        uint64_t version = (((uint64_t)cache_random(UINT32_MAX) << 32 | cache_random(UINT32_MAX)) >>
                            cache_random(64)) %
                           BACKING_VERSION_MAX;
        int64_t expiry = cache_random(2) ? BACKING_NEVER : (int64_t)cache_random(UINT32_MAX) + 1;
        struct backing_meta meta = {version + (version == 0), expiry, cache_random(3),
                                    cache_random(2)};
        struct backing_meta back = BACKING_META_NONE;
        char text[BACKING_META_SIZE];
        MUST(backing_meta_read(slice_of(backing_meta_write(&meta, text)), &back));
        MUST(back.version == meta.version && back.expiry_ms == meta.expiry_ms);
        MUST(back.form == meta.form && back.deleted == meta.deleted);
    }
}
END_TEST

START_TEST(reads_in_any_order)
{
    struct backing_meta meta;
    ck_assert(backing_meta_read(slice_of("d=0;e=0;f=bytes;v=3"), &meta));
    ck_assert_uint_eq(meta.version, 3);
    ck_assert_int_eq(meta.expiry_ms, BACKING_NEVER);
    ck_assert(!meta.deleted);
}
END_TEST

START_TEST(refuses)
{
    static const char *const texts[] = {"",
                                        "v",
                                        "v=",
                                        "v=0",
                                        "v=18446744073709551615",
                                        "v=18446744073709551614",
                                        "v=9223372036854775807",
                                        "v=10000000000000000",
                                        "e=5",
                                        "v=-1",
                                        "v=+1",
                                        "v= 1",
                                        "v=1 ",
                                        "v=1;",
                                        ";v=1",
                                        "v=1;;d=1",
                                        "v=1;v=2",
                                        "v=18446744073709551616",
                                        "v=1;e=9223372036854775808",
                                        "v=1;f=",
                                        "v=1;f=text",
                                        "v=1;f=Bytes",
                                        "v=1;d=2",
                                        "v=1;d=",
                                        "v=1;x=1",
                                        "V=1",
                                        "v=1,d=1",
                                        "v==1",
                                        "v=1;d=1;d=1",
                                        "vv=1",
                                        "v=0x1",
                                        "=1;v=1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct backing_meta meta = {.version = 99};
        ck_assert_msg(!backing_meta_read(slice_of(texts[i]), &meta), "%s", texts[i]);
        ck_assert_uint_eq(meta.version, 99);
    }
    struct backing_meta meta;
    ck_assert(!backing_meta_read(slice_make("v=1\0", 4), &meta));
    ck_assert(!backing_meta_read(slice_make("v=1;\0=1", 7), &meta));
}
END_TEST

START_TEST(hostile)
{
    static const char bytes[] = "v=e;fd019 bytesring\0\xff";
    for (int round = 0; round < 200000; round++) {
        char *text = malloc(24); /* a sanitizer sees its ends */
        size_t len = cache_random(24);
        struct backing_meta meta;
        for (size_t i = 0; i < len; i++)
            text[i] = bytes[cache_random(sizeof bytes - 1)];
        if (backing_meta_read(slice_make(text, len), &meta))
            MUST(meta.version > 0 && meta.form <= CACHE_FORM_TERM && meta.expiry_ms > 0);
        free(text);
    }
}
END_TEST

SUITE_MAIN("backing_meta", writes, reads_what_it_wrote, reads_in_any_order, refuses, hostile)
