/*
 * member_fixture.h: a cache node in a ring, with a store that answers when the test says so, a real log in a
 * directory of its own, and a manager that the test plays.
 *
 * Runs in unit tests only. On node_fixture.h: its `node`, its clients and turns. What the node says to its manager is
 * kept in order, and taken one by one (play_heard); what the manager says is said by the test. Everything that goes
 * wrong in here fails the test that called.
 */
#ifndef TEST_UNIT_CACHE_MEMBER_FIXTURE_H
#define TEST_UNIT_CACHE_MEMBER_FIXTURE_H

#include "proto/cache/cache_ring_cells.h"
#include "proto/cache/cache_ring_record.h"
#include "proto/message.h"
#include "test/unit/cache/backing_fake.h"
#include "test/unit/cache/node_fixture.h"
#include "workers/cache/cache_behind.h"
#include "workers/cache/cache_member.h"
#include "workers/cache/cache_park.h"

#include <check.h>

#define PLAY_CELLS  1000 /* of one message */
#define PLAY_SAID   64   /* messages that were not taken yet */
#define PLAY_OWNERS 64
#define PLAY_LIST   4096 /* bytes of copies */
#define PLAY_HOUR   ((uint64_t)3600 * 1000)

/* One message of the node. */
struct play_said {
    uint64_t type, incarnation, token, mark;
    uint8_t seed[16];
    char address[64];
    size_t count;
    size_t list_len; /* of copies; the list, if it is not longer */
    char list[PLAY_LIST];
    struct cache_ring_held cells[PLAY_CELLS]; /* of a claim without numbers */
};

struct fake_manager {
    char dir[64], path[80]; /* of the log, and the identity in it */
    /* What it says of a join. */
    struct message_ring_joined joined;
    uint8_t seed[16];
    /* Of the next play_open. */
    enum cache_log_fsync fsync;
    uint64_t idle_ms, timeout_ms;
    const char *volatiles;
    bool deaf;   /* nothing can be sent to it */
    bool copied; /* copies = 2, of the next play_open */
    /* What was said and not taken. */
    struct play_said said[PLAY_SAID];
    size_t first, count;
    bool wrong; /* more than that, or none that a manager could read */
    /* Whom the node told. */
    int left;      /* -1: nobody; else whether it has */
    size_t nodes;  /* of the last list */
    size_t listed; /* lists */
    bool forgets;  /* whoever is told has no memory for it */
    size_t synced; /* times that its log was */
    size_t cells,
        cells_said; /* it has said that it has so many; how often it has said anything of that */
    /* Pages of its cells that it has asked for, and the last of these requests. */
    size_t sweeps;
    uint64_t sweep_token, sweep_mark, sweep_bucket;
    char sweep_cursor[CACHE_RING_CURSOR_SIZE];
    /* Answers claims in the same turn, as the owners below say; what is not there is ours by a new number. */
    bool answers;
    uint64_t number; /* the last that was given */
    struct {
        uint64_t cell;
        uint32_t owner;
    } owners[PLAY_OWNERS];
    size_t owner_count;
};

extern struct fake_manager fake_manager;

/* A node without anything, and a directory; after each test all is closed and removed. */
void play_set_up(void);
void play_tear_down(void);

/* Opened is what the directory says, with an empty store; its manager is not there. The latter: whether it could be. */
void play_open(void);
bool play_try_open(char *why, size_t why_size);

/* The node's place in the ring alone. NULL: not, `why` says it. */
struct cache_member *play_new(char *why, size_t why_size);

/* Its second copies, to the same manager. */
void play_open_second(void);

/* The process ends, as if it was killed: what is left is the directory. */
void play_shut(void);

/* The fixture's own: what the manager needs of a node that is set up. */
void play_manager_begin(void);
void play_manager_end(void);

/* Opened, joined as fake_manager.joined says, nodes 1 to 3 live, with a lease of an hour. */
void play_begin(void);

/* ---- what the manager says ---- */

/* It is there, and the node has asked to join: the answer, and as many turns as that takes. */
void play_join(void);
void play_say_joined(void);

void play_lease(uint64_t ms);
void play_lease_over(void);

/* The nodes there are: incarnations, those of which are lost with a minus; the last one is 0. */
void play_nodes(const int *incarnations);

/* To a request: all cells alike; one by one; or why not. What the node makes of it: false: it is no message. */
bool play_own(const struct play_said *request, enum cache_ring_state state, uint64_t value);
bool play_own_each(const struct play_said *request, const struct cache_ring_owner *owners,
                   size_t count);
/* To RING_LOOK. */
bool play_see(const struct play_said *request, uint64_t result, struct cache_ring_owner owner);

bool play_obstruct(const struct play_said *request, uint64_t result, uint64_t wait_ms);

/* To RING_SWEEP: a page, which goes on in `bucket` with the cursor 7. */
bool play_swept(uint64_t token, uint64_t result, const struct cache_ring_held *held, size_t count,
                uint64_t bucket);

/* To RING_COPY, RING_DROP: `why`: of a result that is not 0. */
bool play_copied(const struct play_said *request, uint64_t result, const char *why);

/* Any message, packed. */
bool play_say(const struct buffer *message);

/* With fake_manager.answers: whose that key's cell is from now on; 0: ours again. */
void play_owner(const char *key, uint32_t owner);

/* ---- what the node says ---- */

/* The next message, which is of that type (MESSAGE_RING_…); lives until the next but PLAY_SAID. */
const struct play_said *play_heard(uint64_t type);

/* There is none. */
void play_hears_nothing(void);

/* The next message claims the cells of exactly this key; it is granted, as a new one. Two turns. */
void play_grant(const char *key);

/* ---- what is there ---- */

uint64_t play_cell(const char *key);
enum cache_cell_action play_looks(const char *key);

/* The cell's state, as its table has it. */
enum cache_cell_state play_state(const char *key);

/* What is due is put, and the store takes what is put of that key. */
void play_stored(const char *key);

/* The log is on the disk, as far as it is written, and the node knows. */
void play_sync(void);

#define ck_says(text, part)                                                                        \
    ck_assert_msg(strstr(text, part) != NULL, "\"%s\" does not say \"%s\"", text, part)

#endif
