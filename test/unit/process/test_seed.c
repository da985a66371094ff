/*
 * test_seed.c: births by a seed, and by exec when the seed dies, is late, says what it should not or cannot fork.
 *
 * The suite itself is what is executed: as a seed it behaves as the variable SEED_TEST says, as a worker it tells how
 * it came to be.
 */
#include "master/process/seed.h"

#include "master/tree/policy.h"
#include "proto/contract.h"
#include "proto/seed_order.h"
#include "test/unit/short_memory.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_MODE "SEED_TEST"
#define TEST_PID  "SEED_TEST_PID"

static uv_loop_t loop;
static char program[4096], said[512], lost[512];
static int planted, losses;
static bool gave_up;
static uint64_t generation;
static pid_t seed_pid;

/* ---- the other side ---- */

static void say(const struct buffer *packet)
{
    if (send(CONTRACT_LINK_FD, packet->data, packet->len, 0) < 0)
        _exit(1);
}

static void answer(pid_t pid, int error)
{
    struct buffer packet = BUFFER_EMPTY;
    struct seed_answer a = {.pid = (uint64_t)pid, .error = (uint64_t)error};
    seed_answer_pack(&packet, &a);
    say(&packet);
}

/* The seed's own child, not the master's. */
static void answer_with_a_grandchild(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    answer(pid, 0);
    kill(pid, SIGKILL);
}

static void hello(uint64_t version)
{
    struct buffer packet = BUFFER_EMPTY;
    seed_hello_pack(&packet, version);
    say(&packet);
}

static _Noreturn void behave(const char *mode)
{
    char order[SEED_PACKET_MAX];
    if (strcmp(mode, "mute") != 0)
        hello(strcmp(mode, "another build") == 0 ? SEED_VERSION + 1
              : strcmp(mode, "unable") == 0      ? SEED_UNABLE
                                                 : SEED_VERSION);
    while (recv(CONTRACT_LINK_FD, order, sizeof order, 0) > 0) {
        if (strcmp(mode, "dies") == 0)
            _exit(0);
        if (strcmp(mode, "short") == 0)
            answer(0, EAGAIN);
        if (strcmp(mode, "refuses") == 0)
            answer(0, EPERM);
        if (strcmp(mode, "garbles") == 0)
            send(CONTRACT_LINK_FD, "\xff\xff", 2, 0);
        if (strcmp(mode, "lies") == 0)
            answer(getpid(), 0);
        if (strcmp(mode, "dreams") == 0)
            answer(0x7ffffff0, 0);
        if (strcmp(mode, "steals") == 0)
            answer(getppid(), 0);
        if (strcmp(mode, "takes") == 0)
            answer(atoi(getenv(TEST_PID)), 0);
        if (strcmp(mode, "strange") == 0)
            answer_with_a_grandchild();
    }
    _exit(0);
}

static void tell(const char *how)
{
    struct rlimit files;
    int link_type = 0;
    socklen_t size = sizeof link_type;
    getrlimit(RLIMIT_NOFILE, &files);
    getsockopt(CONTRACT_LINK_FD, SOL_SOCKET, SO_TYPE, &link_type, &size);
    int open_fds = 0;
    for (int fd = 0; fd < 64; fd++)
        open_fds += fcntl(fd, F_GETFD) >= 0;
    printf("%s %s %s %s parent=%d group=%d link=%d fds=%d files=%llu seed=%s", how,
           getenv(CONTRACT_ENV_NAME), getenv(CONTRACT_ENV_GENERATION),
           getenv(CONTRACT_ENV_LOG_LEVEL), (int)getppid(), getpgrp() == getpid(),
           link_type == SOCK_STREAM, open_fds, (unsigned long long)files.rlim_cur,
           getenv(CONTRACT_ENV_SEED) != NULL ? "yes" : "no");
    fflush(stdout);
}

/* Waits for its end, as a worker for its link's. */
static _Noreturn void be_a_worker(const char *how)
{
    char byte;
    tell(how);
    fclose(stdout);
    close(STDERR_FILENO);
    if (read(CONTRACT_LINK_FD, &byte, 1) == 1)
        abort(); /* raise() needs to know who it is */
    _exit(7);
}

__attribute__((constructor)) static void begin_as_what_was_executed(void)
{
    const char *mode = getenv(TEST_MODE);
    if (mode == NULL || (getenv(CONTRACT_ENV_SEED) == NULL && getenv(CONTRACT_ENV_NAME) == NULL))
        return;
    if (!worker_seed_is_wanted())
        be_a_worker("executed");
    if (strcmp(mode, "good") != 0)
        behave(mode);
    worker_seed_serve();
    be_a_worker("forked");
}

/* ---- this side ---- */

static void keep_line(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)ctx;
    char text[512];
    slice_copy(line, text, sizeof text);
    const char *pid = strstr(text, "pid=");
    if (strstr(text, "seed-planted") != NULL && pid != NULL) {
        planted++;
        seed_pid = atoi(pid + strlen("pid="));
    }
    gave_up = gave_up || strstr(text, "seed-none type=command") != NULL;
    if (strstr(text, "seed-lost") == NULL)
        return;
    losses++;
    memcpy(lost, text, sizeof lost);
}

static pid_t taken;

static bool is_taken(pid_t pid)
{
    return pid == taken;
}

static void begin(const char *mode)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    ck_assert_int_gt(n, 0);
    program[n] = '\0';
    setenv(TEST_MODE, mode, 1);
    setenv(CONTRACT_ENV_GENERATION, "inherited", 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_sink(keep_line, NULL);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    seed_setup(is_taken);
}

static void finish(void)
{
    seed_stop();
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static struct spawn_result bear(void)
{
    struct spawn_request request = {.program = program,
                                    .type = "command",
                                    .name = "site/a.1",
                                    .log_level = LOG_LEVEL_WARN,
                                    .generation = ++generation};
    struct spawn_result born;
    ck_assert_int_eq(seed_spawn(&loop, WORKER_TYPE_COMMAND, &request, &born), 0);
    size_t len = 0;
    for (ssize_t n; (n = read(born.output, said + len, sizeof said - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    return born;
}

/* Its end by its link's, or by a byte on it, which makes it crash. */
static int bury(const struct spawn_result *born, bool crash)
{
    int status = 0;
    if (crash)
        ck_assert_int_eq(write(born->link, "x", 1), 1);
    close(born->link);
    struct pollfd end = {.fd = born->pidfd, .events = POLLIN};
    ck_assert_int_eq(poll(&end, 1, -1), 1);
    ck_assert_int_eq(waitpid(born->pid, &status, 0), born->pid);
    close(born->pidfd);
    close(born->output);
    return status;
}

/* Born, told, and gone. True: by a seed. */
static bool born_of_a_seed(void)
{
    char rest[128];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    struct spawn_result born = bear();
    ck_assert_int_eq(WEXITSTATUS(bury(&born, false)), 7);
    snprintf(rest, sizeof rest,
             " site/a.1 %llu warn parent=%d group=1 link=1 fds=4 files=%llu seed=no",
             (unsigned long long)generation, (int)getpid(), (unsigned long long)files.rlim_cur);
    ck_assert_msg(strstr(said, rest) != NULL, "%s, not %s", said, rest);
    return strncmp(said, "forked", strlen("forked")) == 0;
}

/* The test's own time limit ends it when none comes. */
static void until_forked(void)
{
    while (!born_of_a_seed())
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void until_lost(void)
{
    while (losses == 0) {
        ck_assert(!born_of_a_seed());
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

START_TEST(a_seed_is_planted_with_the_fourth_and_bears_the_rest)
{
    begin("good");
    for (int i = 1; i < POLICY_SEED_BIRTHS; i++)
        ck_assert(!born_of_a_seed());
    ck_assert_int_eq(planted, 0);
    ck_assert(!born_of_a_seed());
    ck_assert_int_eq(planted, 1);
    ck_assert(seed_is(seed_pid) && !seed_is(getpid()));
    until_forked();
    int before = count_descriptors();
    for (int i = 0; i < 50; i++)
        ck_assert(born_of_a_seed());
    ck_assert_int_eq(count_descriptors(), before);
    ck_assert(planted == 1 && losses == 0);
    finish();
    ck_assert(!seed_is(seed_pid));
}
END_TEST

/* Also one that has not run its first instruction, and is as its seed still: it is deaf to that. */
START_TEST(a_newborn_can_be_told_to_stop)
{
    begin("good");
    until_forked();
    for (int i = 0; i < 200; i++) {
        struct spawn_request request = {.program = program,
                                        .type = "command",
                                        .name = "site/a.1",
                                        .log_level = LOG_LEVEL_WARN,
                                        .generation = ++generation};
        struct spawn_result born;
        int status = 0;
        ck_assert_int_eq(seed_spawn(&loop, WORKER_TYPE_COMMAND, &request, &born), 0);
        ck_assert_int_eq(kill(born.pid, SIGTERM), 0);
        struct pollfd end = {.fd = born.pidfd, .events = POLLIN};
        ck_assert_msg(poll(&end, 1, 60000) == 1, "birth %d never heard of it", i);
        ck_assert_int_eq(waitpid(born.pid, &status, 0), born.pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        close(born.link);
        close(born.pidfd);
        close(born.output);
    }
    finish();
}
END_TEST

START_TEST(it_has_the_limits_that_the_master_has_by_then)
{
    struct rlimit files;
    begin("good");
    until_forked();
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = 99;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert(born_of_a_seed());
    finish();
}
END_TEST

static size_t read_file(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, size, f);
    fclose(f);
    return n;
}

/* What people, and our own reaper, see of it. */
START_TEST(proc_shows_what_an_executed_one_has)
{
    static char text[65536];
    begin("good");
    until_forked();
    struct spawn_result born = bear();
    ck_assert_uint_eq(read_file(born.pid, "cmdline", text, sizeof text), sizeof "command");
    ck_assert_str_eq(text, "command");
    size_t n = read_file(born.pid, "environ", text, sizeof text);
    char number[64];
    snprintf(number, sizeof number, "PLATOON_GENERATION=%llu", (unsigned long long)generation);
    for (const char *const *want =
             (const char *const[]){"PLATOON_NAME=site/a.1", number, "PLATOON_LOG_LEVEL=warn", NULL};
         *want != NULL; want++)
        ck_assert_msg(memmem(text, n, *want, strlen(*want) + 1) != NULL, "%s", *want);
    ck_assert_ptr_null(memmem(text, n, "PLATOON_SEED", strlen("PLATOON_SEED")));
    ck_assert_ptr_null(memmem(text, n, "inherited", strlen("inherited")));
    bury(&born, false);
    finish();
}
END_TEST

START_TEST(who_crashes_is_the_last_of_its_seed)
{
    begin("good");
    until_forked();
    struct spawn_result born = bear();
    int status = bury(&born, true);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    seed_crashed(WORKER_TYPE_COMMAND, SIGKILL); /* that is no crash */
    seed_crashed(WORKER_TYPE_COMMAND, SIGTERM);
    ck_assert(born_of_a_seed());
    seed_crashed(WORKER_TYPE_PORT, SIGABRT);
    ck_assert(seed_is(seed_pid));
    seed_crashed(WORKER_TYPE_COMMAND, SIGABRT);
    ck_assert(!seed_is(seed_pid));
    until_forked();
    ck_assert(planted == 2 && losses == 0);
    finish();
}
END_TEST

/* A package has been installed meanwhile: who is born has the new program. */
START_TEST(a_replaced_program_has_a_seed_of_its_own)
{
    char copy[64], command[8192];
    begin("good");
    snprintf(copy, sizeof copy, "/tmp/seed-test-%d", (int)getpid());
    snprintf(command, sizeof command, "cp %s %s.new && mv %s.new %s", program, copy, copy, copy);
    ck_assert_int_eq(system(command), 0);
    memcpy(program, copy, sizeof copy);
    until_forked();
    ck_assert_int_eq(planted, 1);
    ck_assert_int_eq(system(command), 0);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, copy, times, 0), 0);
    ck_assert(!born_of_a_seed());
    until_forked();
    ck_assert(planted == 2 && losses == 0);
    finish();
    unlink(copy);
}
END_TEST

START_TEST(one_that_is_killed_is_missed_by_nobody)
{
    begin("good");
    until_forked();
    kill(seed_pid, SIGKILL);
    ck_assert(!born_of_a_seed()); /* nothing is left to take the order, or to answer it */
    while (losses == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_msg(strstr(lost, "type=command") != NULL, "%s", lost);
    ck_assert_msg(strstr(lost, "next_try_ms=1000") != NULL, "%s", lost);
    for (int i = 0; i < 2 * POLICY_SEED_BIRTHS; i++)
        ck_assert(!born_of_a_seed()); /* until then */
    ck_assert_int_eq(planted, 1);
    until_forked();
    ck_assert(planted == 2 && losses == 1);
    kill(seed_pid, SIGKILL);
    while (losses == 1)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_msg(strstr(lost, "next_try_ms=1000") != NULL, "%s", lost); /* a birth between */
    finish();
}
END_TEST

static const struct {
    const char *mode, *cause;
} bad[] = {
    {"dies", "it has ended"},
    {"slow", "it has not answered within 250 ms"},
    {"refuses", "it cannot fork: Operation not permitted"},
    {"garbles", "its answer cannot be read"},
    {"lies", "which is no newborn of ours"},
    {"dreams", "which is no newborn of ours"},
    {"steals", "which is no newborn of ours"},
    {"strange", "which is no newborn of ours"},
    {"another build", "it is of another build"},
};

START_TEST(what_a_bad_one_does_costs_no_birth)
{
    begin(bad[_i].mode);
    until_lost();
    ck_assert_msg(strstr(lost, bad[_i].cause) != NULL, "%s", lost);
    ck_assert(!seed_is(seed_pid));
    finish();
}
END_TEST

/* A child of ours, but one that we have. */
START_TEST(a_seed_gives_nobody_away_who_is_somebody_else)
{
    char number[24];
    begin("takes");
    struct spawn_result born = bear();
    taken = born.pid;
    snprintf(number, sizeof number, "%d", (int)taken);
    setenv(TEST_PID, number, 1);
    until_lost();
    ck_assert_msg(strstr(lost, "which is no newborn of ours") != NULL, "%s", lost);
    ck_assert_int_eq(WEXITSTATUS(bury(&born, false)), 7);
    finish();
}
END_TEST

/* The pause grows when no birth was between. */
START_TEST(bad_ones_are_planted_ever_more_seldom)
{
    begin("dies");
    until_lost();
    losses = 0;
    until_lost();
    ck_assert_msg(strstr(lost, "next_try_ms=2000") != NULL, "%s", lost);
    finish();
}
END_TEST

START_TEST(one_that_is_short_of_something_is_kept)
{
    begin("short");
    for (int i = 0; i < 100; i++)
        ck_assert(!born_of_a_seed());
    ck_assert(planted == 1 && losses == 0 && seed_is(seed_pid));
    finish();
}
END_TEST

START_TEST(one_that_cannot_is_the_last)
{
    begin("unable");
    while (!gave_up)
        ck_assert(!born_of_a_seed());
    ck_assert(!seed_is(seed_pid));
    for (int i = 0; i < 20; i++)
        ck_assert(!born_of_a_seed());
    ck_assert(planted == 1 && losses == 0);
    finish();
}
END_TEST

START_TEST(one_that_has_not_begun_is_not_waited_for)
{
    begin("mute");
    for (int i = 0; i < 20; i++)
        ck_assert(!born_of_a_seed());
    ck_assert(planted == 1 && losses == 0);
    finish();
}
END_TEST

/* Whatever allocation of ours fails: a worker, or an error and nothing left behind. */
START_TEST(memory_that_is_short_costs_nothing_else)
{
    begin("good");
    until_forked();
    for (long n = 1; n <= 12; n++) {
        struct spawn_request request = {.program = program,
                                        .type = "command",
                                        .name = "site/a.1",
                                        .log_level = LOG_LEVEL_WARN,
                                        .generation = ++generation};
        struct spawn_result born;
        if (n % 4 == 0)
            seed_stop(); /* also while another one is planted */
        int before = count_descriptors();
        short_memory_fail(n, n % 2 == 0);
        int rc = seed_spawn(&loop, WORKER_TYPE_COMMAND, &request, &born);
        short_memory_fail(0, false);
        ck_assert_msg(rc == 0 || rc == -ENOMEM, "%d", rc);
        if (rc == 0)
            bury(&born, false);
        seed_stop();
        uv_run(&loop, UV_RUN_NOWAIT);
        ck_assert_int_le(count_descriptors(), before);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    }
    finish();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("seed");
    TCase *c = tcase_create("seed");
    tcase_set_timeout(c, SUITE_TIMEOUT_S);
    tcase_add_test(c, a_seed_is_planted_with_the_fourth_and_bears_the_rest);
    tcase_add_test(c, a_newborn_can_be_told_to_stop);
    tcase_add_test(c, it_has_the_limits_that_the_master_has_by_then);
    tcase_add_test(c, proc_shows_what_an_executed_one_has);
    tcase_add_test(c, who_crashes_is_the_last_of_its_seed);
    tcase_add_test(c, a_replaced_program_has_a_seed_of_its_own);
    tcase_add_test(c, one_that_is_killed_is_missed_by_nobody);
    tcase_add_loop_test(c, what_a_bad_one_does_costs_no_birth, 0,
                        (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(c, a_seed_gives_nobody_away_who_is_somebody_else);
    tcase_add_test(c, bad_ones_are_planted_ever_more_seldom);
    tcase_add_test(c, one_that_is_short_of_something_is_kept);
    tcase_add_test(c, one_that_cannot_is_the_last);
    tcase_add_test(c, one_that_has_not_begun_is_not_waited_for);
    tcase_add_test(c, memory_that_is_short_costs_nothing_else);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
