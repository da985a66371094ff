/* redis_reader.c: bounded arrays for hiredis' reader. See redis_reader.h. */
#include "common/redis/redis_reader.h"

#include <stdint.h>

#if HIREDIS_MAJOR >= 1
typedef size_t redis_reader_count;
#else
typedef int redis_reader_count;
#endif

/* hiredis' own, which it does not export but by a reader. */
static redisReplyObjectFunctions redis_reader_theirs;

static void *redis_reader_array(const redisReadTask *task, redis_reader_count elements)
{
    if (elements > 0 && (uintmax_t)elements > (uintptr_t)task->privdata / sizeof(redisReply *))
        return NULL;
    return redis_reader_theirs.createArray(task, elements);
}

redisReader *redis_reader_new(size_t reply_max)
{
    static redisReplyObjectFunctions ours;
    redisReader *reader = redisReaderCreate();
    if (reader == NULL)
        return NULL;
    if (ours.createArray == NULL) {
        redis_reader_theirs = *reader->fn;
        ours = redis_reader_theirs;
        ours.createArray = redis_reader_array;
    }
    reader->fn = &ours;
    reader->privdata = (void *)(uintptr_t)reply_max;
    return reader;
}
