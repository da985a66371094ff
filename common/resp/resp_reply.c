/* resp_reply.c: see resp_reply.h. */
#include "common/resp/resp_reply.h"

#include <stdarg.h>
#include <stdio.h>

#define RESP_NUMBER_MAX 24 /* a sign, 20 digits and the line's end */

/* As buffer_reserve; above the bound of one client's replies it fails as if memory were short. */
static char *resp_reserve(struct resp_reply *r, size_t more)
{
    if (r->max > 0 && (more > r->max || r->out.len > r->max - more))
        r->out.failed = true;
    return buffer_reserve(&r->out, more);
}

/* Digits two at a time: dividing is what costs. Written to the end of `text`; returns where they begin. */
static char *resp_digits(uint64_t value, char *end)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930"
                                "31323334353637383940414243444546474849505152535455565758596061"
                                "62636465666768697071727374757677787980818283848586878889909192"
                                "93949596979899";
    while (value >= 100) {
        end -= 2;
        memcpy(end, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + value * 2, 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

/* ":12\r\n" and the like: written to `to`, which has room for RESP_NUMBER_MAX bytes; returns their end. */
static char *resp_write_line(char *to, char type, int64_t value)
{
    char digits[RESP_NUMBER_MAX], *end = digits + sizeof digits;
    *to++ = type;
    if (value < 0)
        *to++ = '-';
    char *begin = resp_digits(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, end);
    memcpy(to, begin, (size_t)(end - begin));
    to += end - begin;
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

static void resp_line(struct resp_reply *r, char type, int64_t value)
{
    char *to = resp_reserve(r, RESP_NUMBER_MAX);
    if (to != NULL)
        r->out.len = (size_t)(resp_write_line(to, type, value) - r->out.data);
}

static void resp_raw(struct resp_reply *r, const char *text, size_t len)
{
    char *to = resp_reserve(r, len);
    if (to == NULL)
        return;
    memcpy(to, text, len);
    r->out.len += len;
}

#define RESP_LITERAL(r, text) resp_raw(r, text, sizeof(text) - 1)

void resp_status(struct resp_reply *r, const char *text)
{
    size_t len = strlen(text);
    char *to = resp_reserve(r, len + 3);
    if (to == NULL)
        return;
    *to++ = '+';
    memcpy(to, text, len);
    memcpy(to + len, "\r\n", 2);
    r->out.len += len + 3;
}

/* An error is one line: what ends lines at its ends goes, within it becomes blanks. */
static void resp_error_line(struct resp_reply *r, char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n'))
        len--;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    RESP_LITERAL(r, "-");
    resp_raw(r, text, len);
    RESP_LITERAL(r, "\r\n");
}

void resp_error(struct resp_reply *r, const char *format, ...)
{
    struct buffer text = BUFFER_EMPTY;
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = need >= 0 ? buffer_reserve(&text, (size_t)need + 1) : NULL;
    if (to != NULL) {
        va_start(args, format);
        vsnprintf(to, (size_t)need + 1, format, args);
        va_end(args);
        resp_error_line(r, to, (size_t)need);
    } else {
        r->out.failed = true;
    }
    buffer_fini(&text);
}

void resp_i64(struct resp_reply *r, int64_t value)
{
    resp_line(r, ':', value);
}

void resp_bulk(struct resp_reply *r, struct slice bytes)
{
    char *to = resp_reserve(r, RESP_NUMBER_MAX + bytes.len + 2);
    if (to == NULL)
        return;
    to = resp_write_line(to, '$', (int64_t)bytes.len);
    memcpy(to, bytes.ptr, bytes.len);
    to += bytes.len;
    memcpy(to, "\r\n", 2);
    r->out.len = (size_t)(to + 2 - r->out.data);
}

void resp_text(struct resp_reply *r, const char *text)
{
    resp_bulk(r, slice_of(text));
}

void resp_nil(struct resp_reply *r)
{
    if (r->version == 3)
        RESP_LITERAL(r, "_\r\n");
    else
        RESP_LITERAL(r, "$-1\r\n");
}

void resp_nil_array(struct resp_reply *r)
{
    if (r->version == 3)
        RESP_LITERAL(r, "_\r\n");
    else
        RESP_LITERAL(r, "*-1\r\n");
}

void resp_array(struct resp_reply *r, size_t count)
{
    resp_line(r, '*', (int64_t)count);
}

void resp_map(struct resp_reply *r, size_t pairs)
{
    resp_line(r, r->version == 3 ? '%' : '*', (int64_t)(r->version == 3 ? pairs : 2 * pairs));
}

void resp_set(struct resp_reply *r, size_t count)
{
    resp_line(r, r->version == 3 ? '~' : '*', (int64_t)count);
}

void resp_bool(struct resp_reply *r, bool value)
{
    if (r->version != 3)
        resp_i64(r, value);
    else if (value)
        RESP_LITERAL(r, "#t\r\n");
    else
        RESP_LITERAL(r, "#f\r\n");
}

void resp_verbatim(struct resp_reply *r, const char *form, struct slice text)
{
    if (r->version != 3) {
        resp_bulk(r, text);
        return;
    }
    size_t len = strlen(form);
    resp_line(r, '=', (int64_t)(len + 1 + text.len));
    resp_raw(r, form, len);
    RESP_LITERAL(r, ":");
    resp_raw(r, text.ptr, text.len);
    RESP_LITERAL(r, "\r\n");
}
