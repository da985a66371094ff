/* config_syntax.c: what is wrong with a statement the parser stopped at. See config_syntax.h. */
#include "master/config/config_syntax.h"

#include "common/text.h"
#include "master/config/config_key.h"

#include <stdio.h>

/* A statement: `key = value` or `section [title] {`; from its first token up to the one before `end`. */
struct statement {
    size_t start;
    size_t end;
};

static size_t syntax_next(const struct config_scan *s, size_t i)
{
    for (i++; i < s->count && s->tokens[i].dropped; i++)
        ;
    return i;
}

static enum config_token_type syntax_type(const struct config_scan *s, size_t i)
{
    return i < s->count ? s->tokens[i].type : CONFIG_TOKEN_CLOSE;
}

static bool syntax_is_value(enum config_token_type type)
{
    return type == CONFIG_TOKEN_WORD || type == CONFIG_TOKEN_STRING;
}

/* The statement that starts at i: read as far as it can be one. */
static struct statement syntax_read(const struct config_scan *s, size_t i)
{
    struct statement st = {i, syntax_next(s, i)};
    if (s->tokens[i].type != CONFIG_TOKEN_WORD)
        return st;
    if (syntax_type(s, st.end) == CONFIG_TOKEN_EQUAL) {
        st.end = syntax_next(s, st.end);
        if (st.end < s->count && syntax_is_value(s->tokens[st.end].type))
            st.end = syntax_next(s, st.end);
        return st;
    }
    if (syntax_type(s, st.end) == CONFIG_TOKEN_OPEN) {
        st.end++;
        return st;
    }
    size_t after = st.end < s->count ? syntax_next(s, st.end) : s->count;
    if (syntax_is_value(syntax_type(s, st.end)) && after < s->count &&
        s->tokens[after].type == CONFIG_TOKEN_OPEN)
        st.end = after + 1;
    return st;
}

/* The statement that holds token `at`: statements are read from the start of its block. */
static struct statement syntax_around(const struct config_scan *s, size_t at)
{
    size_t i = s->tokens[at].parent == CONFIG_TOKEN_NONE ? 0 : s->tokens[at].parent + 1;
    if (i < s->count && s->tokens[i].dropped)
        i = syntax_next(s, i);
    while (i <= at) {
        struct statement st = syntax_read(s, i);
        if (at < st.end)
            return st;
        size_t last = st.end - 1;
        bool opens = last < s->count && s->tokens[last].type == CONFIG_TOKEN_OPEN &&
                     s->tokens[last].match != CONFIG_TOKEN_NONE;
        i = opens ? syntax_next(s, s->tokens[last].match) : st.end;
    }
    return (struct statement){at, at + 1};
}

static int syntax_kind(struct slice word)
{
    for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        if (slice_is(word, config_kind_name((enum config_kind)kind)))
            return kind;
    return -1;
}

/* The kind of section a token is in, -1 at the top or in an unknown one; *part is the subsection's name, or empty. */
static int syntax_context(const struct config_scan *s, size_t i, struct slice *part)
{
    *part = slice_make(NULL, 0);
    size_t open = s->tokens[i].parent;
    if (open == CONFIG_TOKEN_NONE)
        return -1;
    struct slice head = s->tokens[config_scan_head(s, open)].text;
    if (s->tokens[open].parent == CONFIG_TOKEN_NONE)
        return syntax_kind(head);
    *part = head;
    return syntax_kind(s->tokens[config_scan_head(s, s->tokens[open].parent)].text);
}

/* Says `what` of the word, and which sections there are. */
static void syntax_name_sections(struct config_errors *errors, unsigned line, struct slice word,
                                 const char *what)
{
    struct buffer list = BUFFER_EMPTY;
    for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        buffer_printf(&list, "%s%s", kind > 0 ? ", " : "",
                      config_kind_name((enum config_kind)kind));
    const char *names = buffer_text(&list);
    config_errors_add(errors, line, "%.*s: %s: %s", (int)word.len, word.ptr, what,
                      names != NULL ? names : "memory is short");
    buffer_fini(&list);
}

static void syntax_unknown_section(struct config_errors *errors, unsigned line, struct slice word)
{
    struct text_nearest nearest = text_nearest_start(word);
    for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        text_nearest_offer(&nearest, config_kind_name((enum config_kind)kind));
    if (nearest.best != NULL)
        config_errors_add(errors, line, "%.*s: no such section: did you mean %s?", (int)word.len,
                          word.ptr, nearest.best);
    else
        syntax_name_sections(errors, line, word, "no such section, there is");
}

static void syntax_unknown_key(struct config_errors *errors, unsigned line, int kind,
                               struct slice word)
{
    const struct config_key *near = config_key_nearest((enum config_kind)kind, word);
    const char *section = config_kind_name((enum config_kind)kind);
    if (near != NULL)
        config_errors_add(errors, line, "%.*s: no such key in a %s section: did you mean %s?",
                          (int)word.len, word.ptr, section, near->name);
    else
        config_errors_add(errors, line, "%.*s: no such key in a %s section, see platoon.conf(5)",
                          (int)word.len, word.ptr, section);
}

/* True when `part.word` is a key, or `word` is the name of a subsection. */
static bool syntax_is_known(int kind, struct slice part, struct slice word, bool block)
{
    char name[128];
    if (block)
        for (int i = 0; i < CONFIG_KEY_COUNT; i++)
            if ((int)config_keys[i].kind == kind &&
                strncmp(config_keys[i].name, word.ptr, word.len) == 0 &&
                config_keys[i].name[word.len] == '.')
                return true;
    snprintf(name, sizeof name, "%.*s%s%.*s", (int)part.len, part.ptr, part.len > 0 ? "." : "",
             (int)word.len, word.ptr);
    return !block && config_key_find((enum config_kind)kind, slice_of(name)) >= 0;
}

static void syntax_report(const struct config_scan *s, struct statement st, size_t at,
                          struct config_errors *errors)
{
    const struct config_token *first = &s->tokens[st.start];
    bool block = st.end - 1 < s->count && s->tokens[st.end - 1].type == CONFIG_TOKEN_OPEN;
    struct slice part;
    int kind = syntax_context(s, st.start, &part);
    const struct config_token *bad = &s->tokens[at < s->count ? at : st.start];
    if (first->type != CONFIG_TOKEN_WORD)
        config_errors_add(errors, first->line, "%.*s: not expected here, a key or a section is",
                          (int)first->text.len, first->text.ptr);
    else if (s->tokens[st.start].parent == CONFIG_TOKEN_NONE && block &&
             syntax_kind(first->text) < 0)
        syntax_unknown_section(errors, first->line, first->text);
    else if (s->tokens[st.start].parent == CONFIG_TOKEN_NONE && !block)
        syntax_name_sections(errors, first->line, first->text,
                             "stands outside of a section, which are");
    else if (s->tokens[st.start].parent == CONFIG_TOKEN_NONE)
        config_errors_add(errors, first->line, "%.*s: takes %s before its {", (int)first->text.len,
                          first->text.ptr,
                          config_kind_heads((enum config_kind)syntax_kind(first->text)) ==
                                  CONFIG_SINGLE
                              ? "no title"
                              : "a title");
    else if (kind >= 0 && !syntax_is_known(kind, part, first->text, block))
        syntax_unknown_key(errors, first->line, kind, first->text);
    else
        config_errors_add(errors, first->line, "%.*s: must be followed by = and a value%s%.*s%s",
                          (int)first->text.len, first->text.ptr, at != st.start ? ", not by '" : "",
                          at != st.start ? (int)bad->text.len : 0, bad->text.ptr,
                          at != st.start ? "'" : "");
}

static void syntax_drop(struct config_scan *s, size_t from, size_t to)
{
    for (size_t i = from; i < to && i < s->count; i++)
        s->tokens[i].dropped = true;
}

/* A section whose title was there before: reported, and renamed for libconfuse so that its content is checked too. */
static bool syntax_rename_duplicate(struct config_scan *s, struct statement st,
                                    struct config_errors *errors)
{
    size_t open = st.end - 1;
    if (open >= s->count || s->tokens[open].type != CONFIG_TOKEN_OPEN ||
        s->tokens[open].parent != CONFIG_TOKEN_NONE)
        return false;
    size_t name = config_scan_before(s, open);
    if (name == st.start || name == CONFIG_TOKEN_NONE || s->tokens[name].renamed)
        return false;
    struct slice kind = s->tokens[st.start].text, title = config_scan_title(s, open);
    for (size_t i = 0; i < st.start; i++) {
        if (s->tokens[i].type != CONFIG_TOKEN_OPEN || s->tokens[i].parent != CONFIG_TOKEN_NONE ||
            s->tokens[i].dropped)
            continue;
        size_t head = config_scan_head(s, i);
        if (!slice_equal(s->tokens[head].text, kind) ||
            !slice_equal(config_scan_title(s, i), title))
            continue;
        config_errors_add(errors, s->tokens[st.start].line,
                          "%.*s %.*s: there is one of that name on line %u: choose another",
                          (int)kind.len, kind.ptr, (int)title.len, title.ptr, s->tokens[head].line);
        s->tokens[name].renamed = true;
        return true;
    }
    return false;
}

bool config_syntax_recover(struct config_scan *s, size_t at, struct config_errors *errors)
{
    if (at >= s->count || s->tokens[at].type == CONFIG_TOKEN_CLOSE)
        at = config_scan_before(s, at);
    if (at == CONFIG_TOKEN_NONE)
        return false;
    if (s->tokens[at].type == CONFIG_TOKEN_CLOSE) {
        config_errors_add(errors, s->tokens[at].line, "}: not expected here");
        syntax_drop(s,
                    s->tokens[at].match == CONFIG_TOKEN_NONE
                        ? at
                        : config_scan_head(s, s->tokens[at].match),
                    at + 1);
        return true;
    }
    struct statement st = syntax_around(s, at);
    if (syntax_rename_duplicate(s, st, errors))
        return true;
    syntax_report(s, st, at, errors);
    size_t last = st.end - 1;
    bool block = last < s->count && s->tokens[last].type == CONFIG_TOKEN_OPEN &&
                 s->tokens[last].match != CONFIG_TOKEN_NONE;
    syntax_drop(s, st.start, block ? s->tokens[last].match + 1 : st.end);
    return true;
}
