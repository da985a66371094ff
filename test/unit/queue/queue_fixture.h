/*
 * queue_fixture.h: queues in a real redis-server, each script as one call that waits, and the original's clients.
 *
 * Runs in unit tests only (test_queue_*.c). A suite runs its tests in each of the ways in which scripts are called:
 * EVALSHA, the function library, and the library on a server in cluster mode, where a key of another slot is refused.
 * Everything that goes wrong in here fails the test that called. Answers live until the next call.
 */
#ifndef TEST_UNIT_QUEUE_FIXTURE_H
#define TEST_UNIT_QUEUE_FIXTURE_H

#include "proto/queue/queue_answer.h"
#include "proto/queue/queue_script.h"
#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"

#include <hiredis/hiredis.h>

enum queue_way { QUEUE_BY_EVALSHA, QUEUE_BY_FCALL, QUEUE_IN_CLUSTER, QUEUE_WAYS };

struct queue_fixture {
    struct redis_fixture server;
    enum queue_way way;
    const char *space; /* the namespace: "shop:", in cluster mode "{shop}:" */
    redisContext *redis;
    redisReply *reply; /* of the last call */
    char *text;
    size_t text_size;
};

extern struct queue_fixture queue;

/* For suites that do not run in each way. */
void queue_set_up_evalsha(void);
void queue_set_up_fcall(void);
void queue_tear_down(void);

/* main of a suite that runs in each way. */
int queue_suite(const char *name, const TTest *const *tests, size_t count);
#define QUEUE_SUITE(name, ...)                                                                     \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return queue_suite(name, tests, sizeof tests / sizeof *tests);                             \
    }

/*
 * The last reply as text: numbers, texts as they are (NUL as \0), "nil", "[a b [c]]", "!ERROR".
 */
const char *queue_text(void);

/* A Redis command of words with blanks between; %N in it is the namespace. Returns the reply as text. */
const char *queue_redis(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command of these words. */
redisReply *queue_command(size_t count, const struct slice *words);

/* A script of ours with these arguments, ended by NULL; queue.reply. */
redisReply *queue_call(enum queue_script script, ...) __attribute__((sentinel));
redisReply *queue_call_words(enum queue_script script, size_t count, const struct slice *args);

/* The same; its reply as text. */
#define q_text(SCRIPT, ...)                                                                        \
    (queue_call(QUEUE_SCRIPT_QUEUE_##SCRIPT, __VA_ARGS__, NULL), queue_text())
#define q_int(SCRIPT, ...) queue_int(queue_call(QUEUE_SCRIPT_QUEUE_##SCRIPT, __VA_ARGS__, NULL))
#define q_packed(SCRIPT, ...)                                                                      \
    queue_packed(queue_call(QUEUE_SCRIPT_QUEUE_##SCRIPT, __VA_ARGS__, NULL))

long long queue_int(const redisReply *reply);
struct slice queue_packed(const redisReply *reply);

/* A queue of platoon's with defaults (max_attempts 5, no back-off), or a raw one. */
void queue_register(const char *name, const char *pattern);
void queue_register_raw(const char *name, const char *pattern);
void queue_register_with(const char *name, const char *pattern, int attempts, int retry_ms,
                         int message_max);

/* Delivers; returns its id (in a static buffer of several). */
const char *queue_deliver(const char *topic, const char *facet, const char *body);

/*
 * What pull hands out, of the Nth message; copies. receipt "" when there is no such.
 */
struct queue_pulled {
    char queue[64], receipt[64], facet[600], body[600];
    long long attempt, at_ms;
};
#define QUEUE_PULL_MAX 1000
extern struct queue_pulled pulled[QUEUE_PULL_MAX];
size_t queue_pull(const char *name, int count, int lease_ms);

/* The bodies of a pull, blanks between: "a b c". */
const char *queue_bodies(const char *name, int count, int lease_ms);

/* The status of one queue. */
struct queue_status queue_status_of(const char *name);

/* Waits, by Redis' clock, until this time of it is over. */
void queue_sleep_until(long long redis_ms);
long long queue_now(void);

/*
 * What holds in every state without wrong keys: length is what the lists hold, the turns are those of the pool and no
 * more than there may be, flight is what is leased, what is leased, delayed or dead is held, and nothing else is.
 */
void queue_check(const char *name);

/* ---- the original's clients, by their own scripts ---- */

/* The Go client's deliver, with leases in N Q:F:inflight. */
void original_deliver(const char *topic, const char *facet, const char *body);
const char *original_deliver_text(const char *topic, const char *facet, const char *body);

/* The Ruby client's pull: one message, "[queue body]", or "nil". */
const char *original_pull(const char *name);

/* The Go client's: up to n of one facet, leased for wait seconds (-1: not), "[queue [body ...]]". */
const char *original_pull_leased(const char *name, int n, int wait);

#endif
