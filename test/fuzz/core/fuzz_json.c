/*
 * fuzz_json.c: texts that may be JSON (common/json/json_check.h, json_value.h). What jansson takes as an object the
 * recognizer takes too, unless it is deeper than that one goes; what becomes msgpack comes back as it was.
 */
#include "common/base64.h"
#include "common/json/json_check.h"
#include "common/json/json_value.h"
#include "common/unpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int depth_of(const json_t *value)
{
    int deepest = 0;
    const char *key;
    json_t *member;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            int depth = depth_of(member);
            deepest = depth > deepest ? depth : deepest;
        }
        return deepest + 1;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        int depth = depth_of(json_array_get(value, i));
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + json_is_array(value);
}

/* Names that look encoded and are not come back encoded: those objects are compared after one round. */
static bool has_marked_name(const json_t *value)
{
    const char *key;
    json_t *member;
    bool found = false;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            found = found || !base64_is_name(slice_of(key)) || has_marked_name(member);
        }
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        found = found || has_marked_name(json_array_get(value, i));
    return found;
}

static json_t *there_and_back(const json_t *value)
{
    struct buffer packed = BUFFER_EMPTY;
    json_t *back = NULL;
    json_value_pack(&packed, value);
    if (!buffer_ok(&packed) ||
        json_value_unpack(buffer_slice(&packed), UNPACK_DEPTH_MAX, &back) != 0)
        abort();
    buffer_fini(&packed);
    return back;
}

static void check_there_and_back(const json_t *value)
{
    json_t *once = there_and_back(value), *twice = there_and_back(once);
    if (!json_equal(once, twice) || (!json_equal(value, once) && !has_marked_name(value)))
        abort();
    json_decref(once);
    json_decref(twice);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice text = slice_make(data, size);
    json_t *value = json_loadb(text.ptr, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool object = json_is_object(value);
    int depth = value != NULL ? depth_of(value) : 0;
    bool nul =
        memchr(data, 0, size) != NULL; /* jansson 2.14 takes a NUL behind a word such as true */
    if (object && depth <= JSON_CHECK_DEPTH && !nul && !json_check_object(text))
        abort();
    if (value == NULL)
        json_check_object(text); /* for what it may read that is not there */
    if (value != NULL && depth <= UNPACK_DEPTH_MAX)
        check_there_and_back(value);
    json_decref(value);
    return 0;
}
