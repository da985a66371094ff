/* json_check.c: a recognizer of JSON. See json_check.h. */
#include "common/json/json_check.h"

#include "common/utf8.h"

struct json_check {
    const char *at, *end;
    unsigned depth;
};

static bool json_at(const struct json_check *c, char expected)
{
    return c->at < c->end && *c->at == expected;
}

static bool json_take(struct json_check *c, char expected)
{
    bool there = json_at(c, expected);
    c->at += there;
    return there;
}

static void json_skip_blanks(struct json_check *c)
{
    while (json_at(c, ' ') || json_at(c, '\t') || json_at(c, '\r') || json_at(c, '\n'))
        c->at++;
}

static bool json_word(struct json_check *c, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool json_digits(struct json_check *c)
{
    const char *from = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > from;
}

static bool json_number(struct json_check *c)
{
    json_take(c, '-');
    if (!json_take(c, '0') && !json_digits(c))
        return false;
    if (json_take(c, '.') && !json_digits(c))
        return false;
    if (!json_take(c, 'e') && !json_take(c, 'E'))
        return true;
    if (!json_take(c, '+'))
        json_take(c, '-');
    return json_digits(c);
}

/* Four hex digits, or -1. */
static int json_unit(struct json_check *c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    int unit = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        const char *digit = c->at < c->end && *c->at != '\0' ? strchr(digits, *c->at) : NULL;
        if (digit == NULL)
            return -1;
        unit = unit << 4 | (int)((digit - digits) & 15);
    }
    return unit;
}

static bool json_escape(struct json_check *c)
{
    if (c->at == c->end)
        return false;
    char kind = *c->at++;
    if (kind != 'u')
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL;
    int unit = json_unit(c);
    if (unit < 0xd800 || unit > 0xdfff)
        return unit >= 0;
    if (unit > 0xdbff || !json_word(c, "\\u"))
        return false;
    unit = json_unit(c);
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static bool json_string(struct json_check *c)
{
    if (!json_take(c, '"'))
        return false;
    while (c->at < c->end) {
        if (json_take(c, '"'))
            return true;
        if (json_take(c, '\\')) {
            if (!json_escape(c))
                return false;
            continue;
        }
        size_t n = utf8_character(slice_make(c->at, (size_t)(c->end - c->at)));
        if (n == 0 || (unsigned char)*c->at < ' ')
            return false;
        c->at += n;
    }
    return false;
}

static bool json_value(struct json_check *c);

/* What stands between the brackets: members or elements, with commas between. */
static bool json_list(struct json_check *c, char close, bool members)
{
    json_skip_blanks(c);
    if (json_take(c, close))
        return true;
    do {
        json_skip_blanks(c);
        if (members) {
            if (!json_string(c))
                return false;
            json_skip_blanks(c);
            if (!json_take(c, ':'))
                return false;
        }
        if (!json_value(c))
            return false;
        json_skip_blanks(c);
    } while (json_take(c, ','));
    return json_take(c, close);
}

/* Recursion is bounded by depth: 64 frames of a few words. */
static bool json_value(struct json_check *c)
{
    json_skip_blanks(c);
    bool object = json_at(c, '{');
    if (object || json_at(c, '[')) {
        c->at++;
        if (++c->depth > JSON_CHECK_DEPTH || !json_list(c, object ? '}' : ']', object))
            return false;
        c->depth--;
        return true;
    }
    if (json_at(c, '"'))
        return json_string(c);
    return json_word(c, "true") || json_word(c, "false") || json_word(c, "null") || json_number(c);
}

static bool json_whole(struct json_check *c)
{
    if (!json_value(c))
        return false;
    json_skip_blanks(c);
    return c->at == c->end;
}

bool json_check_object(struct slice text)
{
    struct json_check c = {.at = text.ptr, .end = text.ptr + text.len};
    json_skip_blanks(&c);
    return json_at(&c, '{') && json_whole(&c);
}

bool json_check_value(struct slice text)
{
    struct json_check c = {.at = text.ptr, .end = text.ptr + text.len};
    return json_whole(&c);
}
