/*
 * ctl_value.h: answers of the master as JSON values, and what the renderers read out of them.
 *
 * Runs in platoonctl. Pure. Bytes that are not UTF-8 become {"base64":"…"}, as they do in the store (DRAIN.md, The
 * store).
 */
#ifndef MASTER_CTL_CTL_VALUE_H
#define MASTER_CTL_CTL_VALUE_H

#include "common/buffer.h"

#include <jansson.h>
#include <stdint.h>

/*
 * Turns one msgpack value into JSON. On 0 *out is the caller's, for json_decref. -EINVAL: not one well-formed
 * value, or nested deeper than UNPACK_DEPTH_MAX; -ENOMEM. Names of a map that are not UTF-8 become "base64:…";
 * NaN and infinities null.
 */
int ctl_value_decode(struct slice body, json_t **out);

/* A member of an object: its text, "" when it is none; its number, 0 when it is none. */
const char *ctl_value_text(const json_t *object, const char *key);
uint64_t ctl_value_u64(const json_t *object, const char *key);
double ctl_value_real(const json_t *object, const char *key);

/* A scalar as a person reads it: text as it is, {"base64":…} as base64:…, null as "-". Not made safe for a terminal. */
void ctl_value_show(const json_t *value, struct buffer *out);

/* One line of compact JSON; takes the reference, and NULL marks the output failed: memory was short for it. */
void ctl_value_print_line(json_t *value, struct buffer *out);

/* Indented JSON and a newline. */
void ctl_value_print(const json_t *value, struct buffer *out);

#endif
