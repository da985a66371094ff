/* ctl_cache_dead.c: the verb `cache dead`: list, show, retry, drop. See ctl_cache.h. */
#include "common/base64.h"
#include "common/text.h"
#include "master/ctl/cache/ctl_cache.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_letters.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEAD_NAMED                                                                                 \
    "base64:YWxs" /* the key that is called so: the word by itself stands for all of them */
/* Keys whose values are asked for at once: an answer has room for two of each. */
#define DEAD_BATCH 100

static void append_key(const json_t *letter, struct buffer *out)
{
    const json_t *key = json_object_get(letter, "key");
    if (json_is_string(key) && strcmp(json_string_value(key), CTL_LETTERS_ALL) == 0)
        buffer_append_text(out, DEAD_NAMED);
    else
        ctl_value_show(key, out);
}

/* Of two of one key it tells which is which. */
static void append_reason(const json_t *letter, struct buffer *out)
{
    if (json_is_true(json_object_get(letter, "lost")))
        buffer_append_text(out, "(lost) ");
    buffer_append_text(out, ctl_value_text(letter, "reason"));
}

void ctl_cache_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out)
{
    static const struct ctl_column columns[] = {
        {"KEY", false, false}, {"BYTES", true, false}, {"REASON", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *letter;
    json_array_foreach(letters, i, letter)
    {
        struct buffer key = BUFFER_EMPTY, reason = BUFFER_EMPTY;
        append_key(letter, &key);
        append_reason(letter, &reason);
        ctl_table_cell(&t, CTL_PLAIN, buffer_slice(&key));
        if (json_is_true(json_object_get(letter, "deleted")))
            ctl_table_cell(&t, CTL_PLAIN, slice_of("deleted"));
        else
            ctl_table_printf(&t, CTL_PLAIN, "%" PRIu64, ctl_value_u64(letter, "bytes"));
        ctl_table_cell(&t, CTL_PLAIN, buffer_slice(&reason));
        t.failed |= !buffer_ok(&key) || !buffer_ok(&reason);
        buffer_fini(&key);
        buffer_fini(&reason);
    }
    ctl_table_render(&t, width, color, out);
    ctl_table_fini(&t);
}

void ctl_cache_render_dead_data(const json_t *letters, bool color, struct buffer *out)
{
    size_t i;
    json_t *letter;
    json_array_foreach(letters, i, letter)
    {
        struct buffer key = BUFFER_EMPTY, value = BUFFER_EMPTY, reason = BUFFER_EMPTY;
        append_key(letter, &key);
        append_reason(letter, &reason);
        ctl_append_color(out, color, CTL_BOLD, buffer_slice(&key));
        buffer_append_text(out, "\n  ");
        ctl_append_safe(out, buffer_slice(&reason));
        if (json_is_true(json_object_get(letter, "deleted"))) {
            buffer_append_text(out, "\n  deleted\n");
        } else {
            buffer_printf(out, "\n  %" PRIu64 " bytes: ", ctl_value_u64(letter, "bytes"));
            ctl_value_show(json_object_get(letter, "value"), &value);
            ctl_append_safe(out, buffer_slice(&value));
            buffer_append_char(out, '\n');
        }
        out->failed |= !buffer_ok(&key) || !buffer_ok(&value) || !buffer_ok(&reason);
        buffer_fini(&reason);
        buffer_fini(&key);
        buffer_fini(&value);
    }
}

/* ---- asking ---- */

static int dead_decode(struct slice body, json_t **answer)
{
    return ctl_value_decode(body, answer) == 0
               ? CONTROL_OK
               : ctl_fail(CONTROL_ERROR, "the node's answer is not well-formed");
}

/* One node's answer more: letters behind letters, or what it has counted added. */
static int dead_join(json_t **all, json_t *answer)
{
    if (*all == NULL) {
        *all = json_incref(answer);
        return CONTROL_OK;
    }
    uint64_t count = ctl_value_u64(*all, "count") + ctl_value_u64(answer, "count");
    int rc = json_is_array(*all)
                 ? json_array_extend(*all, answer)
                 : json_object_set_new(*all, "count", json_integer((json_int_t)count));
    return rc == 0 ? CONTROL_OK : ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
}

/* The keys behind the word, none for `all`. */
static int dead_ask_node(struct ctl *c, const char *node, const char *verb, json_t **all)
{
    size_t count = c->args.argc > 2 && !ctl_letters_is_all(c) ? (size_t)c->args.argc - 2 : 0;
    const char **keys = calloc(count + 1, sizeof *keys);
    struct slice body;
    json_t *answer = NULL;
    if (keys == NULL)
        return ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    for (size_t i = 0; i < count; i++) {
        const char *word = c->args.argv[2 + i];
        keys[i] = strcmp(word, DEAD_NAMED) == 0 ? CTL_LETTERS_ALL : word;
    }
    int status = ctl_cache_ask_keys(c, node, verb, count, keys, &body);
    free(keys);
    if (status == CONTROL_OK)
        status = dead_decode(body, &answer);
    if (status == CONTROL_OK)
        status = dead_join(all, answer);
    json_decref(answer);
    return status;
}

/* Each node has its own dead letters, also of objects that another has by now. */
static int dead_ask(struct ctl *c, const char *verb, json_t **answer)
{
    json_t *names = NULL;
    int status = ctl_cache_each(c, &names);
    for (size_t i = 0; status == CONTROL_OK && i < json_array_size(names); i++)
        status = dead_ask_node(c, json_string_value(json_array_get(names, i)), verb, answer);
    json_decref(names);
    return status;
}

/* Appends some more of an answer. */
static int dead_ask_more(struct ctl *c, const char *node, const char *verb, size_t count,
                         const struct slice *keys, json_t *letters, size_t *came)
{
    struct slice body;
    json_t *page = NULL;
    int status = ctl_cache_ask_node(c, node, verb, count, keys, &body);
    if (status == CONTROL_OK)
        status = dead_decode(body, &page);
    *came = json_array_size(page);
    if (status == CONTROL_OK && json_array_extend(letters, page) != 0)
        status = ctl_fail(CONTROL_ERROR, "not enough memory for the answer");
    json_decref(page);
    return status;
}

/* The key's bytes. */
static struct slice dead_key(const json_t *letter, struct buffer *out)
{
    struct buffer name = BUFFER_EMPTY;
    buffer_clear(out);
    ctl_value_show(json_object_get(letter, "key"), &name);
    base64_append_named(out, buffer_slice(&name));
    out->failed |= !buffer_ok(&name);
    buffer_fini(&name);
    return buffer_slice(out);
}

static bool dead_is_same(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "key"), json_object_get(b, "key")) &&
           ctl_value_u64(a, "version") == ctl_value_u64(b, "version");
}

/* Page by page, until there are no more, or it has begun anew because the last one is a dead letter no more. */
static int dead_ask_all(struct ctl *c, const char *node, json_t *letters)
{
    struct buffer after = BUFFER_EMPTY;
    size_t came = 0, first = json_array_size(letters);
    int status = dead_ask_more(c, node, "dead-list", 0, NULL, letters, &came);
    while (status == CONTROL_OK && came > 0) {
        size_t before = json_array_size(letters);
        const json_t *last = json_array_get(letters, before - 1);
        char version[24];
        snprintf(version, sizeof version, "%" PRIu64, ctl_value_u64(last, "version"));
        struct slice words[] = {dead_key(last, &after), slice_of(version)};
        status = buffer_ok(&after) ? dead_ask_more(c, node, "dead-list", 2, words, letters, &came)
                                   : ctl_fail(CONTROL_ERROR, "not enough memory for the request");
        if (came > 0 &&
            dead_is_same(json_array_get(letters, first), json_array_get(letters, before)))
            break;
    }
    buffer_fini(&after);
    return status;
}

/* One letter of each key: an answer has all that are of it. NULL: memory is short. */
static json_t *dead_keys(const json_t *listed)
{
    json_t *seen = json_object(), *first = json_array(), *letter;
    bool failed = false;
    size_t i;
    json_array_foreach(listed, i, letter)
    {
        struct buffer name = BUFFER_EMPTY;
        ctl_value_show(json_object_get(letter, "key"), &name);
        const char *text = buffer_text(&name);
        if (text != NULL && json_object_get(seen, text) == NULL)
            failed |= json_object_set_new_nocheck(seen, text, json_true()) != 0 ||
                      json_array_append(first, letter) != 0;
        failed |= text == NULL;
        buffer_fini(&name);
    }
    json_decref(seen);
    if (!failed)
        return first;
    json_decref(first);
    return NULL;
}

static int dead_ask_values(struct ctl *c, const char *node, const json_t *listed, json_t *letters)
{
    struct buffer keys[DEAD_BATCH] = {{0}};
    struct slice words[DEAD_BATCH];
    json_t *first = dead_keys(listed);
    int status =
        first != NULL ? CONTROL_OK : ctl_fail(CONTROL_ERROR, "not enough memory for the request");
    for (size_t i = 0; i < json_array_size(first) && status == CONTROL_OK; i += DEAD_BATCH) {
        size_t count = 0, came;
        for (; count < DEAD_BATCH && i + count < json_array_size(first); count++)
            words[count] = dead_key(json_array_get(first, i + count), &keys[count]);
        status = dead_ask_more(c, node, "dead-show", count, words, letters, &came);
    }
    for (size_t i = 0; i < DEAD_BATCH; i++)
        buffer_fini(&keys[i]);
    json_decref(first);
    return status;
}

/* Appends those letters with their values. */
static int dead_show_node(struct ctl *c, const char *node, json_t *letters)
{
    json_t *listed = json_array();
    int status = dead_ask_all(c, node, listed);
    if (status == CONTROL_OK)
        status = dead_ask_values(c, node, listed, letters);
    json_decref(listed);
    return status;
}

/* *letters: of all nodes, one behind the other. */
static int dead_of_all(struct ctl *c, int (*ask)(struct ctl *, const char *, json_t *),
                       json_t **letters)
{
    json_t *names = NULL;
    *letters = json_array();
    int status = ctl_cache_each(c, &names);
    for (size_t i = 0; status == CONTROL_OK && i < json_array_size(names); i++)
        status = ask(c, json_string_value(json_array_get(names, i)), *letters);
    json_decref(names);
    return status;
}

/* ---- list, show ---- */

static int dead_list(struct ctl *c)
{
    if (c->args.argc > 2)
        return ctl_fail_usage(CTL_VERB_CACHE_DEAD, "'list' takes no further words");
    json_t *letters = NULL;
    int status = dead_of_all(c, dead_ask_all, &letters);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, letters);
    else if (status == CONTROL_OK && json_array_size(letters) == 0)
        buffer_printf(&c->out, "%s: no dead letters\n", c->args.argv[0]);
    else if (status == CONTROL_OK)
        ctl_cache_render_dead(letters, c->width, c->color, &c->out);
    json_decref(letters);
    return status;
}

static int check_keys(struct ctl *c)
{
    if (c->args.argc < 3)
        return ctl_fail_usage(CTL_VERB_CACHE_DEAD, "'%s' needs the keys of dead letters, or 'all'",
                              c->args.argv[1]);
    return CONTROL_OK;
}

static int dead_show(struct ctl *c)
{
    json_t *letters = NULL;
    bool all = ctl_letters_is_all(c) || c->args.argc == 2;
    int status =
        all ? dead_of_all(c, dead_show_node, &letters) : dead_ask(c, "dead-show", &letters);
    if (status == CONTROL_OK && c->args.json)
        ctl_print_json(c, letters);
    else if (status == CONTROL_OK && all && json_array_size(letters) == 0)
        buffer_printf(&c->out, "%s: no dead letters\n", c->args.argv[0]);
    else if (status == CONTROL_OK)
        ctl_cache_render_dead_data(letters, c->color, &c->out);
    if (status == CONTROL_OK && !all)
        status = ctl_letters_found(c, "cache", json_array_size(letters));
    json_decref(letters);
    return status;
}

/* ---- the verb ---- */

static const struct ctl_letters dead = {.verb = CTL_VERB_CACHE_DEAD,
                                        .system = "cache",
                                        .retried = "will be stored now",
                                        .list = dead_list,
                                        .show = dead_show,
                                        .check = check_keys,
                                        .ask = dead_ask};

int ctl_cache_dead_run(struct ctl *c)
{
    return ctl_letters_run(c, &dead);
}
