/* queue_pattern.c: Lua's patterns, read as Lua 5.1 reads them. See queue_pattern.h. */
#include "proto/queue/queue_pattern.h"

#include <errno.h>
#include <stdio.h>

/* Lua's own. */
#define PATTERN_CAPTURES_MAX 32

enum item_kind {
    ITEM_END,
    ITEM_LITERAL,
    ITEM_DOT,
    ITEM_CLASS, /* %a, %. */
    ITEM_SET,
    ITEM_OPEN,
    ITEM_CLOSE,
    ITEM_OTHER, /* %b, %f, %1, (), the last $: nothing repeats them */
};

struct item {
    enum item_kind kind;
    const char *at;
    size_t len;
    char repeat; /* one of *+-? behind it; 0: none */
    bool scans;  /* %b, %f */
};

struct scan {
    const char *at, *end;
    const char *wrong; /* what Lua would say; NULL: nothing */
    int captures;
    bool open[PATTERN_CAPTURES_MAX];
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_repeat(char c)
{
    return c == '*' || c == '+' || c == '-' || c == '?';
}

static struct scan scan_start(struct slice pattern)
{
    struct scan s = {.at = pattern.ptr, .end = pattern.ptr + pattern.len};
    if (s.at < s.end && *s.at == '^')
        s.at++;
    return s;
}

/* Behind the set that begins at `at`; NULL when it has no end. */
static const char *set_end(const char *at, const char *end)
{
    at++;
    if (at < end && *at == '^')
        at++;
    do {
        if (at == end)
            return NULL;
        bool escapes = *at == '%';
        at++;
        if (escapes && at < end)
            at++;
    } while (at == end || *at != ']');
    return at + 1;
}

static void scan_open(struct scan *s, struct item *item)
{
    bool position = s->at + 1 < s->end && s->at[1] == ')';
    item->kind = position ? ITEM_OTHER : ITEM_OPEN;
    item->len = position ? 2 : 1;
    if (s->captures == PATTERN_CAPTURES_MAX)
        s->wrong = "too many captures";
    else
        s->open[s->captures++] = !position;
}

static void scan_close(struct scan *s, struct item *item)
{
    int i = s->captures;
    item->kind = ITEM_CLOSE;
    while (i > 0 && !s->open[i - 1])
        i--;
    if (i == 0)
        s->wrong = "invalid pattern capture";
    else
        s->open[i - 1] = false;
}

static void scan_balance(struct scan *s, struct item *item)
{
    item->kind = ITEM_OTHER;
    item->scans = true;
    item->len = 4;
    if (s->end - s->at < 4)
        s->wrong = "unbalanced pattern";
}

static void scan_frontier(struct scan *s, struct item *item)
{
    const char *end = s->end - s->at > 2 && s->at[2] == '[' ? set_end(s->at + 2, s->end) : NULL;
    item->kind = ITEM_OTHER;
    item->scans = true;
    if (end == NULL)
        s->wrong = "missing '[' after '%f', or its ']'";
    else
        item->len = (size_t)(end - s->at);
}

static void scan_escape(struct scan *s, struct item *item)
{
    item->len = 2;
    item->kind = ITEM_CLASS;
    if (s->end - s->at < 2) {
        s->wrong = "malformed pattern (ends with '%')";
    } else if (s->at[1] == 'b') {
        scan_balance(s, item);
    } else if (s->at[1] == 'f') {
        scan_frontier(s, item);
    } else if (is_digit(s->at[1])) {
        int index = s->at[1] - '1';
        item->kind = ITEM_OTHER;
        if (index < 0 || index >= s->captures || s->open[index])
            s->wrong = "invalid capture index";
    }
}

static void scan_set(struct scan *s, struct item *item)
{
    const char *end = set_end(s->at, s->end);
    item->kind = ITEM_SET;
    if (end == NULL)
        s->wrong = "malformed pattern (missing ']')";
    else
        item->len = (size_t)(end - s->at);
}

/* The next item. ITEM_END at the end, and when something is wrong. */
static struct item scan_next(struct scan *s)
{
    struct item item = {.at = s->at, .len = 1, .kind = ITEM_LITERAL};
    if (s->wrong != NULL || s->at == s->end)
        return (struct item){.kind = ITEM_END, .at = s->at};
    char c = *s->at;
    if (c == '(')
        scan_open(s, &item);
    else if (c == ')')
        scan_close(s, &item);
    else if (c == '%')
        scan_escape(s, &item);
    else if (c == '[')
        scan_set(s, &item);
    else if (c == '.')
        item.kind = ITEM_DOT;
    else if (c == '$' && s->at + 1 == s->end)
        item.kind = ITEM_OTHER;
    if (s->wrong != NULL)
        return (struct item){.kind = ITEM_END, .at = s->at};
    s->at += item.len;
    if (item.kind <= ITEM_SET && s->at < s->end && is_repeat(*s->at))
        item.repeat = *s->at++;
    return item;
}

bool queue_pattern_is_lua(struct slice pattern, const char **why)
{
    struct scan s = scan_start(pattern);
    /* Lua 5.1 takes a NUL for the end. */
    if (pattern.len > 0 && memchr(pattern.ptr, '\0', pattern.len) != NULL)
        s.wrong = "a pattern has no zero byte (%z matches one)";
    while (scan_next(&s).kind != ITEM_END)
        continue;
    for (int i = 0; i < s.captures && s.wrong == NULL; i++)
        if (s.open[i])
            s.wrong = "unfinished capture";
    *why = s.wrong;
    return s.wrong == NULL;
}

/* ---- what is meant otherwise ---- */

/* "{2}", "{2,}", "{2,3}" */
static bool is_count(const char *at, const char *end)
{
    const char *c = at + 1;
    while (c < end && (is_digit(*c) || *c == ','))
        c++;
    return c > at + 1 && is_digit(at[1]) && c < end && *c == '}';
}

static bool starts(const char *at, const char *end, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(end - at) >= len && memcmp(at, text, len) == 0;
}

static int refuse_escape(const char *at, const char *end, char *why, size_t size)
{
    char c = at + 1 < end ? at[1] : '\\';
    if (c == 'w' || c == 'b')
        snprintf(why, size, "'\\%c' is no Lua pattern: write %s", c,
                 c == 'w' ? "[%w_]" : "%f[%w_]");
    else
        snprintf(why, size, "'\\%c' is no Lua pattern: write %%%c", c, c);
    return -EINVAL;
}

/* What an item is that means something else in a regular expression. */
static int refuse_regex(const struct item *item, const char *end, char *why, size_t size)
{
    const char *at = item->at;
    if (item->kind == ITEM_LITERAL && *at == '\\')
        return refuse_escape(at, end, why, size);
    if (item->kind == ITEM_LITERAL && *at == '|')
        snprintf(why, size,
                 "Lua patterns have no '|' (a literal one is %%|): make two queues, and let one "
                 "consumer take "
                 "from both");
    else if (item->kind == ITEM_LITERAL && *at == '{' && is_count(at, end))
        snprintf(why, size,
                 "Lua patterns have no {2}: write the item as often as it is to be there");
    else if (item->kind == ITEM_OPEN && starts(at, end, "(?"))
        snprintf(why, size, "Lua patterns have no (?: write what is in it without the parentheses");
    else if (item->kind == ITEM_CLOSE && at + 1 < end &&
             (is_repeat(at[1]) || (at[1] == '{' && is_count(at + 1, end))))
        snprintf(why, size, "Lua patterns cannot repeat a group: only one character, class or set");
    else if (item->kind == ITEM_SET && starts(at, end, "[[:"))
        snprintf(why, size,
                 "Lua patterns have no [:alpha:]: write [%%a], and %%d, %%s, %%w likewise");
    else if (item->kind == ITEM_LITERAL && is_repeat(*at) && *at != '-')
        snprintf(why, size, "there is nothing that this '%c' could repeat: a literal one is %%%c",
                 *at, *at);
    else if (item->kind == ITEM_LITERAL && item->repeat == '-' && is_alnum(*at))
        snprintf(why, size,
                 "'%c-' means as few %c as possible: a literal '-' is %%-, as in user%%-1", *at,
                 *at);
    else
        return 0;
    return -EINVAL;
}

/*
 * How many repetitions Redis has to try: those that are left when queue_match.lua has dropped `.*` at begin and end,
 * which it does not at the end of a pattern with sets, %b or %f.
 */
static int repetitions_of(struct slice pattern)
{
    struct scan s = scan_start(pattern);
    bool leading = s.at == pattern.ptr, sets = false;
    int count = 0, trailing = 0;
    struct item item;
    while ((item = scan_next(&s)).kind != ITEM_END) {
        bool all = item.kind == ITEM_DOT && item.repeat == '*';
        sets |= item.kind == ITEM_SET || item.scans;
        if (all && leading && (s.at == s.end || *s.at != '^'))
            continue;
        leading = false;
        count += item.repeat != 0;
        trailing = all && (item.at == pattern.ptr || item.at[-1] != '$') ? trailing + 1 : 0;
    }
    return sets ? count : count - trailing;
}

int queue_pattern_check(struct slice pattern, char *why, size_t size)
{
    const char *wrong;
    if (pattern.len > QUEUE_NAME_MAX) {
        snprintf(why, size, "it has %zu bytes, and may have %d", pattern.len, QUEUE_NAME_MAX);
        return -EINVAL;
    }
    /* First what is meant otherwise, because its spelling is the better help. */
    struct scan s = scan_start(pattern);
    struct item item;
    while ((item = scan_next(&s)).kind != ITEM_END)
        if (refuse_regex(&item, s.end, why, size) != 0)
            return -EINVAL;
    if (!queue_pattern_is_lua(pattern, &wrong)) {
        snprintf(why, size, "Lua refuses it: %s", wrong);
        return -EINVAL;
    }
    if (repetitions_of(pattern) > QUEUE_REPETITIONS_MAX) {
        snprintf(
            why, size,
            "it has more than %d repetitions beside .* at its begin and end: one topic would take "
            "Redis too long",
            QUEUE_REPETITIONS_MAX);
        return -EINVAL;
    }
    return 0;
}
