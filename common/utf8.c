/* utf8.c: UTF-8 validation. See utf8.h. */
#include "common/utf8.h"

#include <stdint.h>

/*
 * Length of the well-formed character at `p`, which is not ASCII; 0 when there is none. Table 3-7
 * of the Unicode standard.
 */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < len)
        return 0;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool utf8_valid(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    const unsigned char *end = p + s.len;
    while (p < end) {
        uint64_t word;
        /* Tracking data is nearly all ASCII: eight bytes at a time. */
        if (end - p >= (ptrdiff_t)sizeof word) {
            memcpy(&word, p, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                p += sizeof word;
                continue;
            }
        }
        if (*p < 0x80) {
            p++;
            continue;
        }
        size_t len = utf8_sequence(p, (size_t)(end - p));
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

size_t utf8_character(struct slice s)
{
    if (s.len == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.ptr;
    return *p < 0x80 ? 1 : utf8_sequence(p, s.len);
}

/* Begins a character of which only `left` bytes are there. */
static bool utf8_is_begun(const unsigned char *p, size_t left)
{
    size_t len = p[0] > 0xf4 ? 0 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    for (size_t i = 1; i < left; i++)
        if ((p[i] & 0xc0) != 0x80)
            return false;
    return left < len;
}

size_t utf8_whole(struct slice s)
{
    const unsigned char *end = (const unsigned char *)s.ptr + s.len;
    for (size_t back = 1; back <= 3 && back <= s.len; back++)
        if (utf8_is_begun(end - back, back))
            return s.len - back;
    return s.len;
}

void utf8_mend(char *text)
{
    size_t len = utf8_whole(slice_of(text));
    text[len] = '\0';
    for (size_t i = 0; i < len;) {
        size_t n = utf8_character(slice_make(text + i, len - i));
        if (n == 0)
            text[i] = '?';
        i += n > 0 ? n : 1;
    }
}

size_t utf8_control(struct slice s)
{
    size_t n = utf8_character(s);
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (n == 1)
        return p[0] < ' ' || p[0] == 0x7f;
    if (n == 2)
        return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c) ? 2 : 0;
    if (n != 3 || p[0] != 0xe2)
        return 0;
    bool marks = p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae));
    bool isolates = p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
    return marks || isolates ? 3 : 0;
}

void utf8_show(char *text)
{
    utf8_mend(text);
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        struct slice rest = slice_of(from);
        size_t control = utf8_control(rest), len = control > 0 ? control : utf8_character(rest);
        if (control > 0)
            *to++ = *from == '\t' ? ' ' : '?';
        else
            for (size_t i = 0; i < len; i++)
                *to++ = from[i];
        from += len;
    }
    *to = '\0';
}

size_t utf8_cut(struct slice s, size_t max)
{
    if (s.len <= max)
        return s.len;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xc0) == 0x80)
        max--;
    return max;
}
