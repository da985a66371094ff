/* sweep.c: waits for and removes what a dead master left behind. See sweep.h. */
#include "master/start/sweep.h"

#include "common/clock.h"
#include "proto/control.h"
#include "proto/systems.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_LOOK_MS 20

/* The socket of a server that ran for us. */
static bool sweep_is_server(const char *name)
{
    static const char *const prefixes[] = {
#define X(prefix) prefix,
        SYSTEMS(SWEEPS, X)
#undef X
            NULL};
    size_t n = strlen(name), end = strlen(".sock");
    bool ours = false;
    for (size_t i = 0; prefixes[i] != NULL; i++)
        ours = ours || strncmp(name, prefixes[i], strlen(prefixes[i])) == 0;
    return ours && n > end && strcmp(name + n - end, ".sock") == 0;
}

static bool sweep_is_ours(const char *name)
{
    return sweep_is_server(name) || strcmp(name, CONTROL_SOCKET_NAME) == 0 ||
           strcmp(name, "platoon.pid") == 0;
}

static bool sweep_is_mailbox(const char *name)
{
    return name[0] != '.';
}

/* A full backlog (EAGAIN) has an owner too. Whoever is dead leaves a file that refuses. */
static bool sweep_answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
    close(fd);
    return answers;
}

/* Looks through a directory for one that answers. */
static bool sweep_find(const char *dir, bool (*fits)(const char *name), char *busy, size_t size)
{
    DIR *d = opendir(dir);
    bool found = false;
    if (d == NULL)
        return false;
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;) {
        char path[PATH_MAX + NAME_MAX + 2];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        found = fits(e->d_name) && sweep_answers(path);
        if (found)
            snprintf(busy, size, "%s", path);
    }
    closedir(d);
    return found;
}

int sweep_wait(const char *runtime_dir, uint64_t within_ms, char *busy, size_t size)
{
    char mbox[PATH_MAX];
    snprintf(mbox, sizeof mbox, "%s/mbox", runtime_dir);
    uint64_t end = clock_mono_ms() + within_ms;
    while (sweep_find(runtime_dir, sweep_is_server, busy, size) ||
           sweep_find(mbox, sweep_is_mailbox, busy, size)) {
        if (clock_mono_ms() >= end)
            return -ETIMEDOUT;
        struct timespec pause = {.tv_nsec = SWEEP_LOOK_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return 0;
}

static void sweep_dir(const char *dir, bool (*fits)(const char *name))
{
    DIR *d = opendir(dir);
    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (fits(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

void sweep_remove(const char *runtime_dir)
{
    char mbox[PATH_MAX];
    snprintf(mbox, sizeof mbox, "%s/mbox", runtime_dir);
    sweep_dir(runtime_dir, sweep_is_ours);
    sweep_dir(mbox, sweep_is_mailbox);
}
