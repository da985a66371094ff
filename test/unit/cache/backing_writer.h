/*
 * backing_writer.h: one of two writers who put versions of the same few keys, out of order, into a store.
 *
 * Runs in the suites of the backing. The sides have the odd and the even versions up to BACKING_VERSIONS. What the
 * store answers is held to its promise: no older version ever wins.
 */
#ifndef TEST_UNIT_BACKING_WRITER_H
#define TEST_UNIT_BACKING_WRITER_H

#include "test/unit/cache/backing_fixture.h"

#define BACKING_KEYS     4
#define BACKING_VERSIONS 240

extern const char *const backing_keys[BACKING_KEYS];

struct backing_writer {
    struct backing *store;
    uint64_t base;       /* added to all versions */
    uint64_t timeout_ms; /* 0: a minute */
    bool deletes;        /* versions that are multiples of five */
    bool same;           /* all values are the same bytes */
    unsigned working;    /* keys that it is not through with */
    uint64_t away;       /* answers */
    struct backing_writer_key {
        struct backing_writer *writer;
        size_t index;
        uint64_t versions[BACKING_VERSIONS / 2]; /* in the order in which they are put */
        size_t next;
        uint64_t highest; /* version that the store has had, as far as it has said */
        char value[BACKING_GOT_VALUE];
        struct backing_call *call;
        uv_timer_t pause;
    } keys[BACKING_KEYS];
};

/* Puts all versions of a side (0, 1); away is tried again soon. Runs in the store's loop until working is 0. */
void backing_writer_start(struct backing_writer *w, uv_loop_t *loop, struct backing *store,
                          unsigned side, unsigned seed);

/* Of one key: what is there is whole, and not older than *version; which is its version then. */
void backing_look(uv_loop_t *loop, struct backing *store, size_t key, bool same, uint64_t *version);

#endif
