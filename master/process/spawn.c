/* spawn.c: the birth of a process, with everything the contract asks for. See spawn.h and proto/contract.h. */
#include "master/process/spawn.h"

#include "common/log.h"
#include "proto/contract.h"
#include "proto/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SPAWN_OWN_VARIABLES 3
#define SPAWN_OWN_PREFIX    "PLATOON_"
#define SPAWN_VARIABLE_SIZE 256

_Static_assert(sizeof CONTRACT_ENV_SEED + CONTRACT_SEED_ROOM < SPAWN_VARIABLE_SIZE,
               "it has its room");

/* What we set ourselves: an inherited one must not win. */
static const char *const spawn_own_names[] = {CONTRACT_ENV_NAME "=", CONTRACT_ENV_GENERATION "=",
                                              CONTRACT_ENV_LOG_LEVEL "=", CONTRACT_ENV_SEED "="};
/* Descriptors that no worker gets: every client of the control socket, and some of our own. */
#define SPAWN_RESERVE (CONTROL_CLIENTS_MAX + 16)

#define SPAWN_STACK_SIZE (64 * 1024)

static bool spawn_is_own(const char *variable)
{
    if (strncmp(variable, SPAWN_OWN_PREFIX, strlen(SPAWN_OWN_PREFIX)) != 0)
        return false;
    for (size_t i = 0; i < sizeof spawn_own_names / sizeof spawn_own_names[0]; i++)
        if (strncmp(variable, spawn_own_names[i], strlen(spawn_own_names[i])) == 0)
            return true;
    return false;
}

/*
 * Ours, without what we set ourselves, and with the first `own_count` of `own`. Points into environ; only the array is
 * the caller's.
 */
static char **spawn_environment(char own[SPAWN_OWN_VARIABLES][SPAWN_VARIABLE_SIZE], int own_count)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **list = calloc(count + SPAWN_OWN_VARIABLES + 1, sizeof *list);
    if (list == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!spawn_is_own(environ[i]))
            list[n++] = environ[i];
    for (int k = 0; k < own_count; k++)
        list[n++] = own[k];
    return list;
}

/*
 * Signals that are not as a program expects them. Asked once, before the first start: 64 questions for each of a
 * thousand would be 1 % of their time.
 */
static bool spawn_touched[NSIG];

static void spawn_note_signals(void)
{
    struct sigaction now;
    for (int number = 1; number < NSIG; number++)
        spawn_touched[number] = sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
}

/* ---- the child's side ---- */

/* What the child needs, and what it says when it does not come to exec; it runs in our memory until then. */
struct spawn_child {
    const char *program;
    char *const *argv;
    char *const *environment;
    int link, output; /* its ends, below `low` */
    unsigned low;
    int error;
};

/* Its own table of descriptors, of those below `low` only: nothing of ours may be touched before this. */
static int spawn_own_descriptors(unsigned low)
{
    if (close_range(low, ~0U, CLOSE_RANGE_UNSHARE) == 0)
        return 0;
    /* A kernel, or a sandbox, without it: all are copied, and closed one by one. */
    if (unshare(CLONE_FILES) != 0)
        return errno;
    closefrom((int)low);
    return 0;
}

/* The terminal stands behind the name, which may contain anything: (NAME) STATE PARENT GROUP SESSION TERMINAL. */
static bool spawn_has_no_terminal(void)
{
    char text[512];
    int terminal = -1;
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && sscanf(name_end, ") %*c %*d %*d %*d %d", &terminal) == 1 &&
           terminal == 0;
}

/*
 * Whoever has our terminal may type into it (TIOCSTI), as whom the shell there runs: a group of its own does not help.
 * setsid was rejected: the leader of a session cannot leave its group, which is how a program's worker kills what the
 * program has left there (program_kill_group). Who is no leader cannot take a terminal again. Where /dev/tty cannot be
 * opened (a chroot without it) and we may have one all the same, it is setsid: a group that is not killed is less than
 * a terminal that is kept. Before the child has a group of its own: a leader of one cannot do that.
 */
static int spawn_leave_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bool none = errno == ENXIO || spawn_has_no_terminal();
        return none || setsid() >= 0 ? 0 : errno;
    }
    int error = ioctl(fd, TIOCNOTTY) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static int spawn_enter(const struct spawn_child *c)
{
    int error = spawn_own_descriptors(c->low);
    if (error != 0)
        return error;
    error = spawn_leave_terminal();
    if (error != 0)
        return error;
    bool leads = getsid(0) == getpid(); /* also its group */
    close(STDIN_FILENO);
    if (open("/dev/null", O_RDONLY) != STDIN_FILENO || (!leads && setpgid(0, 0) != 0) ||
        dup2(c->output, STDOUT_FILENO) < 0 || dup2(c->output, STDERR_FILENO) < 0 ||
        dup2(c->link, CONTRACT_LINK_FD) < 0)
        return errno;
    closefrom(CONTRACT_LINK_FD + 1);
    for (int number = 1; number < NSIG; number++)
        if (spawn_touched[number])
            sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : errno;
}

/* The sanitizer would remember this stack's frames, which are left by exec. */
__attribute__((no_sanitize("address"))) static int spawn_become(void *arg)
{
    struct spawn_child *c = arg;
    c->error = spawn_enter(c);
    if (c->error == 0) {
        execve(c->program, c->argv, c->environment);
        c->error = errno;
    }
    _exit(CONTRACT_EXIT_TEMPORARY);
}

/* ---- our side ---- */

/* Low numbers, ours for good, that a child's ends are moved to: so that its table can be cut off right behind them. */
static struct {
    int null, link, output;
} spawn_slots = {-1, -1, -1};

static int spawn_take_slots(void)
{
    if (spawn_slots.output >= 0)
        return 0;
    spawn_note_signals();
    if (spawn_slots.null < 0)
        spawn_slots.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (spawn_slots.null < 0)
        return -errno;
    if (spawn_slots.link < 0)
        spawn_slots.link = fcntl(spawn_slots.null, F_DUPFD_CLOEXEC, CONTRACT_LINK_FD + 1);
    if (spawn_slots.link >= 0)
        spawn_slots.output = fcntl(spawn_slots.null, F_DUPFD_CLOEXEC, CONTRACT_LINK_FD + 1);
    return spawn_slots.output >= 0 ? 0 : -errno;
}

static int spawn_fill_slots(int link, int output)
{
    if (dup3(link, spawn_slots.link, O_CLOEXEC) < 0 ||
        dup3(output, spawn_slots.output, O_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static void spawn_empty_slots(void)
{
    if (spawn_slots.output < 0)
        return;
    dup3(spawn_slots.null, spawn_slots.link, O_CLOEXEC);
    dup3(spawn_slots.null, spawn_slots.output, O_CLOEXEC);
}

/*
 * As posix_spawn does it: the child borrows our memory, on a stack of its own, and we sleep until it has become another
 * program. Signals wait meanwhile: a handler of ours in the child would meddle with our memory.
 */
static int spawn_clone(struct spawn_child *child, pid_t *pid)
{
    static _Alignas(64) char stack[SPAWN_STACK_SIZE];
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    *pid = clone(spawn_become, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD,
                 child);
    int rc = *pid < 0 ? -errno : -child->error;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (*pid > 0 && rc != 0)
        waitpid(*pid, NULL, 0);
    return rc;
}

/*
 * Returns how many there are. A seed's are room for those of its workers, and in front of it what ld.so
 * is to do.
 */
static int spawn_own_variables(const struct spawn_request *request,
                               char own[SPAWN_OWN_VARIABLES][SPAWN_VARIABLE_SIZE])
{
    if (request->name == NULL) {
        snprintf(own[0], sizeof own[0], "%s", CONTRACT_SEED_BIND);
        snprintf(own[1], sizeof own[1], "%s", CONTRACT_SEED_RSEQ);
        snprintf(own[2], sizeof own[2], "%s=%0*d", CONTRACT_ENV_SEED, CONTRACT_SEED_ROOM, 0);
        return SPAWN_OWN_VARIABLES;
    }
    snprintf(own[0], sizeof own[0], "%s=%s", CONTRACT_ENV_NAME, request->name);
    snprintf(own[1], sizeof own[1], "%s=%" PRIu64, CONTRACT_ENV_GENERATION, request->generation);
    snprintf(own[2], sizeof own[2], "%s=%s", CONTRACT_ENV_LOG_LEVEL,
             log_level_name(request->log_level));
    return SPAWN_OWN_VARIABLES;
}

static int spawn_process(const struct spawn_request *request, pid_t *pid)
{
    char own[SPAWN_OWN_VARIABLES][SPAWN_VARIABLE_SIZE];
    char **environment = spawn_environment(own, spawn_own_variables(request, own));
    if (environment == NULL)
        return -ENOMEM;
    char *argv[] = {(char *)(uintptr_t)request->type, NULL, NULL, NULL};
    if (request->enter != NULL) {
        argv[1] = (char *)(uintptr_t)CONTRACT_ENTER;
        argv[2] = (char *)(uintptr_t)request->enter;
    }
    int highest = spawn_slots.link > spawn_slots.output ? spawn_slots.link : spawn_slots.output;
    struct spawn_child child = {.program = request->program,
                                .argv = argv,
                                .environment = environment,
                                .link = spawn_slots.link,
                                .output = spawn_slots.output,
                                .low = (unsigned)highest + 1};
    int rc = spawn_clone(&child, pid);
    free(environment);
    return rc;
}

static void spawn_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/*
 * The lowest free number is given out, so a high one says how many are taken. Some stay free in any case: for who asks
 * on the control socket why nothing starts, and for the master's own files. Looked up each time: a limit may be raised
 * from outside (prlimit), and then it goes on.
 */
static int spawn_leaves_reserve(int fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    uint64_t reserve = limit.rlim_cur / 4 < SPAWN_RESERVE ? limit.rlim_cur / 4 : SPAWN_RESERVE;
    return (uint64_t)fd + 1 < limit.rlim_cur - reserve ? 0 : -EMFILE; /* + 1: the pidfd */
}

/* Our ends and the child's: link[0] and output[0] are ours. A seed has no output. */
static int spawn_pipes(const struct spawn_request *request, int link[2], int output[2])
{
    bool seed = request->name == NULL;
    int type = seed ? SOCK_SEQPACKET : SOCK_STREAM;
    int rc = spawn_take_slots();
    if (rc == 0 && socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, link) != 0)
        rc = -errno;
    if (rc == 0 && !seed && pipe2(output, O_CLOEXEC) != 0)
        rc = -errno;
    if (rc == 0)
        rc = spawn_leaves_reserve(link[1] > output[1] ? link[1] : output[1]);
    return rc;
}

static int spawn_execute(const struct spawn_request *request, int link, int output, pid_t *pid)
{
    int rc = spawn_fill_slots(link, output >= 0 ? output : spawn_slots.null);
    if (rc == 0)
        rc = spawn_process(request, pid);
    spawn_empty_slots();
    return rc;
}

static int spawn_any(const struct spawn_request *request, struct spawn_result *result)
{
    int link[2] = {-1, -1}, output[2] = {-1, -1};
    pid_t pid = 0;
    int rc = spawn_pipes(request, link, output);
    if (rc == 0 && request->bear != NULL)
        rc = request->bear(request->ctx, request, link[1], output[1], &pid);
    else if (rc == 0)
        rc = spawn_execute(request, link[1], output[1], &pid);
    spawn_close(&link[1]);
    spawn_close(&output[1]);
    int pidfd = rc == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (rc == 0 && pidfd < 0) {
        rc = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (rc != 0) {
        spawn_close(&link[0]);
        spawn_close(&output[0]);
        return rc;
    }
    *result =
        (struct spawn_result){.pid = pid, .pidfd = pidfd, .link = link[0], .output = output[0]};
    return 0;
}

int spawn_worker(const struct spawn_request *request, struct spawn_result *result)
{
    return spawn_any(request, result);
}

int spawn_seed(const char *program, const char *type, struct spawn_result *result)
{
    struct spawn_request request = {.program = program, .type = type};
    return spawn_any(&request, result);
}
