/* fuzz_link.c: the link's decoders (proto/link.h). What one takes it writes again, and takes again. */
#include "proto/link.h"

#include <stdlib.h>

#define X(number, NAME, name, doc)                                                                 \
    static void try_##name(struct slice frame)                                                     \
    {                                                                                              \
        struct link_##name m, again;                                                               \
        struct buffer b = BUFFER_EMPTY;                                                            \
        if (!link_##name##_unpack(frame, &m))                                                      \
            return;                                                                                \
        link_##name##_pack(&b, &m);                                                                \
        if (!buffer_ok(&b) || !link_##name##_unpack(buffer_slice(&b), &again))                     \
            abort();                                                                               \
        buffer_fini(&b);                                                                           \
    }
LINK_LIST(X)
#undef X

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice frame = slice_make(data, size);
    link_type_name(link_frame_type(frame));
#define X(number, NAME, name, doc) try_##name(frame);
    LINK_LIST(X)
#undef X
    return 0;
}
