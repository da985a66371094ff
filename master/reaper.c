/* reaper.c: adopts and reaps orphans. See reaper.h. */
#include "master/reaper.h"

#include "common/birthmark.h"
#include "common/log.h"
#include "master/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAPER_PAUSE_MS 50 /* an orphan's zombie may wait so long */

static struct node *reaper_root;
static bool (*reaper_spares)(pid_t pid);
static uv_signal_t reaper_signal;
static uv_timer_t reaper_timer;

/*
 * Whoever is a child of ours and not known came from a worker: we have no children of before, nor those that a
 * process 1 is given. So not even a program that took on limits anew (su, pam_limits) gets away.
 */
static bool reaper_alone;

struct reaper_search {
    pid_t pid;
    bool found;
};

static void reaper_compare(struct node *worker, void *ctx)
{
    struct reaper_search *search = ctx;
    if (worker->process != NULL && process_pid(worker->process) == search->pid)
        search->found = true;
}

/* A thousand at once are one line. */
struct reaper_count {
    int count;
    pid_t first, last;
};

static void reaper_add(struct reaper_count *c, pid_t pid)
{
    if (c->count++ == 0)
        c->first = pid;
    c->last = pid;
}

static void reaper_tell(const char *event, const struct reaper_count *c)
{
    if (c->count == 1)
        log_info(event, "pid=%d", (int)c->first);
    else if (c->count > 1)
        log_info(event, "count=%d first=%d last=%d", c->count, (int)c->first, (int)c->last);
}

bool reaper_is_known(pid_t pid)
{
    struct reaper_search search = {.pid = pid};
    if (reaper_spares(pid))
        return true;
    tree_each_worker(reaper_root, reaper_compare, &search);
    return search.found;
}

/*
 * WNOWAIT looks without reaping. A worker that has ended stays first in line until process.c has reaped it (an
 * upgrade's probe, until libuv has), so the look ends there; its own end brings the next SIGCHLD's look.
 */
static void reaper_reap(struct reaper_count *c)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (reaper_is_known(info.si_pid))
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
        reaper_add(c, info.si_pid);
    }
}

/*
 * One that another user owns by now (a set-user-id program) cannot be looked into, nor ended: it is told, once, unless
 * we are process 1, who gets everybody's orphans.
 */
static void reaper_tell_left(pid_t pid)
{
    static pid_t told[64];
    static size_t next;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i] == pid)
            return;
    if (getpid() == 1)
        return;
    told[next] = pid;
    next = (next + 1) % (sizeof told / sizeof told[0]);
    log_warn("orphan-left",
             "pid=%d cause=\"it runs as another user by now, and platoon may not end it\" "
             "remedy=\"end it as root\"",
             (int)pid);
}

/*
 * It has the environment of a worker of ours, or of its program, or their birthmark, which nobody clears by chance: not
 * so children that we had before we became platoon, and orphans of strangers when we are process 1. A platoon that a
 * platoon runs bears the mark itself, so it tells that one nothing.
 */
static bool reaper_is_marked(pid_t pid)
{
    static char text[128 * 1024];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    if (n > 0 && memmem(text, (size_t)n, CONTRACT_ENV_NAME "=", sizeof CONTRACT_ENV_NAME) != NULL)
        return true;
    return birthmark_is_on(pid) && !birthmark_is_on(getpid());
}

/* Pids of workers, in order; for one look. */
struct reaper_workers {
    pid_t *pids; /* NULL: none, or no memory for them */
    size_t count, room;
};

static void reaper_count_worker(struct node *worker, void *ctx)
{
    struct reaper_workers *all = ctx;
    all->room += worker->process != NULL;
}

static void reaper_note_worker(struct node *worker, void *ctx)
{
    struct reaper_workers *all = ctx;
    if (worker->process != NULL && all->count < all->room)
        all->pids[all->count++] = process_pid(worker->process);
}

static int reaper_compare_pids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

/* A thousand children, each looked for among a thousand workers, would be five milliseconds amid a storm of deaths. */
static struct reaper_workers reaper_list_workers(void)
{
    struct reaper_workers all = {0};
    tree_each_worker(reaper_root, reaper_count_worker, &all);
    all.pids = all.room > 0 ? malloc(all.room * sizeof *all.pids) : NULL;
    if (all.pids == NULL)
        return all;
    tree_each_worker(reaper_root, reaper_note_worker, &all);
    qsort(all.pids, all.count, sizeof *all.pids, reaper_compare_pids);
    return all;
}

static bool reaper_is_worker(const struct reaper_workers *all, pid_t pid)
{
    if (all->pids == NULL)
        return reaper_is_known(pid);
    return bsearch(&pid, all->pids, all->count, sizeof pid, reaper_compare_pids) != NULL ||
           reaper_spares(pid);
}

/* A child of ours that has not ended. */
static bool reaper_lives(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/*
 * A child of ours that is no worker is what a dead worker has left behind, in a group or session of its own,
 * or the kill of the group would have met it. While its worker lives, the worker is its nearest subreaper,
 * not we (program_life.c).
 */
static void reaper_end_orphans(struct reaper_count *c)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    struct reaper_workers workers = reaper_list_workers();
    while (file != NULL && fscanf(file, "%d", &pid) == 1) {
        if (reaper_is_worker(&workers, (pid_t)pid) || !reaper_lives((pid_t)pid) ||
            !(reaper_alone || reaper_is_marked((pid_t)pid)))
            continue;
        if (kill((pid_t)pid, SIGKILL) == 0)
            reaper_add(c, (pid_t)pid);
        else if (errno == EPERM)
            reaper_tell_left((pid_t)pid);
    }
    if (file != NULL)
        fclose(file);
    free(workers.pids);
}

static void reaper_look(uv_timer_t *timer)
{
    (void)timer;
    struct reaper_count reaped = {0}, killed = {0};
    reaper_reap(&reaped);
    reaper_end_orphans(&killed);
    reaper_tell("orphan-reaped", &reaped);
    reaper_tell("orphan-killed", &killed);
}

/*
 * Not at once: a worker's own end, which comes with the same signal, is reaped by then, and need not be told from an
 * orphan's among a thousand.
 */
static void reaper_on_child(uv_signal_t *handle, int signum)
{
    (void)handle;
    (void)signum;
    if (!uv_is_active((uv_handle_t *)&reaper_timer))
        uv_timer_start(&reaper_timer, reaper_look, REAPER_PAUSE_MS, 0);
}

int reaper_start(uv_loop_t *loop, struct node *root, bool (*spares)(pid_t pid))
{
    reaper_root = root;
    reaper_spares = spares;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    uv_timer_init(loop, &reaper_timer);
    int rc = uv_signal_init(loop, &reaper_signal);
    return rc != 0 ? rc : uv_signal_start(&reaper_signal, reaper_on_child, SIGCHLD);
}

void reaper_note_strangers(void)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    reaper_alone = file != NULL && getpid() != 1;
    while (file != NULL && fscanf(file, "%d", &pid) == 1)
        if (!reaper_is_known((pid_t)pid) && !reaper_is_marked((pid_t)pid))
            reaper_alone = false;
    if (file != NULL)
        fclose(file);
}

void reaper_stop(void)
{
    uv_close((uv_handle_t *)&reaper_signal, NULL);
    uv_close((uv_handle_t *)&reaper_timer, NULL);
}
