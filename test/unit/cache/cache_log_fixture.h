/*
 * cache_log_fixture.h: a log in a directory of its own, and a little memory that it is the log of.
 *
 * Runs in the suites of cache_log. The memory is an array of objects; a value's bytes follow from key and version, so
 * that a replay can tell whether they are right.
 */
#ifndef TEST_UNIT_CACHE_LOG_FIXTURE_H
#define TEST_UNIT_CACHE_LOG_FIXTURE_H

#include "test/unit/suite.h"
#include "workers/cache/log/cache_log.h"

#include <uv.h>

#define LOG_KEYS 48

/* What must come back. */
struct log_object {
    bool there;
    uint32_t len;
    uint64_t version;
    int64_t expiry_ms;
};

struct log_state {
    struct log_object objects[LOG_KEYS];
};

struct log_fixture {
    char dir[64];
    uv_loop_t loop;
    struct cache_log_options options;
    struct cache_log *log; /* NULL: closed */
    struct cache_log_found found;
    char why[512];
    struct log_state state;
    uint32_t segments[LOG_KEYS]; /* of each object */
    uint64_t version;
    uint64_t beats, synced, moved; /* calls */
    size_t expected;               /* objects, by what the log says; 0: it has not */
    size_t most;                   /* records in one call */
    uint64_t wrong;                /* records that are not what was written */
    uint64_t kinds[4];             /* records replayed */
    uint64_t random;
};

/* A directory of its own; small segments; everysec. */
void log_fixture_init(struct log_fixture *f);
void log_fixture_fini(struct log_fixture *f); /* closes; removes the directory */

/* Opens, and replays into an empty memory. */
int log_fixture_try_open(struct log_fixture *f);
void log_fixture_open(struct log_fixture *f);
void log_fixture_close(struct log_fixture *f);

/* False: the log has refused it, and nothing has changed. */
bool log_fixture_set(struct log_fixture *f, uint32_t key, uint32_t len);
bool log_fixture_delete(struct log_fixture *f, uint32_t key);

/* Some of those, at random, with lengths up to `len`; and a little cleaning. */
void log_fixture_turn(struct log_fixture *f, uint32_t len, size_t clean);

/* Ticks, and waits for the thread, until there is nothing more for it to do. */
void log_fixture_settle(struct log_fixture *f);

/* Until all that is written is synced, or it does not go on: a sync has failed, or nothing calls for one. */
void log_fixture_sync(struct log_fixture *f);

/* All of memory anew. */
void log_fixture_rewrite(struct log_fixture *f);

uint32_t log_fixture_random(struct log_fixture *f, uint32_t below);
bool log_state_equal(const struct log_state *a, const struct log_state *b);

/* The path of the n-th segment from the oldest (0) or, with -1, of the newest; of all, how many. */
const char *log_fixture_segment(const struct log_fixture *f, int n);
size_t log_fixture_segment_count(const struct log_fixture *f);
uint64_t log_fixture_size(const char *path);

/* Changes the byte at `offset` of a file. */
void log_fixture_flip(const char *path, uint64_t offset);

/* A copy of all of a log's files in another directory, which the fixture is of then; closed. */
void log_fixture_copy(const struct log_fixture *from, struct log_fixture *to);

#endif
