/* control.c: codecs of the control socket's messages, expanded from the lists in control.h. */
#include "proto/control.h"

#define X(number, NAME, name, doc)                                                                 \
    void control_##name##_pack(struct buffer *out, const struct control_##name *m)                 \
    {                                                                                              \
        pack_array(out, 1u CONTROL_FIELDS_##NAME(SCHEMA_COUNT));                                   \
        pack_u64(out, number);                                                                     \
        CONTROL_FIELDS_##NAME(SCHEMA_PACK)                                                         \
    }                                                                                              \
    bool control_##name##_unpack(struct slice frame, struct control_##name *m)                     \
    {                                                                                              \
        struct unpack reader = unpack_start(frame);                                                \
        struct unpack *u = &reader;                                                                \
        schema_expect(u, number, 0u CONTROL_FIELDS_##NAME(SCHEMA_COUNT));                          \
        CONTROL_FIELDS_##NAME(SCHEMA_UNPACK) return unpack_end(u);                                 \
    }
CONTROL_LIST(X)
#undef X

const char *control_status_meaning(uint64_t status)
{
    switch (status) {
#define X(NAME, code, meaning)                                                                     \
    case code:                                                                                     \
        return meaning;
        CONTROL_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}
