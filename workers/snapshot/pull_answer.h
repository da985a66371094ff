/*
 * pull_answer.h: what a pull makes of an answer over HTTP, and what it tells a server.
 *
 * Runs in pulls. Pure, but for the file of pull_headers_read.
 */
#ifndef WORKERS_SNAPSHOT_PULL_ANSWER_H
#define WORKERS_SNAPSHOT_PULL_ANSWER_H

#include "common/http/http_client.h"

#include <stdbool.h>

#define PULL_HEADERS_MAX 32
#define PULL_MARK_SIZE   512 /* of an ETag or a Last-Modified, with its NUL; a longer one is none */

enum pull_meaning {
    PULL_BYTES,
    PULL_UNCHANGED,
    PULL_FOLLOW, /* http_answer_header "Location" says where to */
    PULL_FAILED,
};

/* `conditional`: it was asked whether there is something new. `why`, of `size`, is one line when it failed. */
enum pull_meaning pull_answer_read(const struct http_answer *answer, bool conditional,
                                   uint64_t size_max, char *why, size_t size);

struct pull_headers {
    char *text; /* what the list points into; it is wiped */
    size_t size;
    struct http_header list[PULL_HEADERS_MAX];
    size_t count;
};

/*
 * The first `len` bytes of `text` as the lines they are, which is changed for it. 0, or the number of the first line
 * that is none: what is in the list then is of the lines before.
 */
unsigned pull_headers_parse(struct pull_headers *h, size_t len);

/*
 * The lines of a file that nobody else may read. False with one line in `why`, which shows nothing of them. To be freed
 * in either case. Blocks on the disk.
 */
bool pull_headers_read(struct pull_headers *h, const char *path, char *why, size_t size);
void pull_headers_free(struct pull_headers *h);

#endif
