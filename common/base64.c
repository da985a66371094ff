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

/* A digit's value; 64: it is none. By ranges, and not by a search: values of many megabytes are decoded. */
static unsigned base64_value(unsigned char digit)
{
    if (digit >= 'a')
        return digit <= 'z' ? digit - 'a' + 26u : 64;
    if (digit >= 'A')
        return digit <= 'Z' ? digit - 'A' + 0u : 64;
    if (digit >= '0')
        return digit <= '9' ? digit - '0' + 52u : 64;
    return digit == '+' ? 62 : digit == '/' ? 63 : 64;
}

/* Four characters, of which `pad` are padding: three bytes less those. False: they are none's. */
static bool base64_put_four(char *to, const char *four, size_t pad)
{
    unsigned bits = 0;
    for (size_t i = 0; i < 4 - pad; i++) {
        unsigned value = base64_value((unsigned char)four[i]);
        if (value == 64)
            return false;
        bits |= value << (18 - 6 * i);
    }
    for (size_t i = 0; i < 3 - pad; i++)
        to[i] = (char)(bits >> (16 - 8 * i));
    return pad == 0 || (bits >> (8 * (pad - 1)) & 0xff) == 0; /* what the padding cuts off is 0 */
}

bool base64_append_bytes(struct buffer *out, struct slice text)
{
    size_t pad = 0;
    if (text.len % 4 != 0)
        return false;
    if (text.len > 0 && text.ptr[text.len - 1] == '=')
        pad = text.ptr[text.len - 2] == '=' ? 2 : 1;
    char *to = buffer_reserve(out, text.len / 4 * 3);
    for (size_t i = 0; to != NULL && i < text.len; i += 4)
        if (!base64_put_four(to + i / 4 * 3, text.ptr + i, i + 4 == text.len ? pad : 0))
            return false;
    out->len += to != NULL ? text.len / 4 * 3 - pad : 0;
    return true;
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
