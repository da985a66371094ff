/* collect.c: the workers' stderr and our own lines, brought into one form. See collect.h. */
#include "master/logs/collect.h"

#include "common/clock.h"
#include "common/json/json_check.h"
#include "common/json/json_write.h"
#include "common/utf8.h"
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
#define COLLECT_LAST        4    /* dropped lines written after all: why it ended is among them */
#define COLLECT_TELL_MS     1000 /* a drop is told so long after it, if no line comes first */

/*
 * Warnings of a worker's own code let through beyond its share: it says what ended the program that used it up. Few,
 * and bounded as the rest is: a program has its worker's stderr, and can write the mark.
 */
#define COLLECT_URGENT_PER_SECOND 20

struct collect_kept {
    char *text; /* NULL: memory was short */
    unsigned char level;
    bool marked;
    bool dropped; /* and not yet written as one of the last */
};

struct collect_stream {
    uv_pipe_t pipe;
    uv_timer_t timer; /* runs while a drop is untold: there may be no next line */
    int open_handles;
    struct buffer in;
    bool cutting; /* inside a line that was too long: the rest up to the newline is dropped */
    char worker[COLLECT_NAME_MAX];
    enum log_level plain; /* of lines without a mark */
    enum log_level level; /* lines above it are not passed on */
    /* COLLECT_KEEP of them, made with the first line; NULL: none yet, or memory was short for it */
    struct collect_kept *kept;
    size_t kept_count;
    uint64_t second; /* clock_mono_ms / 1000 the flood counts belong to */
    uint64_t in_second;
    uint64_t urgent_in_second;
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

/* What a room of `max` bytes leaves of a line: a JSON string must not end inside a character. */
static struct slice collect_shorten(struct slice line, size_t max)
{
    return line.len <= max ? line : slice_make(line.ptr, utf8_whole(slice_make(line.ptr, max)));
}

/* NULL when memory is short. */
static struct collect_kept *collect_keep(struct collect_stream *s, struct slice line)
{
    if (s->kept == NULL)
        s->kept = calloc(COLLECT_KEEP, sizeof *s->kept);
    if (s->kept == NULL)
        return NULL;
    struct collect_kept *at = &s->kept[s->kept_count++ % COLLECT_KEEP];
    free(at->text);
    *at = (struct collect_kept){.text = slice_dup(collect_shorten(line, COLLECT_KEEP_BYTES))};
    return at;
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

/*
 * A line of a worker's own form, or a program's: a JSON object means what it meant, anything else
 * becomes the event "output".
 */
static void collect_form_line(struct collect_stream *s, enum log_level level, bool marked,
                              struct slice line)
{
    static struct buffer text;
    buffer_clear(&text);
    bool object = !marked && line.ptr[0] == '{' && json_check_object(line);
    if (object) {
        json_write_harmless(&text, line);
    } else if (marked) {
        buffer_append_slice(&text, line);
        if (buffer_ok(&text))
            log_clean(text.data, text.len);
    } else {
        buffer_append_text(&text, "output line=");
        log_quote_whole(&text, line);
    }
    if (buffer_ok(&text))
        collect_write(level, s->worker, buffer_slice(&text), object);
}

/* ---- a flood ---- */

/* Those of the last lines that were dropped, oldest first. Returns how many. */
static size_t collect_last_dropped(struct collect_stream *s,
                                   struct collect_kept *last[COLLECT_LAST])
{
    size_t count = 0;
    for (size_t back = COLLECT_LAST; s->kept != NULL && back > 0; back--) {
        struct collect_kept *at = &s->kept[(s->kept_count - back) % COLLECT_KEEP];
        if (back <= s->kept_count && at->dropped && at->text != NULL)
            last[count++] = at;
    }
    return count;
}

/* How many lines the flood cost, and the last of them. */
static void collect_tell_dropped(struct collect_stream *s)
{
    struct collect_kept *last[COLLECT_LAST];
    char text[96];
    if (s->dropped == 0)
        return;
    size_t count = collect_last_dropped(s, last);
    if (s->dropped > count) {
        int n = snprintf(text, sizeof text, "log-flood dropped=%llu",
                         (unsigned long long)(s->dropped - count));
        collect_write(LOG_LEVEL_WARN, s->worker, slice_make(text, (size_t)n), false);
    }
    s->dropped = 0;
    uv_timer_stop(&s->timer);
    for (size_t i = 0; i < count; i++) {
        last[i]->dropped = false;
        collect_form_line(s, (enum log_level)last[i]->level, last[i]->marked,
                          slice_of(last[i]->text));
    }
}

static void collect_on_timer(uv_timer_t *timer)
{
    collect_tell_dropped(timer->data);
}

static void collect_begin_second(struct collect_stream *s)
{
    uint64_t second = clock_mono_ms() / 1000;
    if (second == s->second)
        return;
    collect_tell_dropped(s);
    s->second = second;
    s->in_second = s->urgent_in_second = 0;
}

/* True while the worker keeps within its share. */
static bool collect_admit(struct collect_stream *s, bool urgent)
{
    if (s->in_second < COLLECT_LINES_PER_SECOND) {
        s->in_second++;
        return true;
    }
    if (urgent && s->urgent_in_second < COLLECT_URGENT_PER_SECOND) {
        s->urgent_in_second++;
        collect_tell_dropped(s); /* they were said before it */
        return true;
    }
    return false;
}

static void collect_drop(struct collect_stream *s, struct collect_kept *kept, enum log_level level,
                         bool marked)
{
    if (s->dropped++ == 0)
        uv_timer_start(&s->timer, collect_on_timer, COLLECT_TELL_MS, 0);
    if (kept != NULL)
        *kept = (struct collect_kept){kept->text, (unsigned char)level, marked, .dropped = true};
}

static void collect_line(struct collect_stream *s, struct slice line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return;
    enum log_level level = s->plain;
    bool marked = collect_take_mark(&line, &level);
    collect_begin_second(s);
    struct collect_kept *kept = collect_keep(s, line);
    if (line.len == 0 || level > s->level)
        return;
    if (collect_admit(s, marked && level <= LOG_LEVEL_WARN))
        collect_form_line(s, level, marked, line);
    else
        collect_drop(s, kept, level, marked);
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
            collect_line(s, too_long ? slice_make(from, utf8_whole(slice_make(from, LOG_LINE_MAX)))
                                     : collect_shorten(slice_make(from, len), LOG_LINE_MAX));
        s->cutting = too_long;
        at += len + (nl != NULL ? 1 : 0);
    }
    buffer_consume(&s->in, at);
    if (s->in.len == 0)
        buffer_reset(&s->in, 0); /* most say nothing for long */
}

/* Nothing more comes: what is there is a line, and what was dropped is told. */
static void collect_end(struct collect_stream *s)
{
    if (!s->in.failed)
        collect_cut(s, true);
    collect_tell_dropped(s);
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
        collect_end(s);
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
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    s->open_handles = 2;
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
    collect_end(s);
}

static const char *collect_text(const struct collect_kept *kept)
{
    return kept->text != NULL ? kept->text : "";
}

const char *collect_stream_last(const struct collect_stream *s)
{
    return s->kept_count > 0 ? collect_text(&s->kept[(s->kept_count - 1) % COLLECT_KEEP]) : "";
}

const char *collect_stream_line(const struct collect_stream *s, size_t index)
{
    size_t have = s->kept_count < COLLECT_KEEP ? s->kept_count : COLLECT_KEEP;
    if (index >= have)
        return NULL;
    return collect_text(&s->kept[(s->kept_count - have + index) % COLLECT_KEEP]);
}

static void collect_on_closed(uv_handle_t *handle)
{
    struct collect_stream *s = handle->data;
    if (--s->open_handles > 0)
        return;
    for (size_t i = 0; s->kept != NULL && i < COLLECT_KEEP; i++)
        free(s->kept[i].text);
    free(s->kept);
    buffer_fini(&s->in);
    free(s);
}

void collect_stream_free(struct collect_stream *s)
{
    if (s == NULL)
        return;
    collect_stream_drain(s);
    uv_close((uv_handle_t *)&s->timer, collect_on_closed);
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

void collect_stream_settle(struct collect_stream *s)
{
    collect_tell_dropped(s);
}

void collect_stream_remember(struct collect_stream *s, struct slice line)
{
    collect_keep(s, line);
}
