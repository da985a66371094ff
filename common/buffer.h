/*
 * buffer.h: a growing byte buffer that remembers when memory ran out.
 *
 * Runs in every process. Appending after a failure does nothing, so a writer appends freely and asks once,
 * at the end, whether all of it got in (buffer_ok). That keeps the master free of a hundred checks and
 * still safe when malloc fails.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include "common/slice.h"

#include <stdint.h>

struct buffer {
    char *data;
    size_t len;
    size_t cap;
    bool failed; /* sticky: some append did not fit into memory, the content is not to be used */
};

#define BUFFER_EMPTY ((struct buffer){0})

/* Frees the memory and leaves an empty, usable buffer. */
void buffer_fini(struct buffer *b);

/* Forgets content and failure, keeps the memory for the next round. */
void buffer_clear(struct buffer *b);

/*
 * Like buffer_clear, but gives memory above `keep` bytes back: for buffers that live long and may once have been large.
 */
void buffer_reset(struct buffer *b, size_t keep);

/* True when every append since the last clear succeeded. */
static inline bool buffer_ok(const struct buffer *b)
{
    return !b->failed;
}

static inline struct slice buffer_slice(const struct buffer *b)
{
    return slice_make(b->data, b->len);
}

/* Makes room for `more` further bytes. Returns where they go, or NULL (and marks the buffer failed). */
char *buffer_reserve(struct buffer *b, size_t more);

void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_slice(struct buffer *b, struct slice s);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_char(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first `n` bytes (n <= len). */
void buffer_consume(struct buffer *b, size_t n);

/* The content as a C string that lives until the next change; NULL when the buffer has failed. */
const char *buffer_text(struct buffer *b);

/* Moves the memory out: the caller frees it, the buffer is empty afterwards. NULL when the buffer has failed. */
char *buffer_take(struct buffer *b, size_t *len);

#endif
