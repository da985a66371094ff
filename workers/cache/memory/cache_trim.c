/* cache_trim.c: see cache_trim.h. */
#include "workers/cache/memory/cache_trim.h"

#include "common/process_usage.h"

#include <malloc.h>
#include <unistd.h>

#define TRIM_PART 8                  /* of what is in use, that much is left alone … */
#define TRIM_LEFT ((size_t)16 << 20) /* … and this: the program itself, its buffers */
#define TRIM_STEP ((size_t)4 << 20)

/* What the process has beside what is in use. */
static size_t trim_beside(size_t used)
{
    struct process_usage usage = {0};
    process_usage_read(getpid(), false, &usage);
    return usage.rss_bytes > used ? (size_t)usage.rss_bytes - used : 0;
}

bool cache_trim(struct cache_trim *t, size_t used)
{
    size_t beside = trim_beside(used);
    t->kept = t->kept < beside ? t->kept : beside;
    if (beside <= used / TRIM_PART + TRIM_LEFT || beside <= t->kept + TRIM_STEP)
        return false;
    bool given = malloc_trim(0) != 0;
    t->kept = trim_beside(used);
    return given;
}
