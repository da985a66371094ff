/* test_process_usage.c: memory and processor time of ourselves, of a child, and of nobody. */
#include "common/process_usage.h"

#include "test/unit/suite.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

START_TEST(ourselves_and_a_child)
{
    struct process_usage alone, family;
    int told[2];
    char byte;
    ck_assert_int_eq(pipe(told), 0);
    pid_t child = suite_fork();
    if (child == 0) {
        volatile char *memory = malloc(32 << 20);
        memset((void *)(uintptr_t)memory, 1, 32 << 20);
        ssize_t n = write(told[1], "x", 1);
        (void)n;
        pause();
        _exit(memory[5]);
    }
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    process_usage_read(getpid(), false, &alone);
    process_usage_read(getpid(), true, &family);
    ck_assert_uint_gt(alone.rss_bytes, 64 << 10);
    ck_assert_uint_gt(family.rss_bytes, alone.rss_bytes + (31 << 20));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    process_usage_read(getpid(), true, &family);
    ck_assert_uint_lt(family.rss_bytes, alone.rss_bytes + (31 << 20));
    close(told[0]);
    close(told[1]);
}
END_TEST

/* A number that somebody else has told may be another's by now. */
START_TEST(only_a_child_of_who_was_named)
{
    struct process_usage usage;
    pid_t child = suite_fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    process_usage_read_child(getpid(), child, false, &usage);
    ck_assert_uint_gt(usage.rss_bytes, 0);
    process_usage_read_child(child, getpid(), true, &usage);
    ck_assert_uint_eq(usage.rss_bytes, 0);
    process_usage_read_child(getppid(), getpid(), false, &usage);
    ck_assert_uint_gt(usage.rss_bytes, 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    process_usage_read_child(getpid(), child, true, &usage);
    ck_assert_uint_eq(usage.rss_bytes + usage.cpu_ms, 0);
}
END_TEST

START_TEST(processor_time_grows)
{
    struct process_usage before, after;
    process_usage_read(getpid(), false, &before);
    while (clock() < CLOCKS_PER_SEC / 10 * 2)
        ;
    process_usage_read(getpid(), false, &after);
    ck_assert_uint_ge(after.cpu_ms, before.cpu_ms + 100);
}
END_TEST

START_TEST(nobody)
{
    struct process_usage usage = {1, 1};
    process_usage_read(0x7ffffff0, true, &usage);
    ck_assert_uint_eq(usage.rss_bytes, 0);
    ck_assert_uint_eq(usage.cpu_ms, 0);
}
END_TEST

SUITE_MAIN("process_usage", ourselves_and_a_child, only_a_child_of_who_was_named,
           processor_time_grows, nobody)
