/*
 * log.h: one line per event, to stderr.
 *
 * Runs in every process. A line is `<N>event key=value key="two words"`, N being the syslog level. Time, worker name
 * and the text or JSON form are added by the master, which collects every worker's stderr (master/logs/collect.c): so a
 * crash's last words take the same road as everything else, and changing the format needs no word to any worker.
 *
 * Library code (common/, proto/) returns errors and does not log; the caller logs once, with the object and the remedy.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/buffer.h"

enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARN = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Longest line, cut with "…" beyond: a record's content must not become the log. */
#define LOG_LINE_MAX 2048

/* Name of a level ("error", "warn", "info", "debug"). */
const char *log_level_name(enum log_level level);

/* Reads a level's name. Returns false, *level untouched, when there is none of that name. */
bool log_level_parse(const char *name, enum log_level *level);

/* Lines above this level are not written. Default: info. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * From here on others write to our stderr too, whose last line may lack its end: each of our lines begins with one. Who
 * reads it drops the empty line that this is otherwise.
 */
void log_share_stderr(void);

/*
 * Where lines go; NULL is stderr. `line` is the whole line without a newline, without the `<N>` mark. The master uses
 * it to bring its own lines into the form it gives everybody's; tests use it to look at them.
 */
typedef void (*log_sink)(enum log_level level, struct slice line, void *ctx);
void log_set_sink(log_sink sink, void *ctx);

/*
 * Writes one line: the event (a few words joined by '-': "claim-expired"), then format and arguments as in printf,
 * which make `key=value` pairs. For a value that may hold spaces, quotes or control bytes use "key=%s" with log_quote.
 * Never blocks for longer than a write to stderr.
 */
void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_write(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

/*
 * A value made safe for a log line: quoted when needed, control characters (utf8_control) and invalid UTF-8 as \xNN,
 * cut to about 200 bytes. Returns one of a few static buffers in turn (8: enough for one line).
 */
const char *log_quote(struct slice value);
const char *log_quote_text(const char *value);

/* The same for a value of any length, appended whole. */
void log_quote_whole(struct buffer *out, struct slice value);

/* Makes a line text, in place: control characters (utf8_control) become spaces, what is not UTF-8 becomes '?'. */
void log_clean(char *line, size_t len);

#endif
