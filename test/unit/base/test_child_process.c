/* test_child_process.c: a process for one thing, and the end of what came of it (common/child_process.h). */
#include "common/child_process.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUNG_MS 60000

static void close_all(struct child_process *p)
{
    close(p->in);
    close(p->out);
    close(p->err);
    close(p->pidfd);
}

static struct child_process start(const char *const argv[], const char *folder,
                                  char *const *environment)
{
    struct child_process p;
    const struct child_options o = {.argv = argv, .folder = folder, .environment = environment};
    ck_assert_int_eq(child_process_start(&o, &p), 0);
    return p;
}

/* All that it says until it closes the stream. */
static void read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n = 1;
    while (n != 0 && len < size - 1) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, HUNG_MS), 1);
        n = read(fd, text + len, size - 1 - len);
        ck_assert_int_ge(n, 0);
        len += (size_t)n;
    }
    text[len] = '\0';
}

static int wait_for(const struct child_process *p)
{
    int status;
    struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};
    ck_assert_int_eq(poll(&ended, 1, HUNG_MS), 1);
    ck_assert_int_eq(waitpid(p->pid, &status, 0), p->pid);
    return status;
}

START_TEST(streams_and_end)
{
    const char *const argv[] = {"/bin/sh", "-c", "read x; echo \"$x 1\"; echo 2 >&2; exit 3", NULL};
    char text[64];
    struct child_process p = start(argv, NULL, NULL);
    ck_assert_int_eq(write(p.in, "0\n", 2), 2);
    read_all(p.out, text, sizeof text);
    ck_assert_str_eq(text, "0 1\n");
    read_all(p.err, text, sizeof text);
    ck_assert_str_eq(text, "2\n");
    int status = wait_for(&p);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 3);
    close_all(&p);
}
END_TEST

START_TEST(folder_environment_path)
{
    const char *const argv[] = {"sh", "-c", "pwd; echo $WALRUS; echo $HOME", NULL};
    char walrus[] = "WALRUS=bubbles", path[] = "PATH=/usr/bin:/bin";
    char *const environment[] = {walrus, path, NULL};
    char text[64];
    struct child_process p = start(argv, "/usr/lib", environment);
    read_all(p.out, text, sizeof text);
    ck_assert_str_eq(text, "/usr/lib\nbubbles\n\n");
    wait_for(&p);
    close_all(&p);
}
END_TEST

START_TEST(not_started)
{
    struct child_process p;
    const char *const none[] = {"/nowhere/at/all", NULL}, *const shell[] = {"/bin/sh", NULL};
    ck_assert_int_eq(child_process_start(&(struct child_options){.argv = none}, &p), -ENOENT);
    ck_assert_int_eq(
        child_process_start(&(struct child_options){.argv = shell, .folder = "/nowhere"}, &p),
        -ENOENT);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

/* No descriptor of ours but its streams, and no signal that we ignore or hold back. */
START_TEST(inherits_nothing)
{
    const char *const argv[] = {"/bin/sh", "-c", "ls /proc/$$/fd | tr '\\n' ' '; kill -TERM $$",
                                NULL};
    char text[64];
    sigset_t held;
    int ours = open("/dev/null", O_RDONLY);
    sigemptyset(&held);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, NULL);
    signal(SIGTERM, SIG_IGN);
    struct child_process p = start(argv, NULL, NULL);
    read_all(p.out, text, sizeof text);
    ck_assert_msg(strncmp(text, "0 1 2 ", 6) == 0 && strlen(text) <= 9, "%s", text);
    int status = wait_for(&p);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGTERM);
    close_all(&p);
    close(ours);
}
END_TEST

/* Also what has left the session, and whose parent has died. */
START_TEST(sweep)
{
    const char *const argv[] = {
        "/bin/sh", "-c", "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000 & wait", NULL};
    char text[64];
    ck_assert_int_eq(child_process_adopt(), 0);
    struct child_process p = start(argv, NULL, NULL);
    struct pollfd ready = {.fd = p.out, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, HUNG_MS), 1);
    ssize_t n = read(p.out, text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    pid_t far = (pid_t)atol(text);
    child_process_signal(&p, SIGKILL);
    wait_for(&p);
    while (child_process_sweep() > 0)
        poll(NULL, 0, 1);
    ck_assert_int_eq(kill(far, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
    close_all(&p);
}
END_TEST

/* Who is killed takes it along. */
START_TEST(dies_with_its_parent)
{
    int tell[2];
    pid_t child = 0;
    char byte;
    ck_assert_int_eq(pipe(tell), 0);
    pid_t parent = suite_fork();
    if (parent == 0) {
        const char *const argv[] = {"/bin/sleep", "1000", NULL};
        struct child_process p = start(argv, NULL, NULL);
        ck_assert_int_eq(write(tell[1], &p.pid, sizeof p.pid), sizeof p.pid);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(tell[0], &child, sizeof child), sizeof child);
    ck_assert_int_eq(child_process_adopt(), 0); /* so that its end is heard here */
    kill(parent, SIGKILL);
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    close(tell[1]);
    ck_assert_int_eq(read(tell[0], &byte, 1), 0);
    close(tell[0]);
}
END_TEST

/* It says which descriptors it has, through the control. */
START_TEST(has_a_control)
{
    static const char script[] =
        "exec 4>&3; echo $(readlink /proc/self/fd/0) >&4; [ -e /proc/$$/fd/5 ] || echo alone >&4";
    int ends[2];
    char text[256];
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct child_process p;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    const struct child_options o = {.argv = argv, .control = ends[1]};
    ck_assert_int_eq(child_process_start(&o, &p), 0);
    close(ends[1]);
    ck_assert_int_eq(p.in, -1);
    ck_assert_int_eq(p.out, -1);
    ck_assert_int_eq(p.err, -1);
    read_all(ends[0], text, sizeof text);
    ck_assert_str_eq(text, "/dev/null\nalone\n");
    ck_assert_int_eq(wait_for(&p), 0);
    close(ends[0]);
    close(p.pidfd);
}
END_TEST

static bool is_it(pid_t pid, void *ctx)
{
    return pid == *(pid_t *)ctx;
}

START_TEST(a_sweep_spares_whom_it_is_told)
{
    const char *const argv[] = {"/bin/sleep", "3600", NULL};
    struct child_process kept = start(argv, NULL, NULL), other = start(argv, NULL, NULL);
    ck_assert_uint_eq(child_process_sweep_but(is_it, &kept.pid), 1);
    struct pollfd ended = {.fd = other.pidfd, .events = POLLIN};
    ck_assert_int_eq(poll(&ended, 1, HUNG_MS), 1);
    ck_assert_uint_eq(child_process_sweep_but(is_it, &kept.pid), 0);
    ck_assert_int_eq(waitpid(kept.pid, NULL, WNOHANG), 0);
    ck_assert_int_eq(waitpid(other.pid, NULL, WNOHANG), -1);
    child_process_signal(&kept, SIGKILL);
    wait_for(&kept);
    close_all(&kept);
    close_all(&other);
}
END_TEST

SUITE_MAIN("child_process", has_a_control, a_sweep_spares_whom_it_is_told, streams_and_end,
           folder_environment_path, not_started, inherits_nothing, sweep, dies_with_its_parent)
