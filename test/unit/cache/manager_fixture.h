/*
 * manager_fixture.h: a cache's manager, one file of it at a time: what its other files, the skeleton (worker.h) and
 * Redis would do is played here. Calls of scripts wait until the test answers them, in their order; what is sent to
 * nodes is kept as it was read again; its store is backing_fake.h's.
 */
#ifndef TEST_UNIT_CACHE_MANAGER_FIXTURE_H
#define TEST_UNIT_CACHE_MANAGER_FIXTURE_H

#include "test/unit/cache/backing_fake.h"
#include "test/unit/suite.h"
#include "workers/cache/manager/cache_manager_private.h"

#define MANAGED_CALLS 16
#define MANAGED_SAID  16
#define MANAGED_KNOWN 4

extern struct manager
    managed; /* master, with copies = 2, and one node, that has joined as incarnation 7, mark 70 */
extern struct worker_peer managed_peer;

/* What its other files were asked to do. */
extern struct managed_done {
    unsigned beats, frees, duties, garbled;
    uint64_t forgotten; /* the last incarnation, 0: none */
} managed_done;

/* A message to the node. */
extern struct managed_said {
    uint64_t type, token, result;
    char text[256]; /* why, or the cursor */
    struct buffer copies;
} managed_said[MANAGED_SAID];
extern size_t managed_said_count;

extern int managed_send_rc;       /* of calls; 0: they are sent */
extern bool managed_node_is_gone; /* nobody is there for an answer */
extern uint64_t managed_obstacle;

void managed_set_up(void);
void managed_tear_down(void);

/* One more node of the ring, which is lost, with 100 times its incarnation for a mark. */
struct manager_known *managed_lose(uint64_t incarnation);

/* How many calls wait. */
size_t managed_calls(void);

/*
 * The oldest that waits must be of this script and have these arguments behind the run, with blanks between, and a . for
 * each byte that cannot be printed.
 */
void managed_expect(enum cache_ring_script script, const char *args);

/* Answers it: with these numbers one behind the other, or not at all. */
#define managed_answer(...)                                                                        \
    managed_answer_numbers((const uint64_t[]){__VA_ARGS__},                                        \
                           sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
void managed_answer_numbers(const uint64_t *numbers, size_t count);
void managed_answer_bytes(struct slice bytes);
void managed_unheard(void);

/* A page of copies. */
struct managed_page {
    struct buffer list;
    uint32_t count;
};
void managed_page_put(struct managed_page *page, const char *key, uint64_t version,
                      struct slice record);

/* As a node makes it: an object, or a deletion (NULL). */
void managed_page_object(struct managed_page *page, const char *key, uint64_t version,
                         const char *value);
void managed_answer_page(struct managed_page *page, uint64_t mark, bool lost, const char *cursor);

#endif
