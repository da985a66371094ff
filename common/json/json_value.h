/*
 * json_value.h: msgpack values as JSON values and back, for whoever links jansson.
 *
 * Runs in platoonctl and in port workers. Pure. Bytes that are not UTF-8 become {"base64":"…"}, as they do in the store (PROTOCOL.md section 5).
 */
#ifndef COMMON_JSON_VALUE_H
#define COMMON_JSON_VALUE_H

#include "common/buffer.h"

#include <jansson.h>

/*
 * Turns one msgpack value into JSON. On 0 *out is the caller's, for json_decref. -EINVAL: not one well-formed value, or nested
 * deeper than UNPACK_DEPTH_MAX; -ENOMEM. Names of a map that are not UTF-8 become "base64:…"; NaN and infinities null.
 */
int json_value_unpack(struct slice packed, json_t **out);

/* Appends a JSON value as msgpack: strings as str, objects in their own order. Failure is the buffer's. */
void json_value_pack(struct buffer *out, const json_t *value);

#endif
