/* cache_cell.c: see cache_cell.h. */
#include "workers/cache/ring/cache_cell.h"

struct slice cache_cell_tag(struct slice key)
{
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    if (open == NULL)
        return key;
    const char *begin = open + 1;
    const char *close = memchr(begin, '}', key.len - (size_t)(begin - key.ptr));
    return close != NULL && close > begin ? slice_make(begin, (size_t)(close - begin)) : key;
}

uint64_t cache_cell(struct slice key, const uint8_t seed[SIPHASH_KEY_SIZE])
{
    return siphash(cache_cell_tag(key), seed);
}
