/* test_hold.c: what belongs to one process: who has it, when it is free again, and what is no lock file. */
#include "common/hold.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct place place;
static const char *path;
static pid_t holder;

static void start(void)
{
    place_make(&place);
    path = strdup(place_path(&place, "lock"));
}

static void finish(void)
{
    place_remove(&place);
}

static int take(void)
{
    return hold_take(path, 0, &holder);
}

static int lock_open_file(void)
{
    return hold_lock(open(path, O_WRONLY | O_CLOEXEC), 0);
}

/* Another process that has it, until it is killed. */
static pid_t somebody(int (*hold)(void))
{
    int told[2];
    char byte = 0;
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = suite_fork();
    if (pid == 0) {
        byte = hold() >= 0 ? 'y' : 'n';
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    close(told[0]);
    close(told[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(is_had_by_one_at_a_time)
{
    pid_t other = somebody(take);
    ck_assert_int_eq(hold_take(path, 0, &holder), -EWOULDBLOCK);
    ck_assert_int_eq(holder, other);
    end(other);
    int fd = hold_take(path, 0, &holder);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(atoi(place_read(&place, "lock")), getpid());
    close(fd);
}
END_TEST

START_TEST(who_is_on_its_way_out_is_waited_for)
{
    pid_t other = somebody(take);
    pid_t killer = suite_fork();
    if (killer == 0) {
        usleep(100000);
        kill(other, SIGKILL);
        _exit(0);
    }
    int fd = hold_take(path, 30000, &holder);
    ck_assert_int_ge(fd, 0);
    close(fd);
    end(killer);
    end(other);
}
END_TEST

START_TEST(a_child_that_inherits_it_goes_on_holding)
{
    int fd = hold_take(path, 0, &holder);
    pid_t child = suite_fork();
    if (child == 0)
        for (;;)
            pause();
    close(fd);
    ck_assert_int_eq(hold_take(path, 0, &holder), -EWOULDBLOCK);
    end(child);
    fd = hold_take(path, 0, &holder);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(one_that_was_removed_is_seen)
{
    int fd = hold_take(path, 0, &holder);
    ck_assert(hold_is_at(fd, path));
    ck_assert_int_eq(hold_find(path), fd);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert(!hold_is_at(fd, path));
    place_write(&place, "lock", "", 0600);
    ck_assert(!hold_is_at(fd, path));
    ck_assert_int_eq(hold_find(path), -1);
    close(fd);
}
END_TEST

START_TEST(a_link_or_a_fifo_is_no_lock)
{
    place_write(&place, "theirs", "precious", 0600);
    ck_assert_int_eq(symlink(place_path(&place, "theirs"), path), 0);
    ck_assert_int_eq(hold_take(path, 0, &holder), -ELOOP);
    ck_assert_str_eq(place_read(&place, "theirs"), "precious");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(hold_take(path, 0, &holder), -EINVAL);
}
END_TEST

START_TEST(an_open_file_is_held_as_it_is)
{
    place_write(&place, "lock", "lines\n", 0600);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), again = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(hold_holder(fd), 0);
    ck_assert_int_eq(hold_lock(fd, 0), 0);
    ck_assert_int_eq(hold_lock(again, 0), -EWOULDBLOCK);
    ck_assert_int_eq(hold_holder(again), getpid());
    int copy = hold_ours(again);
    ck_assert_int_ge(copy, 0);
    close(fd);
    ck_assert_int_eq(hold_lock(again, 0), -EWOULDBLOCK); /* by the copy */
    close(copy);
    ck_assert_int_eq(hold_lock(again, 0), 0);
    close(again);
    ck_assert_str_eq(place_read(&place, "lock"), "lines\n");
    pid_t other = somebody(lock_open_file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(hold_lock(fd, 0), -EWOULDBLOCK);
    ck_assert_int_eq(hold_ours(fd), -1);
    ck_assert_int_eq(hold_holder(fd), other);
    close(fd);
    end(other);
}
END_TEST

START_TEST(those_of_one_name_share_it)
{
    char other[HOLD_WHO_MAX];
    int first = hold_share(path, 0640, "ours", other),
        second = hold_share(path, 0640, "ours", other);
    ck_assert_int_ge(first, 0);
    ck_assert_int_ge(second, 0);
    ck_assert_int_eq(hold_share(path, 0640, "theirs", other), -EWOULDBLOCK);
    ck_assert_str_eq(other, "ours");
    close(first);
    ck_assert_int_eq(hold_share(path, 0640, "theirs", other), -EWOULDBLOCK);
    close(second);
    first = hold_share(path, 0640, "theirs", other);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(hold_share(path, 0640, "ours", other), -EWOULDBLOCK);
    ck_assert_str_eq(other, "theirs");
    close(first);
    place_write(&place, "theirs", "precious", 0600);
    char theirs[sizeof place.dir + 16];
    snprintf(theirs, sizeof theirs, "%s/theirs", place.dir);
    ck_assert_int_eq(link(theirs, place_path(&place, "name")), 0);
    ck_assert_int_eq(hold_share(place_path(&place, "name"), 0640, "ours", other), -EMLINK);
    ck_assert_str_eq(place_read(&place, "theirs"), "precious");
    ck_assert_int_eq(symlink("lock", place_path(&place, "link")), 0);
    ck_assert_int_eq(hold_share(place_path(&place, "link"), 0640, "ours", other), -ELOOP);
}
END_TEST

/* All of them are between two lives; he whose they are is not. */
START_TEST(it_stays_theirs_while_their_master_lives)
{
    char other[HOLD_WHO_MAX], ours[HOLD_WHO_MAX], shared[256];
    snprintf(ours, sizeof ours, "ours\n%s", path);
    snprintf(shared, sizeof shared, "%s", place_path(&place, "shared"));
    pid_t master = somebody(take);
    int fd = hold_share(shared, 0640, ours, other);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(hold_share(shared, 0640, "theirs\n/nonexistent", other), -EWOULDBLOCK);
    ck_assert_str_eq(other, "ours");
    fd = hold_share(shared, 0640, ours, other);
    ck_assert_int_ge(fd, 0);
    close(fd);
    end(master);
    fd = hold_share(shared, 0640, "theirs\n/nonexistent", other);
    ck_assert_int_ge(fd, 0);
    close(fd);
    fd = hold_share(shared, 0640, ours, other);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

SUITE_MAIN_WITH("hold", start, finish, is_had_by_one_at_a_time, who_is_on_its_way_out_is_waited_for,
                a_child_that_inherits_it_goes_on_holding, one_that_was_removed_is_seen,
                a_link_or_a_fifo_is_no_lock, an_open_file_is_held_as_it_is,
                those_of_one_name_share_it, it_stays_theirs_while_their_master_lives)
