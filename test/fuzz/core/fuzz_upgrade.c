/*
 * fuzz_upgrade.c: what a new master reads of the last one (proto/upgrade_state.h). What a decoder takes it
 * writes again, and takes again.
 */
#include "proto/upgrade_state.h"

#include <stdlib.h>

#define X(number, NAME, name, doc)                                                                 \
    static void try_##name(struct slice bytes)                                                     \
    {                                                                                              \
        struct upgrade_##name m, again;                                                            \
        struct buffer b = BUFFER_EMPTY;                                                            \
        struct unpack u = unpack_start(bytes);                                                     \
        if (!upgrade_##name##_unpack(&u, &m))                                                      \
            return;                                                                                \
        upgrade_##name##_pack(&b, &m);                                                             \
        struct unpack back = unpack_start(buffer_slice(&b));                                       \
        if (!buffer_ok(&b) || !upgrade_##name##_unpack(&back, &again) || !unpack_end(&back))       \
            abort();                                                                               \
        buffer_fini(&b);                                                                           \
    }
UPGRADE_LIST(X)
#undef X

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
#define X(number, NAME, name, doc) try_##name(bytes);
    UPGRADE_LIST(X)
#undef X
    return 0;
}
