/* queue_fields.c: what templates see of a body. See queue_fields.h. */
#include "workers/queue/queue_fields.h"

#include "common/json/json_short.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

/* Slices into `text`, which moves while it grows, are made last: until then `ptr` counts from its start. */
static void fields_put(struct queue_fields *f, struct slice name, struct slice value)
{
    struct template_field *field = &f->list[f->count++];
    field->name = (struct slice){(const char *)(uintptr_t)f->text.len, name.len};
    buffer_append_slice(&f->text, name);
    field->value = (struct slice){(const char *)(uintptr_t)f->text.len, value.len};
    buffer_append_slice(&f->text, value);
}

static void fields_put_number(struct queue_fields *f, struct slice name, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text == NULL)
        f->text.failed = true;
    else
        fields_put(f, name, slice_of(text));
    free(text);
}

static void fields_put_value(struct queue_fields *f, struct slice name, const json_t *value)
{
    if (json_is_string(value))
        fields_put(f, name, slice_make(json_string_value(value), json_string_length(value)));
    else if (json_is_boolean(value))
        fields_put(f, name, slice_of(json_is_true(value) ? "true" : "false"));
    else if (json_is_number(value))
        fields_put_number(f, name, value);
}

static void fields_point(struct queue_fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct slice *name = &f->list[i].name, *value = &f->list[i].value;
        *name = slice_make(f->text.data + (uintptr_t)name->ptr, name->len);
        *value = slice_make(f->text.data + (uintptr_t)value->ptr, value->len);
    }
}

bool queue_fields_read(struct queue_fields *f, struct slice body)
{
    const char *name;
    json_t *value;
    f->count = 0;
    buffer_clear(&f->text);
    json_short_begin();
    json_t *object = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    if (json_short_end()) { /* else it would go where those go that are no JSON */
        json_decref(object);
        return false;
    }
    json_object_foreach(object, name, value)
    {
        if (f->count < QUEUE_FIELDS_MAX)
            fields_put_value(f, slice_of(name), value);
    }
    json_decref(object);
    if (!buffer_ok(&f->text))
        return false;
    fields_point(f);
    return true;
}

void queue_fields_fini(struct queue_fields *f)
{
    buffer_fini(&f->text);
    f->count = 0;
}
