/*
 * collect.h: every process' words become log lines of one form.
 *
 * Runs in the master. A worker's stderr (and a command's output) arrives through a pipe, is cut into lines, gets time,
 * level and worker name, and goes where log lines go (log_out.h). The last lines of each worker are kept for its
 * obituary. A flood from one worker is limited: its first lines of each second are written, how many were dropped, the
 * last of those, and what the worker's own code has to say of it.
 */
#ifndef MASTER_COLLECT_H
#define MASTER_COLLECT_H

#include "common/buffer.h"
#include "common/log.h"

#include <uv.h>

/* Lines kept per worker, lines let through per worker and second. */
#define COLLECT_KEEP             100
#define COLLECT_LINES_PER_SECOND 500

/* Makes the master's own log_write lines take the same road, as worker "platoon". */
void collect_own_lines(void);

/* Keeps the line (logs.h) and hands it on (log_out.h). `object`: it is a JSON object of a program's own. */
void collect_write(enum log_level level, const char *worker, struct slice text, bool object);

struct collect_stream;

/*
 * Reads lines from `fd` (taken over, made non-blocking) until end of file. Lines without a `<N>` mark get `plain` as
 * their level and, unless they are JSON objects, the event "output"; those above `level` are kept for the obituary
 * only. `worker` is copied. NULL when memory is short; the fd is closed then.
 */
struct collect_stream *collect_stream_new(uv_loop_t *loop, int fd, const char *worker,
                                          enum log_level plain, enum log_level level);

void collect_stream_set_level(struct collect_stream *s, enum log_level level);

/*
 * Reads what is in the pipe now, without waiting, as the last there is: before an obituary, so that the last words are
 * in it.
 */
void collect_stream_drain(struct collect_stream *s);

/* The last line said, without its mark; "" when there is none. Lives until the next line. */
const char *collect_stream_last(const struct collect_stream *s);

/* The kept lines, oldest first: index 0..; NULL past the end. */
const char *collect_stream_line(const struct collect_stream *s, size_t index);

/* For the next master: its descriptor, what has come of a line that is not whole, and the way back. */
int collect_stream_fd(const struct collect_stream *s);
void collect_stream_settle(struct collect_stream *s); /* tells now what it had to tell later */
struct slice collect_stream_partial(const struct collect_stream *s);
void collect_stream_feed(struct collect_stream *s, struct slice bytes);
void collect_stream_remember(struct collect_stream *s, struct slice line);

/* Drains and closes. Its lines can be read until the loop comes round, when it is freed. Accepts NULL. */
void collect_stream_free(struct collect_stream *s);

#endif
