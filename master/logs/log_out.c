/* log_out.c: see log_out.h. */
#include "master/logs/log_out.h"

#include "common/hold.h"
#include "common/log.h"
#include "common/rotating_file.h"
#include "proto/contract.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What a master that was killed has open is closed moments after its locks are free. */
#define LOG_OUT_WAIT_MS 500

static struct {
    struct log_out_settings s;
    struct rotating_file file;
    int socket; /* -1: none */
    char why[512];
    uint64_t lost; /* lines there was no room for */
    bool is_stuck; /* the file could not be opened anew: has been told */
} out = {.file.fd = -1, .socket = -1};

/* ---- opening ---- */

static void out_close(int fd)
{
    if (fd >= 0)
        close(fd);
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

static int out_open_file(const struct log_out_settings *s)
{
    struct rotating_file file = {.max_bytes = s->rotate_bytes,
                                 .max_ms = s->rotate_ms,
                                 .keep = s->rotations_kept,
                                 .wait_ms = LOG_OUT_WAIT_MS,
                                 .fd = -1};
    memcpy(file.path, s->path, sizeof file.path);
    int rc = rotating_file_open(&file);
    if (rc == 0)
        out.file = file;
    else
        memcpy(out.why, file.why, sizeof out.why);
    return rc;
}

const char *log_out_why(int rc)
{
    return rc == -EMLINK || rc == -EWOULDBLOCK || rc == -ENOTUNIQ ? out.why : strerror(-rc);
}

static void out_close_all(void)
{
    rotating_file_close(&out.file);
    out_close(out.socket);
    out.socket = -1;
}

int log_out_configure(const struct log_out_settings *s)
{
    struct rotating_file file = out.file;
    int socket = out.socket, rc = 0;
    if (s->to == LOG_OUT_FILE)
        rc = out_open_file(s);
    else if (s->to != LOG_OUT_STDERR)
        rc = out_open_socket(s->path);
    if (rc < 0)
        return rc;
    if (out.file.fd == file.fd)
        out.file.fd = -1; /* lines go elsewhere now */
    out.socket = s->to == LOG_OUT_SYSLOG || s->to == LOG_OUT_JOURNAL ? rc : -1;
    out.s = *s;
    rotating_file_close(&file);
    out_close(socket);
    return 0;
}

int log_out_reopen(void)
{
    if (out.s.to == LOG_OUT_STDERR)
        return 0;
    if (out.s.to == LOG_OUT_FILE)
        return rotating_file_open(&out.file);
    int fd = out_open_socket(out.s.path);
    if (fd < 0)
        return fd;
    out_close(out.socket);
    out.socket = fd;
    return 0;
}

int log_out_fd(void)
{
    return out.file.fd;
}

void log_out_resume(const char *path)
{
    out.file.fd = hold_find(path);
    if (out.file.fd >= 0)
        fcntl(out.file.fd, F_SETFD, FD_CLOEXEC);
}

void log_out_fini(void)
{
    out_close_all();
    out.s = (struct log_out_settings){.to = LOG_OUT_STDERR};
}

/* ---- writing ---- */

/*
 * When the whole line fits without waiting. Asking poll() first, and not O_NONBLOCK, because stderr's file
 * description is shared with whoever started us, and must stay as they set it. A pipe that polls writable
 * takes PIPE_BUF (4096) bytes.
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

/* A daemon that was restarted has another socket under the old name. */
static bool out_put_socket(struct slice text)
{
    if (send(out.socket, text.ptr, text.len, MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == EMSGSIZE || log_out_reopen() != 0)
        return false;
    return send(out.socket, text.ptr, text.len, MSG_NOSIGNAL) >= 0;
}

static bool out_put(struct slice text)
{
    switch (out.s.to) {
    case LOG_OUT_FILE:
        return rotating_file_write(&out.file, text);
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

static bool out_own_line(const struct log_line *like, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line of our own among the others. */
static bool out_own_line(const struct log_line *like, const char *format, ...)
{
    char text[sizeof out.file.path * 2 + 1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    struct log_line own = {.wall_ms = like->wall_ms,
                           .level = LOG_LEVEL_WARN,
                           .worker = "platoon",
                           .text = slice_make(text, len)};
    return out_line(&own);
}

/* Once when it begins, in what had the file's name until then, and once when it is over. */
static void out_say_stuck(const struct log_line *like)
{
    char remedy[sizeof out.file.path + 64];
    int error = out.s.to == LOG_OUT_FILE ? out.file.error : 0;
    if ((error != 0) == out.is_stuck)
        return;
    out.is_stuck = error != 0;
    if (error == 0)
        out_own_line(like, "log-reopened path=%s", log_quote_text(out.file.path));
    else
        out_own_line(like,
                     "log-reopen path=%s cause=%s remedy=\"%s; what had this name is written on, "
                     "and it is tried again\"",
                     log_quote_text(out.file.path), log_quote_text(out.file.why),
                     contract_file_remedy(-error, out.file.path, remedy, sizeof remedy));
}

void log_out_write(const struct log_line *line)
{
    if (out.lost > 0 &&
        out_own_line(line, "log-lines-lost count=%llu", (unsigned long long)out.lost))
        out.lost = 0;
    if (!out_line(line))
        out.lost++;
    out_say_stuck(line);
}
