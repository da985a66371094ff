/* slice.c: copies of borrowed bytes. See slice.h. */
#include "common/slice.h"

#include <stdlib.h>

bool slice_copy(struct slice from, char *to, size_t size)
{
    size_t n = from.len < size ? from.len : size - 1;
    bool whole = from.len < size && (from.len == 0 || memchr(from.ptr, '\0', from.len) == NULL);
    if (n > 0)
        memcpy(to, from.ptr, n);
    to[n] = '\0';
    return whole;
}

char *slice_dup(struct slice from)
{
    char *copy = malloc(from.len + 1);
    if (copy == NULL)
        return NULL;
    if (from.len > 0)
        memcpy(copy, from.ptr, from.len);
    copy[from.len] = '\0';
    return copy;
}
