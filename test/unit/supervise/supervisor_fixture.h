/*
 * supervisor_fixture.h: the supervisor over a fake process layer and a fake clock.
 *
 * Runs in unit tests. The fake layer writes one word per act into a journal ("+a" spawned, "?a" could not be, "-a" told
 * to stop, "!a" killed, "^a" up, "va" down); tests compare it. Processes get READY and exit when the test says so.
 */
#ifndef TEST_UNIT_SUPERVISOR_FIXTURE_H
#define TEST_UNIT_SUPERVISOR_FIXTURE_H

#include "master/supervise/supervisor.h"

extern uint64_t now;
extern uint64_t tick;        /* how much later it is each time it is asked */
extern size_t most_newborns; /* before setup_with; 0: any number */
extern char journal[4096];
extern char moves[256]; /* "a READY STARTING>READY": who, event, from, to */
extern uv_loop_t loop;

/* root: a, branch(b, c), d */
extern struct node *root, *branch, *a, *b, *c, *d;

extern const struct policy_limits test_limits;
extern const struct supervisor_ops fake_ops;

int fake_spawn(struct node *n);
int fake_spawn_fails(struct node *n);
void fake_stop(struct node *n);
void fake_force(struct node *n);
void fake_up(struct node *n);
void fake_down(struct node *n, const char *reason);
uint64_t fake_now(void);
uint64_t fake_random(void);

void setup_with(const struct supervisor_ops *ops);
void setup(void);
void teardown(void);

/* A pass makes exactly these acts. */
void expect(const char *acts);

/* Its process ends with that code. */
void dies(struct node *n, int code);

/* Starts everything, until all of it is READY; empties the journal. */
void all_ready(void);

#endif
