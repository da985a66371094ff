/*
 * test_process.c: a worker's process: whose end cannot be seen is not there, and nothing of it stays; a death is told
 * as one record, in order; large answers cost their worker nothing.
 */
#include "master/process/process_private.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "master/logs/collect.h"
#include "proto/control.h"
#include "proto/upgrade_state.h"
#include "test/unit/suite.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool poll_fails;

/* Before libuv's, which fails as the kernel does when epoll has no room. */
int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd)
{
    int (*real)(uv_loop_t *, uv_poll_t *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "uv_poll_init");
    return poll_fails ? UV_ENOSPC : real(loop, handle, fd);
}

static uv_loop_t loop;
static char dir[] = "/tmp/process-testXXXXXX", script[64];
static struct node worker = {
    .kind = NODE_WORKER, .type = WORKER_TYPE_CUSTOM, .name = "a/b.1", .generation = 6};

static void quiet(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

/* What process_explain says. */
static const char *explained(int error)
{
    static struct buffer text;
    buffer_clear(&text);
    process_explain(&worker, error, &text);
    return buffer_text(&text);
}

static void write_script(const char *text)
{
    FILE *f = fopen(script, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\n%s\n", text);
    fchmod(fileno(f), 0700);
    fclose(f);
}

static void set_up(void)
{
    static const struct process_settings settings = {
        .runtime_dir = "/nonexistent", .libexec_dir = dir, .hang_timeout_ms = 60000};
    ck_assert_ptr_nonnull(mkdtemp(dir));
    log_set_sink(quiet, NULL);
    uv_loop_init(&loop);
    process_setup(&loop, &settings);
    snprintf(script, sizeof script, "%s/%s", dir, worker_type_program(worker.type));
    write_script("exec sleep 1000");
}

static void tear_down(void)
{
    unlink(script);
    rmdir(dir);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Reaps our only child. */
static void expect_killed(void)
{
    int status = 0;
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int descriptors_after_a_birth_that_fails(void)
{
    ck_assert_int_eq(process_spawn(&worker), -ENOSPC);
    ck_assert_ptr_null(worker.process);
    ck_assert_uint_eq(worker.generation, 6);
    expect_killed();
    return count_descriptors();
}

START_TEST(test_a_birth_whose_end_cannot_be_seen_has_failed)
{
    poll_fails = true;
    int first = descriptors_after_a_birth_that_fails(); /* spawn.c keeps a few */
    ck_assert_int_eq(descriptors_after_a_birth_that_fails(), first);
}
END_TEST

START_TEST(test_an_adoption_whose_end_cannot_be_seen_has_failed)
{
    int link[2], output[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    int before = count_descriptors();
    pid_t pid = suite_fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    int no_pidfd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* epoll takes none of these */
    struct upgrade_worker m = {.pid = (uint64_t)pid,
                               .pidfd = (uint64_t)no_pidfd + 1,
                               .link_fd = (uint64_t)link[0] + 1,
                               .output_fd = (uint64_t)output[0] + 1};
    ck_assert_int_eq(process_adopt(&worker, &m), -EPERM);
    ck_assert_ptr_null(worker.process);
    expect_killed();
    ck_assert_int_eq(count_descriptors(), before - 2);
    close(link[1]);
    close(output[1]);
}
END_TEST

#define ANSWERS      16u
#define ANSWER_BYTES (15u << 20)

static size_t answers;

static void take_answer(uint64_t status, struct slice body, void *ctx)
{
    (void)ctx;
    ck_assert_msg(status == CONTROL_OK, "%.*s", (int)body.len, body.ptr);
    ck_assert_uint_gt(body.len, ANSWER_BYTES);
    answers++;
}

static void write_all(int fd, struct slice bytes)
{
    for (size_t done = 0; done < bytes.len;) {
        ssize_t n = write(fd, bytes.ptr + done, bytes.len - done);
        ck_assert_int_gt(n, 0);
        done += (size_t)n;
    }
}

/* One REPLY after the other, as a worker that has large ones; it lives on. */
static pid_t start_answering(int fd, uint64_t first)
{
    pid_t pid = suite_fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct buffer body = BUFFER_EMPTY, frame = BUFFER_EMPTY;
    pack_bin(&body, slice_make(calloc(1, ANSWER_BYTES), ANSWER_BYTES));
    for (uint64_t id = first; id < first + ANSWERS; id++) {
        struct link_reply reply = {.id = id, .status = CONTROL_OK, .body = buffer_slice(&body)};
        buffer_clear(&frame);
        link_reply_pack(&frame, &reply);
        uint32_t length = htonl((uint32_t)frame.len);
        write_all(fd, slice_make(&length, sizeof length));
        write_all(fd, buffer_slice(&frame));
    }
    for (;;)
        pause();
}

static void adopt_ready(pid_t pid, int link_fd, int output_fd)
{
    struct upgrade_worker m = {.pid = (uint64_t)pid,
                               .pidfd = (uint64_t)syscall(SYS_pidfd_open, pid, 0) + 1,
                               .link_fd = (uint64_t)link_fd + 1,
                               .output_fd = (uint64_t)output_fd + 1,
                               .greeted = true,
                               .waiting_for = PROCESS_BEAT,
                               .deadline_ms = clock_mono_ms() + 60000};
    worker.state = NODE_READY;
    ck_assert_int_eq(process_adopt(&worker, &m), 0);
}

/* What a client asked for is not held against who has it: the next client's answer would wait for it. */
START_TEST(test_large_answers_do_not_make_a_worker_wait)
{
    int link[2], output[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = start_answering(link[1], process_last_request() + 1);
    adopt_ready(pid, link[0], output[0]);
    for (size_t i = 0; i < ANSWERS; i++)
        ck_assert_int_eq(
            process_request(&worker, slice_of("redis"), slice_of("\x90"), 60000, take_answer, NULL),
            0);
    while (answers < ANSWERS)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(worker.process->flow.debt_us, 0);
    kill(pid, SIGKILL);
    while (worker.process != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    close(link[1]);
    close(output[1]);
}
END_TEST

static int ended_with;

static void take_end(const struct death *d)
{
    ended_with = d->status;
}

/* Deaf to TERM, it says HELLO; when it is told to stop it ends, or does not. */
static pid_t start_late(int fd, bool obeys)
{
    char byte;
    signal(SIGTERM, SIG_IGN); /* in the child from its first instruction on */
    pid_t pid = suite_fork();
    if (pid != 0) {
        signal(SIGTERM, SIG_DFL);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct buffer frame = BUFFER_EMPTY;
    struct link_hello hello = {.version = CONTRACT_LINK_VERSION,
                               .type = slice_of("custom"),
                               .pid = (uint64_t)getpid(),
                               .generation = worker.generation};
    link_hello_pack(&frame, &hello);
    uint32_t length = htonl((uint32_t)frame.len);
    write_all(fd, slice_make(&length, sizeof length));
    write_all(fd, buffer_slice(&frame));
    if (read(fd, &byte, 1) == 1 && obeys)
        _exit(0);
    for (;;)
        pause();
}

static void stop_one_that_is_late(bool obeys)
{
    static const death_reader deaths[] = {take_end, NULL};
    static const struct process_readers readers = {.deaths = deaths};
    int link[2], output[2];
    process_register(&readers);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = start_late(link[1], obeys);
    struct upgrade_worker m = {.pid = (uint64_t)pid,
                               .pidfd = (uint64_t)syscall(SYS_pidfd_open, pid, 0) + 1,
                               .link_fd = (uint64_t)link[0] + 1,
                               .output_fd = (uint64_t)output[0] + 1,
                               .greeted = 2, /* has not, and was sent CONFIG */
                               .waiting_for = PROCESS_HELLO,
                               .deadline_ms = clock_mono_ms() + 60000};
    worker.ready_timeout_ms = 3600000;
    worker.stop_timeout_ms = obeys ? 60000 : 10;
    ck_assert_int_eq(process_adopt(&worker, &m), 0);
    worker.state = NODE_DRAINING;
    process_stop(&worker);
    while (worker.process != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    close(link[1]);
    close(output[1]);
}

/* Its HELLO is on its way when it is told to stop, and TERM was nothing to it. */
START_TEST(test_who_says_hello_behind_its_stop_is_told_again)
{
    stop_one_that_is_late(true);
    ck_assert(WIFEXITED(ended_with) && WEXITSTATUS(ended_with) == 0);
    stop_one_that_is_late(false);
    ck_assert(WIFSIGNALED(ended_with) && WTERMSIG(ended_with) == SIGKILL);
}
END_TEST

/* A worker that asks for children which come and go all the time takes no more of the master than any other. */
START_TEST(test_a_child_is_on_its_owners_account)
{
    struct node *both[2] = {&worker, NULL};
    struct node branch = {.kind = NODE_BRANCH, .name = "a", .children = both, .child_count = 2};
    struct node child = {.kind = NODE_WORKER,
                         .type = WORKER_TYPE_CUSTOM,
                         .name = "a/b.1/c.1",
                         .owner = "a/b.1",
                         .child = true,
                         .parent = &branch};
    both[1] = &child;
    worker.parent = &branch;
    ck_assert_int_eq(process_spawn(&worker), 0);
    ck_assert_uint_eq(worker.process->flow.debt_us, 0); /* its own birth is the supervisor's */
    ck_assert_int_eq(process_spawn(&child), 0);
    uint64_t birth = worker.process->flow.debt_us;
    ck_assert_uint_gt(birth, 0);
    ck_assert_uint_eq(child.process->flow.debt_us, 0);
    /* As if that had been the last of many. */
    worker.process->flow.debt_us = 10000000;
    process_force(&child);
    while (child.process != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_gt(worker.process->flow.resume_ms, clock_mono_ms()); /* by its end */
    process_force(&worker);
    while (worker.process != NULL)
        uv_run(&loop, UV_RUN_ONCE);
}
END_TEST

static char told[64];

static void first_reader(const struct death *d)
{
    ck_assert_ptr_eq(d->worker, &worker);
    ck_assert_ptr_null(worker.process);
    ck_assert(WIFEXITED(d->status) && WEXITSTATUS(d->status) == 3);
    ck_assert(d->code == 3 && !d->orderly && d->pid > 0 && d->usage->ru_maxrss > 0);
    ck_assert_str_eq(d->doing, "its work");
    ck_assert_str_eq(d->trouble, "its trouble");
    ck_assert_str_eq(worker.trouble, "");
    ck_assert_ptr_nonnull(strstr(worker.last_exit, "exit 3"));
    ck_assert_str_eq(d->last_exit, "that of the one before");
    ck_assert_str_eq(collect_stream_line(d->output, 0), "first words");
    ck_assert_str_eq(collect_stream_line(d->output, 1), "last words");
    ck_assert_ptr_null(collect_stream_line(d->output, 2));
    strcat(told, "first ");
}

static void second_reader(const struct death *d)
{
    ck_assert_ptr_eq(d->worker, &worker);
    strcat(told, "second");
}

START_TEST(test_a_death_is_one_record_for_all_in_their_order)
{
    static const death_reader deaths[] = {first_reader, second_reader, NULL};
    static const struct process_readers readers = {.deaths = deaths};
    write_script("echo first words; echo last words; exit 3");
    process_register(&readers);
    ck_assert_int_eq(process_spawn(&worker), 0);
    ck_assert_uint_eq(worker.generation, 7);
    snprintf(worker.last_exit, sizeof worker.last_exit, "that of the one before");
    snprintf(worker.doing, sizeof worker.doing, "its work");
    snprintf(worker.trouble, sizeof worker.trouble, "its trouble");
    while (told[0] == '\0')
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_str_eq(told, "first second");
}
END_TEST

/* What is missing is named: the program, a directory above it, or what its first line names. */
START_TEST(test_a_birth_that_fails_is_explained)
{
    char expected[256];
    unlink(script);
    ck_assert_int_eq(process_spawn(&worker), -ENOENT);
    snprintf(expected, sizeof expected,
             "%s: No such file or directory: is all of platoon installed?", script);
    ck_assert_str_eq(explained(ENOENT), expected);

    FILE *f = fopen(script, "w");
    fputs("#!/opt/nowhere/python9\n", f);
    fclose(f);
    ck_assert_int_eq(process_spawn(&worker), -EACCES);
    ck_assert_ptr_nonnull(strstr(explained(EACCES), "it is not executable: chmod +x /tmp/"));
    chmod(script, 0700);
    ck_assert_int_eq(process_spawn(&worker), -ENOENT);
    ck_assert_ptr_nonnull(strstr(explained(ENOENT), "its interpreter /opt/nowhere/python9, named"));

    char own[] = "/nonexistent/there/worker";
    worker.executable = own;
    ck_assert_int_eq(process_spawn(&worker), -ENOENT);
    ck_assert_str_eq(explained(ENOENT),
                     "/nonexistent/there/worker: No such file or directory: is it installed? Or "
                     "correct `command` (there is no directory /nonexistent)");
    worker.executable = NULL;
    ck_assert_str_eq(explained(EMFILE),
                     "Too many open files: raise the limit of open files (LimitNOFILE=, ulimit "
                     "-n)");
    /* Not the disk: epoll's. */
    ck_assert_str_eq(explained(ENOSPC), "No space left on device: raise fs.epoll.max_user_watches");
}
END_TEST

SUITE_MAIN_WITH("process", set_up, tear_down, test_a_birth_that_fails_is_explained,
                test_a_birth_whose_end_cannot_be_seen_has_failed,
                test_an_adoption_whose_end_cannot_be_seen_has_failed,
                test_large_answers_do_not_make_a_worker_wait, test_a_child_is_on_its_owners_account,
                test_who_says_hello_behind_its_stop_is_told_again,
                test_a_death_is_one_record_for_all_in_their_order)
