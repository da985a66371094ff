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

/*
 * Appends JSON text with all that could order a terminal about (utf8_control) escaped: it means the same. C0 stands
 * between values only and becomes a blank, but for newlines, which are the caller's own.
 */
void json_write_harmless(struct buffer *out, struct slice json);

/* A string that names a member of an object: what base64_is_name refuses becomes "base64:…". */
void json_write_name(struct buffer *out, struct slice bytes);

#endif
