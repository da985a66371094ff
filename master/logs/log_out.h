/*
 * log_out.h: where the master's log lines go: stderr, a file that is rotated, syslog or the journal.
 *
 * Runs in the master, one thread. Never waits for a reader: a line for which there is no room is dropped, and the next
 * that gets through says how many were. A file is written through the page cache, which can only wait when the machine
 * itself has no room left.
 */
#ifndef MASTER_LOG_OUT_H
#define MASTER_LOG_OUT_H

#include "master/logs/log_form.h"

enum log_out_to { LOG_OUT_STDERR, LOG_OUT_FILE, LOG_OUT_SYSLOG, LOG_OUT_JOURNAL };

struct log_out_settings {
    enum log_out_to to;
    bool json;               /* form of stderr and the file */
    char path[4096];         /* of the file or the socket */
    uint64_t rotate_bytes;   /* 0: never by size */
    uint64_t rotate_ms;      /* 0: never by age */
    uint64_t rotations_kept; /* as PATH.1, the newest, PATH.2 … */
};

/*
 * Takes them over. 0; or a negative errno with lines going where they went before: -EWOULDBLOCK when another
 * process writes the file, for which one that is on its way out is waited for a moment.
 */
int log_out_configure(const struct log_out_settings *settings);

/* Why it has failed with that. Lives until the next failure. */
const char *log_out_why(int rc);

/* The descriptor of the file, which stays open over an upgrade, that nobody takes it in between; -1: none. */
int log_out_fd(void);

/* After an upgrade, before log_out_configure: the file at `path` as the last master has left it open, if it has. */
void log_out_resume(const char *path);

void log_out_write(const struct log_line *line);

/*
 * Opens the file anew, for whoever has moved it away: SIGUSR2. 0 or a negative errno; then the old one is written on.
 */
int log_out_reopen(void);

/* Closes what is open; lines go to stderr from here on. */
void log_out_fini(void);

#endif
