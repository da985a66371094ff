/* ctl_value.c: msgpack to JSON. See ctl_value.h. */
#include "master/ctl/ctl_value.h"

#include "common/base64.h"
#include "common/unpack.h"
#include "common/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static json_t *decode_bytes(struct slice bytes)
{
    if (utf8_valid(bytes))
        return json_stringn_nocheck(bytes.ptr, bytes.len);
    struct buffer text = BUFFER_EMPTY;
    base64_append(&text, bytes);
    json_t *value = buffer_ok(&text) ? json_pack("{s:s%}", "base64", text.data, text.len) : NULL;
    buffer_fini(&text);
    return value;
}

static json_t *decode_number(struct unpack *u)
{
    uint64_t value = unpack_u64(u);
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static json_t *decode_double(struct unpack *u)
{
    double value = unpack_double(u);
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *decode(struct unpack *u, int depth);

static json_t *decode_array(struct unpack *u, int depth)
{
    json_t *array = json_array();
    uint32_t count = unpack_array(u);
    for (uint32_t i = 0; array != NULL && unpack_ok(u) && i < count; i++) {
        if (json_array_append_new(array, decode(u, depth)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int decode_pair(struct unpack *u, json_t *object, int depth)
{
    struct buffer name = BUFFER_EMPTY;
    base64_append_name(&name, unpack_bytes(u));
    const char *text = buffer_text(&name);
    int rc = -1;
    if (text != NULL && unpack_ok(u))
        rc = json_object_set_new(object, text, decode(u, depth));
    buffer_fini(&name);
    return rc;
}

static json_t *decode_map(struct unpack *u, int depth)
{
    json_t *object = json_object();
    uint32_t count = unpack_map(u);
    for (uint32_t i = 0; object != NULL && unpack_ok(u) && i < count; i++) {
        if (decode_pair(u, object, depth) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* NULL when memory is short, or (u->failed) when the input is none. */
static json_t *decode(struct unpack *u, int depth)
{
    if (depth > UNPACK_DEPTH_MAX)
        u->failed = true;
    switch (unpack_peek(u)) {
    case UNPACK_NIL:
        unpack_nil(u);
        return json_null();
    case UNPACK_BOOL:
        return json_boolean(unpack_bool(u));
    case UNPACK_UINT:
        return decode_number(u);
    case UNPACK_INT:
        return json_integer((json_int_t)unpack_i64(u));
    case UNPACK_DOUBLE:
        return decode_double(u);
    case UNPACK_STR:
    case UNPACK_BIN:
        return decode_bytes(unpack_bytes(u));
    case UNPACK_ARRAY:
        return decode_array(u, depth + 1);
    case UNPACK_MAP:
        return decode_map(u, depth + 1);
    case UNPACK_EXT:
    case UNPACK_INVALID:
        break;
    }
    u->failed = true;
    return NULL;
}

int ctl_value_decode(struct slice body, json_t **out)
{
    struct unpack u = unpack_start(body);
    json_t *value = decode(&u, 0);
    if (value != NULL && unpack_end(&u)) {
        *out = value;
        return 0;
    }
    json_decref(value);
    return u.failed || value != NULL ? -EINVAL : -ENOMEM;
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

void ctl_value_print(const json_t *value, struct buffer *out)
{
    if (json_dump_callback(value, append_json, out, JSON_ENCODE_ANY | JSON_INDENT(2)) != 0)
        out->failed = true;
    buffer_append_char(out, '\n');
}
