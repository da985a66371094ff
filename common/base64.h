/*
 * base64.h: bytes as text (RFC 4648 section 4, with padding).
 *
 * Runs in workers and in platoonctl. Pure; failure is the buffer's (buffer_ok).
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "common/buffer.h"

void base64_append(struct buffer *out, struct slice bytes);

/*
 * The bytes of which this is the base64, as base64_append makes it: with padding, with nothing between. False: it is
 * that of none, and nothing was added.
 */
bool base64_append_bytes(struct buffer *out, struct slice text);

#define BASE64_NAME "base64:"

/*
 * A name or a key as text that every store can hold: the bytes themselves when they are UTF-8 without NUL and do not
 * begin with `base64:`, else that and their base64 (DRAIN.md, Names). So it is one to one: what begins with it is
 * decoded, what does not is the bytes.
 */
void base64_append_name(struct buffer *out, struct slice bytes);

/*
 * The bytes that base64_append_name made this name of. A name it never makes, such as `base64:` and something else than
 * the base64 of bytes that need it, stands for itself: whoever wrote it meant that text.
 */
void base64_append_named(struct buffer *out, struct slice name);

/* True when base64_append_name would take the bytes as they are. */
bool base64_is_name(struct slice bytes);

#endif
