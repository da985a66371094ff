/*
 * fuzz_queue_text.c: what people and foreign clients write: patterns (queue_pattern.h), elements of lists, names of
 * facets (queue_element.h).
 */
#include "proto/queue/queue_element.h"
#include "proto/queue/queue_pattern.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* A pattern that is taken is one of Lua's. */
static void read_pattern(struct slice text)
{
    char why[200];
    const char *wrong;
    if (queue_pattern_check(text, why, sizeof why) == 0 && !queue_pattern_is_lua(text, &wrong))
        abort();
}

/* What can be written comes out as it went in, but for a number with zeros in front. */
static void read_element(struct slice bytes)
{
    struct buffer out = BUFFER_EMPTY;
    struct queue_element e = queue_element_read(bytes), again;
    if (e.kind == QUEUE_BARE && !slice_equal(e.body, bytes))
        abort();
    if (e.kind == QUEUE_ENVELOPE) {
        if (!queue_envelope_write(&out, e.id, e.at_ms, e.body) || !buffer_ok(&out))
            abort();
        again = queue_element_read(buffer_slice(&out));
        if (again.kind != e.kind || again.at_ms != e.at_ms || !slice_equal(again.id, e.id) ||
            !slice_equal(again.body, e.body))
            abort();
    }
    buffer_fini(&out);
}

static void read_facet(struct slice facet)
{
    struct buffer out = BUFFER_EMPTY;
    queue_facet_store(&out, facet);
    if (!buffer_ok(&out) || !slice_equal(queue_facet_shown(buffer_slice(&out)), facet))
        abort();
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    read_pattern(bytes);
    read_element(bytes);
    read_facet(bytes);
    return 0;
}
