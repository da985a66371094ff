/*
 * web_reader.h: one who reads the changes of a store: what it is told next.
 *
 * Runs in the web worker. Pure. It keeps where it stands, and which version of each resource it holds; a change, and
 * whatever is large, is encoded once for all who are told it (web_text.h).
 * So nobody misses silently: a change is told to who holds what it is a change of, others get the newest.
 */
#ifndef WORKERS_SNAPSHOT_WEB_READER_H
#define WORKERS_SNAPSHOT_WEB_READER_H

#include "workers/snapshot/web/web_data.h"

#include <sys/uio.h>

/* How messages are told apart where they go. */
struct web_framing {
    /* What stands in front of a message of so many bytes, and behind. `id` is "" for none. */
    void (*begin)(struct buffer *out, const char *event, const char *id, size_t len);
    const char *end;
    const char *ping; /* says nothing */
    size_t ping_len;
    const char *last; /* in front of the connection's end */
    size_t number;    /* of its own, below WEB_FRAMINGS */
};

/* Server-sent events; the same, each a chunk of HTTP; text messages of a WebSocket. */
extern const struct web_framing web_framing_sse, web_framing_chunks, web_framing_websocket;

struct web_reader;

struct web_reader_options {
    const struct web_store *store;
    const struct web_framing *framing;
    enum web_content content;
    const size_t *resources; /* their places; NULL: all */
    size_t count;
    const struct web_id *since; /* NULL: it holds nothing */
};

/* Copies what it is given. NULL: memory is short. */
struct web_reader *web_reader_new(const struct web_reader_options *o);
void web_reader_free(struct web_reader *r); /* accepts NULL */

/*
 * What is to be written: what is left of the message it is in the midst of, else the next. How many parts; 0: there is
 * nothing, until something has changed; -ENOMEM. They live until web_reader_took.
 */
#define WEB_READER_PARTS 4
int web_reader_parts(struct web_reader *r, struct iovec parts[WEB_READER_PARTS]);
void web_reader_took(struct web_reader *r, size_t len);

/* It has told a part of a message, and not all. */
bool web_reader_is_within(const struct web_reader *r);

/*
 * Who has that text, and keeps it when nobody else does, is made to let go of it: falls out, and is told the newest
 * instead. False: it is in the midst of it, and can only be closed.
 */
bool web_reader_has(const struct web_reader *r, const struct web_text *text);
bool web_reader_fall(struct web_reader *r);

/* Puts in a message that says nothing, when it is in the midst of none. */
void web_reader_ping(struct web_reader *r);

/* So often it was brought back to the newest because it had fallen out. */
uint64_t web_reader_resyncs(const struct web_reader *r);
/* Messages so far. */
uint64_t web_reader_events(const struct web_reader *r);

#endif
