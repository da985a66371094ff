/* json_value.c: see json_value.h. */
#include "common/json/json_value.h"

#include "common/base64.h"
#include "common/pack.h"
#include "common/unpack.h"
#include "common/utf8.h"

#include <errno.h>
#include <math.h>

/* ---- to JSON ---- */

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

#define REPLACED "\xef\xbf\xbd" /* U+FFFD */

/* What was said to be text stays text, or who reads it would find an object where a string was. */
static json_t *decode_text(struct slice text)
{
    if (utf8_valid(text))
        return json_stringn_nocheck(text.ptr, text.len);
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < text.len;) {
        size_t n = utf8_character(slice_make(text.ptr + i, text.len - i));
        buffer_append_slice(&out, n > 0 ? slice_make(text.ptr + i, n) : slice_of(REPLACED));
        i += n > 0 ? n : 1;
    }
    json_t *value = buffer_ok(&out) ? json_stringn_nocheck(out.data, out.len) : NULL;
    buffer_fini(&out);
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

static json_t *decode(struct unpack *u, int deeper);

static json_t *decode_array(struct unpack *u, int deeper)
{
    json_t *array = json_array();
    uint32_t count = unpack_array(u);
    for (uint32_t i = 0; array != NULL && unpack_ok(u) && i < count; i++) {
        if (json_array_append_new(array, decode(u, deeper)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int decode_pair(struct unpack *u, json_t *object, int deeper)
{
    struct buffer name = BUFFER_EMPTY;
    base64_append_name(&name, unpack_bytes(u));
    const char *text = buffer_text(&name);
    int rc = -1;
    if (text != NULL && unpack_ok(u))
        rc = json_object_set_new(object, text, decode(u, deeper));
    buffer_fini(&name);
    return rc;
}

static json_t *decode_map(struct unpack *u, int deeper)
{
    json_t *object = json_object();
    uint32_t count = unpack_map(u);
    for (uint32_t i = 0; object != NULL && unpack_ok(u) && i < count; i++) {
        if (decode_pair(u, object, deeper) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* NULL when memory is short, or (u->failed) when the input is none. So many levels deeper it may go. */
static json_t *decode(struct unpack *u, int deeper)
{
    if (deeper < 0)
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
        return decode_text(unpack_str(u));
    case UNPACK_BIN:
        return decode_bytes(unpack_bytes(u));
    case UNPACK_ARRAY:
        return decode_array(u, deeper - 1);
    case UNPACK_MAP:
        return decode_map(u, deeper - 1);
    case UNPACK_EXT:
    case UNPACK_INVALID:
        break;
    }
    u->failed = true;
    return NULL;
}

int json_value_unpack(struct slice packed, int depth_max, json_t **out)
{
    struct unpack u = unpack_start(packed);
    json_t *value = decode(&u, depth_max);
    if (value != NULL && unpack_end(&u)) {
        *out = value;
        return 0;
    }
    json_decref(value);
    return u.failed || value != NULL ? -EINVAL : -ENOMEM;
}

/* ---- to msgpack ---- */

/* Bytes that are no text travel as bytes. */
static void encode_name(struct buffer *out, const char *key)
{
    struct buffer name = BUFFER_EMPTY;
    base64_append_named(&name, slice_of(key));
    if (!buffer_ok(&name))
        out->failed = true;
    else if (utf8_valid(buffer_slice(&name)))
        pack_str(out, buffer_slice(&name));
    else
        pack_bin(out, buffer_slice(&name));
    buffer_fini(&name);
}

static void encode_object(struct buffer *out, const json_t *value)
{
    const char *key;
    json_t *member;
    pack_map(out, (uint32_t)json_object_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        encode_name(out, key);
        json_value_pack(out, member);
    }
}

/* Depth is bounded by jansson's parser (2048). */
void json_value_pack(struct buffer *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        encode_object(out, value);
        break;
    case JSON_ARRAY:
        pack_array(out, (uint32_t)json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++)
            json_value_pack(out, json_array_get(value, i));
        break;
    case JSON_STRING:
        pack_str(out, slice_make(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
        if (json_integer_value(value) >= 0)
            pack_u64(out, (uint64_t)json_integer_value(value));
        else
            pack_i64(out, json_integer_value(value));
        break;
    case JSON_REAL:
        pack_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        pack_bool(out, json_is_true(value));
        break;
    case JSON_NULL:
        pack_nil(out);
        break;
    }
}
