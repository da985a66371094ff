/* config_scan.c: tokens of a configuration file, with braces in balance. See config_scan.h. */
#include "master/config/config_scan.h"

#include "master/config/config_key.h"

#include <errno.h>
#include <stdlib.h>

/* What libconfuse's lexer takes for the end of an unquoted word. */
#define WORD_END " #\"'\t\n\r={}()+,*"

struct cursor {
    const char *at;
    const char *end;
    unsigned line;
    struct config_scan *scan;
    struct config_errors *errors;
    size_t open; /* innermost open block, or CONFIG_TOKEN_NONE */
};

/* The character n further on; NUL at the end (the text itself holds none, config.c sees to that). */
static char peek(const struct cursor *c, size_t n)
{
    return (size_t)(c->end - c->at) > n ? c->at[n] : '\0';
}

static void advance(struct cursor *c, size_t n)
{
    for (; n > 0 && c->at < c->end; n--) {
        if (*c->at++ == '\n')
            c->line++;
    }
}

static int push(struct config_scan *s, struct config_token token)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        struct config_token *tokens = realloc(s->tokens, cap * sizeof *tokens);
        if (tokens == NULL)
            return -ENOMEM;
        s->tokens = tokens;
        s->cap = cap;
    }
    s->tokens[s->count++] = token;
    return 0;
}

/* ---- heads of blocks ---- */

size_t config_scan_before(const struct config_scan *s, size_t i)
{
    if (i == CONFIG_TOKEN_NONE)
        return CONFIG_TOKEN_NONE;
    while (i > 0) {
        if (!s->tokens[--i].dropped)
            return i;
    }
    return CONFIG_TOKEN_NONE;
}

static bool is_text(const struct config_scan *s, size_t i)
{
    return i != CONFIG_TOKEN_NONE &&
           (s->tokens[i].type == CONFIG_TOKEN_WORD || s->tokens[i].type == CONFIG_TOKEN_STRING);
}

/* A text that is no key's value. */
static bool is_name(const struct config_scan *s, size_t i)
{
    size_t before = config_scan_before(s, i);
    return is_text(s, i) &&
           (before == CONFIG_TOKEN_NONE || s->tokens[before].type != CONFIG_TOKEN_EQUAL);
}

size_t config_scan_head(const struct config_scan *s, size_t open)
{
    size_t name = config_scan_before(s, open);
    if (!is_name(s, name))
        return open;
    size_t keyword = config_scan_before(s, name);
    return is_name(s, keyword) ? keyword : name;
}

struct slice config_scan_title(const struct config_scan *s, size_t open)
{
    size_t head = config_scan_head(s, open);
    size_t name = config_scan_before(s, open);
    if (head == open || head == name)
        return slice_of("");
    struct slice title = s->tokens[name].text;
    if (s->tokens[name].type == CONFIG_TOKEN_STRING)
        title = slice_make(title.ptr + 1, title.len - 2);
    return title;
}

/* ---- braces ---- */

static void report_unclosed(struct cursor *c, size_t open, unsigned line)
{
    const struct config_scan *s = c->scan;
    size_t head = config_scan_head(s, open);
    struct slice name = s->tokens[head].text, title = config_scan_title(s, open);
    config_errors_add(c->errors, s->tokens[open].line,
                      "%.*s%s%.*s: its { is never closed, add a } before line %u", (int)name.len,
                      name.ptr, title.len ? " " : "", (int)title.len, title.ptr, line);
}

static int close_block(struct cursor *c, struct slice text)
{
    struct config_scan *s = c->scan;
    size_t open = c->open, close = s->count;
    int rc = push(s, (struct config_token){.type = CONFIG_TOKEN_CLOSE,
                                           .text = text,
                                           .line = c->line,
                                           .match = open,
                                           .parent = s->tokens[open].parent});
    if (rc != 0)
        return rc;
    s->tokens[open].match = close;
    c->open = s->tokens[open].parent;
    return 0;
}

/* Adds the closing braces that are missing before this line. */
static int close_all(struct cursor *c, unsigned line)
{
    int rc = 0;
    while (rc == 0 && c->open != CONFIG_TOKEN_NONE) {
        report_unclosed(c, c->open, line);
        rc = close_block(c, slice_of("}"));
    }
    return rc;
}

static bool is_top_keyword(const struct config_token *t)
{
    for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        if (t->type == CONFIG_TOKEN_WORD && slice_is(t->text, config_kind_name(kind)))
            return true;
    }
    return false;
}

/*
 * `drain b {` inside another block: no key takes that form, so the block before was not closed. To see it here names
 * the right line; at the end of the file only the last section could be blamed.
 */
static int close_before_section(struct cursor *c)
{
    struct config_scan *s = c->scan;
    size_t head = config_scan_head(s, s->count);
    if (c->open == CONFIG_TOKEN_NONE || head == s->count || !is_top_keyword(&s->tokens[head]))
        return 0;
    struct config_token names[2];
    size_t count = s->count - head;
    memcpy(names, &s->tokens[head], count * sizeof names[0]);
    s->count = head;
    int rc = close_all(c, names[0].line);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        names[i].parent = CONFIG_TOKEN_NONE;
        rc = push(s, names[i]);
    }
    return rc;
}

/* ---- single tokens; each returns its length, 0 when there is no token after all ---- */

static size_t word_length(const struct cursor *c)
{
    size_t n = 0;
    if (peek(c, 0) == '$' && peek(c, 1) == '{') {
        size_t inside = strcspn(c->at, "}\n");
        if (c->at[inside] == '}')
            return inside + 1;
    }
    while (peek(c, n) != '\0' && strchr(WORD_END, peek(c, n)) == NULL)
        n++;
    return n;
}

/* What is wrong with the escape sequence at offset n; NULL when nothing is. */
static const char *escape_fault(const struct cursor *c, size_t n)
{
    const char *digits = c->at + n + 1;
    size_t count = strspn(digits, "0123456789");
    bool zero = count > 0 && strspn(digits, "0") == count;
    if (digits[0] == 'x')
        zero = digits[1] == '0' &&
               (digits[2] == '0' || strspn(digits + 2, "0123456789abcdefABCDEF") == 0);
    if (zero)
        return "a value cannot hold a NUL byte";
    if (count > 3 || strspn(digits, "01234567") < count || (count == 3 && digits[0] > '3'))
        return "bad escape sequence, allowed: \\ and one to three octal digits up to \\377, or \\x "
               "and two hex digits";
    return NULL;
}

/* Length of the string that starts here, quotes included; 0 when it never ends. The first fault goes to *fault. */
static size_t string_length(const struct cursor *c, const char **fault)
{
    char quote = peek(c, 0);
    for (size_t n = 1; peek(c, n) != '\0'; n++) {
        const char *found = NULL;
        if (peek(c, n) == quote)
            return n + 1;
        if (peek(c, n) == '\\') {
            found = quote == '"' ? escape_fault(c, n) : NULL;
            n++;
        }
        if (found != NULL && *fault == NULL)
            *fault = found;
    }
    return 0;
}

/* Skips blanks and comments. False at the end of the file, and when a comment never ends. */
static bool skip_blank(struct cursor *c)
{
    for (;;) {
        char now = peek(c, 0), next = peek(c, 1);
        if (now == '\0') {
            return false;
        } else if (strchr(" \t\r\n", now) != NULL) {
            advance(c, 1);
        } else if (now == '#' || (now == '/' && next == '/')) {
            advance(c, strcspn(c->at, "\n"));
        } else if (now == '/' && next == '*') {
            const char *close = strstr(c->at + 2, "*/");
            if (close == NULL) {
                config_errors_add(c->errors, c->line,
                                  "the comment that starts here never ends, add */");
                c->scan->truncated = true;
                return false;
            }
            advance(c, (size_t)(close + 2 - c->at));
        } else {
            return true;
        }
    }
}

static int scan_plain(struct cursor *c, enum config_token_type type, size_t len, bool glued)
{
    int rc = push(c->scan, (struct config_token){.type = type,
                                                 .text = slice_make(c->at, len),
                                                 .line = c->line,
                                                 .glued = glued,
                                                 .match = CONFIG_TOKEN_NONE,
                                                 .parent = c->open});
    advance(c, len);
    return rc;
}

static int scan_string(struct cursor *c, bool glued)
{
    const char *fault = NULL;
    size_t len = string_length(c, &fault);
    if (len == 0) {
        config_errors_add(c->errors, c->line, "the string that starts here never ends, add %c",
                          peek(c, 0));
        c->scan->truncated = true;
        return 0;
    }
    if (fault != NULL)
        config_errors_add(c->errors, c->line, "%.*s: %s", (int)strcspn(c->at, "\n"), c->at, fault);
    int rc = scan_plain(c, CONFIG_TOKEN_STRING, len, glued);
    if (rc == 0 && fault != NULL) {
        struct config_token *t = &c->scan->tokens[c->scan->count - 1];
        t->text = slice_of("\"\"");
        t->broken = true;
    }
    return rc;
}

static int scan_close(struct cursor *c)
{
    int rc = 0;
    if (c->open == CONFIG_TOKEN_NONE)
        config_errors_add(c->errors, c->line, "this } closes nothing, remove it");
    else
        rc = close_block(c, slice_make(c->at, 1));
    advance(c, 1);
    return rc;
}

static int scan_open(struct cursor *c)
{
    int rc = close_before_section(c);
    if (rc == 0)
        rc = push(c->scan, (struct config_token){.type = CONFIG_TOKEN_OPEN,
                                                 .text = slice_make(c->at, 1),
                                                 .line = c->line,
                                                 .match = CONFIG_TOKEN_NONE,
                                                 .parent = c->open});
    if (rc == 0)
        c->open = c->scan->count - 1;
    advance(c, 1);
    return rc;
}

static int scan_token(struct cursor *c, bool glued)
{
    char now = peek(c, 0);
    switch (now) {
    case '{':
        return scan_open(c);
    case '}':
        return scan_close(c);
    case '"':
    case '\'':
        return scan_string(c, glued);
    case '=':
        return scan_plain(c, CONFIG_TOKEN_EQUAL, 1, glued);
    case '(':
    case ')':
    case ',':
        return scan_plain(c, CONFIG_TOKEN_OTHER, 1, glued);
    case '+':
    case '*':
        if (now == '+' && peek(c, 1) == '=')
            return scan_plain(c, CONFIG_TOKEN_EQUAL, 2, glued);
        return scan_plain(c, CONFIG_TOKEN_OTHER, 1, glued);
    default:
        return scan_plain(c, CONFIG_TOKEN_WORD, word_length(c), glued);
    }
}

int config_scan(struct config_scan *s, struct slice text, struct config_errors *errors)
{
    *s = (struct config_scan){0};
    struct cursor c = {.at = text.ptr,
                       .end = text.ptr + text.len,
                       .line = 1,
                       .scan = s,
                       .errors = errors,
                       .open = CONFIG_TOKEN_NONE};
    int rc = 0;
    const char *last_end = NULL;
    while (rc == 0 && !s->truncated && skip_blank(&c)) {
        rc = scan_token(&c, c.at == last_end);
        last_end = c.at;
    }
    if (rc != 0)
        return rc;
    if (!s->truncated)
        return close_all(&c, c.line + (c.at > text.ptr && c.at[-1] != '\n'));
    /* Its braces may stand in what was not read: close them without a word. */
    while (rc == 0 && c.open != CONFIG_TOKEN_NONE)
        rc = close_block(&c, slice_of("}"));
    return rc;
}

void config_scan_fini(struct config_scan *s)
{
    free(s->tokens);
    *s = (struct config_scan){0};
}

unsigned config_scan_line(const struct config_scan *s, size_t i)
{
    const struct config_token *t = &s->tokens[i];
    if (t->type == CONFIG_TOKEN_CLOSE && t->match != CONFIG_TOKEN_NONE)
        return s->tokens[config_scan_head(s, t->match)].line;
    return t->line;
}
