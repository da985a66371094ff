/* collect.c: the workers' stderr and our own lines, brought into one form. See collect.h. */
#include "master/logs/collect.h"

#include "common/clock.h"
#include "common/json/json_check.h"
#include "master/logs/log_out.h"
#include "master/logs/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COLLECT_KEEP_BYTES  240   /* of a kept line: an obituary quotes it, a person reads it */
#define COLLECT_DRAIN_BYTES 65536 /* most we read synchronously: what a pipe holds by default */
#define COLLECT_NAME_MAX    64

struct collect_stream {
    uv_pipe_t pipe;
    struct buffer in;
    bool cutting; /* inside a line that was too long: the rest up to the newline is dropped */
    char worker[COLLECT_NAME_MAX];
    enum log_level plain; /* of lines without a mark */
    enum log_level level; /* lines above it are not passed on */
    char **
        kept; /* COLLECT_KEEP of them, made with the first line; NULL: none yet, or memory was short for it */
    size_t kept_count;
    uint64_t second; /* clock_mono_ms / 1000 the flood count belongs to */
    uint64_t in_second;
    uint64_t dropped;
};

/* ---- out ---- */

void collect_write(enum log_level level, const char *worker, struct slice text, bool object)
{
    struct log_line line = {clock_wall_ms(), level, worker, text, object};
    logs_add(line.wall_ms, level, worker, text);
    log_out_write(&line);
}

static void collect_own_line(enum log_level level, struct slice line, void *ctx)
{
    (void)ctx;
    collect_write(level, "platoon", line, false);
}

void collect_own_lines(void)
{
    log_set_sink(collect_own_line, NULL);
}

/* ---- in ---- */

/* True while the worker keeps within its share; says once, in the next second, how many lines it cost. */
static bool collect_admit(struct collect_stream *s)
{
    uint64_t second = clock_mono_ms() / 1000;
    if (second != s->second) {
        if (s->dropped > 0) {
            char text[96];
            int n = snprintf(text, sizeof text, "log-flood dropped=%llu",
                             (unsigned long long)s->dropped);
            collect_write(LOG_LEVEL_WARN, s->worker, slice_make(text, (size_t)n), false);
        }
        s->second = second;
        s->in_second = 0;
        s->dropped = 0;
    }
    if (++s->in_second <= COLLECT_LINES_PER_SECOND)
        return true;
    s->dropped++;
    return false;
}

static void collect_keep(struct collect_stream *s, struct slice line)
{
    if (s->kept == NULL)
        s->kept = calloc(COLLECT_KEEP, sizeof *s->kept);
    if (s->kept == NULL)
        return;
    char **at = &s->kept[s->kept_count++ % COLLECT_KEEP];
    free(*at);
    *at = slice_dup(
        slice_make(line.ptr, line.len < COLLECT_KEEP_BYTES ? line.len : COLLECT_KEEP_BYTES));
}

/* The level of a `<N>` mark, which is taken off; false when there is none. */
static bool collect_take_mark(struct slice *line, enum log_level *level)
{
    if (line->len < 3 || line->ptr[0] != '<' || line->ptr[2] != '>' || line->ptr[1] < '0' ||
        line->ptr[1] > '7')
        return false;
    int n = line->ptr[1] - '0';
    *level = n <= LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR : n == 5 ? LOG_LEVEL_INFO : (enum log_level)n;
    *line = slice_make(line->ptr + 3, line->len - 3);
    return true;
}

/* A line of a worker's own form, or a program's: a JSON object stays as it is, anything else becomes the event "output". */
static void collect_form_line(struct collect_stream *s, enum log_level level, bool marked,
                              struct slice line)
{
    static struct buffer text;
    buffer_clear(&text);
    bool object = !marked && line.ptr[0] == '{' && json_check_object(line);
    if (marked || object) {
        buffer_append_slice(&text, line);
        if (buffer_ok(&text) && marked)
            log_clean(text.data, text.len);
    } else {
        buffer_append_text(&text, "output line=");
        log_quote_whole(&text, line);
    }
    if (buffer_ok(&text))
        collect_write(level, s->worker, buffer_slice(&text), object);
}

static void collect_line(struct collect_stream *s, struct slice line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return;
    enum log_level level = s->plain;
    bool marked = collect_take_mark(&line, &level);
    collect_keep(s, line);
    if (line.len > 0 && level <= s->level && collect_admit(s))
        collect_form_line(s, level, marked, line);
}

void collect_stream_set_level(struct collect_stream *s, enum log_level level)
{
    s->level = level;
}

static void collect_cut(struct collect_stream *s, bool at_end)
{
    size_t at = 0;
    while (at < s->in.len) {
        const char *from = s->in.data + at;
        const char *nl = memchr(from, '\n', s->in.len - at);
        size_t len = nl != NULL ? (size_t)(nl - from) : s->in.len - at;
        bool too_long = nl == NULL && len >= LOG_LINE_MAX;
        if (nl == NULL && !too_long && !at_end)
            break;
        if (!s->cutting)
            collect_line(s, slice_make(from, len < LOG_LINE_MAX ? len : LOG_LINE_MAX));
        s->cutting = too_long;
        at += len + (nl != NULL ? 1 : 0);
    }
    buffer_consume(&s->in, at);
    if (s->in.len == 0)
        buffer_reset(&s->in, 0); /* most say nothing for long */
}

static void collect_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct collect_stream *s = handle->data;
    if (s->in.failed)
        buffer_clear(&s->in); /* memory was short: those words are lost, the next need not be */
    char *room = buffer_reserve(&s->in, 4096);
    *buf = uv_buf_init(room, room == NULL ? 0 : 4096);
}

static void collect_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct collect_stream *s = stream->data;
    if (n == UV_ENOBUFS)
        return;
    if (n < 0) {
        collect_cut(s, true);
        uv_read_stop(stream);
        return;
    }
    s->in.len += (size_t)n;
    collect_cut(s, false);
}

struct collect_stream *collect_stream_new(uv_loop_t *loop, int fd, const char *worker,
                                          enum log_level plain, enum log_level level)
{
    struct collect_stream *s = calloc(1, sizeof *s);
    if (s == NULL || uv_pipe_init(loop, &s->pipe, 0) != 0) {
        free(s);
        close(fd);
        return NULL;
    }
    s->plain = plain;
    s->level = level;
    slice_copy(slice_of(worker), s->worker, sizeof s->worker);
    s->pipe.data = s;
    if (uv_pipe_open(&s->pipe, fd) != 0) {
        close(fd);
        collect_stream_free(s);
        return NULL;
    }
    if (uv_read_start((uv_stream_t *)&s->pipe, collect_on_alloc, collect_on_read) != 0) {
        collect_stream_free(s);
        return NULL;
    }
    return s;
}

void collect_stream_drain(struct collect_stream *s)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&s->pipe, &fd) != 0)
        return;
    for (size_t total = 0; total < COLLECT_DRAIN_BYTES;) {
        char *room = buffer_reserve(&s->in, 4096);
        ssize_t n = room == NULL ? -1 : read(fd, room, 4096);
        if (n < 0 && room != NULL && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        s->in.len += (size_t)n;
        total += (size_t)n;
        collect_cut(s, false);
    }
    if (!s->in.failed)
        collect_cut(s, true);
}

const char *collect_stream_last(const struct collect_stream *s)
{
    const char *last = s->kept_count == 0 ? NULL : s->kept[(s->kept_count - 1) % COLLECT_KEEP];
    return last != NULL ? last : "";
}

const char *collect_stream_line(const struct collect_stream *s, size_t index)
{
    size_t have = s->kept_count < COLLECT_KEEP ? s->kept_count : COLLECT_KEEP;
    if (index >= have)
        return NULL;
    const char *line = s->kept[(s->kept_count - have + index) % COLLECT_KEEP];
    return line != NULL ? line : "";
}

static void collect_on_closed(uv_handle_t *handle)
{
    struct collect_stream *s = handle->data;
    for (size_t i = 0; s->kept != NULL && i < COLLECT_KEEP; i++)
        free(s->kept[i]);
    free(s->kept);
    buffer_fini(&s->in);
    free(s);
}

void collect_stream_free(struct collect_stream *s)
{
    if (s == NULL)
        return;
    collect_stream_drain(s);
    uv_close((uv_handle_t *)&s->pipe, collect_on_closed);
}

/* ---- from one master to the next ---- */

int collect_stream_fd(const struct collect_stream *s)
{
    uv_os_fd_t fd;
    return uv_fileno((const uv_handle_t *)&s->pipe, &fd) == 0 ? fd : -1;
}

struct slice collect_stream_partial(const struct collect_stream *s)
{
    return buffer_slice(&s->in);
}

void collect_stream_feed(struct collect_stream *s, struct slice bytes)
{
    buffer_append_slice(&s->in, bytes);
    if (buffer_ok(&s->in))
        collect_cut(s, false);
}

void collect_stream_remember(struct collect_stream *s, struct slice line)
{
    collect_keep(s, line);
}
