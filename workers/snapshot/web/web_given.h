/*
 * web_given.h: what a what-if is asked with over HTTP: {"with":{"raw":"text" or {"base64":"…"}},"at":"VERSION"}.
 *
 * Runs in the web worker. Pure.
 */
#ifndef WORKERS_SNAPSHOT_WEB_GIVEN_H
#define WORKERS_SNAPSHOT_WEB_GIVEN_H

#include "common/buffer.h"
#include "proto/contract.h"
#include "proto/snapshot/snapshot_limits.h"

#define WEB_AT_SIZE 64

struct web_given {
    struct web_given_one {
        char name[CONTRACT_NAME_MAX];
        struct buffer bytes;
    } list[SNAPSHOT_GIVEN_MAX];
    size_t count;         /* at least one, when it has been read */
    char at[WEB_AT_SIZE]; /* "": the newest */
};

/*
 * NULL, or why it is none, one line. `g` is all zeros before; it is the caller's in either case (web_given_free). A
 * name stands there once, and nothing else beside `with` and `at` does: who misspells is told so.
 */
const char *web_given_read(struct slice body, struct web_given *g);
void web_given_free(struct web_given *g);

#endif
