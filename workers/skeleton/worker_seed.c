/*
 * worker_seed.c: a worker program as the seed of its type: linked and relocated once, it forks workers on the master's
 * order (proto/seed_order.h).
 *
 * Runs in the seed, until the child that becomes a worker has returned from here. The child is the master's
 * (CLONE_PARENT), and as one that was executed: group, descriptors, signals, limits, environment, also as /proc shows
 * it. The seed has one thread, opens nothing and touches no signal that it does not give back, so there is nothing of
 * its own that a child would have to undo.
 */
#include "proto/seed_order.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What ends a service's whole group is not for the seed, who ends with the master. */
static const int seed_deaf_to[] = {SIGTERM, SIGINT, SIGHUP};

/*
 * Blocked, not ignored: a child that is told to stop before it has run its first instruction would never know, while
 * what is blocked waits for it.
 */
static void seed_be_deaf(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof seed_deaf_to / sizeof seed_deaf_to[0]; i++)
        sigaddset(&set, seed_deaf_to[i]);
    sigprocmask(how, &set, NULL);
}

static void seed_send(struct buffer *packet)
{
    if (!buffer_ok(packet) ||
        send(CONTRACT_LINK_FD, packet->data, packet->len, MSG_NOSIGNAL) != (ssize_t)packet->len)
        _exit(CONTRACT_EXIT_TEMPORARY); /* nobody to tell it to, or no memory for ten bytes */
    buffer_fini(packet);
}

static void seed_answer(pid_t pid, int error)
{
    struct buffer packet = BUFFER_EMPTY;
    struct seed_answer answer = {.pid = pid > 0 ? (uint64_t)pid : 0,
                                 .error = pid > 0 ? 0 : (uint64_t)error};
    seed_answer_pack(&packet, &answer);
    seed_send(&packet);
}

bool worker_seed_is_wanted(void)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getenv(CONTRACT_ENV_SEED) != NULL &&
           getsockopt(CONTRACT_LINK_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_SEQPACKET;
}

/* ---- environment ---- */

#define SEED_VARIABLES 3

/*
 * The room that the master has left for a worker's variables, and where in `environ` they are to be. Made before the
 * first fork: setenv would have a thousand workers write the same pages of the C library.
 */
static struct {
    char *at, *end;
    char **list;  /* is environ, with room for SEED_VARIABLES */
    size_t count; /* of its own */
} seed_environment;

/* Where the variable begins whose value that is. */
static size_t seed_find_variable(const char *value)
{
    size_t i = 0;
    while (environ[i] + sizeof CONTRACT_ENV_SEED != value)
        i++;
    return i;
}

/*
 * Whether those of the master's for ld.so are where it has put them: then they belong to the room. ld.so has a copy of
 * its own of the tunables.
 */
static bool seed_has_bind(size_t i)
{
    return i >= 2 && strcmp(environ[i - 1], CONTRACT_SEED_RSEQ) == 0 &&
           strcmp(environ[i - 2], CONTRACT_SEED_BIND) == 0 &&
           environ[i - 2] + sizeof CONTRACT_SEED_BIND + sizeof CONTRACT_SEED_RSEQ == environ[i];
}

static void seed_prepare_environment(void)
{
    size_t count = 0;
    char *value = getenv(CONTRACT_ENV_SEED);
    size_t last = seed_find_variable(value);
    size_t first = seed_has_bind(last) ? last - 2 : last;
    seed_environment.at = environ[first];
    seed_environment.end = value + strlen(value) + 1;
    while (environ[count] != NULL)
        count++;
    char **list = calloc(count + SEED_VARIABLES + 1, sizeof *list);
    if (list == NULL)
        _exit(CONTRACT_EXIT_SHORT);
    for (size_t i = 0; i < count; i++)
        if (i < first || i > last)
            list[seed_environment.count++] = environ[i];
    seed_environment.list = environ = list;
}

/* ---- the child ---- */

/* NAME=value at `at` in the room, and in our environment. Returns what is behind it; NULL: there is no room. */
static char *seed_put_variable(char *at, size_t number, const char *name, struct slice value)
{
    if (at == NULL)
        return NULL;
    size_t room = (size_t)(seed_environment.end - at);
    int n = snprintf(at, room, "%s=%.*s", name, (int)value.len, value.ptr);
    if (n < 0 || (size_t)n >= room)
        return NULL;
    seed_environment.list[seed_environment.count + number] = at;
    return at + n + 1;
}

/*
 * Over the text of CONTRACT_ENV_SEED: /proc/PID/environ, by which the master knows whose an orphan is, shows what was
 * there at exec, and where.
 */
static bool seed_take_environment(const struct seed_order *order)
{
    char number[24];
    char *at = seed_environment.at;
    memset(at, '\0', (size_t)(seed_environment.end - at));
    snprintf(number, sizeof number, "%" PRIu64, order->generation);
    at = seed_put_variable(at, 0, CONTRACT_ENV_NAME, order->name);
    at = seed_put_variable(at, 1, CONTRACT_ENV_GENERATION, slice_of(number));
    return seed_put_variable(at, 2, CONTRACT_ENV_LOG_LEVEL, order->log_level) != NULL;
}

/* The master's may have been changed from outside (prlimit) since we were born. What we may not have stays. */
static void seed_take_limits(void)
{
    pid_t master = getppid();
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        struct rlimit its, own;
        if (prlimit(master, (__rlimit_resource_t)resource, NULL, &its) == 0 &&
            getrlimit((__rlimit_resource_t)resource, &own) == 0 &&
            (its.rlim_cur != own.rlim_cur || its.rlim_max != own.rlim_max))
            setrlimit((__rlimit_resource_t)resource, &its);
    }
}

static void seed_become(const struct seed_order *order, const int fds[SEED_FDS])
{
    seed_be_deaf(SIG_UNBLOCK);
    seed_take_limits();
    if (setpgid(0, 0) != 0 || dup2(fds[SEED_FD_OUTPUT], STDOUT_FILENO) < 0 ||
        dup2(fds[SEED_FD_OUTPUT], STDERR_FILENO) < 0 ||
        dup2(fds[SEED_FD_LINK], CONTRACT_LINK_FD) < 0 || !seed_take_environment(order))
        _exit(CONTRACT_EXIT_TEMPORARY);
    closefrom(CONTRACT_LINK_FD + 1);
}

/* ---- the seed ---- */

/*
 * glibc keeps the thread's number, which raise() needs, where the kernel has been told to clear it. As _Fork does it,
 * which has no flag for whose the child is to be. NULL: this kernel does not say where.
 */
static int *seed_thread_number(void)
{
    int *at = NULL;
    return prctl(PR_GET_TID_ADDRESS, &at) == 0 && at != NULL && *at == (int)gettid() ? at : NULL;
}

static pid_t seed_fork(int *thread_number)
{
    struct clone_args how = {.flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
                             .child_tid = (uintptr_t)thread_number};
    return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

static void seed_hello(uint64_t version)
{
    struct buffer packet = BUFFER_EMPTY;
    seed_hello_pack(&packet, version);
    seed_send(&packet);
}

/* One order; ends the process when there are no more. False: it is none. */
static bool seed_receive(char packet[SEED_PACKET_MAX], struct seed_order *order, int fds[SEED_FDS])
{
    union {
        char room[CMSG_SPACE(SEED_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = packet, .iov_len = SEED_PACKET_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t n;
    do
        n = recvmsg(CONTRACT_LINK_FD, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        _exit(CONTRACT_EXIT_DONE);
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS ||
        head->cmsg_len != CMSG_LEN(SEED_FDS * sizeof(int)))
        return false;
    memcpy(fds, CMSG_DATA(head), SEED_FDS * sizeof(int));
    return (message.msg_flags & MSG_TRUNC) == 0 &&
           seed_order_unpack(slice_make(packet, (size_t)n), order);
}

void worker_seed_serve(void)
{
    int *thread_number = seed_thread_number();
    seed_prepare_environment();
    seed_be_deaf(SIG_BLOCK);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(CONTRACT_EXIT_TEMPORARY);
    seed_hello(thread_number != NULL ? SEED_VERSION : SEED_UNABLE);
    for (;;) {
        char packet[SEED_PACKET_MAX];
        struct seed_order order;
        int fds[SEED_FDS];
        if (!seed_receive(packet, &order, fds))
            _exit(CONTRACT_EXIT_INCONSISTENT);
        pid_t pid = seed_fork(thread_number);
        if (pid == 0) {
            seed_become(&order, fds);
            return;
        }
        seed_answer(pid, errno);
        close(fds[SEED_FD_LINK]);
        close(fds[SEED_FD_OUTPUT]);
    }
}
