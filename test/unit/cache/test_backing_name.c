/* test_backing_name.c: what objects are called in a store (backing_name.h): readable, and one to one. */
#include "test/unit/suite.h"
#include "workers/cache/backing/backing_name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const char *name_of(enum backing_kind kind, struct slice key)
{
    static char name[BACKING_NAME_SIZE];
    ck_assert(backing_name(kind, key, name));
    ck_assert_uint_lt(strlen(name), sizeof name);
    return name;
}

START_TEST(readable)
{
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("user:1/a-b_c.d~e")), "user:1/a-b_c.d~e");
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("ä b%")), "%C3%A4%20b%25");
    ck_assert_str_eq(name_of(BACKING_S3, slice_make("\0\n", 2)), "%00%0A");
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("a")), "a");
    /* Of "a": ca978112… */
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("a")), "ca/a");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("a/b")) + 3, "a%2Fb");
}
END_TEST

START_TEST(no_way_out)
{
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("../../etc")), "%2E./%2E./etc");
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("/a//b/./c/")), "%2Fa/%2Fb/%2E/c/");
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("///")), "%2F/%2F");
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("a///b")), "a/%2F/b");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("a///b")), "7f/a%2F%2F%2Fb");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of(".x")), "bb/%2Ex");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("..")) + 3, "%2E.");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("/.")) + 3, "%2F.");
}
END_TEST

START_TEST(empty_and_long)
{
    static char key[2000];
    memset(key, 'x', sizeof key);
    ck_assert_str_eq(name_of(BACKING_S3, slice_of("")),
                     "%-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_str_eq(name_of(BACKING_FILE, slice_of("")),
                     "e3/%-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_uint_eq(strlen(name_of(BACKING_S3, slice_make(key, 800))), 800);
    ck_assert_uint_eq(strlen(name_of(BACKING_S3, slice_make(key, 801))), 66);
    ck_assert_uint_eq(strlen(name_of(BACKING_FILE, slice_make(key, 200))), 203);
    ck_assert_uint_eq(strlen(name_of(BACKING_FILE, slice_make(key, 201))), 69);
    memset(key, ' ', 300);
    ck_assert_uint_eq(strlen(name_of(BACKING_S3, slice_make(key, 266))), 798);
    ck_assert_uint_eq(strlen(name_of(BACKING_S3, slice_make(key, 267))), 66);
}
END_TEST

/* What was encoded comes back; hashes aside. */
static size_t decode(const char *name, char *key)
{
    size_t len = 0;
    for (; *name != '\0'; name++) {
        unsigned c = (unsigned char)*name;
        if (c == '%') {
            ck_assert_int_eq(sscanf(name + 1, "%2X", &c), 1);
            name += 2;
        }
        key[len++] = (char)c;
    }
    return len;
}

START_TEST(one_to_one)
{
    static const char bytes[] = "/.%-a:~ \0\xff";
    srand(1);
    for (int round = 0; round < 200000; round++) {
        char key[12], back[12];
        size_t len = 1 + (size_t)rand() % sizeof key;
        for (size_t i = 0; i < len; i++)
            key[i] = bytes[(size_t)rand() % (sizeof bytes - 1)];
        enum backing_kind kind = round & 1 ? BACKING_S3 : BACKING_FILE;
        const char *name = name_of(kind, slice_make(key, len)) + (kind == BACKING_FILE ? 3 : 0);
        ck_assert(name[0] != '.' && name[0] != '/' && strncmp(name, "%-", 2) != 0);
        ck_assert_ptr_null(strstr(name, "//"));
        ck_assert_ptr_null(strstr(name, "/."));
        ck_assert(kind == BACKING_S3 || strchr(name, '/') == NULL);
        ck_assert_uint_eq(decode(name, back), len);
        ck_assert_mem_eq(back, key, len);
    }
}
END_TEST

SUITE_MAIN("backing_name", readable, no_way_out, empty_and_long, one_to_one)
