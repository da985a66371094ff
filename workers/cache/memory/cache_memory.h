/*
 * cache_memory.h: what an allocation takes.
 *
 * Runs in a cache node. The allocator's own word in front is counted too: with a million small objects it is 8 MB that
 * the process has and malloc_usable_size does not tell of.
 */
#ifndef WORKERS_CACHE_MEMORY_H
#define WORKERS_CACHE_MEMORY_H

#include <malloc.h>
#include <stddef.h>

/* Bytes; of NULL 0. */
static inline size_t cache_memory_of(const void *p)
{
    return p != NULL ? malloc_usable_size((void *)(size_t)p) + sizeof(size_t) : 0;
}

#endif
