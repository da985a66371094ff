/*
 * worker_crash.c: what must still work when the loop does not.
 *
 * Two things, both in signal handlers, hence async-signal-safe calls only. A crash, and the master's SIGABRT to a
 * worker that hangs, prints a backtrace to stderr, where the master finds it. The death of the master ends a worker
 * whose loop is blocked: PR_SET_PDEATHSIG delivers a signal whose handler arms alarm(), and SIGALRM ends us. A worker
 * whose loop runs sees the end of its link instead, and is gone long before.
 */
#include "common/birthmark.h"
#include "workers/skeleton/worker_private.h"

#include <execinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <unwind.h>

#define WORKER_FRAMES_MAX     64
#define WORKER_ORPHAN_SECONDS (CONTRACT_ORPHAN_MS / 1000)

/* Nobody sends it by hand, and no library here uses it. */
#define WORKER_PARENT_SIGNAL SIGUSR2

_Static_assert(CONTRACT_ORPHAN_MS % 1000 == 0, "alarm() counts whole seconds");

static const struct {
    int number;
    const char *line;
} worker_crashes[] = {
    {SIGABRT, "<3>crash signal=SIGABRT backtrace follows\n"},
    {SIGSEGV, "<3>crash signal=SIGSEGV backtrace follows\n"},
    {SIGBUS, "<3>crash signal=SIGBUS backtrace follows\n"},
    {SIGFPE, "<3>crash signal=SIGFPE backtrace follows\n"},
    {SIGILL, "<3>crash signal=SIGILL backtrace follows\n"},
};

#define WORKER_CRASH_COUNT (sizeof worker_crashes / sizeof worker_crashes[0])

static void worker_crash_write(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written; /* nobody is left to be told */
}

/*
 * glibc's backtrace() would load libgcc_s with its first call, which is no job for a signal handler, and done in time
 * it is a quarter of a light worker's start. So the unwinder is linked in (-static-libgcc) and called by itself;
 * _dl_find_object, by which it finds its tables, may be called in a handler.
 */
struct worker_frames {
    void *at[WORKER_FRAMES_MAX];
    int count;
};

static _Unwind_Reason_Code worker_on_frame(struct _Unwind_Context *context, void *ctx)
{
    struct worker_frames *frames = ctx;
    void *at = (void *)_Unwind_GetIP(context);
    if (frames->count == WORKER_FRAMES_MAX || at == NULL)
        return _URC_END_OF_STACK;
    frames->at[frames->count++] = at;
    return _URC_NO_REASON;
}

/* SA_RESETHAND has put the default action back: raising the signal again is the death the master expects. */
static void worker_on_crash(int number)
{
    for (size_t i = 0; i < WORKER_CRASH_COUNT; i++)
        if (worker_crashes[i].number == number)
            worker_crash_write(worker_crashes[i].line);
    worker_trace_crash();
    struct worker_frames frames = {.count = 0};
    _Unwind_Backtrace(worker_on_frame, &frames);
    backtrace_symbols_fd(frames.at, frames.count, STDERR_FILENO);
    raise(number);
}

static void worker_on_parent_death(int number)
{
    (void)number;
    alarm(WORKER_ORPHAN_SECONDS);
}

_Noreturn void worker_crash_end(void)
{
    if (getpgrp() == getpid())
        kill(0, SIGKILL); /* and us with it */
    _exit(CONTRACT_EXIT_TEMPORARY);
}

static void worker_on_alarm(int number)
{
    (void)number;
    worker_crash_end();
}

static void worker_handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* A stack overflow has no stack left for its handler. */
static void worker_crash_stack(void)
{
    static char memory[64 * 1024];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
}

/*
 * The master died before PR_SET_PDEATHSIG could tell. Its end of the link is the proof; getppid
 * would be 1 in a container.
 */
static void worker_check_parent(void)
{
    struct pollfd link = {.fd = CONTRACT_LINK_FD, .events = POLLIN};
    if (poll(&link, 1, 0) == 1 && (link.revents & POLLHUP) != 0)
        alarm(WORKER_ORPHAN_SECONDS);
}

void worker_crash_watch_parent(void)
{
    prctl(PR_SET_PDEATHSIG, WORKER_PARENT_SIGNAL);
    worker_check_parent();
}

void worker_crash_setup(void)
{
    birthmark_take();
    worker_crash_stack();
    for (size_t i = 0; i < WORKER_CRASH_COUNT; i++)
        worker_handle(worker_crashes[i].number, worker_on_crash,
                      (int)(SA_RESETHAND | SA_NODEFER | SA_ONSTACK));
    worker_handle(SIGALRM, worker_on_alarm, 0);
    worker_handle(WORKER_PARENT_SIGNAL, worker_on_parent_death, SA_RESTART);
    worker_handle(SIGPIPE, SIG_IGN, 0);
    /* ^C reaches the whole foreground group; what happens then is the master's decision. */
    worker_handle(SIGINT, SIG_IGN, 0);

    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    worker_crash_watch_parent();
}
