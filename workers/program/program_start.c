/*
 * program_start.c: the birth of the program and the end of its process group. See program.h.
 *
 * clone, prctl, exec, and not posix_spawn: that one has no PR_SET_PDEATHSIG, without which a kill -9 of this worker
 * would leave the program alone in the world. As posix_spawn does it, the child borrows our memory, on a stack of its
 * own, and we sleep until it has become the program: to copy our pages, and ours again with the first write to each,
 * is more than all else that a helper does for a start. So nothing that the child calls may leave our memory other than
 * it was: its environment is made before, and no call of it allocates.
 *
 * Not when it becomes another user: from then on that one may look into the child (ptrace) where the host allows it
 * (fs.suid_dumpable = 1), and would have a process of root by its memory. Also, to ask for that one's groups takes the
 * user database. That child gets a copy. _Fork, because fork has libuv's handler run in the child, which makes pipes
 * for a loop that nobody runs there, and aborts where it cannot have them: that would be our end of a shortage, told as
 * the program's crash.
 *
 * The program is started before a mailbox is opened (worker_ops.prepare), so there is no second thread.
 */
#include "workers/program/program_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

#define PROGRAM_STACK_SIZE (64u * 1024)

/* What the child needs, made before it is. */
struct program_birth {
    const struct program_spec *program;
    char **environment;
    const char *path; /* where programs are looked for */
    pid_t parent;
    int report_fd; /* for a struct program_failure */
};

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
    int error = worker_limits_apply(program->limits, what);
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

/* The sanitizer would remember this stack's frames, which are left by exec. */
#define PROGRAM_LEFT_BY_EXEC __attribute__((no_sanitize("address")))

PROGRAM_LEFT_BY_EXEC static int program_exec_file(const struct program_birth *b, const char *file)
{
    const char *const *given = b->program->argv;
    const char *argv[PROGRAM_ARGS_MAX + 3] = {"/bin/sh", file};
    execve(file, (char *const *)(uintptr_t)given, b->environment);
    if (errno != ENOEXEC || !program_is_text(file))
        return errno;
    for (size_t i = 1; given[i] != NULL; i++)
        argv[i + 1] = given[i];
    execve(argv[0], (char *const *)(uintptr_t)argv, b->environment);
    return ENOEXEC;
}

/*
 * As execvp does it, which was rejected for one thing: it hands to the shell also what is a half-written program, and
 * the shell's complaint about its syntax is the only word of it. Returns why not.
 */
PROGRAM_LEFT_BY_EXEC static int program_exec(const struct program_birth *b)
{
    const char *name = b->program->argv[0];
    int error = ENOENT;
    if (strchr(name, '/') != NULL)
        return program_exec_file(b, name);
    for (const char *path = b->path; *path != '\0';) {
        size_t n = strcspn(path, ":");
        char file[PATH_MAX];
        snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n > 0 ? "/" : "", name);
        int rc = program_exec_file(b, file);
        if (rc != ENOENT && rc != ENOTDIR && rc != EACCES)
            return rc;
        error = rc == EACCES ? rc : error;
        path += n + (path[n] == ':');
    }
    return error;
}

/* In the child. Ends in exec, or with a failure through the pipe, which exec would have closed. */
PROGRAM_LEFT_BY_EXEC static int program_become(void *arg)
{
    const struct program_birth *b = arg;
    struct program_failure failure = {0};
    const char *what = "";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != b->parent)
        _exit(CONTRACT_EXIT_TEMPORARY); /* the parent died before prctl could say so */
    program_default_signals();
    failure.error = program_enter(b->program, &what);
    if (failure.error == 0) {
        failure.error = program_exec(b);
        what = "";
    }
    snprintf(failure.what, sizeof failure.what, "%s", what);
    ssize_t n = write(b->report_fd, &failure, sizeof failure);
    _exit(n == sizeof failure ? CONTRACT_EXIT_CONFIG : CONTRACT_EXIT_TEMPORARY);
}

/* ---- our side ---- */

/* In a copy of our memory. Negative errno. */
static pid_t program_fork(struct program_birth *b)
{
    pid_t child = _Fork();
    if (child == 0)
        program_become(b);
    return child < 0 ? -errno : child;
}

/* In our memory, and we sleep until it has left it. Negative errno. */
static pid_t program_vfork(struct program_birth *b)
{
    char *stack = mmap(NULL, PROGRAM_STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -errno;
    pid_t child =
        clone(program_become, stack + PROGRAM_STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, b);
    int rc = child < 0 ? -errno : child;
    munmap(stack, PROGRAM_STACK_SIZE);
    return rc;
}

/* Signals wait meanwhile: a handler of ours in the child would meddle with our memory. */
static pid_t program_bear(struct program_birth *b)
{
    sigset_t all, before;
    const struct worker_limits *limits = b->program->limits;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    bool same_user = !limits->change_user && !limits->change_group;
    pid_t child = same_user ? program_vfork(b) : program_fork(b);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return child;
}

/* What the child has said before its exec; {0} when it came to that. */
static struct program_failure program_hear(int fd)
{
    struct program_failure said;
    ssize_t n;
    do
        n = read(fd, &said, sizeof said);
    while (n < 0 && errno == EINTR);
    return n == sizeof said ? said : (struct program_failure){0};
}

/* 0 and the pid, or a negative errno. */
static int program_birth(struct program_birth *b, pid_t *pid, char what[64])
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        return -errno;
    b->report_fd = report[1];
    pid_t child = program_bear(b);
    struct program_failure failure = {0};
    close(report[1]);
    if (child > 0)
        failure = program_hear(report[0]);
    close(report[0]);
    if (child < 0)
        return child;
    if (failure.error != 0) {
        memcpy(what, failure.what, sizeof failure.what);
        waitpid(child, NULL, 0);
        return -failure.error;
    }
    *pid = child;
    return 0;
}

int program_start(struct worker *w, const struct program_spec *program, pid_t *pid, char what[64])
{
    what[0] = '\0';
    struct program_birth birth = {
        .program = program, .environment = program_environment_new(w, program), .parent = getpid()};
    if (birth.environment == NULL)
        return -ENOMEM;
    const char *path = program_environment_find(birth.environment, "PATH");
    birth.path = path != NULL ? path : "/bin:/usr/bin";
    int rc = program_birth(&birth, pid, what);
    free(birth.environment);
    return rc;
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
