/*
 * test_worker_peers.c: whom a worker believes: peers, generations, frames that come too early or
 * too late (worker_peers.c).
 */
#include "common/log.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct worker w;
static struct buffer seen;
static uint64_t
    sent[256][1024]; /* frames so far by the first letter of the sender's name and its generation */

static void on_gap(struct worker *worker, const struct worker_peer *from, uint64_t missing)
{
    ck_assert_ptr_eq(worker, &w);
    buffer_printf(&seen, "!%s.%u:%u ", from->name, (unsigned)from->generation, (unsigned)missing);
}

static void on_lie(struct worker *worker, const struct worker_peer *from, const char *what)
{
    ck_assert_ptr_eq(worker, &w);
    buffer_printf(&seen, "?%s.%u(%s) ", from->name, (unsigned)from->generation, what);
}

static bool on_message(struct worker *worker, void *state, struct worker_peer *from, uint64_t type,
                       struct unpack *u)
{
    ck_assert_ptr_eq(worker, &w);
    ck_assert_ptr_null(state);
    struct message_call m;
    if (type != MESSAGE_CALL || !message_call_unpack(u, &m))
        return false;
    buffer_printf(&seen, "%s.%u:%u ", from->name, (unsigned)from->generation, (unsigned)m.token);
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

static char logged[1024]; /* the last warning */

static void keep_log(enum log_level level, struct slice line, void *ctx)
{
    (void)ctx;
    if (level == LOG_LEVEL_WARN)
        slice_copy(line, logged, sizeof logged);
}

static void set_up(void)
{
    log_set_sink(keep_log, NULL);
    logged[0] = '\0';
    memset(&w, 0, sizeof w);
    strcpy(w.name, "me.1");
    w.ops = &ops;
    w.phase = WORKER_READY;
    w.peers.on_gap = on_gap;
    w.peers.on_lie = on_lie;
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
        &(struct link_up){.name = slice_of(name), .type = slice_of("t"), .generation = generation},
        0);
}

static void down(const char *name, uint64_t generation)
{
    worker_peers_down(&w, &(struct link_down){.name = slice_of(name),
                                              .generation = generation,
                                              .reason = slice_of("gone")});
}

/* A frame with one CALL for each number up to the first 0. */
static void proven_frame(const char *sender, uint64_t generation, uint64_t number, uint64_t proof,
                         const unsigned *numbers)
{
    struct buffer b = BUFFER_EMPTY;
    message_envelope_pack(&b, &(struct message_envelope){.sender = slice_of(sender),
                                                         .generation = generation,
                                                         .number = number,
                                                         .proof = proof});
    for (; *numbers != 0; numbers++)
        message_call_pack(&b, &(struct message_call){.token = *numbers});
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
}

static void numbered_frame(const char *sender, uint64_t generation, uint64_t number,
                           const unsigned *numbers)
{
    proven_frame(sender, generation, number, 0, numbers);
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
    message_call_pack(&b, &(struct message_call){.token = 1});
    buffer_append_text(&b, "\x92\x7f\x01"); /* no message we know */
    message_call_pack(&b, &(struct message_call){.token = 2});
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

/*
 * A number that is missing is told once, before the message that shows it; early frames count
 * too, and so do empty ones.
 */
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
    ck_assert_uint_le(w.peers.early[0].count, 1024);
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_STALE], 5000 - w.peers.early[0].count);
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
            message_call_pack(&b, &(struct message_call){.token = (uint64_t)rand()});
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

/* A frame whose envelope has another version, and one field more than ours. */
static void foreign_frame(const char *sender, uint64_t generation, uint64_t version)
{
    struct buffer b = BUFFER_EMPTY;
    pack_array(&b, 6);
    pack_u64(&b, version);
    pack_text(&b, sender);
    pack_u64(&b, generation);
    pack_u64(&b, 0);
    pack_u64(&b, 0);
    pack_text(&b, "what the next version will add");
    message_json_pack(&b, &(struct message_json){.text = slice_of("1")});
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
}

static void troubled(const char *text)
{
    ck_assert_str_eq(worker_trouble_told(&w), text);
}

static void troubled_by(const char *sender, int version, const char *older)
{
    char text[256];
    snprintf(text, sizeof text,
             "frames of %s are dropped: it speaks message version %d, this worker version %d: "
             "platoonctl restart %s, the older of the two",
             sender, version, MESSAGE_VERSION, older);
    troubled(text);
}

/*
 * They were dropped but for a line of log without a name: after a change of MESSAGE_VERSION that was a drain that stood
 * still.
 */
START_TEST(another_version_is_trouble)
{
    up("a", 1);
    foreign_frame("a", 1, MESSAGE_VERSION + 1);
    saw("+a.1(t) ");
    ck_assert_uint_eq(w.counters[COUNTER_MESSAGES_REJECTED], 1);
    troubled_by("a", MESSAGE_VERSION + 1, "me.1");
    ck_assert(strncmp(logged, "trouble ", 8) == 0);
    ck_assert_str_eq(logged + 8, worker_trouble_told(&w));
    worker_trouble(&w, "redis: %s", "gone");
    troubled_by("a", MESSAGE_VERSION + 1, "me.1");
    worker_trouble(&w, "%s", "");
    troubled_by("a", MESSAGE_VERSION + 1, "me.1"); /* a type of worker does not end it */
    down("a", 1);
    troubled("");
}
END_TEST

START_TEST(the_older_of_the_two_is_restarted)
{
    up("a", 1);
    foreign_frame("a", 1, MESSAGE_VERSION - 1);
    troubled_by("a", MESSAGE_VERSION - 1, "a");
    up("a", 2); /* its next incarnation speaks ours */
    troubled("");
    foreign_frame("a", 1, MESSAGE_VERSION - 1); /* late */
    troubled("");
}
END_TEST

/* Each is told until the last is gone, whether it is a peer already or its frame has come first. */
START_TEST(several_of_another_version)
{
    foreign_frame("b", 7, MESSAGE_VERSION + 1);
    troubled_by("b", MESSAGE_VERSION + 1, "me.1");
    up("b", 7);
    up("a", 1);
    foreign_frame("a", 1, MESSAGE_VERSION + 1);
    troubled_by("b", MESSAGE_VERSION + 1, "me.1");
    down("b", 7);
    troubled_by("a", MESSAGE_VERSION + 1, "me.1");
    down("a", 1);
    troubled("");
    foreign_frame("b", 7, MESSAGE_VERSION + 1); /* late */
    troubled("");
}
END_TEST

/* Who writes to us without being a peer is forgotten after a while, or with the news of its end. */
START_TEST(another_version_of_who_is_no_peer)
{
    foreign_frame("send.1", 3, MESSAGE_VERSION + 1);
    worker_peers_tick(&w);
    ck_assert_str_ne(worker_trouble_told(&w), "");
    w.peers.foreign.seen_at -= 61000;
    worker_peers_tick(&w);
    troubled("");
    foreign_frame("send.1", 3, MESSAGE_VERSION + 1);
    down("send.1", 2);
    ck_assert_str_ne(worker_trouble_told(&w), "");
    down("send.1", 3);
    troubled("");
}
END_TEST

static void custom(const char *name, uint64_t generation)
{
    worker_peers_up(&w,
                    &(struct link_up){.name = slice_of(name),
                                      .type = slice_of("custom"),
                                      .generation = generation},
                    0);
}

/* It may lie: we live on, it is told of once, and nothing more of this incarnation is believed. */
START_TEST(frames_of_a_custom_worker_out_of_order)
{
    static const uint64_t wrong[] = {1, 7, UINT64_MAX, 0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        uint64_t generation = i + 1, next = wrong[i] == 0 ? 2 : 0;
        custom("c", generation);
        for (uint64_t number = 0; number < next; number++)
            numbered_frame("c", generation, number, (const unsigned[]){1, 0});
        buffer_clear(&seen);
        numbered_frame("c", generation, wrong[i], (const unsigned[]){2, 0});
        snprintf(text, sizeof text,
                 "?c.%u(its frames to me.1 are not in order: number %llu instead of %llu) ",
                 (unsigned)generation, (unsigned long long)wrong[i], (unsigned long long)next);
        saw(text);
        numbered_frame("c", generation, next, (const unsigned[]){3, 0});
        numbered_frame("c", generation, wrong[i] + 1, (const unsigned[]){4, 0});
        saw("");
    }
    down("c", 4);
    buffer_clear(&seen);
    custom("c", 5);
    numbered_frame("c", 5, 0, (const unsigned[]){9, 0});
    saw("+c.5(custom) c.5:9 ");
}
END_TEST

/* Its early frames found no room: what is missing then is no lie, once. */
START_TEST(a_custom_worker_whose_early_frames_found_no_room)
{
    for (unsigned i = 0; i < 2000; i++)
        numbered_frame("c", 1, i, (const unsigned[]){0});
    custom("c", 1);
    numbered_frame("c", 1, 2000, (const unsigned[]){7, 0});
    numbered_frame("c", 1, 2001, (const unsigned[]){8, 0});
    saw("+c.1(custom) c.1:7 c.1:8 ");
    numbered_frame("c", 1, 2003, (const unsigned[]){9, 0});
    ck_assert_ptr_nonnull(strstr(buffer_text(&seen), "?c.1("));
}
END_TEST

static void proven_up(const char *name, uint64_t generation)
{
    worker_peers_up(
        &w,
        &(struct link_up){.name = slice_of(name), .type = slice_of("t"), .generation = generation},
        4711);
}

static uint64_t proof(const char *name, uint64_t generation)
{
    if (!w.peers.proves)
        w.peers.proves = proof_new_key(w.peers.key);
    ck_assert(w.peers.proves);
    return proof_of(w.peers.key, slice_of(name), generation);
}

/* Anybody may write a name onto an envelope. Whose it is has no harm of it, and neither have we. */
START_TEST(a_name_is_not_believed_without_its_proof)
{
    uint64_t good = proof("a", 1);
    proven_up("a", 1);
    proven_frame("a", 1, 0, good, (const unsigned[]){1, 0});
    saw("+a.1(t) a.1:1 ");
    const uint64_t bad[] = {0, good ^ 1, proof("a", 2), proof("b", 1), 4711};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (uint64_t number = 0; number < 3; number++)
            proven_frame("a", 1, number, bad[i], (const unsigned[]){66, 0});
    saw("");
    ck_assert_ptr_nonnull(strstr(logged, "message-rejected from=a what="));
    foreign_frame("a", 1, MESSAGE_VERSION + 1);
    troubled("");
    proven_frame("a", 1, 1, good, (const unsigned[]){2, 0});
    saw("a.1:2 ");
    up("b", 1); /* an older build's: as before there were proofs */
    FRAME("b", 1, 3);
    saw("+b.1(t) b.1:3 ");
}
END_TEST

/* Nor do frames in its name keep its own from waiting for its UP. */
START_TEST(early_frames_with_proof_have_room_of_their_own)
{
    uint64_t good = proof("a", 1);
    for (unsigned i = 0; i < 5000; i++)
        proven_frame("a", 1, i, i % 2, (const unsigned[]){66, 0});
    proven_frame("a", 1, 0, good, (const unsigned[]){1, 0});
    proven_up("a", 1);
    saw("+a.1(t) a.1:1 ");
    ck_assert_uint_eq(w.peers.early[0].count + w.peers.early[1].count, 0);
    proven_frame("a", 1, 1, good, (const unsigned[]){2, 0});
    saw("a.1:2 ");
}
END_TEST

static struct transport_peer *no_peer(struct transport *t, const char *address, uint64_t proof)
{
    (void)t;
    (void)address;
    (void)proof;
    errno = EMFILE;
    return NULL;
}

/* The exit code of a worker that is told of a peer at that address, which it cannot reach. */
static int cannot_reach(const char *address)
{
    static const struct worker_mailbox mailbox = {.peer_new = no_peer};
    static const struct worker_ops with_mailbox = {.type = "test", .mailbox = &mailbox};
    static char dummy;
    int status;
    pid_t pid = suite_fork();
    if (pid == 0) {
        w.ops = &with_mailbox;
        w.transport = (struct transport *)&dummy;
        w.orphan = true;
        worker_peers_up(&w,
                        &(struct link_up){.name = slice_of("a"),
                                          .type = slice_of("t"),
                                          .generation = 1,
                                          .address = slice_of(address)},
                        7);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* No fault of its own, and nobody's intensity; but what it is told wrongly is. */
START_TEST(no_descriptor_for_a_peer_is_a_shortage)
{
    char longer[300];
    memset(longer, 'n', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(cannot_reach("ipc:///run/mbox/a.1"), CONTRACT_EXIT_SHORT);
    ck_assert_int_eq(cannot_reach(longer), CONTRACT_EXIT_TEMPORARY);
}
END_TEST

SUITE_MAIN_WITH("worker_peers", set_up, tear_down, no_descriptor_for_a_peer_is_a_shortage,
                messages_of_a_peer, older_incarnations_are_not_believed,
                a_frame_may_overtake_its_up, a_frame_of_the_next_incarnation_waits_for_it,
                late_frames_of_the_dead_are_dropped, down_of_another_incarnation,
                walk_is_in_order_of_arrival, frames_that_cannot_be_read, names_that_do_not_fit,
                gaps_are_told, early_frames_are_bounded, random_frames, another_version_is_trouble,
                the_older_of_the_two_is_restarted, several_of_another_version,
                another_version_of_who_is_no_peer, frames_of_a_custom_worker_out_of_order,
                a_custom_worker_whose_early_frames_found_no_room,
                a_name_is_not_believed_without_its_proof,
                early_frames_with_proof_have_room_of_their_own)
