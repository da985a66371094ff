/* log_out.c: see log_out.h. */
#include "master/log_out.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    struct log_out_settings s;
    int fd; /* of the file or socket; -1: stderr */
    uint64_t bytes, born_ms;
    uint64_t lost; /* lines there was no room for */
} out = {.fd = -1};

/* ---- opening ---- */

static void out_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* A file that was there counts with its age: without statx's birth time, from now on. */
static int out_open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    struct statx info;
    if (fd < 0)
        return -errno;
    out.bytes = 0;
    out.born_ms = clock_wall_ms();
    if (statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BTIME, &info) == 0) {
        out.bytes = info.stx_size;
        if (info.stx_size > 0 && (info.stx_mask & STATX_BTIME))
            out.born_ms = (uint64_t)info.stx_btime.tv_sec * 1000 + info.stx_btime.tv_nsec / 1000000;
    }
    return fd;
}

static int out_open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int rc = -errno;
    out_close(fd);
    return rc;
}

static int out_open(const struct log_out_settings *s)
{
    switch (s->to) {
    case LOG_OUT_FILE:
        return out_open_file(s->path);
    case LOG_OUT_SYSLOG:
    case LOG_OUT_JOURNAL:
        return out_open_socket(s->path);
    case LOG_OUT_STDERR:
        break;
    }
    return -1;
}

int log_out_configure(const struct log_out_settings *s)
{
    bool same = s->to == out.s.to && strcmp(s->path, out.s.path) == 0;
    int fd = same ? out.fd : out_open(s);
    if (s->to != LOG_OUT_STDERR && fd < 0)
        return fd;
    if (!same)
        out_close(out.fd);
    out.fd = s->to != LOG_OUT_STDERR ? fd : -1;
    out.s = *s;
    return 0;
}

int log_out_reopen(void)
{
    int fd = out.s.to == LOG_OUT_STDERR ? out.fd : out_open(&out.s);
    if (out.s.to == LOG_OUT_STDERR)
        return 0;
    if (fd < 0)
        return fd;
    out_close(out.fd);
    out.fd = fd;
    return 0;
}

void log_out_fini(void)
{
    out_close(out.fd);
    out.fd = -1;
    out.s = (struct log_out_settings){.to = LOG_OUT_STDERR};
}

/* ---- rotation ---- */

/* PATH.4 -> PATH.5, …, PATH -> PATH.1. What cannot be renamed stays, and the file grows on. */
static void out_rotate(void)
{
    char from[sizeof out.s.path + 24], to[sizeof out.s.path + 24];
    for (uint64_t i = out.s.rotations_kept; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%llu", out.s.path, (unsigned long long)i);
        snprintf(from, sizeof from, "%s.%llu", out.s.path, (unsigned long long)i - 1);
        rename(i > 1 ? from : out.s.path, to);
    }
    if (out.s.rotations_kept == 0)
        unlink(out.s.path);
    log_out_reopen();
}

static bool out_is_full(size_t more)
{
    uint64_t age = clock_wall_ms() - out.born_ms;
    return out.bytes > 0 && ((out.s.rotate_bytes > 0 && out.bytes + more > out.s.rotate_bytes) ||
                             (out.s.rotate_ms > 0 && age >= out.s.rotate_ms &&
                              age < UINT64_MAX / 2)); /* a clock set back is no age */
}

/* ---- writing ---- */

/*
 * When the whole line fits without waiting. Asking poll() first, and not O_NONBLOCK, because stderr's file description is
 * shared with whoever started us, and must stay as they set it. A pipe that polls writable takes PIPE_BUF (4096) bytes.
 */
static bool out_put_stderr(struct slice text)
{
    struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
        return false;
    ssize_t n;
    do
        n = write(STDERR_FILENO, text.ptr, text.len);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

/* Half a line, when the disk is full, is taken back: a reader sees whole lines only. */
static bool out_put_file(struct slice text)
{
    if (out_is_full(text.len))
        out_rotate();
    ssize_t n;
    do
        n = write(out.fd, text.ptr, text.len);
    while (n < 0 && errno == EINTR);
    if (n > 0 && (size_t)n < text.len && ftruncate(out.fd, (off_t)out.bytes) != 0)
        out.bytes += (size_t)n;
    if (n != (ssize_t)text.len)
        return false;
    out.bytes += text.len;
    return true;
}

/* A daemon that was restarted has another socket under the old name. */
static bool out_put_socket(struct slice text)
{
    if (send(out.fd, text.ptr, text.len, MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == EMSGSIZE || log_out_reopen() != 0)
        return false;
    return send(out.fd, text.ptr, text.len, MSG_NOSIGNAL) >= 0;
}

static bool out_put(struct slice text)
{
    switch (out.s.to) {
    case LOG_OUT_FILE:
        return out_put_file(text);
    case LOG_OUT_SYSLOG:
    case LOG_OUT_JOURNAL:
        return out_put_socket(text);
    case LOG_OUT_STDERR:
        break;
    }
    return out_put_stderr(text);
}

static bool out_line(const struct log_line *line)
{
    static struct buffer text;
    enum log_form form = out.s.to == LOG_OUT_SYSLOG    ? LOG_FORM_SYSLOG
                         : out.s.to == LOG_OUT_JOURNAL ? LOG_FORM_JOURNAL
                         : out.s.json                  ? LOG_FORM_JSON
                                                       : LOG_FORM_TEXT;
    buffer_clear(&text);
    log_form(&text, form, line);
    return buffer_ok(&text) && out_put(buffer_slice(&text));
}

void log_out_write(const struct log_line *line)
{
    if (out.lost > 0) {
        char text[64];
        int n =
            snprintf(text, sizeof text, "log-lines-lost count=%llu", (unsigned long long)out.lost);
        struct log_line lost = {.wall_ms = line->wall_ms,
                                .level = LOG_LEVEL_WARN,
                                .worker = "platoon",
                                .text = slice_make(text, (size_t)n)};
        if (out_line(&lost))
            out.lost = 0;
    }
    if (!out_line(line))
        out.lost++;
}
