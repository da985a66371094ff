/* log.c: one line per event. See log.h. */
#include "common/log.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_QUOTE_SLOTS 8
#define LOG_QUOTE_MAX   200
#define LOG_QUOTE_ONE   16 /* room for one character, of which each byte is \xNN */

/* Together: of a thousand helpers each page that is written is four megabytes. */
static struct {
    enum log_level limit;
    bool shared; /* our stderr, with a program */
    log_sink to;
    void *to_ctx;
} log_state = {.limit = LOG_LEVEL_INFO};

static const struct {
    enum log_level level;
    const char *name;
} log_levels[] = {
    {LOG_LEVEL_ERROR, "error"},
    {LOG_LEVEL_WARN, "warn"},
    {LOG_LEVEL_INFO, "info"},
    {LOG_LEVEL_DEBUG, "debug"},
};

#define LOG_LEVEL_COUNT (sizeof log_levels / sizeof log_levels[0])

const char *log_level_name(enum log_level level)
{
    for (size_t i = 0; i < LOG_LEVEL_COUNT; i++)
        if (log_levels[i].level == level)
            return log_levels[i].name;
    return "info";
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(log_levels[i].name, name) == 0) {
            *level = log_levels[i].level;
            return true;
        }
    }
    return false;
}

void log_set_level(enum log_level level)
{
    log_state.limit = level;
}

enum log_level log_get_level(void)
{
    return log_state.limit;
}

void log_set_sink(log_sink sink, void *ctx)
{
    log_state.to = sink;
    log_state.to_ctx = ctx;
}

void log_share_stderr(void)
{
    log_state.shared = true;
}

static void log_to_stderr(enum log_level level, struct slice line)
{
    char out[LOG_LINE_MAX + 8];
    int n = snprintf(out, sizeof out, "%s<%d>%.*s\n", log_state.shared ? "\n" : "", (int)level,
                     (int)line.len, line.ptr);
    /*
     * One write, so that lines of several processes on one pipe do not mix; a reader that is gone is not our business.
     */
    while (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0 && errno == EINTR)
        ;
}

void log_clean(char *line, size_t len)
{
    for (size_t i = 0; i < len;) {
        struct slice rest = slice_make(line + i, len - i);
        size_t n = utf8_character(rest);
        if (n == 0)
            line[i] = '?';
        memset(line + i, ' ', utf8_control(rest));
        i += n > 0 ? n : 1;
    }
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (level > log_state.limit)
        return;
    static const char cut[] = "…";
    char line[LOG_LINE_MAX];
    int head = snprintf(line, sizeof line, "%s%s", event, format[0] ? " " : "");
    if (head < 0)
        return;
    size_t len = (size_t)head;
    if (len < sizeof line) {
        va_list args;
        va_start(args, format);
        int body = vsnprintf(line + len, sizeof line - len, format, args);
        va_end(args);
        if (body < 0)
            return;
        len += (size_t)body;
    }
    bool whole = len < sizeof line;
    if (!whole)
        len = utf8_cut(slice_make(line, sizeof line - 1), sizeof line - sizeof cut);
    log_clean(line, len);
    if (!whole) {
        memcpy(line + len, cut, sizeof cut - 1);
        len += sizeof cut - 1;
    }
    if (log_state.to != NULL)
        log_state.to(level, slice_make(line, len), log_state.to_ctx);
    else
        log_to_stderr(level, slice_make(line, len));
}

static bool log_is_plain(unsigned char c)
{
    return c > ' ' && c != '"' && c != '\\' && c != '=';
}

/* Length of the character `rest` begins with, when it needs no quotes; else 0. */
static size_t log_plain(struct slice rest)
{
    bool plain = log_is_plain((unsigned char)*rest.ptr) && utf8_control(rest) == 0;
    return plain ? utf8_character(rest) : 0;
}

/* Writes the character at value[0], escaped when it must be; *used is how many bytes of the value that was. */
static size_t log_quote_one(struct slice value, char *out, size_t *used)
{
    char c = value.ptr[0];
    size_t n = utf8_character(value);
    *used = n > 0 ? n : 1;
    if (n == 0 || utf8_control(value) > 0) {
        for (size_t i = 0; i < *used; i++)
            sprintf(out + 4 * i, "\\x%02x", (unsigned char)value.ptr[i]);
        return 4 * *used;
    }
    bool escape = c == '"' || c == '\\';
    if (escape)
        *out++ = '\\';
    memcpy(out, value.ptr, n);
    return n + escape;
}

void log_quote_whole(struct buffer *out, struct slice value)
{
    char one[LOG_QUOTE_ONE];
    size_t plain = 0, n = 1;
    while (plain < value.len && n > 0) {
        n = log_plain(slice_make(value.ptr + plain, value.len - plain));
        plain += n;
    }
    if (plain > 0 && plain == value.len) {
        buffer_append_slice(out, value);
        return;
    }
    buffer_append_char(out, '"');
    for (size_t i = 0, used; i < value.len; i += used) {
        n = log_quote_one(slice_make(value.ptr + i, value.len - i), one, &used);
        buffer_append_slice(out, slice_make(one, n));
    }
    buffer_append_char(out, '"');
}

const char *log_quote(struct slice value)
{
    static char slots[LOG_QUOTE_SLOTS][LOG_QUOTE_MAX * 4 + LOG_QUOTE_ONE + 8];
    static size_t next;
    char *out = slots[next];
    next = (next + 1) % LOG_QUOTE_SLOTS;

    size_t at = 0, i = 0, used;
    bool plain = value.len > 0 && value.len <= LOG_QUOTE_MAX;
    out[at++] = '"';
    while (i < value.len && i < LOG_QUOTE_MAX) {
        size_t written = log_quote_one(slice_make(value.ptr + i, value.len - i), out + at, &used);
        plain = plain && written == used && log_is_plain((unsigned char)value.ptr[i]);
        at += written;
        i += used;
    }
    if (plain && i == value.len) {
        out[at] = '\0';
        return out + 1;
    }
    if (i < value.len) {
        memcpy(out + at, "...", 3);
        at += 3;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

const char *log_quote_text(const char *value)
{
    return log_quote(slice_of(value));
}
