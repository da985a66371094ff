/*
 * fuzz_ring_answer.c: what a Redis, or what is none, answers a script of the ring (cache_ring_answer.h); and
 * the lists in the messages of a manager and its nodes (cache_ring_cells.h), which are written again as they were.
 */
#include "proto/cache/cache_ring_answer.h"
#include "proto/cache/cache_ring_cells.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_COUNT 2

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void read_beaten(struct slice bytes)
{
    enum cache_ring_pulse pulses[FUZZ_COUNT];
    struct cache_ring_answer a;
    struct cache_ring_beaten b;
    struct cache_ring_node node;
    struct slice who, host;
    uint64_t beats;
    if (!cache_ring_read_beaten(bytes, &a, &b, pulses, FUZZ_COUNT) || a.status != CACHE_RING_OK)
        return;
    while (cache_ring_next_beat(&b.beats, &who, &beats))
        continue;
    while (cache_ring_next_node(&b.nodes, &node))
        continue;
    while (cache_ring_next_manager(&b.managers, &who, &host))
        continue;
}

static void read_pages(struct slice bytes)
{
    struct cache_ring_answer a;
    struct cache_ring_page page;
    struct cache_ring_held cell;
    struct cache_ring_copy copy;
    uint64_t mark;
    bool lost;
    cache_ring_read_freed(bytes, &a, &page);
    if (cache_ring_read_swept(bytes, &a, &page) && a.status == CACHE_RING_OK)
        while (cache_ring_next_cell(&page.list, &cell))
            continue;
    if (cache_ring_read_copies(bytes, &a, &mark, &lost, &page) && a.status == CACHE_RING_OK)
        while (cache_ring_next_copy(&page.list, &copy))
            continue;
}

/* As far as they can be read, owners come out as they went in. */
static void read_owners(struct slice bytes)
{
    struct buffer again = BUFFER_EMPTY;
    struct cache_ring_owner owner;
    for (size_t i = 0; cache_ring_get_owner(bytes, i, &owner); i++)
        cache_ring_put_owner(&again, &owner);
    struct slice out = buffer_slice(&again);
    if (!buffer_ok(&again) || out.len > bytes.len ||
        (out.len > 0 && memcmp(out.ptr, bytes.ptr, out.len) != 0))
        abort();
    buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    struct cache_ring_owner owners[FUZZ_COUNT];
    struct cache_ring_joined joined;
    struct cache_ring_answer a;
    char text[256];
    if (cache_ring_read(bytes, &a))
        cache_ring_explain(&a, "platoon:{cache:fuzz}:", text, sizeof text);
    cache_ring_read_joined(bytes, &a, &joined);
    cache_ring_read_owners(bytes, &a, owners, FUZZ_COUNT);
    read_owners(bytes);
    read_beaten(bytes);
    read_pages(bytes);
    return 0;
}
