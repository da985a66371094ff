/* cache_property.h: numbers and checks for property tests of a cache node's parts, which make millions of both. */
#ifndef TEST_UNIT_CACHE_PROPERTY_H
#define TEST_UNIT_CACHE_PROPERTY_H

#include "test/unit/short_memory.h"
#include "test/unit/suite.h"

#include <stdint.h>

/* As ck_assert, which writes to a file and allocates each time, also when it holds. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            short_memory_fail(0, false);                                                           \
            ck_abort_msg("%s", #condition);                                                        \
        }                                                                                          \
    } while (0)

/* Below `limit`; the same in each run. SplitMix64. */
static inline uint32_t cache_random(uint32_t limit)
{
    static uint64_t state = 13;
    uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ x >> 31) % limit);
}

#endif
