/*
 * backing_fake.h: a store whose answers come when the test says so.
 */
#ifndef TEST_UNIT_CACHE_BACKING_FAKE_H
#define TEST_UNIT_CACHE_BACKING_FAKE_H

#include "workers/cache/backing/backing.h"

#define FAKE_CALLS 512

enum fake_kind { FAKE_CHECK, FAKE_PUT, FAKE_GET, FAKE_ERASE };

/* A call that waits for its answer. */
struct fake_call {
    enum fake_kind kind;
    char key[256];
    struct slice value; /* of a put: the caller's own */
    struct backing_meta meta;
    backing_answer_fn fn;
    void *ctx;
    bool used;
};

struct fake_backing {
    struct backing head; /* the first */
    struct fake_call calls[FAKE_CALLS];
    size_t made[FAKE_ERASE + 1]; /* since fake_set_up */
    size_t cancelled;
    bool short_of_memory; /* calls are refused with -ENOMEM */
};

extern struct fake_backing fake;

void fake_set_up(void);

/* The one that waits, the oldest of that key; NULL: there is none. */
struct fake_call *fake_find(enum fake_kind kind, const char *key);

/* How many wait. */
size_t fake_waiting(enum fake_kind kind);

/* Answers, and forgets the call. */
void fake_answer(struct fake_call *call, const struct backing_answer *answer);

/* The answers to gets: what is there, since that version; nothing; the store does not work. */
void fake_have(const char *key, const char *value, uint64_t version);
void fake_have_until(const char *key, const char *value, uint64_t version, int64_t expiry_ms);
void fake_absent(const char *key, uint64_t version);
void fake_fail(const char *key, enum backing_result result, const char *why);

/* A put is done. */
void fake_stored(const char *key);

#endif
