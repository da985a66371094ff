/*
 * child_process.c: see child_process.h.
 *
 * _Fork, and between it and exec calls only that are safe in a process with threads: the mailbox has one.
 */
#include "common/child_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int child_process_adopt(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -errno;
}

/* The ends of three pipes and of one that exec closes: [0] to read, [1] to write. */
enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPE_REPORT, PIPES };

static void pipes_close(int pipes[PIPES][2])
{
    for (int i = 0; i < PIPES; i++)
        for (int k = 0; k < 2; k++)
            if (pipes[i][k] >= 0)
                close(pipes[i][k]);
}

static int pipes_open(int pipes[PIPES][2])
{
    for (int i = 0; i < PIPES; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < PIPES; i++)
        if (pipe2(pipes[i], O_CLOEXEC) != 0) {
            int error = errno;
            pipes_close(pipes);
            return -error;
        }
    return 0;
}

/* Its standard streams, and nothing else of ours. False: errno says why. */
static bool process_take_streams(const struct child_options *o, int pipes[PIPES][2])
{
    if (o->control == 0)
        return dup2(pipes[PIPE_IN][0], STDIN_FILENO) >= 0 &&
               dup2(pipes[PIPE_OUT][1], STDOUT_FILENO) >= 0 &&
               dup2(pipes[PIPE_ERR][1], STDERR_FILENO) >= 0 &&
               close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
    /* Out of the way first: the report may have the number that the control is to have. */
    int report = fcntl(pipes[PIPE_REPORT][1], F_DUPFD_CLOEXEC, CHILD_CONTROL + 1),
        control = fcntl(o->control, F_DUPFD_CLOEXEC, CHILD_CONTROL + 1),
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (report >= 0)
        pipes[PIPE_REPORT][1] = report;
    return report >= 0 && control >= 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
           dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 && dup2(control, CHILD_CONTROL) >= 0 &&
           close_range(CHILD_CONTROL + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

static _Noreturn void process_become(const struct child_options *o, pid_t parent,
                                     int pipes[PIPES][2])
{
    sigset_t none;
    int error = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* the parent died before prctl could say so */
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    const struct rlimit most = {.rlim_cur = o->memory_max, .rlim_max = o->memory_max};
    if (!process_take_streams(o, pipes) ||
        (o->memory_max > 0 && setrlimit(RLIMIT_DATA, &most) != 0))
        error = errno;
    if (error == 0 && o->enter != NULL)
        error = o->enter(o->ctx);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: a change of the user takes it away */
    if (error == 0 && o->folder != NULL && chdir(o->folder) != 0)
        error = errno;
    if (error == 0) {
        if (o->environment != NULL)
            environ = (char **)(uintptr_t)o->environment; /* whose PATH it is looked for in */
        execvp(o->argv[0], (char *const *)(uintptr_t)o->argv);
        error = errno;
    }
    ssize_t n = write(pipes[PIPE_REPORT][1], &error, sizeof error);
    _exit(n == sizeof error ? 127 : 1);
}

/* Why it did not come to exec; 0: it did. */
static int process_report(int fd)
{
    int error = 0;
    ssize_t n;
    do
        n = read(fd, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    return n == sizeof error ? error : 0;
}

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    fcntl(taken, F_SETFL, O_NONBLOCK);
    return taken;
}

int child_process_start(const struct child_options *o, struct child_process *p)
{
    int pipes[PIPES][2];
    int rc = pipes_open(pipes);
    if (rc != 0)
        return rc;
    pid_t parent = getpid();
    p->pid = _Fork();
    if (p->pid == 0)
        process_become(o, parent, pipes);
    int error = p->pid < 0 ? errno : 0;
    close(pipes[PIPE_REPORT][1]);
    pipes[PIPE_REPORT][1] = -1;
    if (error == 0)
        error = process_report(pipes[PIPE_REPORT][0]);
    p->pidfd = error == 0 ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
    if (error == 0 && p->pidfd < 0) {
        error = errno;
        kill(p->pid, SIGKILL);
    }
    if (error != 0) {
        if (p->pid > 0)
            waitpid(p->pid, NULL, 0);
        pipes_close(pipes);
        return -error;
    }
    fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
    p->in = p->out = p->err = -1;
    if (o->control == 0) {
        p->in = take(&pipes[PIPE_IN][1]);
        p->out = take(&pipes[PIPE_OUT][0]);
        p->err = take(&pipes[PIPE_ERR][0]);
    }
    pipes_close(pipes);
    return 0;
}

void child_process_signal(const struct child_process *p, int signal)
{
    kill(-p->pid, signal);
}

/* ---- what is left ---- */

struct sweep {
    bool (*spares)(pid_t pid, void *ctx);
    void *ctx;
    size_t count;
};

/* Kills each child of one of our threads. */
static void sweep_thread(struct sweep *s, const char *thread)
{
    char path[300];
    long pid;
    snprintf(path, sizeof path, "/proc/self/task/%s/children", thread);
    FILE *f = fopen(path, "re");
    while (f != NULL && fscanf(f, "%ld", &pid) == 1)
        if (s->spares == NULL || !s->spares((pid_t)pid, s->ctx)) {
            kill((pid_t)pid, SIGKILL);
            s->count++;
        }
    if (f != NULL)
        fclose(f);
}

size_t child_process_sweep_but(bool (*spares)(pid_t pid, void *ctx), void *ctx)
{
    struct sweep s = {.spares = spares, .ctx = ctx};
    struct dirent *entry;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    DIR *threads = opendir("/proc/self/task");
    while (threads != NULL && (entry = readdir(threads)) != NULL)
        if (entry->d_name[0] != '.')
            sweep_thread(&s, entry->d_name);
    if (threads != NULL)
        closedir(threads);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    return s.count;
}

size_t child_process_sweep(void)
{
    return child_process_sweep_but(NULL, NULL);
}
