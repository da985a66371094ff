/*
 * test_cache_backing_answers.c: answers to nodes whose queues have room when the test says so; the skeleton is played.
 */
#include "test/unit/suite.h"
#include "workers/cache/cache_backing_answers.h"

#include <errno.h>
#include <stdio.h>

static uv_loop_t loop;
static struct cache_backing_answers answers;
static struct worker_peer peer = {.name = "node", .type = "cache-node", .generation = 3};
static struct buffer composed, sent[8];
static size_t sent_count;
static unsigned rooms;
static bool gone;
static int rc;
static unsigned short_of_memory; /* so many sends */

uv_loop_t *worker_loop(struct worker *w)
{
    (void)w;
    return &loop;
}

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&composed);
    return &composed;
}

struct worker_peer *worker_peer_find(struct worker *w, const char *name)
{
    (void)w;
    return !gone && strcmp(name, peer.name) == 0 ? &peer : NULL;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    (void)w;
    ck_assert_ptr_eq(to, &peer);
    if (short_of_memory > 0) {
        short_of_memory--;
        return -ENOMEM;
    }
    if (rc == 0)
        buffer_append_slice(&sent[sent_count++], buffer_slice(message));
    return rc;
}

static void on_room(void *ctx)
{
    (void)ctx;
    rooms++;
}

static void give(uint64_t generation, uint64_t token)
{
    struct backing_to to = {.name = "node", .generation = generation, .token = token};
    struct backing_answer answer = {.result = BACKING_NEWER,
                                    .meta = {.version = 8, .expiry_ms = 9, .form = 2},
                                    .value = slice_of("value"),
                                    .why = "why",
                                    .retry_after_ms = 10};
    cache_backing_answers_give(&answers, &to, &answer);
}

static void was_sent(size_t i, uint64_t token)
{
    struct message_object_answer m;
    ck_assert_uint_lt(i, sent_count);
    struct unpack u = unpack_start(buffer_slice(&sent[i]));
    ck_assert(message_object_answer_unpack(&u, &m));
    ck_assert_uint_eq(m.token, token);
    ck_assert_uint_eq(m.result, BACKING_NEWER);
    ck_assert_uint_eq(m.version, 8);
    ck_assert_int_eq(m.expiry_ms, 9);
    ck_assert_uint_eq(m.form, 2);
    ck_assert_uint_eq(m.deleted, 0);
    ck_assert_uint_eq(m.retry_after_ms, 10);
    ck_assert(slice_is(m.value, "value") && slice_is(m.why, "why"));
}

static void on_pass(uv_timer_t *timer)
{
    uv_timer_stop(timer);
}

/* A turn of the loop in which the timer has come. */
static void pass(void)
{
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_pass, 12, 0);
    while (uv_is_active((uv_handle_t *)&timer))
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    cache_backing_answers_open(&answers, NULL, on_room, NULL);
}

static void tear_down(void)
{
    cache_backing_answers_close(&answers);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    buffer_fini(&composed);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        buffer_fini(&sent[i]);
}

START_TEST(with_room)
{
    give(3, 1);
    give(2, 2); /* of an incarnation that is gone */
    ck_assert_uint_eq(sent_count, 1);
    was_sent(0, 1);
    ck_assert(!cache_backing_answers_wait(&answers));
}
END_TEST

/* The node waits for no answer that never comes. */
START_TEST(without_memory)
{
    struct message_object_answer m;
    short_of_memory = 1;
    give(3, 1);
    ck_assert_uint_eq(sent_count, 1);
    struct unpack u = unpack_start(buffer_slice(&sent[0]));
    ck_assert(message_object_answer_unpack(&u, &m));
    ck_assert_uint_eq(m.token, 1);
    ck_assert_uint_eq(m.result, BACKING_AWAY);
    ck_assert(slice_is(m.why, "memory is short") && m.value.len == 0);
    short_of_memory = 2;
    give(3, 2);
    give(3, 3);
    ck_assert_uint_eq(sent_count, 2);
    was_sent(1, 3);
}
END_TEST

START_TEST(without_room)
{
    rc = -ENOBUFS;
    give(3, 1);
    give(3, 2);
    ck_assert(cache_backing_answers_wait(&answers));
    pass();
    ck_assert(cache_backing_answers_wait(&answers));
    ck_assert_uint_eq(rooms, 0);
    rc = 0;
    pass();
    was_sent(0, 1);
    was_sent(1, 2);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(rooms, 1);
    ck_assert(!cache_backing_answers_wait(&answers));
    pass();
    ck_assert_uint_eq(rooms, 1);
}
END_TEST

START_TEST(a_node_that_goes_meanwhile)
{
    rc = -ENOBUFS;
    give(3, 1);
    gone = true;
    pass();
    ck_assert_uint_eq(sent_count, 0);
    ck_assert_uint_eq(rooms, 1);
    gone = false;
    give(3, 2); /* is dropped at the end */
}
END_TEST

START_TEST(what_cannot_be_sent_is_not_kept)
{
    rc = -ENOMEM;
    give(3, 1);
    ck_assert(!cache_backing_answers_wait(&answers));
}
END_TEST

SUITE_MAIN_WITH("cache_backing_answers", set_up, tear_down, with_room, without_memory, without_room,
                a_node_that_goes_meanwhile, what_cannot_be_sent_is_not_kept)
