/* redis_login.c: reads a password file. See redis_login.h. */
#include "common/redis/redis_login.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The whole file into login->text. Returns its length or a negative errno. */
static ssize_t redis_login_load(struct redis_login *login, const char *path)
{
    /* O_NONBLOCK: a fifo in the file's place must not hang the worker. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct stat st;
    ssize_t len = fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;
    while (len >= 0 && (size_t)len < sizeof login->text) {
        ssize_t n = read(fd, login->text + len, sizeof login->text - (size_t)len);
        if (n == 0)
            break;
        len = n < 0 ? -errno : len + n;
    }
    close(fd);
    return len == (ssize_t)sizeof login->text ? -EFBIG : len;
}

/* Takes one line off *rest. A file written on Windows ends its lines with \r\n. */
static struct slice redis_login_line(struct slice *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    size_t used = end != NULL ? len + 1 : len;
    struct slice line =
        slice_make(rest->ptr, len > 0 && rest->ptr[len - 1] == '\r' ? len - 1 : len);
    *rest = slice_make(rest->ptr + used, rest->len - used);
    return line;
}

int redis_login_read(struct redis_login *login, const char *path, char *why, size_t why_size)
{
    ssize_t len = redis_login_load(login, path);
    if (len < 0) {
        const char *reason = len == -EINVAL  ? "it is not a regular file"
                             : len == -EFBIG ? "it is longer than a password file can be"
                                             : strerror((int)-len);
        snprintf(why, why_size, "cannot read password_file %s: %s", path, reason);
        return (int)len;
    }
    struct slice rest = slice_make(login->text, (size_t)len);
    struct slice first = redis_login_line(&rest);
    struct slice second = redis_login_line(&rest);
    login->user = second.len > 0 ? first : slice_of("");
    login->password = second.len > 0 ? second : first;
    if (login->password.len > 0 && rest.len == 0)
        return 0;
    snprintf(why, why_size,
             "password_file %s %s: write the password into it, or user and password on two lines",
             path, rest.len > 0 ? "has more than two lines" : "is empty");
    redis_login_wipe(login);
    return -EINVAL;
}

void redis_login_wipe(struct redis_login *login)
{
    explicit_bzero(login, sizeof *login);
}
