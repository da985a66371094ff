/*
 * node_fixture.h: a cache node without a master: its clients are our ends of socket pairs, its loop turns on order.
 */
#ifndef TEST_UNIT_CACHE_NODE_FIXTURE_H
#define TEST_UNIT_CACHE_NODE_FIXTURE_H

#include "workers/cache/cache_node.h"

extern struct cache_node node;

/* Of the next node_store; so much after node_set_up. */
extern size_t node_dirty_max;
#define NODE_DIRTY_MAX 100000

/* Before and after each test. The log is attached by who has one. */
void node_set_up(void);
void node_tear_down(void);

/*
 * After node_set_up: there is a store behind, the fake one (backing_fake.h); what waits for it waits so long. What is
 * written is stored in an hour, unless there are more than node_dirty_max bytes of it, or it is asked for.
 */
void node_store(uint64_t timeout_ms);
void node_store_end(void); /* before another node_store */

/* Turns of the loop that wait until the condition holds. */
#define node_until(condition)                                                                      \
    do {                                                                                           \
        for (int node_i = 0; node_i < 10000 && !(condition); node_i++)                             \
            node_wait();                                                                           \
        ck_assert(condition);                                                                      \
    } while (0)
void node_wait(void);

/* Turns of the loop, each to its end, without waiting. */
void node_turn(int turns);

/* A connection; our end of it, which does not wait. */
int node_connect(void);

/* Sends all, with turns as needed. */
void node_send(int fd, const char *text, size_t len);

/* What has come so far, after a turn; lives until the next call. */
const char *node_read(int fd);

/* Sends, turns, and compares what comes. */
void node_expect(int fd, const char *sent, const char *came);

/* Whether the node has ended the connection: after all that was to be read. */
bool node_is_closed(int fd);

#endif
