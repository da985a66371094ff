/* pack.c: msgpack-c's packer over struct buffer. See pack.h. */
#include "common/pack.h"

#include "common/utf8.h"

#include <msgpack.h>

static int pack_write(void *data, const char *bytes, size_t len)
{
    struct buffer *b = data;
    buffer_append(b, bytes, len);
    return b->failed ? -1 : 0;
}

static msgpack_packer pack_into(struct buffer *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, pack_write);
    return pk;
}

void pack_nil(struct buffer *b)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_nil(&pk);
}

void pack_bool(struct buffer *b, bool value)
{
    msgpack_packer pk = pack_into(b);
    if (value)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void pack_u64(struct buffer *b, uint64_t value)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_uint64(&pk, value);
}

void pack_i64(struct buffer *b, int64_t value)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_int64(&pk, value);
}

void pack_double(struct buffer *b, double value)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_double(&pk, value);
}

void pack_str(struct buffer *b, struct slice text)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_str(&pk, text.len);
    buffer_append_slice(b, text);
}

void pack_text(struct buffer *b, const char *text)
{
    pack_str(b, slice_of(text));
}

void pack_format(struct buffer *b, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    utf8_mend(text);
    pack_text(b, text);
}

void pack_bin(struct buffer *b, struct slice bytes)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_bin(&pk, bytes.len);
    buffer_append_slice(b, bytes);
}

void pack_array(struct buffer *b, uint32_t count)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_array(&pk, count);
}

void pack_map(struct buffer *b, uint32_t count)
{
    msgpack_packer pk = pack_into(b);
    msgpack_pack_map(&pk, count);
}

void pack_raw(struct buffer *b, struct slice value)
{
    if (value.len == 0)
        pack_nil(b);
    else
        buffer_append_slice(b, value);
}
