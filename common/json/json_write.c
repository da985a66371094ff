/* json_write.c: JSON text into a buffer. See json_write.h. */
#include "common/json/json_write.h"

#include "common/base64.h"
#include "common/utf8.h"

static bool json_write_is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void json_write_escaped(struct buffer *out, unsigned char c)
{
    static const char short_forms[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[16] = "0123456789abcdef";
    if (c >= 0x20)
        buffer_append(out, (char[]){'\\', (char)c}, 2);
    else if (short_forms[c] != 0)
        buffer_append(out, (char[]){'\\', short_forms[c]}, 2);
    else
        buffer_append(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void json_write_string(struct buffer *out, struct slice text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    size_t from = 0;
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (json_write_is_plain(p[i]))
            continue;
        buffer_append(out, p + from, i - from);
        json_write_escaped(out, p[i]);
        from = i + 1;
    }
    buffer_append(out, p + from, text.len - from);
    buffer_append_char(out, '"');
}

void json_write_bytes(struct buffer *out, struct slice bytes)
{
    if (utf8_valid(bytes)) {
        json_write_string(out, bytes);
        return;
    }
    buffer_append_text(out, "{\"base64\":\"");
    base64_append(out, bytes);
    buffer_append_text(out, "\"}");
}

void json_write_name(struct buffer *out, struct slice bytes)
{
    if (base64_is_name(bytes)) {
        json_write_string(out, bytes);
        return;
    }
    buffer_append_char(out, '"');
    base64_append_name(out, bytes);
    buffer_append_char(out, '"');
}

/* All that is escaped stands in strings, and is below U+10000. */
void json_write_harmless(struct buffer *out, struct slice json)
{
    for (size_t i = 0; i < json.len;) {
        struct slice rest = slice_make(json.ptr + i, json.len - i);
        const unsigned char *p = (const unsigned char *)rest.ptr;
        size_t n = utf8_control(rest);
        if (n == 0 || *p == '\n')
            buffer_append_char(out, (char)*p);
        else if (*p < ' ')
            buffer_append_char(out, ' ');
        else
            buffer_printf(out, "\\u%04x",
                          n == 1   ? *p
                          : n == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
                                   : (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu));
        i += n > 0 ? n : 1;
    }
}
