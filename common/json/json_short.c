/* json_short.c: see json_short.h. */
#include "common/json/json_short.h"

#include <jansson.h>
#include <stdlib.h>

static bool short_of;
static json_malloc_t short_malloc_before;
static json_free_t short_free;

static void *short_malloc(size_t size)
{
    void *bytes = malloc(size);
    short_of = short_of || bytes == NULL;
    return bytes;
}

void json_short_begin(void)
{
    short_of = false;
    json_get_alloc_funcs(&short_malloc_before, &short_free);
    json_set_alloc_funcs(short_malloc, short_free);
}

bool json_short_end(void)
{
    json_set_alloc_funcs(short_malloc_before, short_free);
    return short_of;
}
