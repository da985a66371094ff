/* backing_retry.c: see backing_retry.h. */
#include "workers/cache/backing/backing_retry.h"

uint64_t backing_retry_pause(unsigned failures, uint64_t asked_ms, uint64_t max_ms, uint32_t random)
{
    unsigned doublings = failures > 0 ? failures - 1 : 0;
    uint64_t step = (uint64_t)BACKING_RETRY_MIN_MS << (doublings < 32 ? doublings : 32);
    if (step > max_ms)
        step = max_ms;
    uint64_t pause = step / 2 + random % (step - step / 2 + 1);
    if (asked_ms > BACKING_RETRY_ASKED_MS)
        asked_ms = BACKING_RETRY_ASKED_MS;
    /* All were asked to wait the same time: they are spread behind it. */
    return asked_ms > 0 ? asked_ms + pause : pause;
}

bool backing_retry_is_dead(enum backing_result result, unsigned failures, uint64_t others_done)
{
    if (result == BACKING_REFUSED)
        return true;
    return (result == BACKING_AWAY || result == BACKING_FORBIDDEN) &&
           failures >= BACKING_DEAD_FAILURES && others_done >= BACKING_DEAD_OTHERS;
}
