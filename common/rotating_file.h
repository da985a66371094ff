/*
 * rotating_file.h: a file that lines are appended to, and that makes room for a new one by size or age: FILE, FILE.1
 * (the newest old one), FILE.2 …
 *
 * Runs in the master (log_to = file) and in command workers (log_file). Writes go through the page cache: they wait
 * only when the machine itself has no room left. Not for several writers: each would rotate the
 * others' file away; so whoever has it open holds it (hold.h).
 */
#ifndef COMMON_ROTATING_FILE_H
#define COMMON_ROTATING_FILE_H

#include "common/slice.h"

#include <stdint.h>
#include <sys/types.h>

struct rotating_file {
    char path[4096];
    uint64_t max_bytes; /* 0: never by size */
    uint64_t max_ms;    /* 0: never by age */
    uint64_t keep;      /* old files */
    uint64_t wait_ms;   /* for another writer that is on its way out, when it is opened first */
    int fd;             /* -1: not open */
    uint64_t bytes, born_ms;
    dev_t device; /* which file is open, to see that its name leads to another now */
    ino_t inode;
    char why[512]; /* after a failure */
    /* negative errno: it could not be opened anew or rotated, and what is open is written on; 0: it is well */
    int error;
    uint64_t retry_ms; /* clock_mono_ms: not before */
    bool strays;       /* what is open has no name any more */
    off_t stray_at;    /* what stands there from here on is carried into the next */
};

/*
 * Opens f->path for appending (0640), or again when it is open. 0, or a negative errno with an open file still open,
 * and f->why. -EMLINK: a symbolic link that others than root and we may have made or may change, anywhere in the path.
 * -EWOULDBLOCK: another process writes it. -ENOTUNIQ: it has a second name, and others may have
 * given it this one.
 */
int rotating_file_open(struct rotating_file *f);

/*
 * True when it is open and its name leads to it no more: somebody has renamed, replaced or deleted it (logrotate, a
 * person). It is to be opened anew then, or what is written vanishes or goes where nobody looks.
 */
bool rotating_file_is_moved(const struct rotating_file *f);

/*
 * Appends whole lines, opening anew what was moved, and rotating first when they would not fit. Where that fails the
 * open file is written on, as long as it has no more than all of them may have together, f->error and f->why say so,
 * and it is tried again, at most once a second. False, with errno: not written (half a line is taken back, and nothing
 * of what others wrote).
 */
bool rotating_file_write(struct rotating_file *f, struct slice text);

/* Without a line: tries again what has failed, when that is due. */
void rotating_file_tick(struct rotating_file *f);

void rotating_file_close(struct rotating_file *f);

#endif
