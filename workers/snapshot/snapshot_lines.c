/* snapshot_lines.c: see snapshot_lines.h. */
#include "workers/snapshot/snapshot_lines.h"

#include <string.h>

static size_t lines_of(struct slice text, size_t most)
{
    size_t count = 0;
    for (; text.len > 0 && count <= most; count++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) + 1 : text.len;
        text = slice_make(text.ptr + len, text.len - len);
    }
    return count;
}

size_t snapshot_lines_between(struct slice a, struct slice b, size_t most)
{
    size_t least = a.len < b.len ? a.len : b.len, same = 0;
    while (same < least && a.ptr[same] == b.ptr[same])
        same++;
    a = slice_make(a.ptr + same, a.len - same);
    b = slice_make(b.ptr + same, b.len - same);
    while (a.len > 0 && b.len > 0 && a.ptr[a.len - 1] == b.ptr[b.len - 1]) {
        a.len--;
        b.len--;
    }
    size_t first = lines_of(a, most);
    return first > most ? first : first + lines_of(b, most - first);
}
