/*
 * forward_fixture.h: a cache node in a ring (member_fixture.h) whose other nodes the test plays: it reads what the node
 * sends them, and answers what it likes, when it likes.
 *
 * Runs in unit tests only. Whose a key is says play_owner. The nodes are 1 to 3, 1 the node itself, which has a
 * connection to itself as well. Everything that goes wrong in here fails the test that called.
 */
#ifndef TEST_UNIT_CACHE_FORWARD_FIXTURE_H
#define TEST_UNIT_CACHE_FORWARD_FIXTURE_H

#include "test/unit/cache/member_fixture.h"
#include "workers/cache/cache_forward.h"
#include "workers/cache/peer/cache_peers.h"

#define FAR_NODES 3

/* Joined, with a lease, a manager that answers, connections to the nodes, and one client. */
void far_set_up(void);
void far_tear_down(void);

/* The same anew, when so long is to be waited at most (of far_set_up: a minute). */
void far_begin(uint64_t timeout_ms);

/* Its end of the client that is there. */
extern int far_client;

/*
 * Commands with blanks between words, '|' between commands, as RESP arrays in one piece. PLATOON.FOR gets its number,
 * lane and time behind `again`: all in one lane, and that and so much time at most; or as it is said here.
 */
void far_send(int fd, const char *commands);
void far_send_in(int fd, unsigned lane, uint64_t ms, const char *commands);

/* What stands before an answer to PLATOON.FOR: it does not come with the answers below. */
#define FAR_NUMBER_LEN 17

/* What comes, up to that many bytes of it; and that nothing comes. */
void far_expect(int fd, const char *text);
void far_expect_nothing(int fd);
#define far_get(commands, text)                                                                    \
    do {                                                                                           \
        far_send(far_client, commands);                                                            \
        far_expect(far_client, text);                                                              \
    } while (0)

/* What comes until it ends with that; lives until the next call. */
const char *far_came(int fd, const char *end);

/* So many answers come, in any order, all of them longer than nothing: texts of whole answers. */
void far_come(int fd, size_t count, const char *const *answers);
#define ck_came(fd, count, ...) far_come(fd, count, (const char *const[]){__VA_ARGS__})

/* It is TRYAGAIN with that reason; or, on a busy machine, the last time was not answered within what was left of it. */
#define ck_is_over(came, why)                                                                      \
    ck_assert_msg(strncmp(came, "-TRYAGAIN ", 10) == 0 &&                                          \
                      (strstr(came, why) != NULL || strstr(came, "no answer within") != NULL),     \
                  "\"%s\" does not say \"%s\"", came, why)

/* The next command that this node was sent, words with blanks between, without number, lane and time; lives until the
 * next call. */
const char *far_heard(unsigned at);
extern uint64_t far_lane, far_ms; /* what it said of these */
bool far_takes(unsigned at);      /* whether one has come by now; it is taken */
void far_hears_nothing(unsigned at);
#define ck_heard(at, text) ck_assert_str_eq(far_heard(at), text)

/* It answers in RESP what it has heard first and not answered; several answers, what it has heard first. */
void far_say(unsigned at, const char *text);

/* It answers what it has heard as that one of those that it has not answered, from 0 on; or says that, no number. */
void far_say_to(unsigned at, size_t which, const char *text);
void far_say_as_it_is(unsigned at, const char *text);

/* Its connection is cut; it is not there at all any more; it is, again. */
void far_cut(unsigned at);
void far_goes(unsigned at);
void far_comes(unsigned at);

#endif
