/*
 * json_value.h: msgpack values as JSON values and back, for whoever links jansson.
 *
 * Runs in platoonctl and in port workers. Pure. Bytes (bin) that are not UTF-8 become {"base64":"…"}, as they do in the
 * store (DRAIN.md, The store); text (str) stays a string, U+FFFD in place of each byte that belongs to no character.
 */
#ifndef COMMON_JSON_VALUE_H
#define COMMON_JSON_VALUE_H

#include "common/buffer.h"

#include <jansson.h>

/*
 * Turns one msgpack value into JSON. On 0 *out is the caller's, for json_decref. -EINVAL: not one well-formed value, or
 * nested deeper than depth_max (UNPACK_DEPTH_MAX for what has come through the master; the stack bounds it); -ENOMEM.
 * Names of a map that base64_is_name refuses become "base64:…"; NaN and infinities null.
 */
int json_value_unpack(struct slice packed, int depth_max, json_t **out);

/*
 * Appends a JSON value as msgpack: strings as str, objects in their own order, a name `base64:…` as the bytes that
 * have it for a name. Failure is the buffer's.
 */
void json_value_pack(struct buffer *out, const json_t *value);

#endif
