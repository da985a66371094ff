/* cache_call.c: see cache_call.h. */
#include "workers/cache/cache_call.h"

#include "common/base64.h"
#include "common/json/json_check.h"
#include "common/json/json_write.h"
#include "common/utf8.h"
#include "proto/message.h"
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_form.h"
#include "workers/cache/cache_need.h"
#include "workers/cache/cache_node.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define CALL_WHY_SIZE 1024
#define CALL_TEXT_MAX (MESSAGE_FRAME_MAX - 4096) /* of an answer: the rest is its frame's */

/* The text, in JSON, of what was done or found: room for it is there before anything is done. */
#define CALL_OK "{\"ok\":true}"

#define CALL_USAGE                                                                                 \
    "a cache node takes {\"set\":KEY,\"value\":VALUE,\"form\":\"bytes\"|\"string\"|\"term\"}, "    \
    "{\"get\":KEY,\"consistency\":true|false}, {\"dump\":KEY} and {\"persist\":KEY}; KEY and "     \
    "VALUE are "                                                                                   \
    "strings, or {\"base64\":\"…\"} for what is not UTF-8"

/* ---- saying ---- */

static bool call_fail(struct buffer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool call_fail(struct buffer *out, const char *format, ...)
{
    char why[CALL_WHY_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    utf8_show(why);
    buffer_clear(out);
    json_write_string(out, slice_of(why));
    return false;
}

/* ---- reading ---- */

/*
 * The bytes of a key or a value; false: it is neither a string nor base64. `room` holds what had to be decoded.
 */
static bool call_bytes(const json_t *said, struct buffer *room, struct slice *bytes)
{
    const json_t *base64 = json_object_size(said) == 1 ? json_object_get(said, "base64") : NULL;
    if (json_is_string(said)) {
        *bytes = slice_make(json_string_value(said), json_string_length(said));
        return true;
    }
    if (!json_is_string(base64) ||
        !base64_append_bytes(room,
                             slice_make(json_string_value(base64), json_string_length(base64))))
        return false;
    *bytes = buffer_slice(room);
    return true;
}

/* Bytes where nothing is said. */
static bool call_form(const json_t *said, enum cache_form *form)
{
    *form = CACHE_FORM_BYTES;
    return said == NULL ||
           (json_is_string(said) &&
            cache_form_find(slice_make(json_string_value(said), json_string_length(said)), form));
}

/* ---- doing ---- */

struct call {
    struct cache_node *node;
    const json_t *said;
    struct slice key;
    struct buffer *out;
    struct cache_need *need;
};

static bool call_ok(struct call *c)
{
    buffer_append_text(c->out, CALL_OK);
    return true;
}

static bool call_put(struct call *c, struct slice value, enum cache_form form)
{
    bool plain = form == CACHE_FORM_BYTES;
    const struct slice words[] = {slice_of(plain ? "set" : "PLATOON.SET"), c->key, value,
                                  slice_of(cache_form_name(form))};
    char why[CACHE_ACCESS_WHY_SIZE];
    enum cache_need_where where = cache_need_where(c->node, 0, words, plain ? 3 : 4, true, c->need);
    if (where == CACHE_NEED_DONE)
        return call_ok(c);
    if (where == CACHE_NEED_WAITS || !cache_need_has_room(c->node, c->need))
        return false;
    return cache_access_set(c->node, c->key, value, CACHE_NEVER, form, why)
               ? call_ok(c)
               : call_fail(c->out, "%s", why);
}

static bool call_set(struct call *c)
{
    struct buffer room = BUFFER_EMPTY;
    struct slice value;
    enum cache_form form;
    bool read = call_bytes(json_object_get(c->said, "value"), &room, &value), done = false;
    if (!call_form(json_object_get(c->said, "form"), &form))
        call_fail(c->out, "its \"form\" is none: " CALL_USAGE);
    else if (!read)
        call_fail(c->out, "its \"value\" is missing, or no string and no base64: " CALL_USAGE);
    else if (!buffer_ok(&room))
        c->out->failed = true;
    else
        done = call_put(c, value, form);
    buffer_fini(&room);
    return done;
}

/* Its form is said where it is more than bytes: who knows no forms sees what it always saw. */
static bool call_got(struct call *c, bool found, struct slice value, enum cache_form form)
{
    if (!found) {
        buffer_append_text(c->out, "{\"ko\":true}");
        return true;
    }
    buffer_append_text(c->out, "{\"ok\":");
    json_write_bytes(c->out, value);
    if (form != CACHE_FORM_BYTES)
        buffer_printf(c->out, ",\"form\":\"%s\"", cache_form_name(form));
    buffer_append_char(c->out, '}');
    if (c->out->len <= CALL_TEXT_MAX)
        return true;
    return call_fail(c->out,
                     "ERR the value has %zu bytes, and as JSON %zu, more than a message may have "
                     "(%zu): get it in Redis' protocol",
                     value.len, c->out->len, (size_t)CALL_TEXT_MAX);
}

/* Strong unless it says otherwise: who does not know of other nodes means the object as it is. */
static bool call_get(struct call *c)
{
    const json_t *consistency = json_object_get(c->said, "consistency");
    struct slice value;
    if (consistency != NULL && !json_is_boolean(consistency))
        return call_fail(c->out, "its \"consistency\" is neither true nor false: " CALL_USAGE);
    c->need->consistency = json_is_false(consistency) ? CACHE_EVENTUAL : CACHE_STRONG;
    c->need->form = true;
    enum cache_need_where where = cache_need_where_read(c->node, c->key, c->need);
    if (where == CACHE_NEED_DONE)
        return call_got(c, c->need->parts->found, buffer_slice(&c->need->parts->value),
                        c->need->parts->form);
    if (where == CACHE_NEED_WAITS)
        return false;
    c->need->leased = c->need->consistency == CACHE_STRONG;
    enum cache_form form;
    bool found = cache_access_get(c->node, c->key, c->need->consistency, &value, &form);
    return call_got(c, found, value, form);
}

/* What is acknowledged is in the log; where there is a store behind that, it has it then. */
static bool call_persist(struct call *c)
{
    enum cache_need_where where = cache_need_where_stored(c->node, 0, c->key, c->need);
    bool done = where == CACHE_NEED_DONE ||
                (where == CACHE_NEED_HERE && cache_need_is_stored(c->node, 0, c->key, c->need));
    return done && call_ok(c);
}

/* The same, without waiting until the store has it. */
static bool call_dump(struct call *c)
{
    const struct slice words[] = {slice_of("PLATOON.DUMP"), c->key};
    enum cache_need_where where = cache_need_where(c->node, 0, words, 2, false, c->need);
    if (where == CACHE_NEED_WAITS)
        return false;
    if (where == CACHE_NEED_HERE && !c->need->looks)
        cache_need_ask(c->node, c->key);
    return call_ok(c);
}

static const struct call_row {
    const char *name;
    const char *more[2]; /* further members; NULL: none */
    bool (*run)(struct call *c);
} call_rows[] = {
    {"set", {"value", "form"}, call_set},
    {"get", {"consistency", NULL}, call_get},
    {"persist", {NULL, NULL}, call_persist},
    {"dump", {NULL, NULL}, call_dump},
};

#define CALL_ROWS (sizeof call_rows / sizeof call_rows[0])

static const struct call_row *call_row(const json_t *said)
{
    for (size_t i = 0; i < CALL_ROWS; i++)
        if (json_object_get(said, call_rows[i].name) != NULL)
            return &call_rows[i];
    return NULL;
}

static bool call_is_more(const struct call_row *row, const char *name)
{
    for (size_t i = 0; i < 2; i++)
        if (row->more[i] != NULL && strcmp(name, row->more[i]) == 0)
            return true;
    return false;
}

/* A member that nobody would look at is a mistake: "expire" would be believed in. */
static bool call_has_other(json_t *said, const struct call_row *row, struct buffer *out)
{
    const char *name;
    json_t *value;
    json_object_foreach(said, name, value)
    {
        (void)value;
        if (strcmp(name, row->name) == 0 || call_is_more(row, name))
            continue;
        call_fail(out, "a call to %s has no \"%.100s\": " CALL_USAGE, row->name, name);
        return true;
    }
    return false;
}

static bool call_run(struct cache_node *n, json_t *said, struct buffer *out,
                     struct cache_need *need)
{
    const struct call_row *row = call_row(said);
    struct buffer room = BUFFER_EMPTY;
    struct call c = {.node = n, .said = said, .out = out, .need = need};
    bool done = false;
    if (row == NULL)
        call_fail(out, "it is none of those that are understood: " CALL_USAGE);
    else if (call_has_other(said, row, out))
        done = false;
    else if (!call_bytes(json_object_get(said, row->name), &room, &c.key))
        call_fail(out, "its key is no string and no base64: " CALL_USAGE);
    else if (!buffer_ok(&room))
        out->failed = true;
    else
        done = row->run(&c);
    buffer_fini(&room);
    return done;
}

/* Without memory jansson says that, or nothing, or that good tokens are none or not those it expects. */
static bool call_is_short(struct slice text, const json_error_t *error)
{
    bool tokens = strstr(error->text, "invalid token") != NULL ||
                  strstr(error->text, " expected near ") != NULL;
    return json_error_code(error) == json_error_out_of_memory || error->text[0] == '\0' ||
           (tokens && json_check_object(text));
}

bool cache_call(struct cache_node *n, struct slice text, struct buffer *out,
                struct cache_need *need)
{
    json_error_t error;
    buffer_clear(out);
    if (buffer_reserve(out, sizeof CALL_OK) == NULL)
        return false;
    json_t *said = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (said == NULL && call_is_short(text, &error)) {
        out->failed = true;
        return false;
    }
    if (said == NULL)
        return call_fail(out, "it is no JSON (%s): " CALL_USAGE, error.text);
    cache_turn_begin(&n->turn);
    bool done = call_run(n, said, out, need);
    json_decref(said);
    return done;
}
