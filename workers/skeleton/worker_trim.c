/*
 * worker_trim.c: gives back the memory that a worker's start took and that it does not need again.
 *
 * Runs in the worker, once, in the first tick after READY: not before, when a thousand of them start and each waits for
 * the processor. A process's worth of it is a few pages, but of a thousand helpers that only wait for their program it
 * is megabytes. Not for who has a mailbox: those are busy, and would only have the same pages made anew.
 */
#include "workers/skeleton/worker_private.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

/* No start goes deeper; what is not mapped of it is passed over. */
#define TRIM_STACK_SIZE (256u * 1024)
#define TRIM_HEAP_END   (256u * 1024)

/* Below what is in use: the call of madvise itself needs less than a page. */
static void trim_stack(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t end = ((uintptr_t)__builtin_frame_address(0) & ~(page - 1)) - page;
    madvise((void *)(end - TRIM_STACK_SIZE), TRIM_STACK_SIZE, MADV_DONTNEED);
}

/*
 * What is free within the heap; its end stays, which costs a page of the C library's where it keeps it, and as much
 * address space as malloc began with.
 */
static void trim_heap(void)
{
    malloc_trim(TRIM_HEAP_END);
}

void worker_trim(struct worker *w)
{
    if (w->trimmed || w->phase != WORKER_READY || w->transport != NULL)
        return;
    w->trimmed = true;
    trim_heap();
    trim_stack();
}
