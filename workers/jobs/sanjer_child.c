/* sanjer_child.c: children for jobs, until they are gone. See sanjer_child.h. */
#include "workers/jobs/sanjer_child.h"

#include "common/clock.h"
#include "common/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* So long after it was killed one is gone, or that is told. */
#define GOING_LATE_MS 5000u

/* Ours in it, the other ends in `theirs`. False: there are no pipes to be had. */
static bool child_pipes(struct sanjer_child *child, int theirs[CHILD_ENDS])
{
    int *const ours[CHILD_ENDS] = {&child->jobs, &child->out, &child->err, &child->said};
    for (int i = 0; i < CHILD_ENDS; i++) {
        int ends[2], reads = i != 0; /* which of them is ours to have */
        if (pipe2(ends, O_CLOEXEC) != 0) {
            while (i-- > 0)
                close(theirs[i]);
            return false;
        }
        *ours[i] = ends[reads ? 0 : 1];
        theirs[i] = ends[reads ? 1 : 0];
        fcntl(*ours[i], F_SETFL, O_NONBLOCK);
    }
    return true;
}

struct sanjer_child *sanjer_child_new(int theirs[CHILD_ENDS])
{
    struct sanjer_child *child = malloc(sizeof *child);
    if (child == NULL)
        return NULL;
    *child = (struct sanjer_child){.pidfd = -1, .jobs = -1, .out = -1, .err = -1, .said = -1};
    if (child_pipes(child, theirs))
        return child;
    sanjer_child_free(child);
    return NULL;
}

bool sanjer_child_lives(const struct sanjer_child *child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

static void child_kill(const struct sanjer_child *child)
{
    if (child->pid <= 0)
        return;
    kill(-child->pid, SIGKILL); /* when it has a session of its own by now */
    kill(child->pid, SIGKILL);
}

void sanjer_child_free(struct sanjer_child *child)
{
    if (child == NULL)
        return;
    child_kill(child);
    const int fds[] = {child->pidfd, child->jobs, child->out, child->err, child->said};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(child);
}

/* ---- those that go ---- */

/* A kill has taken all that is left of it: what it would still make is refused to it. */
void sanjer_child_go(struct sanjer_child *child, struct sanjer_going *going)
{
    sanjer_going_reap(going);
    if (child->alone && child->pid > 0 && going->count < GOING_MAX) {
        child_kill(child);
        going->all[going->count].pid = child->pid;
        going->all[going->count].pidfd = child->pidfd;
        going->all[going->count].since_ms = clock_mono_ms();
        going->all[going->count++].told = false;
        child->pid = 0;
        child->pidfd = -1;
    }
    sanjer_child_free(child);
}

void sanjer_going_reap(struct sanjer_going *going)
{
    size_t kept = 0;
    for (size_t i = 0; i < going->count; i++) {
        siginfo_t info = {0};
        int rc = waitid(P_PIDFD, (id_t)going->all[i].pidfd, &info, WEXITED | WNOHANG);
        if (rc != 0 || info.si_pid != 0) {
            close(going->all[i].pidfd);
            continue;
        }
        if (!going->all[i].told && clock_mono_ms() - going->all[i].since_ms > GOING_LATE_MS) {
            log_warn("left", "pid=%d what=child", (int)going->all[i].pid);
            going->all[i].told = true;
        }
        going->all[kept++] = going->all[i];
    }
    going->count = kept;
}

/* Only its own descriptor says so: its number may be another's when a sweep has reaped it. */
bool sanjer_going_has(const struct sanjer_going *going, pid_t pid)
{
    for (size_t i = 0; i < going->count; i++)
        if (going->all[i].pid == pid)
            return syscall(SYS_pidfd_send_signal, going->all[i].pidfd, 0, NULL, 0) == 0;
    return false;
}

void sanjer_going_close(struct sanjer_going *going)
{
    while (going->count > 0)
        close(going->all[--going->count].pidfd);
}
