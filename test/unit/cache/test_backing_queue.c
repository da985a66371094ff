/* test_backing_queue.c: what is asked of a store that answers when the test says so: bounds, order, deadlines. */
#include "test/unit/suite.h"
#include "workers/cache/backing/backing_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PARALLEL 3
#define CALLS    16
#define ANSWERS  64

/* What the store was asked, until it is answered. */
struct backing_call {
    bool used;
    char what, key[16];
    size_t value_len;
    uint64_t timeout_ms;
    backing_answer_fn fn;
    void *ctx;
};

static uv_loop_t loop;
static struct backing_queue *queue;
static struct backing_call calls[CALLS];
static unsigned cancelled, idle;
static bool no_gets, out_of_memory;
static struct {
    uint64_t token;
    enum backing_result result;
    char why[BACKING_WHY_SIZE];
} answers[ANSWERS];
static size_t answer_count, result_count;

/* ---- the store ---- */

static int take(char what, struct slice key, size_t value_len, uint64_t timeout_ms,
                backing_answer_fn fn, void *ctx, struct backing_call **out)
{
    size_t i = 0;
    if (out_of_memory)
        return -ENOMEM;
    while (calls[i].used)
        ck_assert_uint_lt(++i, CALLS);
    calls[i] = (struct backing_call){.used = true,
                                     .what = what,
                                     .value_len = value_len,
                                     .timeout_ms = timeout_ms,
                                     .fn = fn,
                                     .ctx = ctx};
    slice_copy(key, calls[i].key, sizeof calls[i].key);
    *out = &calls[i];
    return 0;
}

static int fake_put(struct backing *b, struct slice key, struct slice value,
                    const struct backing_meta *meta, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **out)
{
    (void)b;
    return take(meta->deleted ? 'd' : 'p', key, value.len, timeout_ms, fn, ctx, out);
}

static int fake_get(struct backing *b, struct slice key, uint64_t timeout_ms, backing_answer_fn fn,
                    void *ctx, struct backing_call **out)
{
    (void)b;
    return take('g', key, 0, timeout_ms, fn, ctx, out);
}

static int fake_erase(struct backing *b, struct slice key, uint64_t version, uint64_t timeout_ms,
                      backing_answer_fn fn, void *ctx, struct backing_call **out)
{
    (void)b;
    ck_assert_uint_eq(version, 7);
    return take('e', key, 0, timeout_ms, fn, ctx, out);
}

static void fake_cancel(struct backing_call *call)
{
    ck_assert(call->used);
    call->used = false;
    cancelled++;
}

static const struct backing_ops fake_ops = {
    .put = fake_put, .get = fake_get, .erase = fake_erase, .cancel = fake_cancel};
static struct backing store = {.ops = &fake_ops, .erases = true};

/* What is under way, as "p:a g:b", in the order in which calls have room. */
static const char *under_way(void)
{
    static char text[256];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].used)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%c:%s", len > 0 ? " " : "",
                                    calls[i].what, calls[i].key);
    return text;
}

static struct backing_call *call_of(const char *key)
{
    for (size_t i = 0; i < CALLS; i++)
        if (calls[i].used && strcmp(calls[i].key, key) == 0)
            return &calls[i];
    ck_abort_msg("nothing of %s is under way", key);
}

static void give(const char *key, enum backing_result result)
{
    struct backing_call *call = call_of(key);
    struct backing_answer answer = {
        .result = result, .meta = BACKING_META_NONE, .value = slice_of(""), .why = "as told"};
    call->used = false;
    call->fn(&answer, call->ctx);
}

/* ---- who asks ---- */

static void on_answer(const struct backing_to *to, const struct backing_answer *answer, void *ctx)
{
    (void)ctx;
    ck_assert_uint_lt(answer_count, ANSWERS);
    answers[answer_count].token = to->token;
    answers[answer_count].result = answer->result;
    slice_copy(slice_of(answer->why), answers[answer_count++].why, BACKING_WHY_SIZE);
}

static void on_result(const struct backing_ask *ask, const struct backing_answer *answer, void *ctx)
{
    (void)ask;
    (void)answer;
    (void)ctx;
    result_count++;
}

static bool may_get(void *ctx)
{
    (void)ctx;
    return !no_gets;
}

static void on_idle(void *ctx)
{
    (void)ctx;
    idle++;
}

static void ask_of(const char *who, enum backing_asked what, const char *key, uint64_t token,
                   uint64_t timeout_ms)
{
    struct backing_ask ask = {.what = what,
                              .to = {.generation = 1, .token = token},
                              .key = slice_of(key),
                              .value = slice_of(what == BACKING_ASKED_PUT ? "0123456789" : ""),
                              .meta = {.version = 7, .expiry_ms = BACKING_NEVER},
                              .timeout_ms = timeout_ms};
    slice_copy(slice_of(who), ask.to.name, sizeof ask.to.name);
    uv_update_time(&loop);
    backing_queue_add(queue, &ask);
}

static void put(const char *key, uint64_t token)
{
    ask_of("n", BACKING_ASKED_PUT, key, token, 10000);
}

static void get(const char *key, uint64_t token)
{
    ask_of("n", BACKING_ASKED_GET, key, token, 10000);
}

static void answered(uint64_t token, enum backing_result result)
{
    ck_assert_uint_eq(answer_count, 1);
    ck_assert_uint_eq(answers[0].token, token);
    ck_assert_int_eq(answers[0].result, result);
    answer_count = 0;
}

static void set_up(void)
{
    static const struct backing_queue_events events = {
        .on_answer = on_answer, .on_result = on_result, .may_get = may_get, .on_idle = on_idle};
    struct backing_queue_options options = {
        .parallel = PARALLEL, .waiting_max = 8, .bytes_max = 100, .timeout_max = 5000};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    queue = backing_queue_new(&loop, &options, &events, NULL);
    ck_assert_ptr_nonnull(queue);
}

static void tear_down(void)
{
    backing_queue_free(queue);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    ck_assert_str_eq(under_way(), "");
}

/* ---- */

/* What nothing could overwrite is not even asked for. */
START_TEST(a_version_above_all)
{
    struct backing_ask ask = {.what = BACKING_ASKED_PUT,
                              .to = {.name = "n", .generation = 1, .token = 1},
                              .key = slice_of("a"),
                              .value = slice_of("x"),
                              .meta = {.version = BACKING_VERSION_MAX + 1},
                              .timeout_ms = 1000};
    backing_queue_open(queue, &store);
    backing_queue_add(queue, &ask);
    answered(1, BACKING_REFUSED);
    ask.meta.version = UINT64_MAX;
    backing_queue_add(queue, &ask);
    answered(1, BACKING_REFUSED);
    ck_assert_str_eq(under_way(), "");
}
END_TEST

START_TEST(waits_until_it_is_known)
{
    put("a", 1);
    ask_of("n", BACKING_ASKED_CHECK, "", 2, 1000);
    ck_assert_str_eq(under_way(), "");
    ck_assert_uint_eq(backing_queue_waiting(queue), 2);
    ck_assert_uint_eq(answer_count, 0);
    backing_queue_open(queue, &store);
    ck_assert_str_eq(under_way(), "p:a");
    answered(2, BACKING_DONE);
    ck_assert_uint_eq(calls[0].timeout_ms, 5000); /* no longer than the store may take */
    ck_assert_uint_eq(calls[0].value_len, 10);
    give("a", BACKING_NEWER);
    answered(1, BACKING_NEWER);
    ck_assert_uint_eq(idle, 1);
}
END_TEST

START_TEST(so_many_at_once)
{
    backing_queue_open(queue, &store);
    for (uint64_t i = 1; i <= 5; i++)
        get((const char *[]){"a", "b", "c", "d", "e"}[i - 1], i);
    ck_assert_str_eq(under_way(), "g:a g:b g:c");
    give("b", BACKING_ABSENT);
    answered(2, BACKING_ABSENT);
    ck_assert_str_eq(under_way(), "g:a g:d g:c");
    ck_assert_uint_eq(backing_queue_running(queue), 3);
    ck_assert_uint_eq(backing_queue_waiting(queue), 1);
    ck_assert_uint_eq(idle, 0);
}
END_TEST

/* Whoever asks for them; a get is no write. */
START_TEST(one_write_of_a_key)
{
    backing_queue_open(queue, &store);
    put("a", 1);
    ask_of("other", BACKING_ASKED_PUT, "a", 2, 10000);
    ask_of("", BACKING_ASKED_ERASE, "a", 0, 10000);
    get("a", 3);
    put("b", 4);
    ck_assert_str_eq(under_way(), "p:a g:a p:b");
    give("a", BACKING_DONE); /* the first of the two: the put */
    answered(1, BACKING_DONE);
    ck_assert_str_eq(under_way(), "p:a g:a p:b");
    give("a", BACKING_DONE);
    answered(2, BACKING_DONE);
    ck_assert_str_eq(under_way(), "e:a g:a p:b");
    give("a", BACKING_DONE); /* nobody asked for that */
    ck_assert_uint_eq(answer_count, 0);
    ck_assert_uint_eq(result_count, 3);
}
END_TEST

START_TEST(a_closed_one_answers_all)
{
    put("a", 1);
    put("b", 2);
    backing_queue_close(queue, BACKING_FORBIDDEN, "make the bucket");
    ck_assert_uint_eq(answer_count, 2);
    ck_assert_int_eq(answers[1].result, BACKING_FORBIDDEN);
    ck_assert_str_eq(answers[1].why, "make the bucket");
    answer_count = 0;
    get("a", 3);
    answered(3, BACKING_FORBIDDEN);
    ask_of("n", BACKING_ASKED_CHECK, "", 4, 1000);
    answered(4, BACKING_FORBIDDEN);
    backing_queue_open(queue, &store);
    put("a", 5);
    ck_assert_str_eq(under_way(), "p:a");
    backing_queue_close(queue, BACKING_AWAY, "no answer");
    ck_assert_uint_eq(answer_count, 0); /* what is under way goes on */
    give("a", BACKING_DONE);
    answered(5, BACKING_DONE);
}
END_TEST

START_TEST(no_room)
{
    for (uint64_t i = 1; i <= 8; i++)
        get("a", i);
    get("b", 9);
    answered(9, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(answers[0].why, "backing.parallel"));
    ck_assert_uint_eq(backing_queue_waiting(queue), 8);
}
END_TEST

START_TEST(no_room_for_bytes)
{
    static char key[200];
    memset(key, 'k', sizeof key - 1);
    get(key, 1); /* alone it may be larger */
    get("b", 2);
    answered(2, BACKING_AWAY);
}
END_TEST

START_TEST(its_time)
{
    backing_queue_open(queue, &store);
    for (uint64_t i = 1; i <= 3; i++)
        put((const char *[]){"a", "b", "c"}[i - 1], i);
    ask_of("n", BACKING_ASKED_GET, "d", 4, 20);
    get("e", 5);
    while (answer_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    answered(4, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(answers[0].why, "within 20 ms"));
    ck_assert_uint_eq(backing_queue_waiting(queue), 1);
    give("a", BACKING_DONE);
    ck_assert_str_eq(under_way(), "g:e p:b p:c");
    ck_assert_uint_gt(calls[0].timeout_ms, 4000);
}
END_TEST

/* A write goes on, because a late one is worse than one that is known. */
START_TEST(nobody_waits_any_more)
{
    struct backing_to to = {.name = "n", .generation = 1, .token = 1};
    backing_queue_open(queue, &store);
    put("a", 1);
    get("b", 2);
    get("c", 3);
    put("d", 4);
    backing_queue_cancel(queue, &to);
    ck_assert_str_eq(under_way(), "p:a g:b g:c");
    to.token = 3;
    backing_queue_cancel(queue, &to);
    ck_assert_uint_eq(cancelled, 1);
    ck_assert_str_eq(under_way(), "p:a g:b p:d");
    put("a", 5); /* waits for the one that nobody waits for */
    ck_assert_uint_eq(backing_queue_waiting(queue), 1);
    give("a", BACKING_DONE);
    ck_assert_uint_eq(answer_count, 0);
    give("a", BACKING_DONE);
    answered(5, BACKING_DONE);
}
END_TEST

START_TEST(a_node_that_is_gone)
{
    backing_queue_open(queue, &store);
    put("a", 1);
    get("b", 2);
    ask_of("other", BACKING_ASKED_GET, "c", 1, 10000);
    put("d", 3);
    backing_queue_forget(queue, "n", 2); /* another incarnation */
    ck_assert_uint_eq(backing_queue_waiting(queue), 1);
    backing_queue_forget(queue, "n", 1);
    ck_assert_str_eq(under_way(), "p:a g:c");
    ck_assert_uint_eq(backing_queue_waiting(queue), 0);
    give("a", BACKING_DONE);
    ck_assert_uint_eq(answer_count, 0);
    give("c", BACKING_DONE);
    answered(1, BACKING_DONE);
}
END_TEST

START_TEST(answers_that_are_not_taken)
{
    backing_queue_open(queue, &store);
    no_gets = true;
    get("a", 1);
    put("b", 2);
    ck_assert_str_eq(under_way(), "p:b");
    no_gets = false;
    backing_queue_go(queue);
    ck_assert_str_eq(under_way(), "p:b g:a");
}
END_TEST

START_TEST(short_of_memory)
{
    backing_queue_open(queue, &store);
    out_of_memory = true;
    put("a", 1);
    answered(1, BACKING_AWAY);
    ck_assert_uint_eq(backing_queue_running(queue), 0);
}
END_TEST

SUITE_MAIN_WITH("backing_queue", set_up, tear_down, waits_until_it_is_known, so_many_at_once,
                one_write_of_a_key, a_closed_one_answers_all, no_room, no_room_for_bytes, its_time,
                nobody_waits_any_more, a_node_that_is_gone, answers_that_are_not_taken,
                short_of_memory, a_version_above_all)
