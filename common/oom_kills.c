/* oom_kills.c: one line of /proc/vmstat. See oom_kills.h. */
#include "common/oom_kills.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t oom_kills_in(const char *vmstat)
{
    static const char line[] = "\noom_kill ";
    const char *at = strstr(vmstat, line);
    return at != NULL ? strtoull(at + sizeof line - 1, NULL, 10) : 0;
}

uint64_t oom_kills(void)
{
    char text[32 * 1024];
    size_t len = 0;
    int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    if (fd >= 0)
        close(fd);
    text[len] = '\0';
    return oom_kills_in(text);
}
