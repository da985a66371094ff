/* collect.c: the workers' stderr and our own lines, brought into one form. See collect.h. */
#include "master/collect.h"

#include "common/clock.h"
#include "master/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
    enum log_level plain;
    char *kept[COLLECT_KEEP]; /* NULL: none yet, or memory was short for it */
    size_t kept_count;
    uint64_t second; /* clock_mono_ms / 1000 the flood count belongs to */
    uint64_t in_second;
    uint64_t dropped;
};

static bool collect_json;
static uint64_t collect_lost; /* lines stderr had no room for */

void collect_set_json(bool json)
{
    collect_json = json;
}

/* ---- form ---- */

static void collect_json_string(struct buffer *out, struct slice text)
{
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            buffer_append_char(out, '\\');
            buffer_append_char(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buffer_printf(out, "\\u%04x", c);
        } else {
            buffer_append_char(out, (char)c);
        }
    }
    buffer_append_char(out, '"');
}

static void collect_json_pair(struct buffer *out, const char *key, struct slice value)
{
    buffer_printf(out, ",\"%s\":", key);
    collect_json_string(out, value);
}

/* Takes the next word off *rest: up to a space outside quotes. */
static struct slice collect_word(struct slice *rest)
{
    while (rest->len > 0 && *rest->ptr == ' ')
        *rest = slice_make(rest->ptr + 1, rest->len - 1);
    size_t n = 0;
    bool quoted = false;
    while (n < rest->len && (quoted || rest->ptr[n] != ' ')) {
        if (rest->ptr[n] == '\\' && quoted && n + 1 < rest->len)
            n++;
        else if (rest->ptr[n] == '"')
            quoted = !quoted;
        n++;
    }
    struct slice word = slice_make(rest->ptr, n);
    *rest = slice_make(rest->ptr + n, rest->len - n);
    return word;
}

/* A key that can stand as a JSON key without thought; anything else is not ours, and stays text. */
static bool collect_is_key(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return key.len > 0;
}

/* `key=value` or `key="quoted value"` (log_quote) as a JSON pair. Returns false for any other word. */
static bool collect_json_field(struct buffer *out, struct slice word)
{
    const char *eq = memchr(word.ptr, '=', word.len);
    if (eq == NULL)
        return false;
    struct slice key = slice_make(word.ptr, (size_t)(eq - word.ptr));
    if (!collect_is_key(key))
        return false;
    struct slice value = slice_make(eq + 1, word.len - key.len - 1);
    buffer_append_char(out, ',');
    collect_json_string(out, key);
    buffer_append_char(out, ':');
    if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"') {
        collect_json_string(out, value);
        return true;
    }
    /* Undo log_quote's backslashes before quotes and backslashes; its \xNN stays readable text. */
    struct buffer plain = BUFFER_EMPTY;
    for (size_t i = 1; i + 1 < value.len; i++) {
        if (value.ptr[i] == '\\' && i + 2 < value.len &&
            (value.ptr[i + 1] == '"' || value.ptr[i + 1] == '\\'))
            i++;
        buffer_append_char(&plain, value.ptr[i]);
    }
    collect_json_string(out, buffer_slice(&plain));
    if (!buffer_ok(&plain))
        out->failed = true;
    buffer_fini(&plain);
    return true;
}

static void collect_format_json(struct buffer *out, const char *time, enum log_level level,
                                const char *worker, struct slice line)
{
    buffer_printf(out, "{\"ts\":\"%s\"", time);
    collect_json_pair(out, "level", slice_of(log_level_name(level)));
    collect_json_pair(out, "worker", slice_of(worker));
    struct slice rest = line;
    collect_json_pair(out, "event", collect_word(&rest));
    struct buffer text = BUFFER_EMPTY;
    for (struct slice word = collect_word(&rest); word.len > 0; word = collect_word(&rest)) {
        if (collect_json_field(out, word))
            continue;
        if (text.len > 0)
            buffer_append_char(&text, ' ');
        buffer_append_slice(&text, word);
    }
    if (text.len > 0)
        collect_json_pair(out, "text", buffer_slice(&text));
    buffer_fini(&text);
    buffer_append_text(out, "}\n");
}

void collect_format(struct buffer *out, bool json, uint64_t wall_ms, enum log_level level,
                    const char *worker, struct slice line)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, time);
    if (json) {
        collect_format_json(out, time, level, worker, line);
        return;
    }
    buffer_printf(out, "%s %-5s %s ", time, log_level_name(level), worker);
    buffer_append_slice(out, line);
    buffer_append_char(out, '\n');
}

/* ---- out ---- */

/*
 * Writes when the whole line fits without waiting. Asking poll() first, and not O_NONBLOCK, because stderr's file description is
 * shared with whoever started us, and must stay as they set it. A pipe that polls writable takes PIPE_BUF (4096) bytes.
 */
static bool collect_put(struct slice text)
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

void collect_write(enum log_level level, const char *worker, struct slice line)
{
    static struct buffer out;
    buffer_clear(&out);
    if (collect_lost > 0) {
        char text[96];
        int n = snprintf(text, sizeof text, "log-lines-lost count=%llu",
                         (unsigned long long)collect_lost);
        collect_format(&out, collect_json, clock_wall_ms(), LOG_LEVEL_WARN, "platoon",
                       slice_make(text, (size_t)n));
    }
    uint64_t wall_ms = clock_wall_ms();
    logs_add(wall_ms, level, worker, line);
    collect_format(&out, collect_json, wall_ms, level, worker, line);
    if (buffer_ok(&out) && collect_put(buffer_slice(&out)))
        collect_lost = 0;
    else
        collect_lost++;
}

static void collect_own_line(enum log_level level, struct slice line, void *ctx)
{
    (void)ctx;
    collect_write(level, "platoon", line);
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
            collect_write(LOG_LEVEL_WARN, s->worker, slice_make(text, (size_t)n));
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

static void collect_line(struct collect_stream *s, struct slice line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return;
    enum log_level level = s->plain;
    bool marked = collect_take_mark(&line, &level);
    collect_keep(s, line);
    if (level > log_get_level() || !collect_admit(s))
        return;
    if (marked) {
        collect_write(level, s->worker, line);
        return;
    }
    char text[LOG_LINE_MAX];
    int n = snprintf(text, sizeof text, "output line=%s", log_quote(line));
    collect_write(level, s->worker, slice_make(text, (size_t)n));
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
                                          enum log_level plain)
{
    struct collect_stream *s = calloc(1, sizeof *s);
    if (s == NULL || uv_pipe_init(loop, &s->pipe, 0) != 0) {
        free(s);
        close(fd);
        return NULL;
    }
    s->plain = plain;
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
    for (size_t i = 0; i < COLLECT_KEEP; i++)
        free(s->kept[i]);
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
