/*
 * jobs_fixture.h: jobs in a real redis-server (queue_fixture.h), each script as one call that waits.
 *
 * Runs in unit tests only (test_jobs_*.c). Everything that goes wrong in here fails the test that called. Answers live
 * until the next call.
 */
#ifndef TEST_UNIT_JOBS_FIXTURE_H
#define TEST_UNIT_JOBS_FIXTURE_H

#include "test/unit/queue/queue_fixture.h"

/* A script with its arguments, ended by NULL; its reply as text (queue_text). */
const char *jobs_call(const char *script, ...) __attribute__((sentinel));
#define j_text(name, ...) jobs_call(redis_script_jobs_##name, __VA_ARGS__, NULL)

/* A job of platform `coinis` in queue `q`; %s of the answer is "made". result_ttl 60, failure_ttl 120. */
void jobs_enqueue(const char *id);
void jobs_enqueue_in(const char *id, const char *queue);

/* Claims for this owner with a lease of a minute: the id, or "" when there is none. */
const char *jobs_claim(const char *owner);

/* Ends attempt `attempt` of a job of queue `q` without fields; what it says. */
const char *jobs_finish(const char *id, const char *owner, int attempt, const char *how,
                        int after_ms);

/* A field of the hash of a job; "nil" when it has none. */
const char *jobs_field(const char *id, const char *field);

/*
 * Where a job of queue `q` is: a letter for each place in the list (l), wip (w), scheduled (s), deferred (d), finished
 * (F), failed (f), canceled (c).
 */
const char *jobs_where(const char *id);

/* main of a suite of these. */
#define JOBS_SUITE(name, ...)                                                                      \
    SUITE_MAIN_WITH(name, queue_set_up_evalsha, queue_tear_down, __VA_ARGS__)

#endif
