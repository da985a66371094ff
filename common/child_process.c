/*
 * child_process.c: see child_process.h.
 *
 * Between its birth and exec calls only that are safe in a process with threads: the mailbox has one. Until exec it has
 * our memory, and we wait (CLONE_VM, CLONE_VFORK): a copy of the tables of all that, for a shell that drops them at
 * once, costs as much as the shell. One that becomes another user, or has an environment of its own to look for its
 * program in, has that copy (_Fork): what it calls and writes then would be ours.
 */
#include "common/child_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
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

/* Of one that has our memory; glibc's exec of a script without an interpreter has its words on it. */
#define STACK_SIZE (64u * 1024)

/* What it does on it, and what it does to it, is nothing that a sanitizer could follow. */
#define UNWATCHED __attribute__((no_sanitize("address"), no_sanitize("thread")))

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

static int pipes_open(int pipes[PIPES][2], int count)
{
    for (int i = 0; i < PIPES; i++)
        pipes[i][0] = pipes[i][1] = -1;
    for (int i = 0; i < count; i++)
        if (pipe2(pipes[i], O_CLOEXEC) != 0) {
            int error = errno;
            pipes_close(pipes);
            return -error;
        }
    return 0;
}

/* One that is being started. */
struct birth {
    const struct child_options *o;
    pid_t parent;
    int pipes[PIPES][2];
    bool shares; /* our memory: what it says it writes into it */
    int error;   /* why it did not come to exec */
};

/* Its standard streams, and nothing else of ours. False: errno says why. */
UNWATCHED static bool process_take_streams(const struct child_options *o, int pipes[PIPES][2])
{
    if (o->control == 0)
        return dup2(pipes[PIPE_IN][0], STDIN_FILENO) >= 0 &&
               dup2(pipes[PIPE_OUT][1], STDOUT_FILENO) >= 0 &&
               dup2(pipes[PIPE_ERR][1], STDERR_FILENO) >= 0 &&
               close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
    /* Out of the way first: the report may have the number that the control is to have. */
    int report = pipes[PIPE_REPORT][1];
    if (report >= 0 && (report = fcntl(report, F_DUPFD_CLOEXEC, CHILD_CONTROL + 1)) < 0)
        return false;
    pipes[PIPE_REPORT][1] = report;
    int control = fcntl(o->control, F_DUPFD_CLOEXEC, CHILD_CONTROL + 1),
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return control >= 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
           dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 && dup2(control, CHILD_CONTROL) >= 0 &&
           close_range(CHILD_CONTROL + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

/* Does not come back. */
UNWATCHED static int process_become(void *ctx)
{
    struct birth *b = ctx;
    const struct child_options *o = b->o;
    sigset_t none;
    int error = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != b->parent)
        _exit(1); /* the parent died before prctl could say so */
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    const struct rlimit most = {.rlim_cur = o->memory_max, .rlim_max = o->memory_max};
    if (!process_take_streams(o, b->pipes) ||
        (o->memory_max > 0 && setrlimit(RLIMIT_DATA, &most) != 0))
        error = errno;
    if (error == 0 && o->enter != NULL)
        error = o->enter(o->ctx);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: a change of the user takes it away */
    if (error == 0 && o->folder != NULL && chdir(o->folder) != 0)
        error = errno;
    if (error == 0) {
        if (o->environment != NULL && !b->shares)
            environ = (char **)(uintptr_t)o->environment; /* whose PATH it is looked for in */
        execvpe(o->argv[0], (char *const *)(uintptr_t)o->argv,
                o->environment != NULL ? o->environment : environ);
        error = errno;
    }
    b->error = error;
    if (!b->shares && write(b->pipes[PIPE_REPORT][1], &error, sizeof error) != sizeof error)
        _exit(1);
    _exit(127);
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

static bool birth_shares(const struct child_options *o)
{
    return o->enter == NULL && (o->environment == NULL || strchr(o->argv[0], '/') != NULL);
}

/* With our memory, until exec. No handler of ours runs in it: signals are held until it has none. An errno, or 0. */
static int birth_share(struct birth *b, struct child_process *p)
{
    sigset_t all, before;
    char *stack = malloc(STACK_SIZE);
    if (stack == NULL)
        return ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    p->pid = clone(process_become, stack + STACK_SIZE,
                   CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, b, &p->pidfd);
    int error = p->pid < 0 ? errno : b->error;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(stack);
    return error;
}

/* With a copy. An errno, or 0. */
static int birth_copy(struct birth *b, struct child_process *p)
{
    p->pid = _Fork();
    if (p->pid == 0)
        process_become(b);
    int error = p->pid < 0 ? errno : 0;
    close(b->pipes[PIPE_REPORT][1]);
    b->pipes[PIPE_REPORT][1] = -1;
    if (error == 0)
        error = process_report(b->pipes[PIPE_REPORT][0]);
    if (error == 0)
        p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (error == 0 && p->pidfd < 0) {
        error = errno;
        kill(p->pid, SIGKILL);
    }
    if (error == 0)
        fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
    return error;
}

int child_process_start(const struct child_options *o, struct child_process *p)
{
    struct birth b = {.o = o, .parent = getpid(), .shares = birth_shares(o)};
    int rc = pipes_open(b.pipes, b.shares ? PIPE_REPORT : PIPES);
    if (rc != 0)
        return rc;
    p->pidfd = -1;
    int error = b.shares ? birth_share(&b, p) : birth_copy(&b, p);
    if (error != 0) {
        if (p->pid > 0)
            waitpid(p->pid, NULL, 0);
        if (p->pidfd >= 0)
            close(p->pidfd);
        pipes_close(b.pipes);
        return -error;
    }
    p->in = p->out = p->err = -1;
    if (o->control == 0) {
        p->in = take(&b.pipes[PIPE_IN][1]);
        p->out = take(&b.pipes[PIPE_OUT][0]);
        p->err = take(&b.pipes[PIPE_ERR][0]);
    }
    pipes_close(b.pipes);
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
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
        continue;
    if (ended < 0 && errno == ECHILD)
        return 0; /* of any thread's: whoever is left when a parent has ended is ours before we hear of that */
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
