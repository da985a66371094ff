/*
 * fuzz_cache_split.c: what another node of the ring says to its part of a command (workers/cache/ring/cache_split.h).
 * What is taken is joined to an answer to the whole command, which is taken as one in turn, or to the error that came.
 *
 * The first byte of an input chooses the command and the client's version; the rest is the answer.
 */
#include "workers/cache/ring/cache_split.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const struct {
    const char *name, *other;
} commands[] = {{"mget", "*1\r\n$2\r\n\r\n\r\n"}, {"mset", "+OK\r\n"}, {"exists", ":1\r\n"}};

/* As an answer to the same command, if one node had been asked for three keys. */
static bool is_answer(const char *name, struct slice answer)
{
    static const uint32_t owners[] = {1, 2, 2, 2};
    struct cache_split s;
    if (cache_split_plan(&s, slice_of(name), owners, 4) != CACHE_SPLIT_PARTS)
        abort();
    bool is = cache_split_take(&s, 1, answer, 0) == 0;
    cache_split_fini(&s);
    return is;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const uint32_t owners[] = {1, 2, 1};
    if (size == 0)
        return 0;
    unsigned which = (data[0] >> 1) % 3;
    struct cache_split s;
    struct resp_reply reply = {.version = 2 + (data[0] & 1)};
    struct slice answer = slice_make(data + 1, size - 1);
    if (cache_split_plan(&s, slice_of(commands[which].name), owners, 3) != CACHE_SPLIT_PARTS ||
        cache_split_take(&s, 1, slice_of(commands[which].other), 0) != 0)
        abort();
    bool taken = cache_split_take(&s, 0, answer, 0) == 0;
    if (taken != cache_split_is_done(&s))
        abort();
    if (taken) {
        cache_split_write(&s, &reply);
        if (!buffer_ok(&reply.out) || (reply.out.data[0] == '-') != (answer.ptr[0] == '-') ||
            !is_answer(commands[which].name, buffer_slice(&reply.out)))
            abort();
    }
    buffer_fini(&reply.out);
    cache_split_fini(&s);
    return 0;
}
