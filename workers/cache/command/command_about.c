/*
 * command_about.c: COMMAND: which commands there are, and what they take.
 *
 * Runs in a cache node. All of it follows from command_list.h.
 */
#include "workers/cache/command/command_about.h"

#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"
#include "common/glob.h"

#include <stdlib.h>

/* ---- one command ---- */

struct about_word {
    unsigned flag;
    const char *word;
};

/* Each list is in Redis' order. */
static const struct about_word about_flags[] = {
    {COMMAND_WRITE, "write"},       {COMMAND_READ, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},   {COMMAND_ADMIN, "admin"},
    {COMMAND_NOSCRIPT, "noscript"}, {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},       {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_FAST, "fast"},         {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_NO_MULTI, "no_multi"}, {COMMAND_ALLOW_BUSY, "allow_busy"},
};

/* Who is not fast is slow. */
#define ABOUT_SLOW (1u << 30)

static const struct about_word about_categories[] = {
    {COMMAND_KEYSPACE, "@keyspace"},
    {COMMAND_READ, "@read"},
    {COMMAND_WRITE, "@write"},
    {COMMAND_STRING, "@string"},
    {COMMAND_ADMIN, "@admin"},
    {COMMAND_FAST, "@fast"},
    {ABOUT_SLOW, "@slow"},
    {COMMAND_DANGEROUS | COMMAND_ADMIN, "@dangerous"},
    {COMMAND_CONNECTION, "@connection"},
    {COMMAND_TRANSACTION, "@transaction"},
};

#define ABOUT_COUNT(list) (sizeof(list) / sizeof(list)[0])

static unsigned about_all(const struct cache_command *command)
{
    return command->flags | ((command->flags & COMMAND_FAST) == 0 ? ABOUT_SLOW : 0);
}

static void about_set(struct cache_client *c, unsigned flags, const struct about_word *words,
                      size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += (flags & words[i].flag) != 0;
    resp_set(&c->reply, found);
    for (size_t i = 0; i < count; i++)
        if ((flags & words[i].flag) != 0)
            resp_status(&c->reply, words[i].word);
}

struct slice command_about_next(const char **text)
{
    *text += strspn(*text, " ");
    size_t len = strcspn(*text, " ");
    struct slice word = slice_make(*text, len);
    *text += len;
    return word;
}

static size_t about_count_words(const char *text)
{
    size_t count = 0;
    while (command_about_next(&text).len > 0)
        count++;
    return count;
}

static void about_tips(struct cache_client *c, const char *tips)
{
    resp_set(&c->reply, about_count_words(tips));
    for (struct slice tip = command_about_next(&tips); tip.len > 0; tip = command_about_next(&tips))
        resp_bulk(&c->reply, tip);
}

static void about_pair(struct cache_client *c, const char *name, const char *value)
{
    resp_text(&c->reply, name);
    resp_text(&c->reply, value);
}

static void about_number(struct cache_client *c, const char *name, int value)
{
    resp_text(&c->reply, name);
    resp_i64(&c->reply, value);
}

void command_about_flags(struct cache_client *c, const char *key)
{
    char flags[64];
    const char *at = flags;
    slice_copy(slice_make(key, strcspn(key, "#")), flags, sizeof flags);
    resp_set(&c->reply, about_count_words(flags));
    for (struct slice word = command_about_next(&at); word.len > 0;
         word = command_about_next(&at)) {
        char text[32];
        slice_copy(word, text, sizeof text);
        resp_status(&c->reply, text);
    }
}

/* All keys stand at places that are counted from the first. */
static void about_keys(struct cache_client *c, const struct cache_command *command)
{
    resp_set(&c->reply, command->first > 0);
    if (command->first == 0)
        return;
    const char *notes = strchr(command->key, '#');
    resp_map(&c->reply, notes != NULL ? 4 : 3);
    if (notes != NULL)
        about_pair(c, "notes", notes + 1);
    resp_text(&c->reply, "flags");
    command_about_flags(c, command->key);
    resp_text(&c->reply, "begin_search");
    resp_map(&c->reply, 2);
    about_pair(c, "type", "index");
    resp_text(&c->reply, "spec");
    resp_map(&c->reply, 1);
    about_number(c, "index", command->first);
    resp_text(&c->reply, "find_keys");
    resp_map(&c->reply, 2);
    about_pair(c, "type", "range");
    resp_text(&c->reply, "spec");
    resp_map(&c->reply, 3);
    about_number(c, "lastkey", command->last < 0 ? command->last : command->last - command->first);
    about_number(c, "keystep", command->step);
    about_number(c, "limit", 0);
}

size_t command_about_subs(const struct cache_client *c, const struct cache_command *command)
{
    size_t count = 0;
    if ((command->flags & COMMAND_CONTAINER) == 0)
        return 0;
    for (const struct cache_command *s = command_next_sub(c->node->commands->table, command, NULL);
         s != NULL; s = command_next_sub(c->node->commands->table, command, s))
        count++;
    return count;
}

/* All but its subcommands. */
static void about_one(struct cache_client *c, const struct cache_command *command)
{
    unsigned flags = about_all(command);
    resp_array(&c->reply, 10);
    resp_text(&c->reply, command->name);
    resp_i64(&c->reply, command->arity);
    about_set(c, flags, about_flags, ABOUT_COUNT(about_flags));
    resp_i64(&c->reply, command->first);
    resp_i64(&c->reply, command->last);
    resp_i64(&c->reply, command->step);
    about_set(c, flags, about_categories, ABOUT_COUNT(about_categories));
    about_tips(c, command->tips);
    about_keys(c, command);
    if (command_about_subs(c, command) > 0)
        resp_array(&c->reply, command_about_subs(c, command));
    else
        resp_set(&c->reply, 0);
}

static void about_whole(struct cache_client *c, const struct cache_command *command)
{
    about_one(c, command);
    if (command_about_subs(c, command) == 0)
        return;
    for (const struct cache_command *s = command_next_sub(c->node->commands->table, command, NULL);
         s != NULL; s = command_next_sub(c->node->commands->table, command, s))
        about_one(c, s);
}

/* ---- the commands ---- */

static size_t about_count(const struct cache_client *c)
{
    size_t count = 0;
    for (const struct cache_command *e = command_next(c->node->commands->table, NULL); e != NULL;
         e = command_next(c->node->commands->table, e))
        count++;
    return count;
}

void command_command(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_array(&c->reply, about_count(c));
    for (const struct cache_command *e = command_next(c->node->commands->table, NULL); e != NULL;
         e = command_next(c->node->commands->table, e))
        about_whole(c, e);
}

void command_command_count(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_i64(&c->reply, (int64_t)about_count(c));
}

const struct cache_command *command_about_find(const struct cache_client *c, struct slice name)
{
    const char *bar = memchr(name.ptr, '|', name.len);
    if (bar == NULL)
        return command_find(c->node->commands->table, name);
    struct slice pair[] = {slice_make(name.ptr, (size_t)(bar - name.ptr)),
                           slice_make(bar + 1, name.len - (size_t)(bar - name.ptr) - 1)};
    const struct cache_command *container = command_find(c->node->commands->table, pair[0]);
    return container != NULL && (container->flags & COMMAND_CONTAINER) != 0
               ? command_find_sub(c->node->commands->table, container, pair, 2)
               : NULL;
}

void command_command_info(struct cache_client *c, const struct slice *words, size_t count)
{
    if (count == 2) {
        command_command(c, words, count);
        return;
    }
    resp_array(&c->reply, count - 2);
    for (size_t i = 2; i < count; i++) {
        const struct cache_command *command = command_about_find(c, words[i]);
        if (command != NULL)
            about_whole(c, command);
        else
            resp_nil(&c->reply);
    }
}

/* ---- LIST ---- */

enum about_filter { ABOUT_ALL, ABOUT_NONE, ABOUT_CATEGORY, ABOUT_PATTERN };

static bool about_is_in(const struct cache_command *command, enum about_filter filter,
                        struct slice value)
{
    if (filter == ABOUT_PATTERN)
        return glob_matches(value, slice_make(command->name, command->name_len), true);
    for (size_t i = 0; filter == ABOUT_CATEGORY && i < ABOUT_COUNT(about_categories); i++)
        if (command_is(value, about_categories[i].word + 1))
            return (about_all(command) & about_categories[i].flag) != 0;
    return filter == ABOUT_ALL;
}

/* Writes those that are in it, or counts them only. */
static size_t about_list(struct cache_client *c, enum about_filter filter, struct slice value,
                         bool write)
{
    size_t count = 0;
    for (const struct cache_command *e = command_next(c->node->commands->table, NULL); e != NULL;
         e = command_next(c->node->commands->table, e)) {
        const struct cache_command *s = e;
        bool subs = filter != ABOUT_ALL && command_about_subs(c, e) > 0;
        do {
            bool in = about_is_in(s, filter, value);
            if (in && write)
                resp_text(&c->reply, s->name);
            count += in;
            s = subs ? command_next_sub(c->node->commands->table, e, s == e ? NULL : s) : NULL;
        } while (s != NULL);
    }
    return count;
}

void command_command_list(struct cache_client *c, const struct slice *words, size_t count)
{
    enum about_filter filter = ABOUT_ALL;
    struct slice value = count == 5 ? words[4] : slice_of("");
    if (count == 5 && command_is(words[2], "filterby")) {
        if (command_is(words[3], "module"))
            filter = ABOUT_NONE;
        else if (command_is(words[3], "aclcat"))
            filter = ABOUT_CATEGORY;
        else if (command_is(words[3], "pattern"))
            filter = ABOUT_PATTERN;
    }
    if (count != 2 && filter == ABOUT_ALL) {
        resp_error(&c->reply, "ERR syntax error");
        return;
    }
    size_t found = about_list(c, filter, value, false);
    if (filter == ABOUT_ALL)
        resp_set(&c->reply, found);
    else
        resp_array(&c->reply, found);
    about_list(c, filter, value, true);
}
