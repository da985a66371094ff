/* upgrade_state.c: the codec of upgrade_state.h. */
#include "proto/upgrade_state.h"

#define X(number, NAME, name, doc)                                                                 \
    void upgrade_##name##_pack(struct buffer *out, const struct upgrade_##name *m)                 \
    {                                                                                              \
        pack_array(out, 1u UPGRADE_FIELDS_##NAME(SCHEMA_COUNT));                                   \
        pack_u64(out, number);                                                                     \
        UPGRADE_FIELDS_##NAME(SCHEMA_PACK)                                                         \
    }                                                                                              \
    bool upgrade_##name##_unpack(struct unpack *u, struct upgrade_##name *m)                       \
    {                                                                                              \
        schema_expect(u, number, 0u UPGRADE_FIELDS_##NAME(SCHEMA_COUNT));                          \
        UPGRADE_FIELDS_##NAME(SCHEMA_UNPACK) return unpack_ok(u);                                  \
    }
UPGRADE_LIST(X)
#undef X
