/* standard_fds.c: see standard_fds.h. */
#include "common/standard_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void standard_fds_fill(void)
{
    int fd;
    /* The lowest free number is given out: so the holes are filled first, and one above them is the end. */
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
    if (fd < 0)
        _exit(EXIT_FAILURE);
    close(fd);
}

int standard_fds_print(struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(STDOUT_FILENO, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            text = slice_make(text.ptr + n, text.len - (size_t)n);
    }
    return 0;
}
