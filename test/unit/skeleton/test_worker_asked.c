/* test_worker_asked.c: requests that other workers make by message, and their answers (worker_asked.c). */
#include "common/log.h"
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

static struct worker w;
static struct buffer out; /* what was sent */
static uint64_t asked[300], number;
static size_t asked_count;
static char verb[64], word[64];

static struct transport_peer *peer_new(struct transport *t, const char *address, uint64_t proof)
{
    (void)t;
    (void)address;
    (void)proof;
    return (struct transport_peer *)&w;
}

static void peer_free(struct transport_peer *p)
{
    (void)p;
}

static int keep(struct transport_peer *p, struct slice message)
{
    (void)p;
    buffer_append_slice(&out, message);
    return 0;
}

static void on_request(struct worker *worker, void *state, const struct link_request *r)
{
    (void)worker;
    (void)state;
    struct unpack u = unpack_start(r->args);
    ck_assert_uint_eq(r->deadline_ms, 5000);
    ck_assert_uint_eq(unpack_array(&u), 1);
    ck_assert(slice_copy(unpack_bytes(&u), word, sizeof word) && unpack_end(&u));
    ck_assert(slice_copy(r->verb, verb, sizeof verb));
    asked[asked_count++] = r->id;
}

static const struct worker_mailbox mailbox = {
    .peer_new = peer_new, .peer_free = peer_free, .send = keep};
static const struct worker_ops ops = {
    .type = "test", .mailbox = &mailbox, .on_request = on_request};

static void up(const char *name, const char *type, uint64_t generation)
{
    worker_peers_up(&w,
                    &(struct link_up){.name = slice_of(name),
                                      .type = slice_of(type),
                                      .generation = generation,
                                      .address = slice_of("ipc:///x")},
                    0);
}

static void set_up(void)
{
    memset(&w, 0, sizeof w);
    strcpy(w.name, "me.1");
    w.ops = &ops;
    w.phase = WORKER_READY;
    w.transport = (struct transport *)&w;
    asked_count = number = 0;
    up("a", "t", 1);
}

static void tear_down(void)
{
    worker_peers_fini(&w);
    worker_asked_fini(&w);
    buffer_fini(&w.frame);
    buffer_fini(&out);
}

/* A frame of it with such a request, as worker_ask says it. */
static void ask(const char *sender, uint64_t token)
{
    static const char given[] = "word";
    const struct slice words[] = {slice_of(given)};
    struct buffer b = BUFFER_EMPTY;
    buffer_clear(&out);
    ck_assert_int_eq(worker_ask(&w, worker_peer_find(&w, sender), token, 5000, "look", 1, words),
                     0);
    message_envelope_pack(&b, &(struct message_envelope){
                                  .sender = slice_of(sender), .generation = 1, .number = number++});
    buffer_append_slice(&b, buffer_slice(&out));
    buffer_clear(&out);
    worker_peers_frame(&w, buffer_slice(&b));
    buffer_fini(&b);
}

/* What was sent, which is one answer. */
static struct message_said said(void)
{
    struct unpack u = unpack_start(buffer_slice(&out));
    struct message_said m;
    ck_assert(message_said_unpack(&u, &m) && !unpack_more(&u));
    return m;
}

START_TEST(asked_and_answered)
{
    ask("a", 7);
    ask("a", 8);
    ck_assert_uint_eq(asked_count, 2);
    ck_assert_str_eq(verb, "look");
    ck_assert_str_eq(word, "word");
    worker_reply_text(&w, asked[1], CONTROL_NO_NAME, "no %s", "such");
    struct message_said m = said();
    struct unpack u = unpack_start(m.body);
    ck_assert_uint_eq(m.token, 8);
    ck_assert_uint_eq(m.status, CONTROL_NO_NAME);
    ck_assert(slice_is(unpack_str(&u), "no such"));
    buffer_clear(&out);
    worker_reply(&w, asked[0], CONTROL_OK, slice_of("")); /* nothing is nil */
    ck_assert_uint_eq(said().token, 7);
    ck_assert_uint_eq(w.asked_count, 0);
    buffer_clear(&out);
    worker_reply(&w, asked[0], CONTROL_OK, slice_of("")); /* `late` had answered it */
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(who_asked_has_gone)
{
    ask("a", 7);
    worker_peers_down(&w, &(struct link_down){
                              .name = slice_of("a"), .generation = 1, .reason = slice_of("gone")});
    up("a", "t", 2); /* its successor has not asked */
    buffer_clear(&out);
    worker_reply(&w, asked[0], CONTROL_OK, slice_of(""));
    ck_assert_uint_eq(out.len, 0);
    ck_assert_uint_eq(w.asked_count, 0);
}
END_TEST

START_TEST(so_many_at_once)
{
    for (uint64_t i = 0; i < 257; i++)
        ask("a", i);
    ck_assert_uint_eq(asked_count, 256);
    ck_assert_uint_eq(said().token, 256);
    ck_assert_uint_eq(said().status, CONTROL_ERROR);
}
END_TEST

START_TEST(custom_workers_may_not)
{
    worker_peers_down(&w, &(struct link_down){
                              .name = slice_of("a"), .generation = 1, .reason = slice_of("gone")});
    up("b", "custom", 1);
    ask("b", 7);
    ck_assert_uint_eq(asked_count, 0);
    ck_assert_uint_eq(said().token, 7);
    ck_assert_uint_eq(said().status, CONTROL_ERROR);
}
END_TEST

SUITE_MAIN_WITH("worker-asked", set_up, tear_down, asked_and_answered, who_asked_has_gone,
                so_many_at_once, custom_workers_may_not)
