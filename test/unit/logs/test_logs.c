/* test_logs.c: which lines are kept, whose they are, and how they are asked for. */
#include "master/logs/logs.h"

#include "common/pack.h"
#include "common/unpack.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t last;

/* The lines asked for, "worker:line" each, with a '|' behind it. */
static const char *ask(const char *name, uint64_t after, size_t limit)
{
    static char shown[4096];
    struct buffer out = BUFFER_EMPTY;
    size_t count = logs_pack(&out, slice_of(name), after, limit, &last);
    struct unpack u = unpack_start(buffer_slice(&out));
    ck_assert_uint_eq(unpack_array(&u), count);
    shown[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(unpack_array(&u), 4);
        unpack_u64(&u);
        unpack_str(&u);
        struct slice worker = unpack_str(&u), line = unpack_bytes(&u);
        size_t len = strlen(shown);
        snprintf(shown + len, sizeof shown - len, "%.*s:%.*s|", (int)worker.len, worker.ptr,
                 (int)line.len, line.ptr);
    }
    ck_assert(unpack_end(&u));
    buffer_fini(&out);
    return shown;
}

static void say(const char *worker, const char *line)
{
    logs_add(1, LOG_LEVEL_INFO, worker, slice_of(line));
}

START_TEST(test_whose_lines)
{
    say("redis/visits/get-set.1", "a");
    say("redis/visits-2/get-set.1", "b");
    say("platoon", "worker-exit name=redis/visits/get-set.1 how=x");
    say("platoon", "platoon-ready");
    say("api.1", "c");
    ck_assert_str_eq(
        ask("redis/visits", 0, 10),
        "redis/visits/get-set.1:a|platoon:worker-exit name=redis/visits/get-set.1 how=x|");
    ck_assert_str_eq(
        ask("redis/visits/get-set.1", 0, 10),
        "redis/visits/get-set.1:a|platoon:worker-exit name=redis/visits/get-set.1 how=x|");
    ck_assert_str_eq(ask("redis/visit", 0, 10), "");
    ck_assert_str_eq(ask("api.*", 0, 10), "api.1:c|");
    ck_assert_str_eq(ask("redis*get-set.?", 0, 1),
                     "platoon:worker-exit name=redis/visits/get-set.1 how=x|");
    ck_assert_str_eq(
        ask("platoon", 0, 10),
        "platoon:worker-exit name=redis/visits/get-set.1 how=x|platoon:platoon-ready|");
    ck_assert_str_eq(ask("", 0, 2), "platoon:platoon-ready|api.1:c|");
    ck_assert_uint_eq(last, 5);
    logs_fini();
}
END_TEST

START_TEST(test_the_newer_ones)
{
    say("a", "1");
    say("b", "2");
    say("a", "3");
    ck_assert_str_eq(ask("a", 1, 10), "a:3|");
    ck_assert_str_eq(ask("a", 3, 10), "");
    ck_assert_str_eq(ask("a", 99, 10), ""); /* of another master's life */
    ck_assert_str_eq(ask("", 0, 0), "");
    ck_assert_uint_eq(last, 3);
    logs_fini();
}
END_TEST

START_TEST(test_bounded_by_lines)
{
    char text[32];
    for (int i = 1; i <= 3 * LOGS_LINES_MAX; i++) {
        snprintf(text, sizeof text, "%d", i);
        say("w", text);
    }
    struct buffer out = BUFFER_EMPTY;
    ck_assert_uint_eq(logs_pack(&out, slice_of(""), 0, SIZE_MAX, &last), LOGS_LINES_MAX);
    ck_assert_uint_eq(last, 3 * LOGS_LINES_MAX);
    buffer_fini(&out);
    ck_assert_str_eq(ask("w", 0, 1), "w:12288|");
    logs_fini();
}
END_TEST

START_TEST(test_bounded_by_bytes)
{
    char text[2000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 2000; i++)
        logs_add(1, LOG_LEVEL_INFO, "w", slice_make(text, sizeof text));
    struct buffer out = BUFFER_EMPTY;
    size_t count = logs_pack(&out, slice_of(""), 0, SIZE_MAX, &last);
    ck_assert_uint_gt(count, 400);
    ck_assert_uint_lt(count, LOGS_BYTES_MAX / sizeof text);
    buffer_fini(&out);
    logs_fini();
}
END_TEST

/* In the new master nothing has been logged yet: a process of its own, where the packed lines come from its parent. */
static struct slice packed_lines(void)
{
    static struct buffer out;
    pack_array(&out, 2);
    for (int i = 0; i < 2; i++) {
        pack_array(&out, 4);
        pack_u64(&out, 5);
        pack_text(&out, "warn");
        pack_text(&out, i == 0 ? "a.1" : "b.1");
        if (i == 0)
            pack_bin(&out, slice_of("first")); /* as an older master packs a line */
        else
            pack_text(&out, "second");
    }
    return buffer_slice(&out);
}

START_TEST(test_the_next_master_goes_on)
{
    logs_restore(packed_lines(), 10);
    ck_assert_str_eq(ask("", 0, 10), "a.1:first|b.1:second|");
    ck_assert_uint_eq(last, 10);
    say("a.1", "third");
    ck_assert_str_eq(ask("", 9, 10), "b.1:second|a.1:third|");
    logs_restore(packed_lines(), 100);
    ck_assert_msg(last == 11, "only into an empty one");
    logs_fini();
}
END_TEST

START_TEST(test_what_cannot_be_restored_is_left_out)
{
    struct slice whole = packed_lines();
    for (size_t len = 0; len < whole.len; len++) {
        pid_t pid = suite_fork(); /* each into an empty ring */
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            char *exact = malloc(len + (len == 0));
            memcpy(exact, whole.ptr, len);
            logs_restore(slice_make(exact, len), 10);
            free(exact);
            say("a.1", "goes on");
            _exit(strstr(ask("", 0, 10), "a.1:goes on|") != NULL && last <= 11 ? 0 : 1);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "cut at %zu", len);
    }
}
END_TEST

SUITE_MAIN("logs", test_the_next_master_goes_on, test_what_cannot_be_restored_is_left_out,
           test_whose_lines, test_the_newer_ones, test_bounded_by_lines, test_bounded_by_bytes)
