/*
 * fuzz_job_pickle.c: any bytes are a pickle or none (workers/jobs/job_pickle.h); what was read can be written, and read
 * again as the same.
 */
#include "workers/jobs/job_pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer out = BUFFER_EMPTY;
    json_t *value, *again;
    if (job_pickle_read(slice_make(data, size), &value) != 0)
        return 0;
    if (job_pickle_write(&out, value) != 0 || job_pickle_read(buffer_slice(&out), &again) != 0 ||
        !json_equal(value, again))
        abort();
    json_decref(value);
    json_decref(again);
    buffer_fini(&out);
    return 0;
}
