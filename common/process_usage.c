/* process_usage.c: see process_usage.h. */
#include "common/process_usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One read of a small file: stdio would cost a page and two system calls more, a thousand times over. */
static bool usage_read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/*
 * Field 4 is the parent, 14 to 17 are utime stime cutime cstime in ticks, 24 is rss in pages; the name in field 2 may
 * hold anything, and ends at the last ')'.
 */
static void usage_add(pid_t pid, pid_t parent, struct process_usage *usage)
{
    char path[64], text[1024];
    int of;
    unsigned long long utime, stime;
    long long cutime, cstime, rss;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *rest = usage_read_file(path, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (rest == NULL ||
        sscanf(rest + 1,
               " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d "
               "%*u %*u %lld",
               &of, &utime, &stime, &cutime, &cstime, &rss) != 6 ||
        (parent != 0 && of != parent))
        return;
    uint64_t ticks = utime + stime + (uint64_t)cutime + (uint64_t)cstime;
    usage->cpu_ms += ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    usage->rss_bytes += (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Appends the children of one process; its threads may each have some, programs that fork from other threads are
 * rare enough to be missed.
 */
static size_t usage_children(pid_t pid, pid_t *list, size_t count)
{
    char path[64], text[4096], *end;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    if (!usage_read_file(path, text, sizeof text))
        return count;
    for (char *at = text; count < PROCESS_USAGE_FAMILY_MAX; at = end) {
        long child = strtol(at, &end, 10);
        if (end == at)
            break;
        list[count++] = (pid_t)child;
    }
    return count;
}

static void usage_read(pid_t pid, pid_t parent, bool family, struct process_usage *usage)
{
    pid_t list[PROCESS_USAGE_FAMILY_MAX] = {pid};
    size_t count = 1;
    *usage = (struct process_usage){0};
    for (size_t i = 0; i < count; i++) {
        usage_add(list[i], i == 0 ? parent : 0, usage);
        if (family && usage->rss_bytes != 0)
            count = usage_children(list[i], list, count);
    }
}

void process_usage_read(pid_t pid, bool family, struct process_usage *usage)
{
    usage_read(pid, 0, family, usage);
}

void process_usage_read_child(pid_t parent, pid_t pid, bool family, struct process_usage *usage)
{
    usage_read(pid, parent, family, usage);
}
