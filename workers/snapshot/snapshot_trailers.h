/*
 * snapshot_trailers.h: what a version's commit says of where it comes from, in git's trailers.
 *
 * Runs in the store of a snapshot. Pure. The first line is the resource; then, behind an empty line, one "Key: value" a
 * line: Seq (1, 2, 3 … of the repository, without a hole), Source, what it was made from and by (SNAPSHOT.md). Keys of
 * later builds are passed over. Source: git-interpret-trailers(1).
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_TRAILERS_H
#define WORKERS_SNAPSHOT_SNAPSHOT_TRAILERS_H

#include "common/buffer.h"
#include "proto/snapshot/snapshot_limits.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot_trailer_input {
    struct slice name, commit; /* that made the version which was read */
};

struct snapshot_trailers {
    struct slice resource;
    uint64_t seq;
    struct slice source;
    struct slice by; /* "" when nobody is named, as all below */
    struct snapshot_trailer_input inputs[SNAPSHOT_INPUTS_MAX];
    size_t input_count;
    struct slice command, url, etag, modified;
    bool timed;
    uint64_t duration_ms; /* when it is timed */
};

/* Appends the message. Ends of lines, and what is no text, become blanks: no value can be another's trailer. */
void snapshot_trailers_write(const struct snapshot_trailers *t, struct buffer *out);

/* True when a trailer with this value is what such a message has. */
bool snapshot_trailers_keep(struct slice written, struct slice value);

/* Reads a message; the slices point into it. False: it is none of ours, for it has no resource or no Seq. */
bool snapshot_trailers_read(struct slice message, struct snapshot_trailers *t);

#endif
