/* ctl_value.c: msgpack to JSON. See ctl_value.h. */
#include "master/ctl/ctl_value.h"

#include "common/json/json_text.h"
#include "common/json/json_value.h"
#include "common/json/json_write.h"
#include "common/unpack.h"
#include "common/utf8.h"

#include <stdlib.h>

int ctl_value_decode(struct slice body, json_t **out)
{
    return json_value_unpack(body, UNPACK_DEPTH_MAX, out);
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

/* Nothing of anybody's orders a terminal about, whoever it is shown to later. */
static void append_dump(struct buffer *out, const json_t *value,
                        void (*append)(struct buffer *, const json_t *))
{
    struct buffer text = BUFFER_EMPTY;
    append(&text, value);
    if (value == NULL || !buffer_ok(&text))
        out->failed = true;
    else
        json_write_harmless(out, buffer_slice(&text));
    buffer_fini(&text);
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
        append_dump(out, value, json_text_append);
    }
}

void ctl_value_print_line(json_t *value, struct buffer *out)
{
    append_dump(out, value, json_text_append);
    buffer_append_char(out, '\n');
    json_decref(value);
}

void ctl_value_print(const json_t *value, struct buffer *out)
{
    append_dump(out, value, json_text_append_lines);
    buffer_append_char(out, '\n');
}
