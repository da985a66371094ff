/*
 * queue_element.h: what stands in a facet's list, and how facets are stored.
 *
 * Used by whoever looks at such lists beside the scripts (queue_lib.lua has the same: BACKBONE.md, Elements). Pure.
 */
#ifndef PROTO_QUEUE_QUEUE_ELEMENT_H
#define PROTO_QUEUE_QUEUE_ELEMENT_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

enum queue_element_kind {
    QUEUE_BARE,      /* a body of the original's clients: no id yet */
    QUEUE_ENVELOPE,  /* NUL, '1', ID, blank, AT_MS, blank, BODY */
    QUEUE_REFERENCE, /* NUL, 'r', ID: the body is held */
};

struct queue_element {
    enum queue_element_kind kind;
    struct slice id; /* of a bare body empty */
    uint64_t at_ms;  /* of an envelope */
    struct slice body;
};

/* Takes everything: what is neither envelope nor reference is a bare body. Slices point into `bytes`. */
struct queue_element queue_element_read(struct slice bytes);

/* Appends an envelope; false when the id is none (1 to 16 digits). Failure of memory is the buffer's. */
bool queue_envelope_write(struct buffer *out, struct slice id, uint64_t at_ms, struct slice body);

/* Appends the name under which a facet is stored. */
void queue_facet_store(struct buffer *out, struct slice facet);

/* The facet that is stored under this name. */
struct slice queue_facet_shown(struct slice stored);

#endif
