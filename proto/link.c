/* link.c: codecs of the link's messages, expanded from the lists in link.h. */
#include "proto/link.h"

#define X(number, NAME, name, doc)                                                                 \
    void link_##name##_pack(struct buffer *out, const struct link_##name *m)                       \
    {                                                                                              \
        pack_array(out, 1u LINK_FIELDS_##NAME(SCHEMA_COUNT));                                      \
        pack_u64(out, number);                                                                     \
        LINK_FIELDS_##NAME(SCHEMA_PACK)                                                            \
    }                                                                                              \
    bool link_##name##_unpack(struct slice frame, struct link_##name *m)                           \
    {                                                                                              \
        struct unpack reader = unpack_start(frame);                                                \
        struct unpack *u = &reader;                                                                \
        schema_expect(u, number, 0u LINK_FIELDS_##NAME(SCHEMA_COUNT));                             \
        LINK_FIELDS_##NAME(SCHEMA_UNPACK) return unpack_end(u);                                    \
    }
LINK_LIST(X)
#undef X

const char *link_type_name(uint64_t type)
{
    switch (type) {
#define X(number, NAME, name, doc)                                                                 \
    case number:                                                                                   \
        return #NAME;
        LINK_LIST(X)
#undef X
    }
    return "?";
}

uint64_t link_frame_type(struct slice frame)
{
    return schema_peek_type(unpack_start(frame));
}
