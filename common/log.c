/* log.c: one line per event. See log.h. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_QUOTE_SLOTS 8
#define LOG_QUOTE_MAX   200

static enum log_level log_limit = LOG_LEVEL_INFO;
static log_sink log_to;
static void *log_to_ctx;

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
    log_limit = level;
}

enum log_level log_get_level(void)
{
    return log_limit;
}

void log_set_sink(log_sink sink, void *ctx)
{
    log_to = sink;
    log_to_ctx = ctx;
}

static void log_to_stderr(enum log_level level, struct slice line)
{
    char out[LOG_LINE_MAX + 8];
    int n = snprintf(out, sizeof out, "<%d>%.*s\n", (int)level, (int)line.len, line.ptr);
    /* One write, so that lines of several processes on one pipe do not mix; a reader that is gone is not our business. */
    while (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0 && errno == EINTR)
        ;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (level > log_limit)
        return;
    char line[LOG_LINE_MAX];
    int head = snprintf(line, sizeof line, "%s%s", event, format[0] ? " " : "");
    if (head < 0)
        return;
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + head, sizeof line - (size_t)head, format, args);
    va_end(args);
    if (body < 0)
        return;
    size_t len = (size_t)head + (size_t)body;
    if (len >= sizeof line) {
        static const char cut[] = "…";
        len = sizeof line - 1;
        memcpy(line + len - (sizeof cut - 1), cut, sizeof cut - 1);
    }
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    if (log_to != NULL)
        log_to(level, slice_make(line, len), log_to_ctx);
    else
        log_to_stderr(level, slice_make(line, len));
}

static bool log_is_plain(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

const char *log_quote(struct slice value)
{
    static char slots[LOG_QUOTE_SLOTS][LOG_QUOTE_MAX * 4 + 8];
    static size_t next;
    char *out = slots[next];
    next = (next + 1) % LOG_QUOTE_SLOTS;

    bool plain = value.len > 0 && value.len <= LOG_QUOTE_MAX;
    for (size_t i = 0; i < value.len && plain; i++)
        plain = log_is_plain((unsigned char)value.ptr[i]);
    if (plain) {
        memcpy(out, value.ptr, value.len);
        out[value.len] = '\0';
        return out;
    }
    size_t at = 0;
    out[at++] = '"';
    size_t shown = value.len < LOG_QUOTE_MAX ? value.len : LOG_QUOTE_MAX;
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '"' || c == '\\') {
            out[at++] = '\\';
            out[at++] = (char)c;
        } else if (c >= ' ' && c < 0x7f) {
            out[at++] = (char)c;
        } else {
            at += (size_t)sprintf(out + at, "\\x%02x", c);
        }
    }
    if (shown < value.len) {
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
