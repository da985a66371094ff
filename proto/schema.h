/*
 * schema.h: turns a list of messages and their fields into structs, encoders, decoders and names.
 *
 * Used by link.h (master and worker), message.h (worker and worker) and control.h (tool and master). A message is one
 * line in its family's list plus one field list; everything else is expanded here, so a message without a codec or a
 * name does not compile. On the wire a message is a msgpack array: [type, field, field, ...] in the order of the list.
 *
 * Field types:
 *   u64   whole number >= 0
 *   i64   whole number
 *   str   UTF-8 text (struct slice into the input)
 *   bin   bytes (struct slice into the input)
 *   raw   one msgpack value, checked for well-formedness and handed on as it is (struct slice into the input)
 *
 * Decoders refuse a wrong count, a wrong type and trailing bytes (FACTS.md 3, OpenBSD's m_end). Adding,
 * removing or changing a field changes the family's version constant, when an older build can meet the change
 * (message.h, MESSAGE_VERSION).
 */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#include "common/pack.h"
#include "common/unpack.h"

#define SCHEMA_MEMBER_u64(name)        uint64_t name;
#define SCHEMA_MEMBER_i64(name)        int64_t name;
#define SCHEMA_MEMBER_str(name)        struct slice name;
#define SCHEMA_MEMBER_bin(name)        struct slice name;
#define SCHEMA_MEMBER_raw(name)        struct slice name;
#define SCHEMA_MEMBER(type, name, doc) SCHEMA_MEMBER_##type(name)

#define SCHEMA_COUNT(type, name, doc) +1u

#define SCHEMA_PACK_u64(b, v)        pack_u64(b, v)
#define SCHEMA_PACK_i64(b, v)        pack_i64(b, v)
#define SCHEMA_PACK_str(b, v)        pack_str(b, v)
#define SCHEMA_PACK_bin(b, v)        pack_bin(b, v)
#define SCHEMA_PACK_raw(b, v)        pack_raw(b, v)
#define SCHEMA_PACK(type, name, doc) SCHEMA_PACK_##type(out, m->name);

#define SCHEMA_UNPACK_u64(u)           unpack_u64(u)
#define SCHEMA_UNPACK_i64(u)           unpack_i64(u)
#define SCHEMA_UNPACK_str(u)           unpack_str(u)
#define SCHEMA_UNPACK_bin(u)           unpack_bin(u)
#define SCHEMA_UNPACK_raw(u)           unpack_raw(u)
#define SCHEMA_UNPACK(type, name, doc) m->name = SCHEMA_UNPACK_##type(u);

/* Reads a message's head: its type, and whether `count` values follow. Marks *u failed when they do not. */
static inline void schema_expect(struct unpack *u, uint64_t type, uint32_t count)
{
    if (unpack_array(u) != count + 1 || unpack_u64(u) != type)
        u->failed = true;
}

/* The type of the message that starts here, without moving on; 0 when there is none. */
static inline uint64_t schema_peek_type(struct unpack u)
{
    return unpack_array(&u) == 0 ? 0 : unpack_u64(&u);
}

#endif
