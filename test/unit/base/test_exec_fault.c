/* test_exec_fault.c: why a file cannot be executed: what is missing is named. */
#include "common/exec_fault.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <sys/stat.h>

static struct place place;
static struct buffer said;

static void start(void)
{
    place_make(&place);
}

static void finish(void)
{
    buffer_fini(&said);
    place_remove(&place);
}

static void expect(const char *file, int error, const char *text)
{
    buffer_clear(&said);
    exec_fault_say(file, error, "REMEDY", &said);
    ck_assert_str_eq(buffer_text(&said), text);
}

START_TEST(what_is_not_there)
{
    char text[256];
    snprintf(text, sizeof text, "No such file or directory: REMEDY (there is no directory %s/no)",
             place.dir);
    expect(place_path(&place, "no/such/thing"), ENOENT, text);
    expect(place_path(&place, "thing"), ENOENT, "No such file or directory: REMEDY");
    expect("thing", ENOENT, "No such file or directory: REMEDY");
    place_write(&place, "file", "", 0700);
    expect(place_path(&place, "file/thing"), ENOENT, "Not a directory: REMEDY");
}
END_TEST

START_TEST(what_is_there_and_names_another)
{
    place_write(&place, "script", "#! /no/where/sh -x\n", 0700);
    expect(place_path(&place, "script"), ENOENT,
           "its interpreter /no/where/sh, named by its first line, cannot be run: install it, or "
           "correct that line");
    expect(place_path(&place, "script"), EACCES,
           "Permission denied: its interpreter /no/where/sh, named by its first line, cannot be "
           "run: install it, or correct that line");
    place_write(&place, "script", "#!/bin/sh\r\n", 0700);
    expect(place_path(&place, "script"), ENOENT,
           "its first line names the interpreter /bin/sh and ends in a carriage return, which is "
           "taken for a part of that name: save it with the line ends of Unix");
    place_write(&place, "binary", "\177ELF", 0700);
    expect(place_path(&place, "binary"), ENOENT,
           "it is there, but not the loader that it names: it was built for another system");
}
END_TEST

START_TEST(what_may_not_be_executed)
{
    char text[256];
    place_write(&place, "file", "", 0600);
    snprintf(text, sizeof text, "Permission denied: it is not executable: chmod +x %s/file",
             place.dir);
    expect(place_path(&place, "file"), EACCES, text);
    expect(place.dir, EACCES, "Permission denied: it is a directory, name the program in it");
    place_write(&place, "other", "", 0700);
    expect(place_path(&place, "other"), EACCES,
           "Permission denied: its user may not execute it, or its file system is mounted noexec");
}
END_TEST

START_TEST(what_is_no_program_now_and_the_rest)
{
    expect("/x", ETXTBSY, "somebody has it open for writing: it is tried again until that is over");
    expect("/x", ENOEXEC, "it is no program that this system runs, or only a part of one");
    expect("/x", ELOOP, "Too many levels of symbolic links: REMEDY");
}
END_TEST

SUITE_MAIN_WITH("exec_fault", start, finish, what_is_not_there, what_is_there_and_names_another,
                what_may_not_be_executed, what_is_no_program_now_and_the_rest)
