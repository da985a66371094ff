/*
 * rotating_file.h: a file that lines are appended to, and that makes room for a new one by size or age: FILE, FILE.1 (the newest old one), FILE.2 …
 *
 * Runs in the master (log_to = file) and in command workers (log_file). Writes go through the page cache: they wait only when the machine itself has no room left. Not for several
 * writers: each would rotate the others' file away.
 */
#ifndef COMMON_ROTATING_FILE_H
#define COMMON_ROTATING_FILE_H

#include "common/slice.h"

#include <stdint.h>

struct rotating_file {
    char path[4096];
    uint64_t max_bytes; /* 0: never by size */
    uint64_t max_ms;    /* 0: never by age */
    uint64_t keep;      /* old files */
    int fd;             /* -1: not open */
    uint64_t bytes, born_ms;
};

/* Opens f->path for appending (0640), or again when it is open. 0, or a negative errno with an open file still open. */
int rotating_file_open(struct rotating_file *f);

/* Appends whole lines, rotating first when they would not fit. False: not written (half a line is taken back). */
bool rotating_file_write(struct rotating_file *f, struct slice text);

void rotating_file_close(struct rotating_file *f);

#endif
