/*
 * ring_fixture.h: a ring in a real redis-server, and each of its scripts as one call that waits.
 *
 * Runs in unit tests only (test_cache_ring_*.c). Everything that goes wrong in here fails the test that called; what a
 * script refuses is its answer. Slices of an answer live until the next call.
 */
#ifndef TEST_UNIT_RING_FIXTURE_H
#define TEST_UNIT_RING_FIXTURE_H

#include "common/redis/redis_conn.h"
#include "proto/cache/cache_ring_answer.h"
#include "test/unit/redis/redis_fixture.h"
#include "test/unit/suite.h"

#define RING_LEASE_MS 10000

struct ring_fixture {
    struct redis_fixture server;
    uv_loop_t loop;
    uv_timer_t limit;
    struct redis_options options;
    struct redis_conn *conn;
    int scripts[CACHE_RING_SCRIPT_COUNT];
    char prefix[CACHE_RING_PREFIX_SIZE];
    struct slice run; /* what calls say, whatever server it is */
    struct cache_ring_call call;
    char *answer; /* of the last call */
    size_t answer_len;
    long long integer;
    int type;
    bool answered;
};

extern struct ring_fixture ring;

void ring_set_up(void);
void ring_tear_down(void);

/* A Redis command of words with blanks between; its answer is ring.answer, or ring.integer. */
void ring_redis(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The answer of a script of the test's own, without keys and arguments: ring.answer, or ring.integer. */
void ring_eval(const char *text);

/* A digest of all that there is. Lives until the next call but one. */
const char *ring_digest(void);

/* What must not pass by itself within a test: the time for which the ring is closed. */
void ring_open(void);

/* A node of platoon "p1" (or `platoon`), with all that others have too. */
struct cache_ring_member ring_member(const char *name, const char *platoon);

/* A node that has joined. */
struct cache_ring_holder ring_node(const char *name, const char *platoon);

struct cache_ring_answer ring_join(const struct cache_ring_member *m, struct cache_ring_joined *j);
struct cache_ring_answer ring_beat(const char *manager, uint64_t gen,
                                   const struct cache_ring_holder *nodes, size_t count,
                                   enum cache_ring_pulse *pulses, struct cache_ring_beaten *b);
struct cache_ring_answer ring_claim(struct cache_ring_holder who, const uint64_t *cells,
                                    size_t count, struct cache_ring_owner *owners);
struct cache_ring_answer ring_held(struct cache_ring_holder who,
                                   const struct cache_ring_held *cells, size_t count,
                                   struct cache_ring_owner *owners);
struct cache_ring_answer ring_release(struct cache_ring_holder who,
                                      const struct cache_ring_held *cells, size_t count);
struct cache_ring_answer ring_look(const uint64_t *cells, size_t count,
                                   struct cache_ring_owner *owners);
struct cache_ring_answer ring_lost(const char *manager, uint64_t incarnation, uint64_t beats);
struct cache_ring_answer ring_forget(struct cache_ring_holder lost, bool even);
struct cache_ring_answer ring_leave(struct cache_ring_holder who);
struct cache_ring_answer ring_retire(const char *manager, const uint64_t *beats);
struct cache_ring_answer ring_copy(struct cache_ring_holder who,
                                   const struct cache_ring_copy *copies, size_t count);
struct cache_ring_answer ring_copies(uint64_t incarnation, const char *cursor, uint64_t *mark,
                                     bool *lost, struct cache_ring_page *page);
struct cache_ring_answer ring_drop(struct cache_ring_holder who,
                                   const struct cache_ring_copy *copies, size_t count);
struct cache_ring_answer ring_sweep(uint64_t incarnation, struct cache_ring_page *page);
struct cache_ring_answer ring_free(struct cache_ring_page *page);

/* Claims one cell; the number of the claim. It must be free, or the node's. */
uint64_t ring_take(struct cache_ring_holder who, uint64_t cell);

/* Who has a cell, as look says. */
struct cache_ring_owner ring_owner(uint64_t cell);

/* How often the beats of this node, or manager, were counted. */
uint64_t ring_beats(const char *who);

/* The node is lost: the mark of the loss. */
struct cache_ring_holder ring_lose(struct cache_ring_holder who);

/* All cells of an incarnation by a walk; as many as `most` into `cells`. Returns how many there are. */
size_t ring_sweep_all(uint64_t incarnation, struct cache_ring_held *cells, size_t most);

/* A walk of free; how many went. */
uint64_t ring_free_all(void);

/* Sends ring.call: ring.type, ring.answer. */
void ring_send(void);

/* The same, when Redis refuses it; the server's words. */
const char *ring_refused(void);

#define ck_status(answer, wanted) ck_assert_int_eq((answer).status, CACHE_RING_##wanted)

#endif
