/* test_rotating_file.c: appending, making room by size and age, and files that cannot be had. */
#include "common/hold.h"
#include "common/rotating_file.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRANGER 12345

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
    file.max_ms = 60000;
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("young\n");
    put("still young\n");
    file.born_ms -= 120000;
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

/* logrotate, or a person: nobody tells us. */
START_TEST(moved_or_deleted_behind_our_back)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("old\n");
    ck_assert(!rotating_file_is_moved(&file));
    rename(file.path, place_path(&place, "moved"));
    ck_assert(rotating_file_is_moved(&file));
    put("new\n");
    ck_assert(!rotating_file_is_moved(&file));
    ck_assert_str_eq(place_read(&place, "moved"), "old\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
    unlink(file.path);
    put("newer\n");
    ck_assert_str_eq(place_read(&place, "log"), "newer\n");
    place_write(&place, "other", "theirs\n", 0600);
    rename(place_path(&place, "other"), file.path);
    put("ours\n");
    ck_assert_str_eq(place_read(&place, "log"), "theirs\nours\n");
}
END_TEST

static void append(const char *text)
{
    int fd = open(file.path, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* No room from there on, as on a full disk. */
static void limit(rlim_t bytes)
{
    struct rlimit r;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = bytes;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* A second writer, an administrator, or logrotate with copytruncate. */
START_TEST(half_a_line_is_taken_back_and_no_more)
{
    file.max_bytes = 0;
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("ours\n");
    append("theirs\n");
    limit(15);
    bool written = rotating_file_write(&file, slice_of("longer\n"));
    limit(RLIM_INFINITY);
    ck_assert(!written);
    ck_assert_str_eq(place_read(&place, "log"), "ours\ntheirs\n");
    ck_assert_int_eq(truncate(file.path, 0), 0);
    limit(3);
    written = rotating_file_write(&file, slice_of("longer\n"));
    limit(RLIM_INFINITY);
    ck_assert(!written);
    struct stat st;
    ck_assert(stat(file.path, &st) == 0 && st.st_size == 0);
    put("ours\n");
    ck_assert_str_eq(place_read(&place, "log"), "ours\n");
    ck_assert_uint_eq(file.bytes, 5);
}
END_TEST

/* A hard link to what root alone may write, in the directory of the user whose log it is to be. */
START_TEST(a_second_name_that_others_can_have_made)
{
    if (geteuid() != 0)
        return;
    place_write(&place, "precious", "root's own\n", 0600);
    ck_assert_int_eq(mkdir(place_path(&place, "theirs"), 0755), 0);
    ck_assert_int_eq(chown(place_path(&place, "theirs"), STRANGER, STRANGER), 0);
    snprintf(file.path, sizeof file.path, "%s/theirs/log", place.dir);
    char from[sizeof file.path];
    snprintf(from, sizeof from, "%s/precious", place.dir);
    ck_assert_int_eq(link(from, file.path), 0);
    ck_assert_int_eq(rotating_file_open(&file), -ENOTUNIQ);
    ck_assert_msg(strstr(file.why, "this file of uid 0 (root) has 2 names") != NULL, "%s",
                  file.why);
    ck_assert_str_eq(place_read(&place, "precious"), "root's own\n");
    snprintf(file.path, sizeof file.path, "%s/log", place.dir); /* one of our own */
    ck_assert_int_eq(link(from, file.path), 0);
    ck_assert_int_eq(rotating_file_open(&file), 0);
}
END_TEST

/* Who may read it locks it in all the ways that there are, before we come: they hold nothing. */
START_TEST(who_may_only_read_it_does_not_hold_it)
{
    if (geteuid() != 0)
        return;
    place_write(&place, "log", "", 0644);
    ck_assert_int_eq(chmod(place.dir, 0755), 0);
    int told[2], order[2];
    ck_assert(pipe(told) == 0 && pipe(order) == 0);
    pid_t child = suite_fork();
    if (child == 0) {
        close(order[1]);
        struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        bool us = setgid(STRANGER) == 0 && setuid(STRANGER) == 0;
        int fd = open(file.path, O_RDONLY | O_CLOEXEC), other = open(file.path, O_RDWR | O_CLOEXEC);
        char byte = us && other < 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? 'y' : 'n';
        bool done = write(told[1], &byte, 1) == 1 && read(order[0], &byte, 1) == 1 &&
                    fcntl(fd, F_OFD_SETLK, &all) == 0 && write(told[1], "y", 1) == 1;
        _exit(done && read(order[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(order[0]);
    char byte = 'n';
    ck_assert(read(told[0], &byte, 1) == 1 && byte == 'y');
    ck_assert_msg(rotating_file_open(&file) == 0, "%s", file.why);
    int fd = open(file.path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(hold_lock(fd, 0), -EWOULDBLOCK); /* we have it all the same */
    close(fd);
    rotating_file_close(&file);
    ck_assert_int_eq(write(order[1], "y", 1), 1);
    ck_assert(read(told[0], &byte, 1) == 1 && byte == 'y');
    ck_assert_msg(rotating_file_open(&file) == 0, "%s", file.why);
    close(order[1]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
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

/* Only so many descriptors: nothing can be opened beyond. */
static void allow_descriptors(rlim_t count)
{
    struct rlimit r;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    r.rlim_cur = count;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static void put_short_of(rlim_t descriptors, const char *text)
{
    struct rlimit r;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &r), 0);
    allow_descriptors(descriptors);
    bool written = rotating_file_write(&file, slice_of(text));
    allow_descriptors(r.rlim_cur);
    ck_assert(written);
}

/* The second in which it is not tried again is over. */
static void later(void)
{
    ck_assert_int_ne(file.error, 0);
    ck_assert_uint_gt(file.retry_ms, 1);
    file.retry_ms = 1;
}

START_TEST(moved_and_it_cannot_be_opened_anew)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("old\n");
    rename(file.path, place_path(&place, "moved"));
    put_short_of(3, "goes on\n");
    ck_assert_int_eq(file.error, -EMFILE);
    ck_assert_str_eq(file.why, strerror(EMFILE));
    put("at once\n"); /* not at each line */
    ck_assert_str_eq(place_read(&place, "moved"), "old\ngoes on\nat once\n");
    later();
    rotating_file_tick(&file);
    ck_assert_int_eq(file.error, 0);
    put("new\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
}
END_TEST

/* What has no name any more is carried into the next, without what was deleted on purpose. */
START_TEST(deleted_and_it_cannot_be_opened_anew)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("old\n");
    unlink(file.path);
    put_short_of(3, "first\n");
    put("second\n");
    later();
    put("third\n");
    ck_assert_str_eq(place_read(&place, "log"), "first\nsecond\nthird\n");
    put("more\n");
    ck_assert_str_eq(place_read(&place, "log"), "more\n");
}
END_TEST

/* It grows to what all of them may have together, and no further. */
START_TEST(full_and_it_cannot_be_rotated)
{
    ck_assert_int_eq(rotating_file_open(&file), 0);
    put("0123456789012345678\n");
    put_short_of(3, "0123456789012345678\n");
    put("0123456789012345678\n"); /* 3 * 20 */
    errno = 0;
    ck_assert(!rotating_file_write(&file, slice_of("x\n")));
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_int_ne(access(place_path(&place, "log.1"), F_OK), 0);
    later();
    put("new\n");
    ck_assert_str_eq(place_read(&place, "log"), "new\n");
}
END_TEST

/* Whichever step of it fails, no line is lost, and nothing is shifted twice. */
START_TEST(whatever_of_a_rotation_fails)
{
    for (uint64_t keep = 0; keep <= 2; keep += 2)
        for (rlim_t most = 3; most < 40; most++) {
            file.keep = keep;
            place_write(&place, "log", "", 0600);
            place_write(&place, "log.1", "older\n", 0600);
            unlink(place_path(&place, "log.2"));
            ck_assert_int_eq(rotating_file_open(&file), 0);
            put("0123456789012345678\n");
            allow_descriptors(most);
            bool written = rotating_file_write(&file, slice_of("a\n"));
            allow_descriptors(1024);
            ck_assert(written || keep == 0);
            bool failed = file.error != 0;
            if (failed && keep > 0) {
                put("b\n");
                later();
            }
            if (failed && keep == 0)
                ck_assert_str_eq(place_read(&place, "log"), "0123456789012345678\n");
            if (keep > 0) {
                put("c\n");
                ck_assert_str_eq(place_read(&place, "log.2"), "older\n");
                char all[256];
                snprintf(all, sizeof all, "%s", place_read(&place, "log.1"));
                strcat(all, place_read(&place, "log"));
                ck_assert_str_eq(all, failed ? "0123456789012345678\na\nb\nc\n"
                                             : "0123456789012345678\na\nc\n");
            }
            ck_assert_int_ne(access(place_path(&place, "log.0"), F_OK), 0);
            rotating_file_close(&file);
        }
}
END_TEST

/* Another one of this process is no other writer: a reload opens the new one before it closes the old one. */
START_TEST(one_process_writes_it)
{
    struct rotating_file again = file;
    ck_assert_int_eq(rotating_file_open(&file), 0);
    ck_assert_int_eq(rotating_file_open(&again), 0);
    rotating_file_close(&file);
    pid_t child = suite_fork();
    if (child == 0) {
        rotating_file_close(&again);
        struct rotating_file theirs = {.fd = -1, .wait_ms = 30};
        memcpy(theirs.path, file.path, sizeof theirs.path);
        char pid[32];
        snprintf(pid, sizeof pid, "(pid %d)", (int)getppid());
        bool refused = rotating_file_open(&theirs) == -EWOULDBLOCK && strstr(theirs.why, pid);
        _exit(refused ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(rotating_file_write(&again, slice_of("a line\n")));
    ck_assert(rotating_file_write(&again, slice_of("another that rotates\n")));
    ck_assert_int_eq(rotating_file_open(&file), 0);
    rotating_file_close(&again);
}
END_TEST

SUITE_MAIN_WITH("rotating_file", start, finish, moved_and_it_cannot_be_opened_anew,
                deleted_and_it_cannot_be_opened_anew, full_and_it_cannot_be_rotated,
                whatever_of_a_rotation_fails, by_size, what_was_there_counts, by_age, none_kept,
                moved_away_and_opened_again, moved_or_deleted_behind_our_back, what_cannot_be_had,
                half_a_line_is_taken_back_and_no_more, a_second_name_that_others_can_have_made,
                who_may_only_read_it_does_not_hold_it, one_process_writes_it)
