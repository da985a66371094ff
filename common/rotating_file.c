/* rotating_file.c: see rotating_file.h. */
#include "common/rotating_file.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that was there counts with its age; without statx's birth time, from now on. */
static void rotating_measure(struct rotating_file *f)
{
    struct statx info;
    f->bytes = 0;
    f->born_ms = clock_wall_ms();
    if (statx(f->fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BTIME, &info) != 0)
        return;
    f->bytes = info.stx_size;
    if (info.stx_size > 0 && (info.stx_mask & STATX_BTIME))
        f->born_ms = (uint64_t)info.stx_btime.tv_sec * 1000 + info.stx_btime.tv_nsec / 1000000;
}

int rotating_file_open(struct rotating_file *f)
{
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno;
    rotating_file_close(f);
    f->fd = fd;
    rotating_measure(f);
    return 0;
}

void rotating_file_close(struct rotating_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* FILE.4 -> FILE.5, …, FILE -> FILE.1. What cannot be renamed stays, and the file grows on. */
static void rotating_rotate(struct rotating_file *f)
{
    char from[sizeof f->path + 24], to[sizeof f->path + 24];
    for (uint64_t i = f->keep; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%llu", f->path, (unsigned long long)i);
        snprintf(from, sizeof from, "%s.%llu", f->path, (unsigned long long)i - 1);
        rename(i > 1 ? from : f->path, to);
    }
    if (f->keep == 0)
        unlink(f->path);
    rotating_file_open(f);
}

static bool rotating_is_full(const struct rotating_file *f, size_t more)
{
    uint64_t age = clock_wall_ms() - f->born_ms;
    bool old =
        f->max_ms > 0 && age >= f->max_ms && age < UINT64_MAX / 2; /* a clock set back is no age */
    return f->bytes > 0 && (old || (f->max_bytes > 0 && f->bytes + more > f->max_bytes));
}

bool rotating_file_write(struct rotating_file *f, struct slice text)
{
    if (rotating_is_full(f, text.len))
        rotating_rotate(f);
    ssize_t n;
    do
        n = write(f->fd, text.ptr, text.len);
    while (n < 0 && errno == EINTR);
    if (n > 0 && (size_t)n < text.len && ftruncate(f->fd, (off_t)f->bytes) != 0)
        f->bytes += (size_t)n;
    if (n != (ssize_t)text.len)
        return false;
    f->bytes += text.len;
    return true;
}
