/*
 * log_form.h: one log line in the form its reader wants: text, JSON, syslog, or the journal's fields.
 *
 * Runs in the master. Pure.
 */
#ifndef MASTER_LOG_FORM_H
#define MASTER_LOG_FORM_H

#include "common/buffer.h"
#include "common/log.h"

#include <stdint.h>

enum log_form {
    LOG_FORM_TEXT, /* time level worker line */
    LOG_FORM_JSON, /* an object: ts, level, worker, event, the line's fields, text */
    LOG_FORM_SYSLOG, /* a datagram for /dev/log: RFC 3164's priority, tag and message; syslogd adds the time */
    LOG_FORM_JOURNAL, /* a datagram for systemd-journald: https://systemd.io/JOURNAL_NATIVE_PROTOCOL */
};

struct log_line {
    uint64_t wall_ms;
    enum log_level level;
    const char *worker;
    struct slice text; /* "event key=value key="two words"", or the JSON object */
    bool object;       /* a JSON object of a program's own: it stands in ours */
};

/* Appends the line; text and JSON end with a newline, datagrams do not. */
void log_form(struct buffer *out, enum log_form form, const struct log_line *line);

#endif
