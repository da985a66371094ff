/* fuzz_key_answer.c: what a key service answers (workers/drain/transfer_key_service.h). */
#include "workers/drain/transfer_key_service.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct transfer_key found = {0};
    char why[256];
    enum key_verdict verdict =
        key_answer_read(200, slice_make(data, size), "", &found, why, sizeof why);
    if ((verdict == KEY_FOUND) != (found.bucket != NULL && found.key != NULL))
        abort();
    transfer_key_fini(&found);
    return 0;
}
