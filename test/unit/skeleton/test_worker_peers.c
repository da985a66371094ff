/* test_worker_peers.c: whom a worker believes: peers, generations, frames that come too early or too late (worker_peers.c). */
#include "common/log.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

#include <stdlib.h>

static struct worker w;
static struct buffer seen;
static uint64_t
    sent[256][1024]; /* frames so far by the first letter of the sender's name and its generation */

static void on_gap(struct worker *worker, const struct worker_peer *from, uint64_t missing)
{
    ck_assert_ptr_eq(worker, &w);
    buffer_printf(&seen, "!%s.%u:%u ", from->name, (unsigned)from->generation, (unsigned)missing);
}

static bool on_message(struct worker *worker, void *state, struct worker_peer *from, uint64_t type,
                       struct unpack *u)
{
    ck_assert_ptr_eq(worker, &w);
    ck_assert_ptr_null(state);
    struct message_credit m;
    if (type != MESSAGE_CREDIT || !message_credit_unpack(u, &m))
        return false;
    buffer_printf(&seen, "%s.%u:%u ", from->name, (unsigned)from->generation,
                  (unsigned)m.claims_total);
    return true;
}

static void on_up(struct worker *worker, void *state, struct worker_peer *peer)
{
    (void)worker;
    (void)state;
    peer->user = malloc(8); /* goes with the peer */
    buffer_printf(&seen, "+%s.%u(%s) ", peer->name, (unsigned)peer->generation, peer->type);
}

static void on_down(struct worker *worker, void *state, struct worker_peer *peer,
                    struct slice reason)
{
    (void)state;
    ck_assert_ptr_null(worker_peer_find(worker, peer->name)); /* it cannot be sent to any more */
    buffer_printf(&seen, "-%s.%u(%.*s) ", peer->name, (unsigned)peer->generation, (int)reason.len,
                  reason.ptr);
}

static const struct worker_ops ops = {
    .type = "test", .on_up = on_up, .on_down = on_down, .on_message = on_message};

static void no_log(enum log_level level, struct slice line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static void set_up(void)
{
    log_set_sink(no_log, NULL);
    memset(&w, 0, sizeof w);
    w.ops = &ops;
    w.phase = WORKER_READY;
    w.peers.on_gap = on_gap;
    memset(sent, 0, sizeof sent);
}

static void tear_down(void)
{
    worker_peers_fini(&w);
    buffer_fini(&seen);
}

static void up(const char *name, uint64_t generation)
{
    worker_peers_up(
        &w,
        &(struct link_up){.name = slice_of(name), .type = slice_of("t"), .generation = generation});
}

static void down(const char *name, uint64_t generation)
{
    worker_peers_down(&w, &(struct link_down){.name = slice_of(name),
                                              .generation = generation,
                                              .reason = slice_of("gone")});
}

/* A frame with one CREDIT for each number up to the first 0. */
static void numbered_frame(const char *sender, uint64_t generation, uint64_t number,
                           const unsigned *numbers)
{
    struct buffer b = BUFFER_EMPTY;
    message_envelope_pack(&b, &(struct message_envelope){.sender = slice_of(sender),
                                                         .generation = generation,
                                                         .number = number});
    for (; *numbers != 0; numbers++)
        message_credit_pack(&b, &(struct message_credit){.claims_total = *numbers});
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
}

/* The next one of its sender, whose name is one letter (or the long one of names_that_do_not_fit). */
static void frame(const char *sender, uint64_t generation, const unsigned *numbers)
{
    uint64_t *next = &sent[(unsigned char)sender[0]][generation];
    numbered_frame(sender, generation, (*next)++, numbers);
}

#define FRAME(sender, generation, ...) frame(sender, generation, (const unsigned[]){__VA_ARGS__, 0})

static void saw(const char *text)
{
    ck_assert_str_eq(buffer_text(&seen), text);
    buffer_clear(&seen);
}

START_TEST(messages_of_a_peer)
{
    up("a", 1);
    FRAME("a", 1, 7, 8);
    FRAME("a", 1, 9);
    saw("+a.1(t) a.1:7 a.1:8 a.1:9 ");
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_IN], 3);
    ck_assert_uint_eq(worker_peer_find(&w, "a")->generation, 1);
    ck_assert_ptr_null(worker_peer_find(&w, "b"));
}
END_TEST

START_TEST(older_incarnations_are_not_believed)
{
    up("a", 1);
    up("a", 3);
    saw("+a.1(t) -a.1(replaced) +a.3(t) ");
    FRAME("a", 1, 7, 8);
    FRAME("a", 2, 9);
    saw("");
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_STALE], 3);
    up("a", 2); /* late news */
    up("a", 3); /* told twice */
    saw("");
}
END_TEST

START_TEST(a_frame_may_overtake_its_up)
{
    FRAME("a", 1, 7);
    FRAME("b", 1, 1);
    FRAME("a", 1, 8);
    saw("");
    up("a", 1);
    saw("+a.1(t) a.1:7 a.1:8 "); /* in order, and only its own */
    up("b", 1);
    saw("+b.1(t) b.1:1 ");
}
END_TEST

START_TEST(a_frame_of_the_next_incarnation_waits_for_it)
{
    up("a", 1);
    FRAME("a", 2, 7);
    saw("+a.1(t) ");
    down("a", 1);
    up("a", 2);
    saw("-a.1(gone) +a.2(t) a.2:7 ");
}
END_TEST

START_TEST(late_frames_of_the_dead_are_dropped)
{
    up("a", 1);
    down("a", 1);
    FRAME("a", 1, 7);
    up("a", 2);
    saw("+a.1(t) -a.1(gone) +a.2(t) ");
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_STALE], 1);
}
END_TEST

START_TEST(down_of_another_incarnation)
{
    up("a", 5);
    down("a", 4); /* old news */
    saw("+a.5(t) ");
    ck_assert_ptr_nonnull(worker_peer_find(&w, "a"));
    down("a", 6); /* newer than what we knew: what we knew is gone too */
    saw("-a.5(gone) ");
    down("nobody", 0); /* the answer to a MONITOR */
    saw("-nobody.0(gone) ");
}
END_TEST

START_TEST(walk_is_in_order_of_arrival)
{
    up("c", 1);
    up("a", 1);
    up("b", 1);
    down("a", 1);
    struct worker_peer *p = worker_peer_next(&w, NULL);
    ck_assert_str_eq(p->name, "c");
    p = worker_peer_next(&w, p);
    ck_assert_str_eq(p->name, "b");
    ck_assert_ptr_null(worker_peer_next(&w, p));
}
END_TEST

START_TEST(frames_that_cannot_be_read)
{
    up("a", 1);
    saw("+a.1(t) ");
    worker_peers_frame(&w, slice_of(""));
    worker_peers_frame(&w, slice_of("GET / HTTP/1.1"));
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_REJECTED], 2);
    struct buffer b = BUFFER_EMPTY;
    message_envelope_pack(&b, &(struct message_envelope){.sender = slice_of("a"), .generation = 1});
    message_credit_pack(&b, &(struct message_credit){.claims_total = 1});
    buffer_append_text(&b, "\x92\x7f\x01"); /* no message we know */
    message_credit_pack(&b, &(struct message_credit){.claims_total = 2});
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
    saw("a.1:1 "); /* what stands behind it cannot be found */
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_REJECTED], 3);
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    char name[CONTRACT_NAME_MAX + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    up(name, 1);
    saw("");
    FRAME(name, 1, 7);
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_STALE], 1);
}
END_TEST

/* A number that is missing is told once, before the message that shows it; early frames count too, and so do empty ones. */
START_TEST(gaps_are_told)
{
    up("a", 1);
    FRAME("a", 1, 7);
    numbered_frame("a", 1, 3, (const unsigned[]){8, 0});
    saw("+a.1(t) a.1:7 !a.1:2 a.1:8 ");
    numbered_frame("a", 1, 4, (const unsigned[]){0});
    numbered_frame("a", 1, 6, (const unsigned[]){0});
    saw("!a.1:1 ");
    numbered_frame("b", 2, 1, (const unsigned[]){9, 0});
    up("b", 2);
    saw("+b.2(t) !b.2:1 b.2:9 ");
    FRAME("c", 1, 1);
    up("c", 1);
    saw("+c.1(t) c.1:1 ");
    up("a", 2); /* another incarnation counts afresh */
    FRAME("a", 2, 1);
    saw("-a.1(replaced) +a.2(t) a.2:1 ");
}
END_TEST

/* What waits for an UP that never comes is bounded. */
START_TEST(early_frames_are_bounded)
{
    for (unsigned i = 1; i <= 5000; i++)
        FRAME("never", 1, i);
    ck_assert_uint_le(w.peers.early_count, 1024);
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_STALE], 5000 - w.peers.early_count);
}
END_TEST

START_TEST(random_frames)
{
    up("a", 1);
    srand(4);
    for (int round = 0; round < 20000; round++) {
        struct buffer b = BUFFER_EMPTY;
        message_envelope_pack(&b,
                              &(struct message_envelope){.sender = slice_of("a"), .generation = 1});
        for (int k = rand() % 3; k > 0; k--)
            message_credit_pack(&b, &(struct message_credit){.claims_total = (uint64_t)rand()});
        for (int k = rand() % 4; k > 0; k--)
            b.data[(size_t)rand() % b.len] = (char)rand();
        size_t n = (size_t)rand() % (b.len + 1);
        char *exact = malloc(n + (n == 0));
        memcpy(exact, b.data, n);
        worker_peers_frame(&w, slice_make(exact, n));
        free(exact);
        buffer_fini(&b);
    }
}
END_TEST

SUITE_MAIN_WITH("worker_peers", set_up, tear_down, messages_of_a_peer,
                older_incarnations_are_not_believed, a_frame_may_overtake_its_up,
                a_frame_of_the_next_incarnation_waits_for_it, late_frames_of_the_dead_are_dropped,
                down_of_another_incarnation, walk_is_in_order_of_arrival,
                frames_that_cannot_be_read, names_that_do_not_fit, gaps_are_told,
                early_frames_are_bounded, random_frames)
