/*
 * base64.h: bytes as text (RFC 4648 section 4, with padding).
 *
 * Runs in transfer workers. Pure; failure is the buffer's (buffer_ok).
 */
#ifndef COMMON_BASE64_H
#define COMMON_BASE64_H

#include "common/buffer.h"

void base64_append(struct buffer *out, struct slice bytes);

/*
 * A name or a key as text that every store can hold: the bytes themselves when they are UTF-8 without NUL, else `base64:` and
 * their base64 (PROTOCOL.md section 4, wrong shapes).
 */
void base64_append_name(struct buffer *out, struct slice bytes);

/* True when base64_append_name would take the bytes as they are. */
bool base64_is_name(struct slice bytes);

#endif
