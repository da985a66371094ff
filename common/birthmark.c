/* birthmark.c: a limit that means nothing else. See birthmark.h. */
#include "common/birthmark.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* "PLATOON" and a zero: more memory than there is, so that whoever reads its limits takes it for none. */
#define BIRTHMARK UINT64_C(0x504c41544f4f4e00)

bool birthmark_take(void)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_RSS, &now) != 0)
        return false;
    now.rlim_max = (rlim_t)BIRTHMARK;
    if (now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    return setrlimit(RLIMIT_RSS, &now) == 0;
}

bool birthmark_is_on(pid_t pid)
{
    static const char name[] = "Max resident set";
    char path[64], text[4096];
    uint64_t hard = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, name);
    return line != NULL && sscanf(line + sizeof name - 1, " %*s %" SCNu64, &hard) == 1 &&
           hard == BIRTHMARK;
}
