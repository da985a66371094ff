/* base64.c: base64 by hand: OpenSSL is not linked where it is needed. See base64.h. */
#include "common/base64.h"

#include "common/utf8.h"

static const char base64_digits[64] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_append(struct buffer *out, struct slice bytes)
{
    size_t len = (bytes.len + 2) / 3 * 4;
    char *to = buffer_reserve(out, len);
    if (to == NULL)
        return;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        const unsigned char *p = (const unsigned char *)bytes.ptr + i;
        unsigned three = (unsigned)p[0] << 16 | (left > 1 ? (unsigned)p[1] << 8 : 0) |
                         (left > 2 ? (unsigned)p[2] : 0);
        *to++ = base64_digits[three >> 18];
        *to++ = base64_digits[three >> 12 & 63];
        *to++ = left > 1 ? base64_digits[three >> 6 & 63] : '=';
        *to++ = left > 2 ? base64_digits[three & 63] : '=';
    }
    out->len += len;
}

static bool base64_is_marked(struct slice bytes)
{
    const size_t len = sizeof BASE64_NAME - 1;
    return bytes.len >= len && memcmp(bytes.ptr, BASE64_NAME, len) == 0;
}

bool base64_is_name(struct slice bytes)
{
    return !base64_is_marked(bytes) && memchr(bytes.ptr, '\0', bytes.len) == NULL &&
           utf8_valid(bytes);
}

void base64_append_name(struct buffer *out, struct slice bytes)
{
    if (base64_is_name(bytes)) {
        buffer_append_slice(out, bytes);
        return;
    }
    buffer_append_text(out, BASE64_NAME);
    base64_append(out, bytes);
}

/* A digit's value; 64: it is none. */
static unsigned base64_value(char digit)
{
    const char *at = memchr(base64_digits, digit, sizeof base64_digits);
    return at != NULL ? (unsigned)(at - base64_digits) : 64;
}

/* Four characters, of which `pad` are padding: three bytes less those. False: they are none's. */
static bool base64_append_four(struct buffer *out, const char *four, size_t pad)
{
    unsigned bits = 0;
    for (size_t i = 0; i < 4 - pad; i++) {
        unsigned value = base64_value(four[i]);
        if (value == 64)
            return false;
        bits |= value << (18 - 6 * i);
    }
    for (size_t i = 0; i < 3 - pad; i++)
        buffer_append_char(out, (char)(bits >> (16 - 8 * i)));
    return pad == 0 || (bits >> (8 * (pad - 1)) & 0xff) == 0; /* what the padding cuts off is 0 */
}

bool base64_append_bytes(struct buffer *out, struct slice text)
{
    size_t from = out->len, pad = 0;
    bool good = text.len % 4 == 0;
    if (good && text.len > 0 && text.ptr[text.len - 1] == '=')
        pad = text.ptr[text.len - 2] == '=' ? 2 : 1;
    buffer_reserve(out, text.len / 4 * 3);
    for (size_t i = 0; good && i < text.len; i += 4)
        good = base64_append_four(out, text.ptr + i, i + 4 == text.len ? pad : 0);
    if (!good)
        out->len = from;
    return good;
}

void base64_append_named(struct buffer *out, struct slice name)
{
    const size_t mark = sizeof BASE64_NAME - 1;
    size_t from = out->len;
    if (base64_is_marked(name) &&
        base64_append_bytes(out, slice_make(name.ptr + mark, name.len - mark)) && buffer_ok(out) &&
        !base64_is_name(slice_make(out->data + from, out->len - from)))
        return;
    out->len = from;
    buffer_append_slice(out, name);
}
