/* fuzz_control.c: the control socket's decoders (proto/control.h). What one takes it writes again, and takes again. */
#include "proto/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice frame = slice_make(data, size);
#define X(number, NAME, name, doc)                                                                 \
    {                                                                                              \
        struct control_##name m, again;                                                            \
        struct buffer b = BUFFER_EMPTY;                                                            \
        if (control_##name##_unpack(frame, &m)) {                                                  \
            control_##name##_pack(&b, &m);                                                         \
            if (!buffer_ok(&b) || !control_##name##_unpack(buffer_slice(&b), &again))              \
                abort();                                                                           \
        }                                                                                          \
        buffer_fini(&b);                                                                           \
    }
    CONTROL_LIST(X)
#undef X
    return 0;
}
