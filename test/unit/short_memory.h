/*
 * short_memory.h: a suite whose allocations can be made to fail, and are counted.
 *
 * For unit suites, to be included by the suite itself (a file of an archive would be linked into every suite, since all
 * of them ask for malloc). It replaces malloc, calloc, realloc and free of the whole program; with a sanitizer they go
 * on to the sanitizer's.
 */
#ifndef TEST_UNIT_SHORT_MEMORY_H
#define TEST_UNIT_SHORT_MEMORY_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Of the thread that asked for it: another that starts meanwhile, or the sanitizer in it, is not meant. */
static _Thread_local long short_memory_after = -1; /* so many still succeed; -1: all */
static _Thread_local bool short_memory_lasts;
static size_t short_memory_live;

/* The Nth allocation from now on fails (1: the next one); `lasts`: all behind it too. 0: none any more. */
static inline void short_memory_fail(long n, bool lasts)
{
    short_memory_after = n - 1;
    short_memory_lasts = lasts;
}

/* Bytes of all that is allocated, each with the allocator's word in front. */
static inline size_t short_memory_bytes(void)
{
    return short_memory_live;
}

/*
 * True when these are `more` bytes than `then`, to the byte. With a sanitizer always: what libc's functions give, and
 * the program frees, comes from the sanitizer without being counted here.
 */
static inline bool short_memory_is(size_t then, size_t more)
{
#ifdef __SANITIZE_ADDRESS__
    (void)then;
    (void)more;
    return true;
#else
    return short_memory_live - then == more;
#endif
}

static bool short_memory_fails(void)
{
    if (short_memory_after < 0 || short_memory_after-- > 0)
        return false;
    if (short_memory_lasts)
        short_memory_after = 0;
    errno = ENOMEM;
    return true;
}

/*
 * Until the program's own constructors run, memory is from here: libraries that start ask for a little, a sanitizer
 * cannot give any before it has started, and to look for the real functions needs some as well. It is never freed.
 */
#define SHORT_MEMORY_FIRST (1u << 20)

static struct {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *old, size_t size);
    void (*free)(void *p);
    bool started;
} short_memory_next;
static _Alignas(16) char short_memory_first[SHORT_MEMORY_FIRST];
static size_t short_memory_used;

__attribute__((constructor)) static void short_memory_start(void)
{
    *(void **)&short_memory_next.malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&short_memory_next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&short_memory_next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&short_memory_next.free = dlsym(RTLD_NEXT, "free");
    short_memory_next.started = true;
}

static bool short_memory_is_first(const void *p)
{
    return (const char *)p >= short_memory_first &&
           (const char *)p < short_memory_first + SHORT_MEMORY_FIRST;
}

/* Zeroed, as all of it is. */
static void *short_memory_take_first(size_t size)
{
    size_t taken = (size + 15) & ~(size_t)15;
    if (taken > SHORT_MEMORY_FIRST - short_memory_used)
        return NULL;
    void *p = short_memory_first + short_memory_used;
    short_memory_used += taken;
    return p;
}

static size_t short_memory_of(void *p)
{
    return p != NULL && !short_memory_is_first(p) ? malloc_usable_size(p) + sizeof(size_t) : 0;
}

void *malloc(size_t size)
{
    if (!short_memory_next.started)
        return short_memory_take_first(size);
    void *p = short_memory_fails() ? NULL : short_memory_next.malloc(size);
    short_memory_live += short_memory_of(p);
    return p;
}

void *calloc(size_t count, size_t size)
{
    if (!short_memory_next.started)
        return short_memory_take_first(count * size);
    void *p = short_memory_fails() ? NULL : short_memory_next.calloc(count, size);
    short_memory_live += short_memory_of(p);
    return p;
}

/* What is from the beginning is copied, with whatever stands behind it there: its size is not known. */
static void *short_memory_realloc_first(const char *old, size_t size)
{
    size_t there = (size_t)(short_memory_first + SHORT_MEMORY_FIRST - old);
    char *p = malloc(size);
    if (p != NULL)
        memcpy(p, old, size < there ? size : there);
    return p;
}

void *realloc(void *old, size_t size)
{
    if (short_memory_is_first(old) || !short_memory_next.started)
        return old != NULL ? short_memory_realloc_first(old, size) : malloc(size);
    size_t before = short_memory_of(old);
    void *p = short_memory_fails() ? NULL : short_memory_next.realloc(old, size);
    if (p != NULL)
        short_memory_live += short_memory_of(p) - before;
    return p;
}

void free(void *p)
{
    if (p == NULL || short_memory_is_first(p))
        return;
    short_memory_live -= short_memory_of(p);
    short_memory_next.free(p);
}

#endif
