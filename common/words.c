/* words.c: see words.h. */
#include "common/words.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool words_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Appends the word that starts at *at and moves on. False when a quote or a backslash lacks its end. */
static bool words_take(struct slice text, size_t *at, struct buffer *out)
{
    char quote = '\0';
    for (; *at < text.len; ++*at) {
        char c = text.ptr[*at];
        if (quote == '\0' && words_is_blank(c))
            break;
        if (c == quote) {
            quote = '\0';
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && quote != '\'') {
            if (++*at == text.len)
                return false;
            buffer_append_char(out, text.ptr[*at]);
        } else {
            buffer_append_char(out, c);
        }
    }
    buffer_append_char(out, '\0');
    return quote == '\0';
}

int words_split(struct slice text, size_t max, struct buffer *out)
{
    size_t before = out->len, count = 0;
    int rc = memchr(text.ptr, '\0', text.len) != NULL ? -EINVAL : 0;
    for (size_t at = 0; rc == 0;) {
        while (at < text.len && words_is_blank(text.ptr[at]))
            at++;
        if (at == text.len)
            break;
        if (count++ == max)
            rc = -E2BIG;
        else if (!words_take(text, &at, out))
            rc = -EINVAL;
    }
    if (rc == 0 && !buffer_ok(out))
        rc = -ENOMEM;
    if (rc == 0)
        return (int)count;
    out->len = before < out->len ? before : out->len;
    return rc;
}

const char *words_next(const struct buffer *words, size_t start, const char *word)
{
    size_t at = word == NULL ? start : (size_t)(word - words->data) + strlen(word) + 1;
    return at < words->len ? words->data + at : NULL;
}

bool words_expand_number(const char *value, uint64_t number, struct buffer *out)
{
    bool any = false;
    for (const char *at = value; *at != '\0';) {
        bool hole = strncmp(at, "{n}", 3) == 0, plain = strncmp(at, "{{n}}", 5) == 0;
        if (plain)
            buffer_append_text(out, "{n}");
        else if (hole)
            buffer_printf(out, "%" PRIu64, number);
        else
            buffer_append_char(out, *at);
        at += plain ? 5 : hole ? 3 : 1;
        any = any || hole;
    }
    return any;
}
