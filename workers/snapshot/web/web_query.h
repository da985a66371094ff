/*
 * web_query.h: what a reader of a stream asks for, and where it was.
 *
 * Runs in the web worker. Pure.
 */
#ifndef WORKERS_SNAPSHOT_WEB_QUERY_H
#define WORKERS_SNAPSHOT_WEB_QUERY_H

#include "common/slice.h"

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, "name"): how much of a change a reader wants. */
#define WEB_CONTENTS(X)                                                                            \
    X(DELTA, "delta")                                                                              \
    X(FULL, "full")                                                                                \
    X(NONE, "none")

enum web_content {
#define X(NAME, name) WEB_CONTENT_##NAME,
    WEB_CONTENTS(X)
#undef X
        WEB_CONTENT_COUNT,
};

/* NULL: none is said, which means delta. False: it is none of them. */
bool web_content_read(const char *text, enum web_content *out);

/* An event's id: SEQ-COMMIT12, the number of a change and the beginning of its commit. */
#define WEB_ID_DIGITS 12
#define WEB_ID_SIZE   40

struct web_id {
    uint64_t seq;
    char commit[WEB_ID_DIGITS + 1];
};

/* False: it is none. */
bool web_id_read(const char *text, struct web_id *out);
void web_id_write(uint64_t seq, const char *commit, char text[WEB_ID_SIZE]);

/* Takes the next name off a list NAME,NAME,… False: there is none left. */
bool web_names_next(struct slice *list, struct slice *name);

#endif
