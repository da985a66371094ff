/*
 * test_crash.c: reports of deaths: what is in them, how many stay, how they are found, what happens
 * when they cannot be written.
 */
#include "master/logs/crash.h"

#include "common/unpack.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct place place;
static struct node n;
static struct buffer out;

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)ctx;
    if (level == LOG_LEVEL_WARN)
        buffer_append_slice(&out, line);
}

static void start(void)
{
    place_make(&place);
    crash_setup(place.dir, 3);
    n = (struct node){.kind = NODE_WORKER,
                      .state = NODE_READY,
                      .generation = 7,
                      .name = "redis/visits/get-set.1"};
    snprintf(n.last_exit, sizeof n.last_exit, "killed by SIGSEGV after 3s, 4 MB: its last words");
}

static void finish(void)
{
    buffer_fini(&out);
    place_remove(&place);
}

static void dies(const char *name, uint64_t generation)
{
    struct rusage usage = {.ru_maxrss = 4096};
    snprintf(n.name, sizeof n.name, "%s", name);
    n.generation = generation;
    struct death death = {
        .worker = &n, .pid = 4711, .status = SIGSEGV, .code = -1, .usage = &usage};
    snprintf(death.trouble, sizeof death.trouble, "redis is away");
    crash_on_death(&death);
    death.orderly = true;
    crash_on_death(&death); /* nothing to report */
}

/* The reports of a name: "worker/generation " each. */
static const char *list(const char *name, size_t limit)
{
    static char shown[1024];
    struct buffer packed = BUFFER_EMPTY;
    size_t count = crash_list(&packed, slice_of(name), limit);
    struct unpack u = unpack_start(buffer_slice(&packed));
    ck_assert_uint_eq(unpack_array(&u), count);
    shown[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(unpack_map(&u), 5);
        unpack_str(&u);
        struct slice worker = unpack_str(&u);
        unpack_str(&u);
        uint64_t generation = unpack_u64(&u);
        unpack_str(&u);
        ck_assert_uint_gt(unpack_u64(&u), 1700000000000u);
        unpack_str(&u);
        ck_assert(slice_equal(unpack_bytes(&u), slice_of(n.last_exit)));
        unpack_str(&u);
        unpack_str(&u);
        size_t len = strlen(shown);
        snprintf(shown + len, sizeof shown - len, "%.*s/%llu ", (int)worker.len, worker.ptr,
                 (unsigned long long)generation);
    }
    ck_assert(unpack_end(&u));
    buffer_fini(&packed);
    return shown;
}

START_TEST(test_a_report_says_what_is_known)
{
    dies("redis/visits/get-set.1", 7);
    ck_assert(crash_show(&out, slice_of("redis/visits/get-set.1")));
    const char *text = buffer_text(&out);
    static const char *const wanted[] = {"name: redis/visits/get-set.1\n",
                                         "generation: 7\n",
                                         "cause: killed by SIGSEGV after 3s",
                                         "signal: 11\n",
                                         "state: READY\n",
                                         "pid: 4711\n",
                                         "memory: 4096 KB at most\n",
                                         "trouble: redis is away\n",
                                         "settings: cbf29ce484222325\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s is not in\n%s", wanted[i], text);
}
END_TEST

START_TEST(test_the_newest_of_each_worker_stay)
{
    for (uint64_t g = 1; g <= 5; g++) {
        dies("a.1", g);
        dies("a.10", g);
    }
    const char *left = list("a.1", 10);
    ck_assert_msg(strstr(left, "a.1/5") != NULL && strstr(left, "a.1/2 ") == NULL &&
                      strstr(left, "a.10") == NULL,
                  "%s", left);
    left = list("", 100);
    size_t words = 0;
    for (const char *c = left; *c != '\0'; c++)
        words += *c == ' ';
    ck_assert_uint_eq(words, 6);
}
END_TEST

START_TEST(test_found_by_worker_branch_and_pattern)
{
    dies("redis/visits/get-set.1", 1);
    dies("redis/visits/get-hash.1", 2);
    dies("transfer/visits.1", 3);
    ck_assert_str_eq(list("transfer/visits.1", 10), "transfer/visits.1/3 ");
    ck_assert_ptr_nonnull(strstr(list("redis/visits", 10), "redis/visits/get-set.1/1"));
    ck_assert_str_eq(list("redis/visit", 10), "");
    ck_assert_str_eq(list("*get-h*", 10), "redis/visits/get-hash.1/2 ");
    ck_assert_uint_eq(strlen(list("", 1)) > 0, 1);
    ck_assert(!crash_show(&out, slice_of("nobody")));
}
END_TEST

START_TEST(test_files_of_others_are_left_alone)
{
    char path[512];
    dies("a.1", 1);
    snprintf(path, sizeof path, "%s/crashes/README", place.dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
    ck_assert_str_eq(list("", 10), "a.1/1 ");
}
END_TEST

START_TEST(test_what_cannot_be_written_is_a_warning)
{
    char path[512];
    snprintf(path, sizeof path, "%s/crashes", place.dir);
    FILE *f = fopen(path, "w"); /* where the directory should be */
    ck_assert_ptr_nonnull(f);
    fclose(f);
    log_set_sink(quiet, NULL);
    dies("a.1", 1);
    ck_assert_ptr_nonnull(
        strstr(buffer_text(&out), "crash-report-lost name=a.1 cause=\"Not a directory\""));
    ck_assert_str_eq(list("", 10), "");
}
END_TEST

static bool is_written(uint64_t generation)
{
    char command[600];
    snprintf(command, sizeof command, "ls %s/crashes 2>/dev/null | grep -q '\\.%d$'", place.dir,
             (int)generation);
    return system(command) == 0;
}

/* The successor comes first: the loop's timers run before what is idle. */
START_TEST(test_while_the_loop_runs_reports_wait_for_its_idle_moment)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    crash_start(&loop);
    dies("a.1", 1);
    ck_assert(!is_written(1));
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert(is_written(1));
    dies("a.1", 2);
    ck_assert(!is_written(2));
    ck_assert_str_eq(list("", 10), "a.1/2 a.1/1 "); /* whoever asks sees it */
    for (uint64_t i = 0; i < 100; i++)
        dies("b.1", 100 + i);
    ck_assert(is_written(162)); /* so many do not wait */
    crash_stop();
    ck_assert(is_written(199));
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    dies("a.1", 3);
    ck_assert(is_written(3));
}
END_TEST

START_TEST(test_none_are_kept_when_none_are_wanted)
{
    crash_setup(place.dir, 0);
    dies("a.1", 1);
    ck_assert_str_eq(list("", 10), "");
}
END_TEST

SUITE_MAIN_WITH("crash", start, finish, test_a_report_says_what_is_known,
                test_the_newest_of_each_worker_stay, test_found_by_worker_branch_and_pattern,
                test_files_of_others_are_left_alone, test_what_cannot_be_written_is_a_warning,
                test_while_the_loop_runs_reports_wait_for_its_idle_moment,
                test_none_are_kept_when_none_are_wanted)
