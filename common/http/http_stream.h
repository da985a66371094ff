/*
 * http_stream.h: an answer without an end: events, a log that is followed, what a program still writes.
 *
 * Runs in workers that answer over HTTP (http_server.h). Nothing is kept for a reader: MHD asks its source for bytes
 * when there is room for them, and a source that has none is asked again after http_stream_wake. So a slow reader
 * costs its source a place in what all read (a cursor), never a buffer. Who takes nothing while there is something to
 * be taken is closed.
 */
#ifndef COMMON_HTTP_STREAM_H
#define COMMON_HTTP_STREAM_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_STREAM_END   ((ssize_t)-1) /* that was all: the answer ends well */
#define HTTP_STREAM_BREAK ((ssize_t)-2) /* the connection is broken off: what came is not whole */

/* Who takes nothing for so long is closed, unless the server's options say another. */
#define HTTP_STREAM_STALL_MS 60000

struct http_stream;

struct http_stream_source {
    /*
     * Writes at most `max` bytes, and says how many; 0: there are none until http_stream_wake; or one of the above. It
     * must not block, nor wake or end any stream.
     */
    ssize_t (*read)(void *ctx, char *to, size_t max);
    /* The answer is over, or its reader has gone: exactly once, and nothing of it is touched any more. */
    void (*gone)(void *ctx);
    void *ctx;
};

/* All of a server. */
struct http_streams {
    struct http_stream *first;
    size_t count, max;
    uint64_t stall_ms;
    uint64_t swept_ms; /* clock_mono_ms */
    void (*run)(
        void *
            ctx); /* MHD has to run once more: what is resumed waits for the next event otherwise */
    void *ctx;
    bool ending; /* each ends when it is asked next */
};

/*
 * An answer from that source to whoever asks by `connection`. NULL: there are `max` of them, or memory is short;
 * `gone` has been called then. The caller owns what is returned (MHD_destroy_response); *out lives until `gone`.
 */
struct MHD_Response *http_stream_create(struct http_streams *all, struct MHD_Connection *connection,
                                        const struct http_stream_source *source,
                                        struct http_stream **out);

/* Its source has something again, or has come to its end. From anywhere in the loop but its `read`. */
void http_stream_wake(struct http_stream *s);

/* Closes who takes nothing. Returns the milliseconds until it must be called again; UINT64_MAX: no need. */
uint64_t http_streams_expire(struct http_streams *all);

/* Each that waits is asked once more, and ends. */
void http_streams_end(struct http_streams *all);

#endif
