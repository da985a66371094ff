/*
 * backing_fixture.h: a store asked from a test, one request after the other or many at once.
 *
 * Runs in the suites of the backing. Values follow from key and version, so that a reader can tell whether they are
 * right.
 */
#ifndef TEST_UNIT_BACKING_FIXTURE_H
#define TEST_UNIT_BACKING_FIXTURE_H

#include "test/unit/suite.h"
#include "workers/cache/backing/backing.h"

#define BACKING_GOT_VALUE 256

/* An answer, kept. */
struct backing_got {
    unsigned calls;
    enum backing_result result;
    struct backing_meta meta;
    char value[BACKING_GOT_VALUE]; /* its beginning, with a NUL */
    size_t value_len;
    char why[BACKING_WHY_SIZE];
    uint64_t retry_after_ms;
    struct backing_call *call;
};

void backing_on_got(const struct backing_answer *answer, void *got);

/* Runs the loop until it is there. */
void backing_wait(uv_loop_t *loop, struct backing_got *got);

/* Each waits for its answer; 10 s for it. */
struct backing_got backing_check(uv_loop_t *loop, struct backing *b);
struct backing_got backing_put(uv_loop_t *loop, struct backing *b, const char *key,
                               const char *value, uint64_t version);
struct backing_got backing_delete(uv_loop_t *loop, struct backing *b, const char *key,
                                  uint64_t version);
struct backing_got backing_get(uv_loop_t *loop, struct backing *b, const char *key);
struct backing_got backing_erase(uv_loop_t *loop, struct backing *b, const char *key,
                                 uint64_t version);

/* The value of that version, a line of some bytes. */
const char *backing_value(uint64_t version, char value[BACKING_GOT_VALUE]);

/* Frees it, and runs the loop until it is empty. */
void backing_end(uv_loop_t *loop, struct backing *b);

#endif
