/* message.c: codecs of the messages between workers, expanded from the lists in message.h. */
#include "proto/message.h"

#define X(number, NAME, name, doc)                                                                 \
    void message_##name##_pack(struct buffer *out, const struct message_##name *m)                 \
    {                                                                                              \
        pack_array(out, 1u MESSAGE_FIELDS_##NAME(SCHEMA_COUNT));                                   \
        pack_u64(out, number);                                                                     \
        MESSAGE_FIELDS_##NAME(SCHEMA_PACK)                                                         \
    }                                                                                              \
    bool message_##name##_unpack(struct unpack *u, struct message_##name *m)                       \
    {                                                                                              \
        schema_expect(u, number, 0u MESSAGE_FIELDS_##NAME(SCHEMA_COUNT));                          \
        MESSAGE_FIELDS_##NAME(SCHEMA_UNPACK) return unpack_ok(u);                                  \
    }
SYSTEMS(MESSAGES, X)
#undef X

void message_envelope_pack(struct buffer *out, const struct message_envelope *e)
{
    pack_array(out, e->proof != 0 ? 6 : 5);
    pack_u64(out, MESSAGE_VERSION);
    pack_str(out, e->sender);
    pack_u64(out, e->generation);
    pack_u64(out, e->number);
    pack_u64(out, e->sent_ms);
    if (e->proof != 0)
        pack_u64(out, e->proof);
}

bool message_envelope_unpack(struct unpack *u, struct message_envelope *e)
{
    uint32_t count = unpack_array(u);
    if ((count != 5 && count != 6) || unpack_u64(u) != MESSAGE_VERSION)
        u->failed = true;
    e->sender = unpack_str(u);
    e->generation = unpack_u64(u);
    e->number = unpack_u64(u);
    e->sent_ms = unpack_u64(u);
    e->proof = count == 6 ? unpack_u64(u) : 0;
    return unpack_ok(u);
}

bool message_origin_unpack(struct slice frame, struct message_origin *o)
{
    struct unpack u = unpack_start(frame);
    bool head = unpack_array(&u) >= 3;
    o->version = unpack_u64(&u);
    o->sender = unpack_str(&u);
    o->generation = unpack_u64(&u);
    return head && unpack_ok(&u);
}

const char *message_type_name(uint64_t type)
{
    switch (type) {
#define X(number, NAME, name, doc)                                                                 \
    case number:                                                                                   \
        return #NAME;
        SYSTEMS(MESSAGES, X)
#undef X
    }
    return "?";
}
