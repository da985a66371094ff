/*
 * peers_fixture.h: a cache node's connections to others, and what they told the test; and a server of the test's own,
 * for what a real one does not say on demand.
 *
 * Runs in unit tests only (test_cache_peers*.c). Everything that goes wrong in here fails the test that called.
 */
#ifndef TEST_UNIT_CACHE_PEERS_FIXTURE_H
#define TEST_UNIT_CACHE_PEERS_FIXTURE_H

#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"
#include "workers/cache/peer/cache_peers.h"

#include <errno.h>
#include <stdlib.h>

/* One call, and what became of it. */
struct peers_told {
    int times;
    int order; /* 1: the first of all that were told */
    enum cache_peer_result result;
    char answer[128];
    size_t len;
    char why[1100];
};

struct peers_fixture {
    struct redis_fixture server;
    uv_loop_t loop;
    uv_timer_t tick;
    struct cache_peers_options options;
    struct cache_peers *p;
    int told;
    char in[65536]; /* what our own server has read of the connection */
    size_t in_len;
};

extern struct peers_fixture peers;

/* A directory, a loop and options; neither server nor connections. Tear down frees what there is. */
void peers_set_up(void);
void peers_tear_down(void);

/* cache_peers_new with peers.options. */
void peers_open(void);

/* The ring is one node, "node.2" of incarnation 7, at that address; of several: cache_peers_set. */
#define PEER 7
void peers_ring(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Frees them, and lets the loop close the handles. */
void peers_close(void);

void peers_on_told(enum cache_peer_result result, struct slice answer, const char *why, void *ctx);

/* A command of words with blanks between, to PEER; what cache_peers_send says. Its deadline is behind the test's. */
int peers_send(struct peers_told *told, const char *words);
int peers_send_within(struct peers_told *told, const char *words, uint64_t timeout_ms);

/* The same, taken; then waits until it is told. */
void peers_ask(struct peers_told *told, const char *words);

/* One turn of the loop, of 1 ms at most. Fails the test when this has been going on for too long. */
void peers_turn(void);
#define peers_until(condition)                                                                     \
    do {                                                                                           \
        while (!(condition))                                                                       \
            peers_turn();                                                                          \
    } while (0)

#define ck_answered(told, text)                                                                    \
    do {                                                                                           \
        ck_assert_int_eq((told).times, 1);                                                         \
        ck_assert_msg((told).result == CACHE_PEER_ANSWERED, "%d: %s", (told).result, (told).why);  \
        ck_assert_str_eq((told).answer, text);                                                     \
        ck_assert_str_eq((told).why, "");                                                          \
    } while (0)

#define ck_told(told, wanted, part)                                                                \
    do {                                                                                           \
        ck_assert_int_eq((told).times, 1);                                                         \
        ck_assert_int_eq((told).result, CACHE_PEER_##wanted);                                      \
        ck_says((told).why, part);                                                                 \
        ck_assert_uint_eq((told).len, 0);                                                          \
    } while (0)

#define ck_says(text, part)                                                                        \
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" does not say \"%s\"", text, part)

/* ---- a server of our own ---- */

/* Listens at a unix socket of the fixture's directory. */
int peers_listen(const char *name);

/* The next connection there; reads and answers what is said before commands (PING). */
int peers_accept(int listener);

/* Reads until peers.in ends with this; what was read before is still there, unless peers.in_len was set to 0. */
void peers_read(int fd, const char *end);
void peers_say(int fd, const char *text);

#endif
