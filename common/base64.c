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

bool base64_is_name(struct slice bytes)
{
    return memchr(bytes.ptr, '\0', bytes.len) == NULL && utf8_valid(bytes);
}

void base64_append_name(struct buffer *out, struct slice bytes)
{
    if (base64_is_name(bytes)) {
        buffer_append_slice(out, bytes);
        return;
    }
    buffer_append_text(out, "base64:");
    base64_append(out, bytes);
}
