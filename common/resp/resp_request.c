/* resp_request.c: see resp_request.h. */
#include "common/resp/resp_request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define RESP_STRANGERS_WORDS 10
#define RESP_STRANGERS_BYTES 16384
#define RESP_WORDS_MAX       INT32_MAX /* Redis' own: beyond, it is no length */

static enum resp_result resp_bad(const char **error, const char *text)
{
    *error = text;
    return RESP_REQUEST_BAD;
}

static void resp_begin(struct resp_request *r)
{
    r->at = 0;
    r->left = 0;
    r->length = -1;
    r->count = 0;
}

/* False when memory is short. */
static bool resp_add(struct resp_request *r, struct slice word)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity > 0 ? 2 * r->capacity : 8;
        struct slice *grown = realloc(r->words, capacity * sizeof *grown);
        if (grown == NULL)
            return false;
        r->words = grown;
        r->capacity = capacity;
    }
    r->words[r->count++] = word;
    return true;
}

/* Redis' string2ll: no blanks, no plus, no leading zero, whole. */
static bool resp_number(struct slice text, int64_t *out)
{
    bool negative = text.len > 1 && text.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t value = 0, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (text.len == i || text.len > 20 || (text.ptr[i] == '0' && text.len > 1))
        return false;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)text.ptr[i] - '0';
        if (digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* What ends a line; NULL also when a NUL is before it: Redis' strings end there, and it waits till it is too long. */
static const char *resp_find(const char *data, size_t len, char c)
{
    const char *end = memchr(data, c, len);
    return end != NULL && memchr(data, '\0', (size_t)(end - data)) == NULL ? end : NULL;
}

/* ---- a line ---- */

static int resp_hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* What stands behind a backslash between double quotes; *from is moved behind it. */
static char resp_escaped(const char **from, const char *end)
{
    const char *p = *from;
    if (*p == 'x' && end - p > 2 && isxdigit((unsigned char)p[1]) &&
        isxdigit((unsigned char)p[2])) {
        *from = p + 3;
        return (char)(resp_hex(p[1]) * 16 + resp_hex(p[2]));
    }
    *from = p + 1;
    switch (*p) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return *p;
    }
}

/*
 * A quoted part of a word, behind its first quote: written to *to. False when it does not end, or not before a blank.
 */
static bool resp_quoted(const char **from, const char *end, char **to, char quote)
{
    while (*from < end) {
        char c = *(*from)++;
        if (c == quote)
            return *from == end || isspace((unsigned char)**from);
        if (c == '\\' && *from < end && quote == '"')
            c = resp_escaped(from, end);
        else if (c == '\\' && *from < end && **from == '\'')
            c = *(*from)++;
        *(*to)++ = c;
    }
    return false;
}

/* Fewer than the blanks that are passed over in front of a word: Redis' are so. */
static bool resp_ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* One word, written over itself, which only shortens it. False: unbalanced quotes. */
static bool resp_word(const char **from, const char *end, struct slice *word)
{
    char *begin = (char *)(uintptr_t)*from, *to = begin;
    while (*from < end && !resp_ends_word(**from)) {
        char c = *(*from)++;
        if (c == '"' || c == '\'') {
            if (!resp_quoted(from, end, &to, c))
                return false;
            break;
        }
        *to++ = c;
    }
    *word = slice_make(begin, (size_t)(to - begin));
    return true;
}

static enum resp_result resp_line(struct resp_request *r, const struct resp_limits *limits,
                                  const char *line, size_t len, const char **error)
{
    const char *at = line, *end = line + len;
    for (;;) {
        struct slice word;
        while (at < end && isspace((unsigned char)*at))
            at++;
        if (at == end)
            return RESP_REQUEST_WHOLE;
        if (!resp_word(&at, end, &word))
            return resp_bad(error, "Protocol error: unbalanced quotes in request");
        if (r->count == limits->words_max)
            return resp_bad(error, "Protocol error: invalid multibulk length");
        if (!resp_add(r, word))
            return RESP_REQUEST_SHORT;
    }
}

static enum resp_result resp_inline(struct resp_request *r, const struct resp_limits *limits,
                                    char *data, size_t len, size_t *used, const char **error)
{
    const char *newline = resp_find(data, len, '\n');
    if (newline == NULL)
        return len > RESP_REQUEST_LINE_MAX
                   ? resp_bad(error, "Protocol error: too big inline request")
                   : RESP_REQUEST_MORE;
    size_t line = (size_t)(newline - data);
    *used = line + 1;
    if (line > 0 && data[line - 1] == '\r')
        line--;
    return resp_line(r, limits, data, line, error);
}

/* ---- an array ---- */

/* The line at r->at, without its first byte. MORE: it has not come whole; WHOLE: r->at stands behind it. */
static enum resp_result resp_count(struct resp_request *r, const char *data, size_t len,
                                   struct slice *count, const char *too_long, const char **error)
{
    const char *line = data + r->at;
    const char *end = resp_find(line, len - r->at, '\r');
    if (end == NULL && len - r->at > RESP_REQUEST_LINE_MAX)
        return resp_bad(error, too_long);
    if (end == NULL || (size_t)(end - data) + 2 > len)
        return RESP_REQUEST_MORE;
    *count = slice_make(line + 1, end > line ? (size_t)(end - line) - 1 : 0);
    r->at = (size_t)(end - data) + 2;
    return RESP_REQUEST_WHOLE;
}

static enum resp_result resp_array(struct resp_request *r, const struct resp_limits *limits,
                                   const char *data, size_t len, const char **error)
{
    struct slice text;
    int64_t count;
    enum resp_result result =
        resp_count(r, data, len, &text, "Protocol error: too big mbulk count string", error);
    if (result != RESP_REQUEST_WHOLE)
        return result;
    if (!resp_number(text, &count) || count > RESP_WORDS_MAX ||
        (count > 0 && (uint64_t)count > limits->words_max))
        return resp_bad(error, "Protocol error: invalid multibulk length");
    if (count > RESP_STRANGERS_WORDS && !limits->trusted)
        return resp_bad(error, "Protocol error: unauthenticated multibulk length");
    r->left = count > 0 ? count : 0;
    return RESP_REQUEST_WHOLE;
}

static enum resp_result resp_no_dollar(struct resp_request *r, char got, const char **error)
{
    snprintf(r->text, sizeof r->text, "Protocol error: expected '$', got '%c'", got);
    return resp_bad(error, r->text);
}

static enum resp_result resp_length(struct resp_request *r, const struct resp_limits *limits,
                                    const char *data, size_t len, const char **error)
{
    struct slice text;
    size_t at = r->at;
    enum resp_result result =
        resp_count(r, data, len, &text, "Protocol error: too big bulk count string", error);
    if (result != RESP_REQUEST_WHOLE)
        return result;
    if (data[at] != '$')
        return resp_no_dollar(r, data[at], error);
    if (!resp_number(text, &r->length) || r->length < 0 || (uint64_t)r->length > limits->word_max)
        return resp_bad(error, "Protocol error: invalid bulk length");
    if (r->length > RESP_STRANGERS_BYTES && !limits->trusted)
        return resp_bad(error, "Protocol error: unauthenticated bulk length");
    return RESP_REQUEST_WHOLE;
}

/* Words found so far are kept as places behind the first byte, because the bytes may move meanwhile. */
static enum resp_result resp_next(struct resp_request *r, const struct resp_limits *limits,
                                  const char *data, size_t len, const char **error)
{
    if (r->length < 0) {
        enum resp_result result = resp_length(r, limits, data, len, error);
        if (result != RESP_REQUEST_WHOLE)
            return result;
    }
    size_t length = (size_t)r->length;
    if (len - r->at < length + 2)
        return RESP_REQUEST_MORE;
    if (!resp_add(r, (struct slice){(const char *)(uintptr_t)r->at, length}))
        return RESP_REQUEST_SHORT;
    r->at += length + 2;
    r->length = -1;
    r->left--;
    return RESP_REQUEST_WHOLE;
}

static enum resp_result resp_multi(struct resp_request *r, const struct resp_limits *limits,
                                   const char *data, size_t len, const char **error)
{
    enum resp_result result = RESP_REQUEST_WHOLE;
    if (r->at == 0)
        result = resp_array(r, limits, data, len, error);
    while (result == RESP_REQUEST_WHOLE && r->left > 0)
        result = resp_next(r, limits, data, len, error);
    for (size_t i = 0; result == RESP_REQUEST_WHOLE && i < r->count; i++)
        r->words[i].ptr = data + (uintptr_t)r->words[i].ptr;
    return result;
}

enum resp_result resp_request_read(struct resp_request *r, const struct resp_limits *limits,
                                   char *data, size_t len, size_t *used, const char **error)
{
    if (r->at == 0)
        resp_begin(r);
    if (len == 0)
        return RESP_REQUEST_MORE;
    if (data[0] != '*')
        return resp_inline(r, limits, data, len, used, error);
    enum resp_result result = resp_multi(r, limits, data, len, error);
    if (result == RESP_REQUEST_WHOLE) {
        *used = r->at;
        r->at = 0;
    }
    return result;
}

void resp_request_fini(struct resp_request *r)
{
    free(r->words);
    *r = (struct resp_request){0};
}
