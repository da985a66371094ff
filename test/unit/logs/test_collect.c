/*
 * test_collect.c: what a flood costs: the lines beyond its share, and neither the word of them, nor the last of them,
 * nor what the worker itself says of its program's end.
 *
 * After public reports against supervisors and log collectors whose rate limit drops the panic a program ends with.
 */
#include "master/logs/collect.h"

#include "common/unpack.h"
#include "master/logs/logs.h"
#include "test/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOOD 20000
#define SHARE (2 * (COLLECT_LINES_PER_SECOND + 200)) /* a second may end in mid-flood */

static uv_loop_t loop;
static struct collect_stream *stream;
static int in; /* the writer's end */

static void set_up(void)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    in = ends[1];
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr)); /* where lines go otherwise */
    uv_loop_init(&loop);
    stream = collect_stream_new(&loop, ends[0], "a.1", LOG_LEVEL_INFO, LOG_LEVEL_INFO);
    ck_assert_ptr_nonnull(stream);
}

static void tear_down(void)
{
    collect_stream_free(stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    logs_fini();
    close(in);
}

static void says(const char *line)
{
    collect_stream_feed(stream, slice_of(line));
}

static void floods(const char *mark)
{
    char line[32];
    for (int i = 1; i <= FLOOD; i++) {
        snprintf(line, sizeof line, "%s%d\n", mark, i);
        says(line);
    }
}

struct written {
    unsigned long long lines, dropped;
    char list[5][256]; /* the last, newest first, each "level line" */
};

static struct written look(void)
{
    struct written w = {0};
    struct buffer out = BUFFER_EMPTY;
    uint64_t last;
    size_t count = logs_pack(&out, slice_of(""), 0, SIZE_MAX, &last);
    struct unpack u = unpack_start(buffer_slice(&out));
    unpack_array(&u);
    for (size_t i = 0; i < count; i++) {
        unsigned long long dropped;
        unpack_array(&u);
        unpack_u64(&u);
        struct slice level = unpack_str(&u), worker = unpack_str(&u), line = unpack_bytes(&u);
        ck_assert(slice_is(worker, "a.1"));
        memmove(w.list[1], w.list[0], sizeof w.list - sizeof w.list[0]);
        snprintf(w.list[0], sizeof w.list[0], "%.*s %.*s", (int)level.len, level.ptr, (int)line.len,
                 line.ptr);
        if (sscanf(w.list[0], "warn log-flood dropped=%llu", &dropped) == 1)
            w.dropped += dropped;
        else
            w.lines++;
    }
    ck_assert(unpack_end(&u));
    buffer_fini(&out);
    return w;
}

START_TEST(a_flood_ends_with_its_last_words)
{
    floods("");
    says("panic");
    collect_stream_drain(stream);
    struct written w = look();
    ck_assert_str_eq(w.list[0], "info output line=panic");
    ck_assert_str_eq(w.list[1], "info output line=20000");
    ck_assert_uint_lt(w.lines, SHARE);
    ck_assert_uint_eq(w.lines + w.dropped, FLOOD + 1);
}
END_TEST

START_TEST(its_worker_has_a_share_of_its_own)
{
    floods("");
    says("panic\n<3>exit code=1 reason=\"exited 9\"\n");
    struct written w = look();
    ck_assert_str_eq(w.list[0], "error exit code=1 reason=\"exited 9\"");
    ck_assert_str_eq(w.list[1], "info output line=panic");
    ck_assert_uint_eq(w.lines + w.dropped, FLOOD + 2);
    floods("");
    says("<4>last-words cause=x\n");
    w = look();
    ck_assert_str_eq(w.list[0], "warn last-words cause=x");
}
END_TEST

START_TEST(a_mark_is_no_way_to_flood)
{
    floods("<3>");
    says("panic\n<3>exit code=1\n");
    collect_stream_drain(stream);
    struct written w = look();
    ck_assert_str_eq(w.list[0], "error exit code=1");
    ck_assert_str_eq(w.list[1], "info output line=panic");
    ck_assert_uint_lt(w.lines, SHARE);
    ck_assert_uint_eq(w.lines + w.dropped, FLOOD + 2);
}
END_TEST

/* It hangs, say: no later line of its own is needed. */
START_TEST(a_drop_is_told_though_nothing_follows)
{
    floods("");
    struct written w = look();
    for (; w.lines + w.dropped < FLOOD; w = look())
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_str_eq(w.list[0], "info output line=20000");
    ck_assert_uint_eq(w.lines + w.dropped, FLOOD);
}
END_TEST

START_TEST(a_drop_is_told_before_another_master_takes_over)
{
    floods("");
    collect_stream_settle(stream);
    struct written w = look();
    ck_assert_str_eq(w.list[0], "info output line=20000");
    ck_assert_uint_eq(w.lines + w.dropped, FLOOD);
}
END_TEST

SUITE_MAIN_WITH("collect", set_up, tear_down, a_flood_ends_with_its_last_words,
                its_worker_has_a_share_of_its_own, a_mark_is_no_way_to_flood,
                a_drop_is_told_though_nothing_follows,
                a_drop_is_told_before_another_master_takes_over)
