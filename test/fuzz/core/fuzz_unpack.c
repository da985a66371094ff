/*
 * fuzz_unpack.c: the msgpack cursor (common/unpack.h). What it takes for one value, msgpack-c takes
 * for one of the same length.
 */
#include "common/unpack.h"

#include <msgpack.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct unpack u = unpack_start(slice_make(data, size));
    struct slice value = unpack_raw(&u);
    if (!unpack_ok(&u))
        return 0;
    msgpack_unpacked result;
    size_t used = 0;
    msgpack_unpacked_init(&result);
    if (msgpack_unpack_next(&result, (const char *)data, size, &used) != MSGPACK_UNPACK_SUCCESS ||
        used != value.len)
        abort();
    msgpack_unpacked_destroy(&result);
    return 0;
}
