/*
 * stream.h: length-prefixed frames over a libuv stream, both ways, bounded both ways.
 *
 * Runs in the master (links, control clients), in every worker (its link) and in the tool. A frame is a 4-byte
 * big-endian length and that many bytes. What comes in is cut into frames and handed up one by one; what goes out is
 * queued in the stream and bounded: a peer that does not read is reported as an error instead of eating our memory.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include "common/buffer.h"

#include <uv.h>

#define STREAM_HEADER_SIZE 4

struct stream;

struct stream_events {
    /* One whole frame; its bytes live until the call returns. May call stream_close. */
    void (*on_frame)(struct stream *s, struct slice frame, void *ctx);
    /*
     * The connection is over: 0 for a clean end of file, else a negative libuv error (UV_EOF: the peer ended inside a
     * frame; UV_EMSGSIZE: it announced a frame above the limit). Called at most once, never after stream_close by us.
     * The stream is closed already when this is called; no more calls follow except on_closed.
     */
    void (*on_end)(struct stream *s, int error, void *ctx);
    /* The handle is gone; memory that holds the stream may be freed now. Optional. */
    void (*on_closed)(struct stream *s, void *ctx);
};

struct stream_limits {
    size_t frame_max; /* longest frame accepted or sent, bytes */
    size_t queue_max; /* most bytes waiting to be written before the peer counts as gone */
};

struct stream {
    uv_pipe_t pipe;
    struct stream_events events;
    struct stream_limits limits;
    struct buffer in;
    void *ctx;
    bool closing;
    bool paused;
    bool filled; /* the last read took all of its room */
};

/* Prepares the handle. Returns 0 or a libuv error. The caller owns `s` until on_closed. */
int stream_init(struct stream *s, uv_loop_t *loop, struct stream_limits limits,
                const struct stream_events *events, void *ctx);

/* Takes over a connected socket and starts reading. On error the fd stays the caller's. */
int stream_open(struct stream *s, int fd);

/* Starts reading on a handle that uv_accept or uv_pipe_connect has connected already (&s->pipe). */
int stream_start(struct stream *s);

/*
 * Sends one frame; the bytes are copied. Returns 0; -EMSGSIZE when it is above the limit; UV_ENOBUFS when the queue is
 * full and UV_ENOMEM: in both the connection is of no more use and the caller closes it; UV_ENOTCONN after the end.
 */
int stream_send(struct stream *s, struct slice frame);

/*
 * Reads nothing and hands up nothing until stream_resume, also of what has been read already: who sends too fast waits
 * for us, instead of us for it. May be called from on_frame. Its end is not noticed meanwhile.
 */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* Of a paused stream: a whole frame waits that has not been handed up. */
bool stream_is_behind(const struct stream *s);

/* As if these bytes had been read: what another process had read of a frame that had not come whole. */
void stream_feed(struct stream *s, struct slice bytes);

/* Bytes waiting to be written. */
size_t stream_queued(const struct stream *s);

/* Closes at once, dropping what is queued; on_closed follows. Harmless when called twice. */
void stream_close(struct stream *s);

#endif
