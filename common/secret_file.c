/* secret_file.c: see secret_file.h. */
#include "common/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

ssize_t secret_file_load(const char *path, char *text, size_t size, struct stat *st)
{
    struct stat own = {0};
    /* O_NONBLOCK: a fifo in the file's place must not hang the process. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    st = st != NULL ? st : &own;
    ssize_t len = fstat(fd, st) != 0 ? -errno : !S_ISREG(st->st_mode) ? -EINVAL : 0;
    while (len >= 0 && (size_t)len < size) {
        ssize_t n = read(fd, text + len, size - (size_t)len);
        if (n == 0)
            break;
        len = n < 0 ? -errno : len + n;
    }
    close(fd);
    return len == (ssize_t)size ? -EFBIG : len;
}

const char *secret_file_say(int rc)
{
    return rc == -EINVAL  ? "it is not a regular file"
           : rc == -EFBIG ? "it is longer than such a file can be"
                          : strerror(-rc);
}

struct slice secret_file_line(struct slice *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    size_t used = end != NULL ? len + 1 : len;
    struct slice line =
        slice_make(rest->ptr, len > 0 && rest->ptr[len - 1] == '\r' ? len - 1 : len);
    *rest = slice_make(rest->ptr + used, rest->len - used);
    return line;
}

static int secret_file_one_line(const char *path, const char *what, bool private, char *text,
                                size_t size, char *why, size_t why_size)
{
    struct stat st;
    ssize_t len = secret_file_load(path, text, size, &st);
    if (len < 0) {
        snprintf(why, why_size, "%s: %s: write the %s into it, one line, for platoon's user", path,
                 secret_file_say((int)len), what);
        return (int)len;
    }
    if (private && (st.st_mode & 077) != 0) {
        snprintf(why, why_size, "%s: others than its owner may read or write it: chmod 600 %s",
                 path, path);
        return -EPERM;
    }
    struct slice rest = slice_make(text, (size_t)len), line = secret_file_line(&rest);
    bool nul = line.len > 0 && memchr(line.ptr, '\0', line.len) != NULL;
    text[line.len] = '\0';
    if (line.len > 0 && rest.len == 0 && !nul)
        return 0;
    snprintf(why, why_size, "%s: it holds %s%s: write the %s into it, one line", path,
             line.len == 0  ? "no "
             : rest.len > 0 ? "more than one line"
                            : "a NUL",
             line.len == 0 ? what : "", what);
    return -EBADMSG;
}

int secret_file_read(const char *path, char *text, size_t size, char *why, size_t why_size)
{
    return secret_file_one_line(path, "password", false, text, size, why, why_size);
}

int secret_file_read_private(const char *path, const char *what, char *text, size_t size, char *why,
                             size_t why_size)
{
    return secret_file_one_line(path, what, true, text, size, why, why_size);
}
