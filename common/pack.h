/*
 * pack.h: writes msgpack into a buffer, by msgpack-c.
 *
 * Runs in every process. Failure is the buffer's (buffer_ok): a packer call never fails by itself.
 * Source of the format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
#ifndef COMMON_PACK_H
#define COMMON_PACK_H

#include "common/buffer.h"

#include <stdarg.h>

void pack_nil(struct buffer *b);
void pack_bool(struct buffer *b, bool value);
void pack_u64(struct buffer *b, uint64_t value);
void pack_i64(struct buffer *b, int64_t value);
void pack_double(struct buffer *b, double value);
void pack_str(struct buffer *b, struct slice text);
void pack_text(struct buffer *b, const char *text);
/* Text by a printf format: at most 1023 bytes, broken or cut UTF-8 mended, since it goes to people and into JSON. */
void pack_format(struct buffer *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

void pack_bin(struct buffer *b, struct slice bytes);

/* Headers: `count` values (array) or key-value pairs (map) follow. */
void pack_array(struct buffer *b, uint32_t count);
void pack_map(struct buffer *b, uint32_t count);

/* One value that is msgpack already, such as a worker's answer that is handed on. Empty means nil. */
void pack_raw(struct buffer *b, struct slice value);

#endif
