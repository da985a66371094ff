/* job_pickle_write.c: JSON values as Python pickles. See job_pickle.h. Opcodes: Lib/pickletools.py of Python. */
#include "workers/jobs/job_pickle.h"

#include <errno.h>
#include <limits.h>

#define DATA_PLATFORM_MAX 1024
#define STORED_MAX        65535u /* of one block */

static void put_le(struct buffer *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buffer_append_char(out, (char)(unsigned char)(value >> (8 * i)));
}

static void put_int(struct buffer *out, int64_t n)
{
    if (n >= 0 && n <= 0xff) {
        buffer_append_char(out, 'K');
        put_le(out, (uint64_t)n, 1);
    } else if (n >= 0 && n <= 0xffff) {
        buffer_append_char(out, 'M');
        put_le(out, (uint64_t)n, 2);
    } else if (n >= INT32_MIN && n <= INT32_MAX) {
        buffer_append_char(out, 'J');
        put_le(out, (uint64_t)n, 4);
    } else {
        buffer_append(out, "\x8a\x08", 2);
        put_le(out, (uint64_t)n, 8);
    }
}

static void put_real(struct buffer *out, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    buffer_append_char(out, 'G');
    for (int i = 7; i >= 0; i--)
        buffer_append_char(out, (char)(unsigned char)(bits >> (8 * i)));
}

static void put_text(struct buffer *out, const char *text, size_t len)
{
    buffer_append_char(out, 'X');
    put_le(out, len, 4);
    buffer_append(out, text, len);
}

static int put_value(struct buffer *out, const json_t *value, unsigned depth);

static int put_array(struct buffer *out, const json_t *value, unsigned depth)
{
    size_t i;
    json_t *item;
    int rc = 0;
    buffer_append_char(out, ']');
    if (json_array_size(value) == 0)
        return 0;
    buffer_append_char(out, '(');
    json_array_foreach(value, i, item)
    {
        rc = rc == 0 ? put_value(out, item, depth) : rc;
    }
    buffer_append_char(out, 'e');
    return rc;
}

static int put_object(struct buffer *out, const json_t *value, unsigned depth)
{
    json_t *object = (json_t *)(uintptr_t)value; /* jansson's iterators are not const */
    int rc = 0;
    buffer_append_char(out, '}');
    if (json_object_size(value) == 0)
        return 0;
    buffer_append_char(out, '(');
    for (void *at = json_object_iter(object); at != NULL && rc == 0;
         at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        put_text(out, name, strlen(name));
        rc = put_value(out, json_object_iter_value(at), depth);
    }
    buffer_append_char(out, 'u');
    return rc;
}

static int put_value(struct buffer *out, const json_t *value, unsigned depth)
{
    if (depth > JOB_PICKLE_DEPTH)
        return -EINVAL;
    switch (json_typeof(value)) {
    case JSON_NULL:
        buffer_append_char(out, 'N');
        return 0;
    case JSON_TRUE:
        buffer_append_char(out, '\x88');
        return 0;
    case JSON_FALSE:
        buffer_append_char(out, '\x89');
        return 0;
    case JSON_INTEGER:
        put_int(out, json_integer_value(value));
        return 0;
    case JSON_REAL:
        put_real(out, json_real_value(value));
        return 0;
    case JSON_STRING:
        if (json_string_length(value) > UINT32_MAX)
            return -EINVAL;
        put_text(out, json_string_value(value), json_string_length(value));
        return 0;
    case JSON_ARRAY:
        return put_array(out, value, depth + 1);
    case JSON_OBJECT:
        return put_object(out, value, depth + 1);
    }
    return -EINVAL;
}

int job_pickle_write(struct buffer *out, const json_t *value)
{
    buffer_append(out, "\x80\x02", 2);
    int rc = put_value(out, value, 0);
    buffer_append_char(out, '.');
    return rc == 0 && !buffer_ok(out) ? -ENOMEM : rc;
}

/* ---- the data of a job ---- */

static uint32_t adler32_of(struct slice s)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < s.len; i++) {
        a = (a + (unsigned char)s.ptr[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* RFC 1950, 1951: 32 KB window, fastest; stored blocks, of which the last is marked. */
int job_zlib_write(struct buffer *out, struct slice bytes)
{
    uint32_t sum = adler32_of(bytes);
    buffer_append(out, "\x78\x01", 2);
    do {
        size_t len = bytes.len < STORED_MAX ? bytes.len : STORED_MAX;
        buffer_append_char(out, bytes.len == len ? 1 : 0);
        put_le(out, len, 2);
        put_le(out, ~(uint64_t)len, 2);
        buffer_append(out, bytes.ptr, len);
        bytes = slice_make(bytes.ptr + len, bytes.len - len);
    } while (bytes.len > 0);
    for (int i = 3; i >= 0; i--)
        buffer_append_char(out, (char)(unsigned char)(sum >> (8 * i)));
    return buffer_ok(out) ? 0 : -ENOMEM;
}

int job_data_write(struct buffer *out, struct slice platform)
{
    static const char head[] = "\x80\x02](X\x0b\x00\x00\x00platoon.runN](";
    struct buffer pickle = BUFFER_EMPTY;
    if (platform.len > DATA_PLATFORM_MAX)
        return -EINVAL;
    buffer_append(&pickle, head, sizeof head - 1);
    put_text(&pickle, platform.ptr, platform.len);
    buffer_append_text(&pickle, "e}e.");
    int rc = buffer_ok(&pickle) ? job_zlib_write(out, buffer_slice(&pickle)) : -ENOMEM;
    buffer_fini(&pickle);
    return rc;
}
