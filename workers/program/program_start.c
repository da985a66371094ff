/*
 * program_start.c: the birth of the program and the end of its process group. See program.h.
 *
 * fork, prctl, exec, and not posix_spawn: that one has no PR_SET_PDEATHSIG, without which a kill -9 of this worker
 * would leave the program alone in the world. The program is started before a mailbox is opened (worker_ops.prepare),
 * so there is no second thread, which makes plain fork safe. _Fork, because fork has libuv's handler run in the child,
 * which makes pipes for a loop that nobody runs there, and aborts where it cannot have them: that would be our end of a
 * shortage, told as the program's crash.
 */
#include "workers/program/program_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void program_default_signals(void)
{
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What the child says when it does not come to exec. */
struct program_failure {
    int error;
    char what[64];
};

static int program_enter(const struct program_spec *program, const char **what)
{
    *what = "descriptors";
    if (close_range(CONTRACT_LINK_FD, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        return errno;
    if (program->notify_fd >= 0 && fcntl(program->notify_fd, F_SETFD, 0) != 0)
        return errno;
    if (program->lock_fd >= 0 && fcntl(program->lock_fd, F_SETFD, 0) != 0)
        return errno;
    if (program->in_fd >= 0 && dup2(program->in_fd, STDIN_FILENO) < 0)
        return errno;
    if (program->output_fd >= 0 && (dup2(program->output_fd, STDOUT_FILENO) < 0 ||
                                    dup2(program->output_fd, STDERR_FILENO) < 0))
        return errno;
    if (program->out_fd >= 0 && dup2(program->out_fd, STDOUT_FILENO) < 0)
        return errno;
    *what = "environment";
    int error = worker_limits_set_environment(&program->limits);
    if (error != 0)
        return error;
    for (size_t i = 0; program->env[i] != NULL; i++)
        if (putenv((char *)(uintptr_t)program->env[i]) != 0)
            return errno;
    error = worker_limits_apply(&program->limits, what);
    if (error != 0)
        return error;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: a change of the user takes it away */
    *what = "directory";
    return program->dir != NULL && program->dir[0] != '\0' && chdir(program->dir) != 0 ? errno : 0;
}

/* A file that the kernel takes for no program, of text: the shell's, as to every shell and to execvp. */
static bool program_is_text(const char *file)
{
    char head[256];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : -1;
    return n > 0 && memchr(head, '\0', (size_t)n) == NULL;
}

static int program_exec_file(const struct program_spec *program, const char *file)
{
    const char *argv[PROGRAM_ARGS_MAX + 3] = {"/bin/sh", file};
    execv(file, (char *const *)program->argv);
    if (errno != ENOEXEC || !program_is_text(file))
        return errno;
    for (size_t i = 1; program->argv[i] != NULL; i++)
        argv[i + 1] = program->argv[i];
    execv(argv[0], (char *const *)argv);
    return ENOEXEC;
}

/*
 * As execvp does it, which was rejected for one thing: it hands to the shell also what is a half-written program, and
 * the shell's complaint about its syntax is the only word of it. Returns why not.
 */
static int program_exec(const struct program_spec *program)
{
    const char *path = getenv("PATH");
    int error = ENOENT;
    if (strchr(program->argv[0], '/') != NULL)
        return program_exec_file(program, program->argv[0]);
    for (path = path != NULL ? path : "/bin:/usr/bin"; *path != '\0';) {
        size_t n = strcspn(path, ":");
        char file[PATH_MAX];
        snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n > 0 ? "/" : "", program->argv[0]);
        int rc = program_exec_file(program, file);
        if (rc != ENOENT && rc != ENOTDIR && rc != EACCES)
            return rc;
        error = rc == EACCES ? rc : error;
        path += n + (path[n] == ':');
    }
    return error;
}

/* In the child. Ends in exec, or with a failure through the pipe, which exec would have closed. */
static _Noreturn void program_become(const struct program_spec *program, pid_t parent,
                                     int report_fd)
{
    struct program_failure failure = {0};
    const char *what = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(CONTRACT_EXIT_TEMPORARY); /* the parent died before prctl could say so */
    program_default_signals();
    failure.error = program_enter(program, &what);
    if (failure.error == 0) {
        failure.error = program_exec(program);
        what = "";
    }
    snprintf(failure.what, sizeof failure.what, "%s", what);
    ssize_t n = write(report_fd, &failure, sizeof failure);
    _exit(n == sizeof failure ? CONTRACT_EXIT_CONFIG : CONTRACT_EXIT_TEMPORARY);
}

int program_start(const struct program_spec *program, pid_t *pid, char what[64])
{
    int report[2];
    what[0] = '\0';
    if (pipe2(report, O_CLOEXEC) != 0)
        return -errno;
    if (program->notify_fd >= 0) {
        char text[16];
        snprintf(text, sizeof text, "%d", program->notify_fd);
        setenv("NOTIFY_FD", text, 1);
    }
    pid_t parent = getpid();
    pid_t child = _Fork();
    if (child == 0)
        program_become(program, parent, report[1]);
    struct program_failure failure = {.error = child < 0 ? errno : 0};
    close(report[1]);
    if (failure.error == 0) {
        struct program_failure said;
        ssize_t n;
        do
            n = read(report[0], &said, sizeof said);
        while (n < 0 && errno == EINTR);
        if (n == sizeof said) {
            failure = said;
            memcpy(what, said.what, sizeof said.what);
        }
    }
    close(report[0]);
    if (failure.error != 0 && child > 0)
        waitpid(child, NULL, 0);
    if (failure.error != 0)
        return -failure.error;
    *pid = child;
    return 0;
}

/* Who is in our group is our child, or a descendant that would be adopted by us: without one there is nobody. */
static bool program_has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/*
 * A leader cannot leave its group by itself, only join another one of its session: so a helper makes one for us, and
 * then the old group can be killed whole.
 */
void program_kill_group(void)
{
    pid_t old = getpgrp();
    if (old != getpid() || !program_has_children())
        return;
    pid_t parent = getpid();
    pid_t helper = _Fork();
    if (helper < 0)
        return;
    if (helper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        while (getppid() == parent)
            pause();
        _exit(0);
    }
    setpgid(helper, helper); /* by both sides: whoever is first */
    if (setpgid(0, helper) == 0)
        kill(-old, SIGKILL);
    kill(helper, SIGKILL);
    waitpid(helper, NULL, 0);
}
