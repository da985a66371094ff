/* test_child_run.c: a process on an event loop (common/child_run.h). */
#include "common/child_run.h"

#include "common/buffer.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#define PATIENCE_MS 30000

struct heard {
    struct buffer out, err;
    struct child_run_end end;
    unsigned ends;
    bool stop_it;         /* as soon as it says something */
    uint64_t patience_ms; /* 0: of who does not end when he is told */
    struct child_run *run;
};

static void on_out(void *ctx, struct slice bytes)
{
    struct heard *h = ctx;
    buffer_append_slice(&h->out, bytes);
    if (h->stop_it)
        child_run_stop(h->run);
}

static void on_err(void *ctx, struct slice bytes)
{
    struct heard *h = ctx;
    buffer_append_slice(&h->err, bytes);
}

static void on_end(void *ctx, const struct child_run_end *end)
{
    struct heard *h = ctx;
    h->end = *end;
    h->ends++;
    h->run = NULL;
}

static int start(const char *const argv[], struct slice input, uint64_t timeout_ms, struct heard *h)
{
    *h = (struct heard){.stop_it = h->stop_it, .patience_ms = h->patience_ms};
    ck_assert_int_eq(child_process_adopt(), 0);
    const struct child_run_options o = {.child = {.argv = argv},
                                        .input = input,
                                        .timeout_ms = timeout_ms,
                                        .stop_timeout_ms = h->patience_ms > 0 ? h->patience_ms : 50,
                                        .on_out = on_out,
                                        .on_err = on_err,
                                        .on_end = on_end,
                                        .ctx = h};
    return child_run_start(uv_default_loop(), &o, &h->run);
}

/* Until nothing is left in the loop: each handle was closed. */
static void run(const char *text, struct slice input, uint64_t timeout_ms, struct heard *h)
{
    const char *const argv[] = {"/bin/sh", "-c", text, NULL};
    ck_assert_int_eq(start(argv, input, timeout_ms, h), 0);
    ck_assert_int_eq(uv_run(uv_default_loop(), UV_RUN_DEFAULT), 0);
    ck_assert_uint_eq(h->ends, 1);
    ck_assert_uint_eq(h->end.left, 0);
    ck_assert_int_eq(uv_loop_close(uv_default_loop()), 0);
}

static void said(struct heard *h, const char *out, const char *err)
{
    const char *o = buffer_text(&h->out), *e = buffer_text(&h->err);
    ck_assert_str_eq(o, out);
    ck_assert_str_eq(e, err);
    buffer_fini(&h->out);
    buffer_fini(&h->err);
}

START_TEST(told_and_says)
{
    struct heard h = {0};
    run("cat; echo no >&2; exit 3", slice_of("a\nb"), 0, &h);
    ck_assert_int_eq(WEXITSTATUS(h.end.status), 3);
    ck_assert(!h.end.stopped && !h.end.timed_out);
    said(&h, "a\nb", "no\n");
}
END_TEST

START_TEST(much_both_ways)
{
    struct heard h = {0};
    size_t size = 5000000;
    char *bytes = malloc(size);
    memset(bytes, 'x', size);
    run("cat", slice_make(bytes, size), 0, &h);
    ck_assert_uint_eq(h.out.len, size);
    ck_assert_mem_eq(h.out.data, bytes, size);
    buffer_fini(&h.out);
    free(bytes);
}
END_TEST

/* Who does not read is none the worse for it. */
START_TEST(reads_nothing)
{
    struct heard h = {0};
    size_t size = 1000000;
    char *bytes = calloc(1, size);
    signal(SIGPIPE, SIG_IGN);
    run("exec 0<&-; echo done", slice_make(bytes, size), 0, &h);
    ck_assert_int_eq(h.end.status, 0);
    said(&h, "done\n", "");
    free(bytes);
}
END_TEST

/* Its exit is its end, also when a child, and one in a session of its own, holds its streams. */
START_TEST(children_hold_streams)
{
    struct heard h = {0};
    run("sleep 1000 & setsid sleep 1000 & echo gone; exit 0", slice_of(""), 0, &h);
    ck_assert_int_eq(h.end.status, 0);
    said(&h, "gone\n", "");
}
END_TEST

START_TEST(time_is_over)
{
    struct heard h = {.patience_ms = PATIENCE_MS};
    run("sleep 1000 & wait", slice_of(""), 100, &h);
    ck_assert(h.end.timed_out && !h.end.stopped);
    ck_assert_int_eq(WTERMSIG(h.end.status), SIGTERM);
    said(&h, "", "");
}
END_TEST

START_TEST(stopped)
{
    struct heard h = {.stop_it = true, .patience_ms = PATIENCE_MS};
    run("trap 'echo told; exit 4' TERM; echo ready; sleep 1000 & wait", slice_of(""), 0, &h);
    ck_assert(h.end.stopped && !h.end.timed_out);
    ck_assert_int_eq(WEXITSTATUS(h.end.status), 4);
    said(&h, "ready\ntold\n", "");
}
END_TEST

START_TEST(does_not_stop)
{
    struct heard h = {.stop_it = true};
    run("trap '' TERM; echo ready; while :; do sleep 1000; done", slice_of(""), 0, &h);
    ck_assert(h.end.stopped);
    ck_assert(WIFSIGNALED(h.end.status));
    ck_assert_int_eq(WTERMSIG(h.end.status), SIGKILL);
    said(&h, "ready\n", "");
}
END_TEST

/* Who ends himself hears no more of it, and it is killed. */
START_TEST(abandoned)
{
    struct heard h = {0};
    const char *const argv[] = {"/bin/sh", "-c", "echo heard; exec sleep 1000", NULL};
    ck_assert_int_eq(start(argv, slice_of(""), 0, &h), 0);
    while (h.out.len == 0)
        uv_run(uv_default_loop(), UV_RUN_ONCE);
    child_run_abandon(h.run);
    ck_assert_int_eq(uv_run(uv_default_loop(), UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(uv_loop_close(uv_default_loop()), 0);
    ck_assert_uint_eq(h.ends, 0);
    int status;
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    said(&h, "heard\n", "");
}
END_TEST

START_TEST(none_there)
{
    struct heard h = {0};
    const char *const argv[] = {"/nowhere", NULL};
    ck_assert_int_eq(start(argv, slice_of("x"), 0, &h), -ENOENT);
    ck_assert_ptr_null(h.run);
    ck_assert_int_eq(uv_run(uv_default_loop(), UV_RUN_DEFAULT), 0);
    ck_assert_uint_eq(h.ends, 0);
    ck_assert_int_eq(uv_loop_close(uv_default_loop()), 0);
}
END_TEST

SUITE_MAIN("child_run", told_and_says, much_both_ways, reads_nothing, children_hold_streams,
           time_is_over, stopped, does_not_stop, abandoned, none_there)
