/*
 * json_write.h: writes JSON (RFC 8259) straight into a buffer.
 *
 * Runs in transfer workers, for each value of each record: so no tree is built and nothing is allocated but the buffer.
 * Failure is the buffer's (buffer_ok). The caller writes braces, colons and commas himself.
 */
#ifndef COMMON_JSON_WRITE_H
#define COMMON_JSON_WRITE_H

#include "common/buffer.h"

/* A string with its quotes. `text` must be valid UTF-8. Control bytes are escaped, NUL too; the rest stays as it is. */
void json_write_string(struct buffer *out, struct slice text);

/* A string, or {"base64":"…"} when the bytes are not UTF-8. */
void json_write_bytes(struct buffer *out, struct slice bytes);

/* A string that names a member of an object: bytes that are not UTF-8, or hold NUL, become "base64:…". */
void json_write_name(struct buffer *out, struct slice bytes);

#endif
