/* fuzz_schedule.c: cron's fields (common/time/schedule.h): what is taken is due some day, and later each time. */
#include "common/time/schedule.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct zone *zone;
    struct schedule s;
    char why[SCHEDULE_WHY_SIZE], *text = slice_dup(slice_make(data, size));
    if (zone == NULL && zone_load("America/New_York", &zone) != 0)
        abort();
    if (text != NULL && schedule_read(text, 0, &s, why) == 0) {
        int64_t at = 1795861440;
        for (int i = 0; i < 20; i++) {
            int64_t next = schedule_next(&s, zone, at);
            if (next <= at || next == INT64_MAX)
                abort();
            at = next;
        }
    }
    free(text);
    return 0;
}
