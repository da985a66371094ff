/* fuzz_whatif.c: what anybody may ask what if with over HTTP (workers/snapshot/web/web_given.h). */
#include "workers/snapshot/web/web_given.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* What was read has names, each once, and no more of them than there is room for. */
static void check(const struct web_given *g)
{
    if (g->count == 0 || g->count > SNAPSHOT_GIVEN_MAX)
        abort();
    for (size_t i = 0; i < g->count; i++) {
        if (g->list[i].name[0] == '\0' || !buffer_ok(&g->list[i].bytes))
            abort();
        for (size_t k = 0; k < i; k++)
            if (strcmp(g->list[i].name, g->list[k].name) == 0)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct web_given *g = calloc(1, sizeof *g);
    if (g == NULL)
        return 0;
    if (web_given_read(slice_make(data, size), g) == NULL)
        check(g);
    web_given_free(g);
    free(g);
    return 0;
}
