/* reaper.c: adopts and reaps orphans. See reaper.h. */
#include "master/reaper.h"

#include "common/log.h"
#include "master/upgrade/upgrade.h"
#include "master/process/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAPER_PAUSE_MS 50 /* an orphan's zombie may wait so long */

static struct node *reaper_root;
static uv_signal_t reaper_signal;
static uv_timer_t reaper_timer;

struct reaper_search {
    pid_t pid;
    bool found;
};

static void reaper_compare(struct node *worker, void *ctx)
{
    struct reaper_search *search = ctx;
    if (worker->process != NULL && worker_process_pid(worker->process) == search->pid)
        search->found = true;
}

/* Somebody else waits for it. */
static bool reaper_is_known(pid_t pid)
{
    struct reaper_search search = {.pid = pid};
    if (pid == upgrade_probe_pid())
        return true;
    tree_each_worker(reaper_root, reaper_compare, &search);
    return search.found;
}

/*
 * WNOWAIT looks without reaping. A worker that has ended stays first in line until worker_process.c has reaped it (an upgrade's probe, until libuv has), so the look ends
 * there; its own end brings the next SIGCHLD's look.
 */
static void reaper_reap(void)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (reaper_is_known(info.si_pid))
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
        log_info("orphan-reaped", "pid=%d", (int)info.si_pid);
    }
}

/* It has the environment of a worker of ours, or of its program: not so children that we had before we became platoon, and orphans of strangers when we are process 1. */
static bool reaper_is_ours(pid_t pid)
{
    static char text[128 * 1024];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    return n > 0 &&
           memmem(text, (size_t)n, CONTRACT_ENV_NAME "=", sizeof CONTRACT_ENV_NAME) != NULL;
}

/*
 * A child of ours that is no worker is what a dead worker has left behind, in a group or session of its own, or the kill of the group would have met it. While its worker lives, the
 * worker is its nearest subreaper, not we (program_life.c).
 */
static void reaper_end_orphans(void)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%d", &pid) == 1) {
        if (reaper_is_known((pid_t)pid) || !reaper_is_ours((pid_t)pid) ||
            kill((pid_t)pid, SIGKILL) != 0)
            continue;
        log_info("orphan-killed", "pid=%d", pid);
    }
    if (file != NULL)
        fclose(file);
}

static void reaper_look(uv_timer_t *timer)
{
    (void)timer;
    reaper_reap();
    reaper_end_orphans();
}

/* Not at once: a worker's own end, which comes with the same signal, is reaped by then, and need not be told from an orphan's among a thousand. */
static void reaper_on_child(uv_signal_t *handle, int signum)
{
    (void)handle;
    (void)signum;
    if (!uv_is_active((uv_handle_t *)&reaper_timer))
        uv_timer_start(&reaper_timer, reaper_look, REAPER_PAUSE_MS, 0);
}

int reaper_start(uv_loop_t *loop, struct node *root)
{
    reaper_root = root;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    uv_timer_init(loop, &reaper_timer);
    int rc = uv_signal_init(loop, &reaper_signal);
    return rc != 0 ? rc : uv_signal_start(&reaper_signal, reaper_on_child, SIGCHLD);
}

void reaper_stop(void)
{
    uv_close((uv_handle_t *)&reaper_signal, NULL);
    uv_close((uv_handle_t *)&reaper_timer, NULL);
}
