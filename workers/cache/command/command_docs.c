/*
 * command_docs.c: COMMAND DOCS: what redis-server's documents say of each command.
 *
 * Runs in a cache node. The words stand in command_docs_list.h; here they are taken apart and written.
 */
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_about.h"
#include "workers/cache/command/command_docs_list.h"
#include "workers/cache/command/command_list.h"

#include <string.h>

struct docs {
    const char *name, *summary, *since, *group, *complexity, *deprecated, *history, *arguments;
};

#define X(...)   {__VA_ARGS__},
#define OWN(...) {"platoon." __VA_ARGS__},
static const struct docs docs_list[] = {COMMAND_DOCS(X) COMMAND_DOCS_OWN(OWN)};
#undef X
#undef OWN

/* NULL: nothing is said of it; test_differential.py sees to it that something is of each. */
static const struct docs *docs_of(const struct cache_command *command)
{
    for (size_t i = 0; i < sizeof docs_list / sizeof docs_list[0]; i++)
        if (strcmp(docs_list[i].name, command->name) == 0)
            return &docs_list[i];
    return NULL;
}

static void docs_pair(struct cache_client *c, const char *name, struct slice value)
{
    resp_text(&c->reply, name);
    resp_bulk(&c->reply, value);
}

static void docs_flag(struct cache_client *c, bool is, const char *flag)
{
    if (is)
        resp_status(&c->reply, flag);
}

/* ---- arguments ---- */

/* One of a command's arguments; what it does not have is empty. */
struct docs_argument {
    struct slice name, type, key, token, since, deprecated, own;
    bool optional, multiple, multiple_token;
};

/* Up to one of `ends`, which *text is behind then, or at when it is none of the argument's signs. */
static struct slice docs_word(struct slice *text, const char *ends)
{
    size_t len = 0;
    while (len < text->len && strchr(ends, text->ptr[len]) == NULL)
        len++;
    struct slice word = slice_make(text->ptr, len);
    *text = slice_make(text->ptr + len, text->len - len);
    return word;
}

static bool docs_skip(struct slice *text, char sign)
{
    if (text->len == 0 || text->ptr[0] != sign)
        return false;
    *text = slice_make(text->ptr + 1, text->len - 1);
    return true;
}

/* What follows that sign, if it does. */
static struct slice docs_part(struct slice *text, char sign)
{
    return docs_skip(text, sign) ? docs_word(text, "#'@~?+*{ ") : slice_of("");
}

/* What stands in braces: they may hold others. */
static struct slice docs_braced(struct slice *text)
{
    size_t len = 0;
    if (!docs_skip(text, '{'))
        return slice_of("");
    for (int depth = 1; depth > 0; len++)
        depth += (text->ptr[len] == '{') - (text->ptr[len] == '}');
    struct slice own = slice_make(text->ptr, len - 1);
    *text = slice_make(text->ptr + len, text->len - len);
    return own;
}

/* The next one; false: there is none. */
static bool docs_argument(struct slice *text, struct docs_argument *a)
{
    docs_skip(text, ' ');
    if (text->len == 0)
        return false;
    a->name = docs_word(text, "=");
    a->type = docs_part(text, '=');
    a->key = docs_part(text, '#');
    a->token = docs_part(text, '\'');
    a->since = docs_part(text, '@');
    a->deprecated = docs_part(text, '~');
    a->optional = docs_skip(text, '?');
    a->multiple = docs_skip(text, '+');
    a->multiple_token = docs_skip(text, '*');
    a->own = docs_braced(text);
    return true;
}

static size_t docs_count(struct slice text)
{
    struct docs_argument a;
    size_t count = 0;
    while (docs_argument(&text, &a))
        count++;
    return count;
}

static void docs_arguments(struct cache_client *c, struct slice text);

static void docs_write(struct cache_client *c, const struct docs_argument *a)
{
    size_t flags = (size_t)a->optional + a->multiple + a->multiple_token;
    resp_map(&c->reply, 2u + (a->key.len > 0) + (a->token.len > 0) + (a->since.len > 0) +
                            (a->deprecated.len > 0) + (flags > 0) + (a->own.len > 0));
    docs_pair(c, "name", a->name);
    docs_pair(c, "type", a->type);
    if (a->key.len > 0) {
        resp_text(&c->reply, "key_spec_index");
        resp_i64(&c->reply, a->key.ptr[0] - '0');
    }
    if (a->token.len > 0)
        docs_pair(c, "token", a->token);
    if (a->since.len > 0)
        docs_pair(c, "since", a->since);
    if (a->deprecated.len > 0)
        docs_pair(c, "deprecated_since", a->deprecated);
    if (flags > 0) {
        resp_text(&c->reply, "flags");
        resp_set(&c->reply, flags);
        docs_flag(c, a->optional, "optional");
        docs_flag(c, a->multiple, "multiple");
        docs_flag(c, a->multiple_token, "multiple_token");
    }
    if (a->own.len > 0)
        docs_arguments(c, a->own);
}

/* They hold arguments of their own, three deep at most: it is our list. */
static void docs_arguments(struct cache_client *c, struct slice text)
{
    struct docs_argument a;
    resp_text(&c->reply, "arguments");
    resp_array(&c->reply, docs_count(text));
    while (docs_argument(&text, &a))
        docs_write(c, &a);
}

/* ---- a command ---- */

static void docs_deprecated(struct cache_client *c, const char *text)
{
    struct slice since = command_about_next(&text);
    resp_text(&c->reply, "doc_flags");
    resp_set(&c->reply, 1);
    resp_status(&c->reply, "deprecated");
    docs_pair(c, "deprecated_since", since);
    docs_pair(c, "replaced_by", slice_of(text + 1));
}

static void docs_history(struct cache_client *c, const char *text)
{
    size_t lines = 1;
    for (const char *end = text; (end = strchr(end, '\n')) != NULL; end++)
        lines++;
    resp_text(&c->reply, "history");
    resp_set(&c->reply, lines);
    for (size_t i = 0; i < lines; i++) {
        struct slice since = command_about_next(&text);
        size_t len = strcspn(text, "\n");
        resp_array(&c->reply, 2);
        resp_bulk(&c->reply, since);
        resp_bulk(&c->reply, slice_make(text + 1, len - 1));
        text += len + (text[len] == '\n');
    }
}

static void docs_one(struct cache_client *c, const struct cache_command *command)
{
    static const struct docs none = {"", "", "", "", "", "", "", ""};
    const struct docs *d = docs_of(command) != NULL ? docs_of(command) : &none;
    size_t subs = command_about_subs(c, command);
    resp_text(&c->reply, command->name);
    resp_map(&c->reply, 3u + (d->since[0] != '\0') + (d->deprecated[0] != '\0' ? 3u : 0u) +
                            (d->history[0] != '\0') + (d->arguments[0] != '\0') + (subs > 0));
    docs_pair(c, "summary", slice_of(d->summary));
    if (d->since[0] != '\0')
        docs_pair(c, "since", slice_of(d->since));
    docs_pair(c, "group", slice_of(d->group));
    docs_pair(c, "complexity", slice_of(d->complexity));
    if (d->deprecated[0] != '\0')
        docs_deprecated(c, d->deprecated);
    if (d->history[0] != '\0')
        docs_history(c, d->history);
    if (d->arguments[0] != '\0')
        docs_arguments(c, slice_of(d->arguments));
    if (subs == 0)
        return;
    resp_text(&c->reply, "subcommands");
    resp_map(&c->reply, subs);
    for (const struct cache_command *s = command_next_sub(c->node->commands->table, command, NULL);
         s != NULL; s = command_next_sub(c->node->commands->table, command, s))
        docs_one(c, s);
}

void command_command_docs(struct cache_client *c, const struct slice *words, size_t count)
{
    const struct command_table *table = c->node->commands->table;
    size_t found = count == 2 ? table->count : 0;
    for (size_t i = 2; i < count; i++)
        found += command_about_find(c, words[i]) != NULL;
    resp_map(&c->reply, found);
    for (const struct cache_command *e = count == 2 ? command_next(table, NULL) : NULL; e != NULL;
         e = command_next(table, e))
        docs_one(c, e);
    for (size_t i = 2; i < count; i++)
        if (command_about_find(c, words[i]) != NULL)
            docs_one(c, command_about_find(c, words[i]));
}
