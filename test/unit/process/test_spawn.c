/*
 * test_spawn.c: what a worker's process is born with, and what it is not; births that fail;
 * kernels without close_range; places without /dev/tty.
 */
#include "master/process/spawn.h"

#include "proto/contract.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static char script[64], said[8192];

static void write_script(const char *text)
{
    snprintf(script, sizeof script, "/tmp/spawn-test-%d.sh", (int)getpid());
    FILE *f = fopen(script, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\n%s\n", text);
    fchmod(fileno(f), 0700);
    fclose(f);
}

/* Runs the script as a worker; what it prints is in `said`. Its exit status. */
static int run(void)
{
    struct spawn_request request = {.program = script,
                                    .type = "test",
                                    .name = "a/b.1",
                                    .log_level = LOG_LEVEL_DEBUG,
                                    .generation = 7};
    struct spawn_result born;
    ck_assert_int_eq(spawn_worker(&request, &born), 0);
    size_t len = 0;
    for (ssize_t n; (n = read(born.output, said + len, sizeof said - 1 - len)) > 0;)
        len += (size_t)n;
    said[len] = '\0';
    int status;
    ck_assert_int_eq(waitpid(born.pid, &status, 0), born.pid);
    close(born.pidfd);
    close(born.link);
    close(born.output);
    unlink(script);
    return WEXITSTATUS(status);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Lines of `ls -l`, of which one is dash's own: it has its script open as 10. */
static int count_links(void)
{
    int lines = 0;
    for (char *at = said; *at != '\0'; at++)
        lines += strncmp(at, " -> ", 4) == 0;
    return lines;
}

START_TEST(test_it_has_four_descriptors_and_ours_stay_ours)
{
    for (int i = 0; i < 300; i++) /* inherited ones, as a careless library leaves them */
        ck_assert_int_ge(dup(STDIN_FILENO), 0);
    write_script("ls -l /proc/$$/fd");
    run(); /* the first takes the slots */
    int before = count_descriptors();
    write_script("ls -l /proc/$$/fd");
    ck_assert_int_eq(run(), 0);
    ck_assert_int_eq(count_descriptors(), before);
    char expected[4][24] = {" 0 -> /dev/null\n", " 1 -> pipe:", " 2 -> pipe:", " 3 -> socket:"};
    for (int i = 0; i < 4; i++)
        ck_assert_msg(strstr(said, expected[i]) != NULL, "%s", said);
    ck_assert_msg(count_links() == 5 && strstr(said, " 10 -> ") != NULL, "%s", said);
}
END_TEST

START_TEST(test_signals_group_and_environment)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigset_t usr2;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    sigprocmask(SIG_BLOCK, &usr2, NULL);
    setenv(CONTRACT_ENV_NAME, "inherited", 1);
    setenv("SPAWN_TEST", "stays", 1);
    write_script("grep -E '^Sig(Blk|Ign)' /proc/self/status; ps -o pgid= -p $$; echo pid $$; "
                 "env | grep -E 'PLATOON|SPAWN'");
    ck_assert_int_eq(run(), 0);
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    ck_assert(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGTERM));
    unsigned long long blocked = 1, ignored = 1;
    sscanf(said, "SigBlk:\t%llx\nSigIgn:\t%llx", &blocked, &ignored);
    /* 32 and 33 are glibc's own, and as whoever started the test has left them. */
    ck_assert_msg(blocked == 0 && (ignored & ~0x180000000ull) == 0, "%s", said);
    int group = 0, pid = 0;
    sscanf(strstr(said, "SigIgn:") + strlen("SigIgn:\t0000000000000000\n"), "%d\npid %d", &group,
           &pid);
    ck_assert_msg(group == pid && group > 0, "%s", said);
    for (const char *const *want =
             (const char *const[]){"PLATOON_NAME=a/b.1\n", "PLATOON_GENERATION=7\n",
                                   "PLATOON_LOG_LEVEL=debug\n", "SPAWN_TEST=stays\n", NULL};
         *want != NULL; want++)
        ck_assert_msg(strstr(said, *want) != NULL, "%s", said);
    ck_assert_ptr_null(strstr(said, "inherited"));
}
END_TEST

START_TEST(test_a_program_that_cannot_be_run_leaves_nothing_behind)
{
    struct spawn_request request = {
        .program = "/nonexistent/program", .type = "test", .name = "a", .generation = 1};
    struct spawn_result born;
    ck_assert_int_eq(spawn_worker(&request, &born), -ENOENT);
    int before = count_descriptors();
    ck_assert_int_eq(spawn_worker(&request, &born), -ENOENT);
    request.program = "/etc/passwd";
    ck_assert_int_eq(spawn_worker(&request, &born), -EACCES);
    ck_assert_int_eq(count_descriptors(), before);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

static void forbid_close_range(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    ck_assert_int_eq(close_range(1000, 1000, 0), -1);
}

START_TEST(test_a_kernel_without_close_range_will_do)
{
    forbid_close_range();
    for (int i = 0; i < 100; i++)
        ck_assert_int_ge(dup(STDIN_FILENO), 0);
    write_script("ls -l /proc/$$/fd");
    int before = count_descriptors();
    ck_assert_int_eq(run(), 0);
    ck_assert_int_le(count_descriptors(), before + 3); /* the slots */
    ck_assert_msg(count_links() == 5, "%s", said);
}
END_TEST

/* In a process of its own each (Check's fork mode): the slots are taken once in a process. */
/* As a chroot has it: /dev/null and no more. False: we may not. */
static bool hide_tty(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev", "tmpfs", 0, NULL) == 0 &&
           mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0;
}

static bool take_terminal(void)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0)
        return false;
    int terminal = open(ptsname(fd), O_RDWR | O_NOCTTY);
    return terminal >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0;
}

/* The terminal and the session of the worker of a master in a session of its own: 0 when they are as they must be. */
static int expect_no_terminal(bool terminal)
{
    int of = -1, session = -1;
    pid_t ours = setsid();
    if (ours < 0 || (terminal && !take_terminal()))
        return 2;
    if (!hide_tty())
        return 0;
    write_script("cat /proc/$$/stat");
    run();
    const char *name_end = strrchr(said, ')');
    if (name_end == NULL || sscanf(name_end, ") %*c %*d %*d %d %d", &session, &of) != 2)
        return 3;
    return of != 0 ? 4 : terminal || session == ours ? 0 : 5;
}

/* Where /dev/tty cannot be opened we may have a terminal all the same. */
START_TEST(test_without_dev_tty_it_has_no_terminal_either)
{
    if (geteuid() != 0)
        return;
    for (int terminal = 0; terminal < 2; terminal++) {
        pid_t child = suite_fork();
        if (child == 0)
            _exit(expect_no_terminal(terminal != 0));
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "terminal %d: %x", terminal,
                      (unsigned)status);
    }
}
END_TEST

SUITE_MAIN("spawn", test_it_has_four_descriptors_and_ours_stay_ours,
           test_signals_group_and_environment,
           test_a_program_that_cannot_be_run_leaves_nothing_behind,
           test_a_kernel_without_close_range_will_do,
           test_without_dev_tty_it_has_no_terminal_either)
