/* fuzz_zone.c: files of time zones (common/time/zone.h), and what is asked of one that is taken. */
#include "common/time/schedule.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct zone *z = NULL;
    if (zone_parse(slice_make(data, size), &z) != 0)
        return 0;
    int64_t before = INT64_MIN;
    for (int64_t local = -4000000000; local < 8000000000; local += 40000000) {
        enum zone_local how;
        int64_t utc = zone_utc(z, local, &how);
        if (utc < before || utc < local - 26 * 3600 || utc > local + 26 * 3600)
            abort();
        before = utc;
    }
    zone_free(z);
    return 0;
}
