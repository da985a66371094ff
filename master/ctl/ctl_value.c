/* ctl_value.c: msgpack to JSON. See ctl_value.h. */
#include "master/ctl/ctl_value.h"

#include "common/json/json_value.h"

#include <stdlib.h>

int ctl_value_decode(struct slice body, json_t **out)
{
    return json_value_unpack(body, out);
}

const char *ctl_value_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

uint64_t ctl_value_u64(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

double ctl_value_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

void ctl_value_show(const json_t *value, struct buffer *out)
{
    const json_t *base64 = json_object_get(value, "base64");
    if (json_is_string(value)) {
        buffer_append(out, json_string_value(value), json_string_length(value));
    } else if (json_is_string(base64)) {
        buffer_printf(out, "base64:%s", json_string_value(base64));
    } else if (value == NULL || json_is_null(value)) {
        buffer_append_char(out, '-');
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        if (text == NULL)
            out->failed = true;
        else
            buffer_append_text(out, text);
        free(text);
    }
}

static int append_json(const char *bytes, size_t len, void *ctx)
{
    struct buffer *out = ctx;
    buffer_append(out, bytes, len);
    return buffer_ok(out) ? 0 : -1;
}

void ctl_value_print_line(json_t *value, struct buffer *out)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text != NULL)
        buffer_printf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    json_decref(value);
}

void ctl_value_print(const json_t *value, struct buffer *out)
{
    if (json_dump_callback(value, append_json, out, JSON_ENCODE_ANY | JSON_INDENT(2)) != 0)
        out->failed = true;
    buffer_append_char(out, '\n');
}
