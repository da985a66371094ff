/* test_rotating_file.c: appending, making room by size and age, and files that cannot be had. */
#include "common/rotating_file.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct place place;
static struct rotating_file file;

static void start(void)
{
    place_make(&place);
    file = (struct rotating_file){.fd = -1, .max_bytes = 20, .keep = 2};
    snprintf(file.path, sizeof file.path, "%s/log", place.dir);
}

static void finish(void)
{
    rotating_file_close(&file);
    place_remove(&place);
}

static void put(const char *text)
{
    ck_assert(rotating_file_write(&file, slice_of(text)));
}

START_TEST(by_size)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("first line\n");
    put("second\n");
    ck_assert_str_eq(place_read(&place, "log"), "first line\nsecond\n");
    put("third\n");
    put("a line that is longer than a file\n");
    put("last\n");
    ck_assert_str_eq(place_read(&place, "log"), "last\n");
    ck_assert_str_eq(place_read(&place, "log.1"), "a line that is longer than a file\n");
    ck_assert_str_eq(place_read(&place, "log.2"), "third\n");
    ck_assert_int_ne(access(place_path(&place, "log.3"), F_OK), 0);
}
END_TEST

START_TEST(what_was_there_counts)
{
    place_write(&place, "log", "0123456789012345\n", 0600);
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("more\n");
    ck_assert_str_eq(place_read(&place, "log"), "more\n");
    ck_assert_str_eq(place_read(&place, "log.1"), "0123456789012345\n");
}
END_TEST

START_TEST(by_age)
{
    file.max_bytes = 0;
    file.max_ms = 1000;
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("young\n");
    put("still young\n");
    file.born_ms -= 2000;
    put("new\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
    ck_assert_str_eq(place_read(&place, "log.1"), "young\nstill young\n");
    file.born_ms += 1000000; /* the clock was set back */
    put("same\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\nsame\n");
}
END_TEST

START_TEST(none_kept)
{
    file.keep = 0;
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("0123456789012345678\n");
    put("new\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
    ck_assert_int_ne(access(place_path(&place, "log.1"), F_OK), 0);
}
END_TEST

START_TEST(moved_away_and_opened_again)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("old\n");
    rename(file.path, place_path(&place, "moved"));
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("new\n");
    ck_assert_str_eq(place_read(&place, "moved"), "old\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
}
END_TEST

START_TEST(what_cannot_be_had)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    snprintf(file.path, sizeof file.path, "%s/missing/log", place.dir);
    ck_assert_int_eq(rotating_file_open(&file), -ENOENT);
    put("goes where it went\n");
    put("although the next does not fit\n");
    ck_assert_str_eq(place_read(&place, "log"),
                     "goes where it went\nalthough the next does not fit\n");
}
END_TEST

SUITE_MAIN_WITH("rotating_file", start, finish, by_size, what_was_there_counts, by_age, none_kept,
                moved_away_and_opened_again, what_cannot_be_had)
