/* spawn.c: posix_spawn with everything the contract asks for. See spawn.h and proto/contract.h. */
#include "master/spawn.h"

#include "common/log.h"
#include "proto/contract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SPAWN_OWN_VARIABLES 3

/* Ours, without what we set ourselves: an inherited one must not win. Points into environ; only the array is the caller's. */
static char **spawn_environment(char own[SPAWN_OWN_VARIABLES][CONTRACT_NAME_MAX + 32])
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **list = calloc(count + SPAWN_OWN_VARIABLES + 1, sizeof *list);
    if (list == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool ours = false;
        for (int k = 0; k < SPAWN_OWN_VARIABLES; k++)
            ours = ours ||
                   strncmp(environ[i], own[k], (size_t)(strchr(own[k], '=') - own[k]) + 1) == 0;
        if (!ours)
            list[n++] = environ[i];
    }
    for (int k = 0; k < SPAWN_OWN_VARIABLES; k++)
        list[n++] = own[k];
    return list;
}

/*
 * The descriptors land first above every number they will be copied to, so that no dup2 overwrites one that is still needed and none
 * is onto itself (which would leave CLOEXEC set).
 */
static int spawn_above(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, CONTRACT_LINK_FD + 1);
    int error = errno;
    close(fd);
    return high < 0 ? -error : high;
}

static int spawn_actions(posix_spawn_file_actions_t *actions, int link, int output)
{
    int rc = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(actions, link, CONTRACT_LINK_FD);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(actions, CONTRACT_LINK_FD + 1);
    return rc;
}

static int spawn_attributes(posix_spawnattr_t *attr)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETSIGMASK);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attr, 0);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attr, &all);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attr, &none);
    return rc;
}

static int spawn_process(const struct spawn_request *request, int link, int output, pid_t *pid)
{
    char own[SPAWN_OWN_VARIABLES][CONTRACT_NAME_MAX + 32];
    snprintf(own[0], sizeof own[0], "%s=%s", CONTRACT_ENV_NAME, request->name);
    snprintf(own[1], sizeof own[1], "%s=%" PRIu64, CONTRACT_ENV_GENERATION, request->generation);
    snprintf(own[2], sizeof own[2], "%s=%s", CONTRACT_ENV_LOG_LEVEL,
             log_level_name(request->log_level));
    char **environment = spawn_environment(own);
    if (environment == NULL)
        return -ENOMEM;
    char *argv[] = {(char *)(uintptr_t)request->type, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    int rc = spawn_actions(&actions, link, output);
    if (rc == 0)
        rc = spawn_attributes(&attr);
    if (rc == 0)
        rc = posix_spawn(pid, request->program, &actions, &attr, argv, environment);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    return -rc;
}

static void spawn_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Our ends and the child's: link[0] and output[0] are ours. */
static int spawn_pipes(int link[2], int output[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) != 0)
        return -errno;
    if (pipe2(output, O_CLOEXEC) != 0)
        return -errno;
    link[1] = spawn_above(link[1]);
    if (link[1] < 0)
        return link[1];
    output[1] = spawn_above(output[1]);
    return output[1] < 0 ? output[1] : 0;
}

int spawn_worker(const struct spawn_request *request, struct spawn_result *result)
{
    int link[2] = {-1, -1}, output[2] = {-1, -1};
    pid_t pid = 0;
    int rc = spawn_pipes(link, output);
    if (rc == 0)
        rc = spawn_process(request, link[1], output[1], &pid);
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
