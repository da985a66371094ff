/* buffer.c: growing byte buffer with a sticky failure. See buffer.h. */
#include "common/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_FIRST_CAPACITY 256u

void buffer_fini(struct buffer *b)
{
    free(b->data);
    *b = BUFFER_EMPTY;
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->failed = false;
}

void buffer_reset(struct buffer *b, size_t keep)
{
    if (b->cap > keep)
        buffer_fini(b);
    else
        buffer_clear(b);
}

char *buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed)
        return NULL;
    /* Never NULL for "nothing more": to the caller that would mean that memory is short. */
    if (b->data != NULL && more <= b->cap - b->len)
        return b->data + b->len;
    size_t cap = b->cap ? b->cap : BUFFER_FIRST_CAPACITY;
    while (cap - b->len < more) {
        if (cap > SIZE_MAX / 2) {
            b->failed = true;
            return NULL;
        }
        cap *= 2;
    }
    char *data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return b->data + b->len;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    char *to = buffer_reserve(b, len);
    if (to == NULL)
        return;
    memcpy(to, data, len);
    b->len += len;
}

void buffer_append_slice(struct buffer *b, struct slice s)
{
    buffer_append(b, s.ptr, s.len);
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_char(struct buffer *b, char c)
{
    buffer_append(b, &c, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0) {
        b->failed = true;
        return;
    }
    char *to = buffer_reserve(b, (size_t)need + 1);
    if (to == NULL)
        return;
    va_start(args, format);
    vsnprintf(to, (size_t)need + 1, format, args);
    va_end(args);
    b->len += (size_t)need;
}

void buffer_consume(struct buffer *b, size_t n)
{
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
}

const char *buffer_text(struct buffer *b)
{
    char *end = buffer_reserve(b, 1);
    if (end == NULL)
        return NULL;
    *end = '\0';
    return b->data;
}

char *buffer_take(struct buffer *b, size_t *len)
{
    if (buffer_text(b) == NULL)
        return NULL;
    char *data = b->data;
    if (len != NULL)
        *len = b->len;
    *b = BUFFER_EMPTY;
    return data;
}
