/*
 * snapshot_stacked.h: several files in one stream: =====HEADER, and each line of its content behind one tab.
 *
 * Runs in the workers that make versions. Pure. A content whose last line has no end gets one: between two files there
 * is no other way to tell them apart. No line of a content can be taken for a header, whatever it has.
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_STACKED_H
#define WORKERS_SNAPSHOT_SNAPSHOT_STACKED_H

#include "common/buffer.h"

#include <stdbool.h>

#define SNAPSHOT_STACKED_MARK "====="

/* Appends one file; failure is the buffer's. The header has no line ends. */
void snapshot_stacked_write(struct slice header, struct slice content, struct buffer *out);

/* What comes next in a stream. */
enum snapshot_stacked {
    SNAPSHOT_STACKED_FILE, /* *header is the stream's, its content has been appended */
    SNAPSHOT_STACKED_END,
    SNAPSHOT_STACKED_WRONG, /* a line that is neither a header nor has a tab */
};

/* Takes one file off the beginning of *rest. */
enum snapshot_stacked snapshot_stacked_read(struct slice *rest, struct slice *header,
                                            struct buffer *content);

#endif
