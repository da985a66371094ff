/* get_hash_policy.c: choice of a transfer. See get_hash_policy.h. */
#include "workers/drain/get_hash_policy.h"

int get_hash_choose(const size_t *outstanding, size_t count, size_t frame, size_t window)
{
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        bool fits = outstanding[i] == 0 || (frame <= window && outstanding[i] <= window - frame);
        if (fits && (best < 0 || outstanding[i] < outstanding[best]))
            best = (int)i;
    }
    return best;
}
