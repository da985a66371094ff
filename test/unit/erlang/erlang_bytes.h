/* erlang_bytes.h: bytes of terms and messages as texts with NULs in them, also where a constant is needed. */
#ifndef TEST_UNIT_ERLANG_BYTES_H
#define TEST_UNIT_ERLANG_BYTES_H

#include "common/slice.h"

#define BYTES(text)                                                                                \
    (struct slice)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

#endif
