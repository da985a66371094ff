/*
 * cgroup.c: one group of processes with a limit of memory. See cgroup.h.
 *
 * Plain files and not libcgroup: that one reads the whole hierarchy at its start, and keeps a
 * configuration of its own beside ours.
 */
#include "common/cgroup.h"

#include "common/slice.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper ones than a platoon within a platoon's worker makes do not come up. */
#define CGROUP_DEPTH_FDS 8

static int cgroup_open(const char *dir, const char *file, int flags)
{
    char path[CGROUP_PATH_SIZE + 32];
    int len = snprintf(path, sizeof path, "%s/%s", dir, file);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    int fd = open(path, flags | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int cgroup_read(const char *dir, const char *file, char *text, size_t size)
{
    int fd = cgroup_open(dir, file, O_RDONLY);
    if (fd < 0)
        return fd;
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    int rc = n < 0 ? -errno : 0;
    text[len] = '\0';
    close(fd);
    return rc;
}

int cgroup_write(const char *dir, const char *file, const char *text)
{
    int fd = cgroup_open(dir, file, O_WRONLY);
    if (fd < 0)
        return fd;
    /* The kernel takes such a value in one piece or not at all. */
    int rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

bool cgroup_of_worker(const char *base, const char *name, char path[CGROUP_PATH_SIZE])
{
    int len = snprintf(path, CGROUP_PATH_SIZE, "%s/worker.%s", base, name);
    for (char *at = path + strlen(base) + 1; len > 0 && len < CGROUP_PATH_SIZE && *at != '\0'; at++)
        if (*at == '/')
            *at = ',';
    return len > 0 && len < CGROUP_PATH_SIZE;
}

static int cgroup_limit(const char *group, uint64_t memory_max)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, memory_max);
    int rc = cgroup_write(group, "memory.max", text);
    if (rc == 0)
        rc = cgroup_write(group, "memory.oom.group", "1");
    int swap = rc == 0 ? cgroup_write(group, "memory.swap.max", "0") : 0;
    return swap == -ENOENT ? rc : rc != 0 ? rc : swap; /* a kernel may have no swap at all */
}

uint64_t cgroup_renew(const char *group)
{
    cgroup_remove(group);
    return cgroup_oom_kills(group);
}

/* "0::/path", which is the end of that of the group, wherever the hierarchy is mounted. */
static bool cgroup_is_ours(const char *group)
{
    char text[CGROUP_PATH_SIZE + 16];
    if (cgroup_read("/proc/self", "cgroup", text, sizeof text) != 0)
        return false;
    const char *path = strstr(text, "0::/");
    size_t len = path != NULL ? strcspn(path + 3, "\n") : 0, size = strlen(group);
    return len > 1 && len <= size && strncmp(group + size - len, path + 3, len) == 0;
}

int cgroup_enter(const char *group, uint64_t memory_max)
{
    if (mkdir(group, 0755) != 0 && errno != EEXIST)
        return -errno;
    if (cgroup_is_ours(group))
        return 0;
    int rc = cgroup_limit(group, memory_max);
    return rc == 0 ? cgroup_write(group, "cgroup.procs", "0") : rc;
}

/* "oom_kill 3" among lines of that kind. */
uint64_t cgroup_oom_kills(const char *group)
{
    char text[1024];
    if (cgroup_read(group, "memory.events", text, sizeof text) != 0)
        return 0;
    const char *line = strstr(text, "oom_kill ");
    return line != NULL ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

uint64_t cgroup_memory_max(const char *group)
{
    char text[64];
    uint64_t value;
    if (cgroup_read(group, "memory.max", text, sizeof text) != 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return text_parse_u64(slice_of(text), &value) == 0 ? value : 0; /* "max" is none */
}

static int cgroup_remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    /* Its files are the kernel's, and go with it. One that still holds a process stays, and so do those above it. */
    if (type == FTW_DP)
        rmdir(path);
    return 0;
}

void cgroup_remove(const char *group)
{
    nftw(group, cgroup_remove_one, CGROUP_DEPTH_FDS, FTW_DEPTH | FTW_PHYS);
}
