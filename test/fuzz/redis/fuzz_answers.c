/*
 * fuzz_answers.c: what another node answers, or what is none, cut into whole answers (common/redis/redis_answers.h):
 * the same whether it comes at once or byte by byte.
 */
#include "common/redis/redis_answers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct seen {
    enum redis_answers_result last;
    size_t count, bytes;
};

static struct seen look_at(const char *data, size_t size, size_t step)
{
    struct redis_answers answers = {.from = 0};
    struct seen seen = {.last = REDIS_ANSWERS_MORE};
    for (size_t at = 0; at < size && seen.last == REDIS_ANSWERS_MORE; at += step) {
        struct slice fresh = slice_make(data + at, size - at < step ? size - at : step), answer;
        while ((seen.last = redis_answers_next(&answers, &fresh, &answer)) == REDIS_ANSWERS_WHOLE) {
            seen.count++;
            seen.bytes += answer.len;
        }
    }
    redis_answers_fini(&answers);
    return seen;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct seen whole = look_at((const char *)data, size, size);
    struct seen bytes = look_at((const char *)data, size, 1);
    if (whole.last != bytes.last || whole.count != bytes.count || whole.bytes != bytes.bytes)
        abort();
    return 0;
}
