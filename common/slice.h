/*
 * slice.h: a borrowed run of bytes, the one way the project passes text and binary data around.
 *
 * Runs in every process. A slice owns nothing: whoever hands one out says how long its bytes live.
 * Bytes may contain NUL; never treat a slice as a C string.
 */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* The bytes of a NUL-terminated string; NULL gives the empty slice. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){text ? text : "", text ? strlen(text) : 0};
}

static inline struct slice slice_make(const void *ptr, size_t len)
{
    return (struct slice){ptr ? ptr : "", len};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
    return slice_equal(a, slice_of(text));
}

/*
 * Copies a slice into a C string of `size` bytes, always terminated. Returns false, with the text cut, when it did not
 * fit or holds a NUL, so that a caller who needs the whole text can refuse it.
 */
bool slice_copy(struct slice from, char *to, size_t size);

/* A NUL-terminated heap copy; NULL when memory is short. The caller frees it. */
char *slice_dup(struct slice from);

#endif
