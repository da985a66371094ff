/*
 * hold_fixture.h: a cache node whose clients wait for its store, for the suites of what they wait for.
 */
#ifndef TEST_UNIT_CACHE_HOLD_FIXTURE_H
#define TEST_UNIT_CACHE_HOLD_FIXTURE_H

#include "test/unit/cache/backing_fake.h"
#include "test/unit/cache/node_fixture.h"
#include "workers/cache/cache_park.h"

#define HOLD_TIMEOUT_MS 60000 /* nobody's time is over but where a test wants it */

/* A node with the fake store; node_tear_down ends both. */
void hold_set_up(void);

/* Another such store, for whose answers who waits has so long; with node.options and node_dirty_max as they are now. */
void hold_store_anew(uint64_t timeout_ms);

/* Sends, and nothing comes; the latter one command with so many keys, k0 and so on. */
void hold_send_cold(int fd, const char *text);
void hold_send_keys(int fd, const char *command, int count);

/* What comes, up to there; lives until the next call. */
const char *hold_came_until(int fd, const char *end);

/*
 * How often hold_came_until has waited. Each time is a millisecond or more, on a busy machine much more: who waits for
 * 100 ms once is never told so by more than a hundred of them, whatever the clock says.
 */
extern int hold_waits;
#define HOLD_ONCE 130 /* of 100 ms; twice is about 185 */

/* All of what was sent is refused or done after one timeout of 100 ms, whatever it is that each would wait for. */
void hold_waits_once(const char *sent, const char *end);

/* Makes more dirty than may be: f0 and f1, of 60,000 bytes each. */
void hold_fill(int fd);

#endif
