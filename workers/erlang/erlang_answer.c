/* erlang_answer.c: see erlang_answer.h. */
#include "workers/erlang/erlang_answer.h"

#include "common/base64.h"

#include <jansson.h>

/* ---- as nodes write it ---- */

static bool answer_starts(struct slice *text, const char *with)
{
    size_t len = strlen(with);
    if (text->len < len || memcmp(text->ptr, with, len) != 0)
        return false;
    *text = slice_make(text->ptr + len, text->len - len);
    return true;
}

/* What stands in front of the next quote. False: there is none, or something in it is escaped. */
static bool answer_string(struct slice *text, struct slice *said)
{
    const char *end = memchr(text->ptr, '"', text->len);
    if (end == NULL)
        return false;
    *said = slice_make(text->ptr, (size_t)(end - text->ptr));
    *text = slice_make(end + 1, text->len - said->len - 1);
    return said->len == 0 || memchr(said->ptr, '\\', said->len) == NULL;
}

static bool answer_form(struct slice *text, enum erlang_form *form)
{
    char name[16];
    struct slice said;
    *form = ERLANG_FORM_BYTES;
    if (!answer_starts(text, ",\"form\":\""))
        return true;
    return answer_string(text, &said) && slice_copy(said, name, sizeof name) &&
           erlang_form_find(name, form);
}

static bool answer_plain(struct slice text, struct buffer *room, struct slice *value,
                         enum erlang_form *form)
{
    struct slice said;
    bool base64 = answer_starts(&text, "{\"ok\":{\"base64\":\"");
    if (!base64 && !answer_starts(&text, "{\"ok\":\""))
        return false;
    if (!answer_string(&text, &said) || (base64 && !answer_starts(&text, "}")) ||
        !answer_form(&text, form) || !slice_is(text, "}"))
        return false;
    *value = said;
    if (!base64)
        return true;
    if (!base64_append_bytes(room, said))
        return false;
    *value = buffer_slice(room);
    return true;
}

/* ---- as JSON ---- */

static struct slice answer_text(const json_t *said)
{
    return slice_make(json_string_value(said), json_string_length(said));
}

/* The value stays in `room`: `said` goes. */
static bool answer_value(const json_t *said, struct buffer *room)
{
    const json_t *base64 = json_object_get(said, "base64");
    if (!json_is_string(said))
        return json_is_string(base64) && base64_append_bytes(room, answer_text(base64));
    buffer_append_slice(room, answer_text(said));
    return true;
}

static bool answer_object(const json_t *said, struct buffer *room, bool *found,
                          enum erlang_form *form)
{
    const json_t *ok = json_object_get(said, "ok"), *named = json_object_get(said, "form");
    *form = ERLANG_FORM_BYTES;
    *found = ok != NULL;
    if (!*found)
        return json_is_true(json_object_get(said, "ko"));
    return answer_value(ok, room) &&
           (named == NULL ||
            (json_is_string(named) && erlang_form_find(json_string_value(named), form)));
}

bool erlang_answer_read(struct slice text, struct buffer *room, bool *found, struct slice *value,
                        enum erlang_form *form)
{
    *found = true;
    buffer_clear(room);
    if (answer_plain(text, room, value, form))
        return buffer_ok(room);
    buffer_clear(room);
    json_t *said = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    bool read = answer_object(said, room, found, form) && buffer_ok(room);
    json_decref(said);
    *value = buffer_slice(room);
    return read;
}
