/*
 * store_fake.h: a store that answers when, what and in which order a test says.
 *
 * Runs in suites of what stands before a store. A put is kept until it is answered; what it does to the objects is done
 * apart from its answer: before it, without it, or long after it. A get is one of version 0, which does nothing, and
 * whose answer has no value.
 */
#ifndef TEST_UNIT_STORE_FAKE_H
#define TEST_UNIT_STORE_FAKE_H

#include "test/unit/suite.h"
#include "workers/cache/backing/backing.h"

#define STORE_OBJECTS 64
#define STORE_BYTES   512 /* of a key, or of a value */

struct store_object {
    char key[STORE_BYTES], value[STORE_BYTES];
    size_t key_len, value_len;
    struct backing_meta meta;
};

struct store_fake;

struct backing_call {
    struct backing_call *next;
    struct store_fake *store;
    struct store_object put;
    backing_answer_fn fn; /* NULL: answered, or cancelled */
    void *ctx;
};

struct store_fake {
    struct backing backing;
    struct store_object objects[STORE_OBJECTS];
    size_t object_count;
    struct backing_call *calls; /* not answered, in their order */
    struct backing_call *late;  /* answered, and not done yet */
    size_t started;             /* puts ever */
    bool short_of_memory;       /* a put is -ENOMEM */
};

void store_fake_init(struct store_fake *s);
void store_fake_fini(struct store_fake *s);

/* The calls that are not answered. */
size_t store_fake_count(const struct store_fake *s);

/* That of this key, or NULL. */
struct backing_call *store_fake_call(const struct store_fake *s, const char *key);

/* Does what was asked for, and says what came of it: DONE, or NEWER. The version there, when not NULL. */
enum backing_result store_fake_do(struct store_fake *s, const struct store_object *put,
                                  uint64_t *version);

/* Does it and says so. */
void store_fake_take(struct backing_call *call);
void store_fake_take_all(struct store_fake *s);

/* Says that, and has done nothing; `late`: does it when store_fake_arrive is called. */
void store_fake_answer(struct backing_call *call, enum backing_result result, bool late);

/* The oldest request that was given up reaches the store. False: there is none. */
bool store_fake_arrive(struct store_fake *s);

/* The object, or NULL; deletions too. */
const struct store_object *store_fake_find(const struct store_fake *s, struct slice key);

#endif
