/*
 * gate_request.h: what is asked at a door, one stacked stream, and the forms of answers.
 *
 *     =====GET HEADER         [⇥VERSION]    →  =====HEADER ⇥COMMIT =====data ⇥each line
 *     =====PUT HEADER         ⇥each line    →  OK
 *                                              else ERROR: and why
 *
 * Runs in the gate. Pure. QPlan's own form (SNAPSHOT.md, Several files as one stream).
 */
#ifndef WORKERS_SNAPSHOT_GATE_REQUEST_H
#define WORKERS_SNAPSHOT_GATE_REQUEST_H

#include "common/buffer.h"
#include "proto/snapshot/snapshot_limits.h"

/* In a stream of lines that are empty each byte of a content is a line, behind a tab. */
#define GATE_REQUEST_MAX ((size_t)2 * SNAPSHOT_BYTES_MAX + 4096)

enum gate_verb { GATE_GET, GATE_PUT };

struct gate_request {
    enum gate_verb verb;
    struct slice header;   /* the resource's: the stream's bytes */
    struct slice version;  /* GET: of `content`; empty: the newest */
    struct buffer content; /* the caller's, to be freed whatever comes */
};

/* NULL: *r holds it; else why it is none, for people. `r->content` must be empty. */
const char *gate_request_read(struct slice stream, struct gate_request *r);

/* Appends an answer; failure is the buffer's. */
void gate_answer_version(struct buffer *out, struct slice header, const char *commit,
                         struct slice content);
void gate_answer_error(struct buffer *out, struct slice why);

#endif
