/* whole_file.c: see whole_file.h. */
#include "common/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int whole_file_put(const char *temp, struct slice text)
{
    unlink(temp); /* of one that died; whatever else was put there is in nobody's way either */
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text.ptr, text.len);
    int rc = n < 0 ? -errno : (size_t)n < text.len ? -ENOSPC : 0;
    if (rc == 0 && fsync(fd) != 0)
        rc = -errno;
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    return rc;
}

/* The new name is durable once its directory is. */
static int whole_file_sync_directory(const char *path)
{
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL &&
        !slice_copy(slice_make(path, slash == path ? 1 : (size_t)(slash - path)), dir, sizeof dir))
        return -ENAMETOOLONG;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int whole_file_write(const char *path, struct slice text)
{
    char temp[PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temp)
        return -ENAMETOOLONG;
    int rc = whole_file_put(temp, text);
    if (rc == 0 && rename(temp, path) != 0)
        rc = -errno;
    if (rc == 0)
        return whole_file_sync_directory(path);
    unlink(temp);
    return rc;
}
