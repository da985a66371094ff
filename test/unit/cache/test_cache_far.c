/*
 * test_cache_far.c: calls of a store that backing workers answer when the test says so. The skeleton (worker.h) is
 * played here: what is sent is kept as it was packed.
 */
#include "test/unit/cache/backing_fixture.h"
#include "workers/cache/cache_far.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKERS  3
#define SENT_MAX 256

static uv_loop_t loop;
static struct backing *far;
static struct worker_peer peers[WORKERS] = {
    {.name = "cache/c/backing.1", .type = "cache-backing", .generation = 1},
    {.name = "cache/c/backing.2", .type = "cache-backing", .generation = 1},
    {.name = "cache/c/backing.3", .type = "cache-backing", .generation = 1}};
static struct buffer composed;
static int send_rc;
static bool first_is_known; /* before the store is made */

/* A message, as it was read again. */
static struct sent {
    struct worker_peer *to;
    uint64_t type, token, timeout_ms, version;
    int64_t expiry_ms;
    uint64_t form, deleted;
    char key[64], value[64];
    size_t value_len;
} sent[SENT_MAX];
static size_t sent_count;

/* ---- the skeleton ---- */

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

void *worker_must_alloc(struct worker *w, size_t size)
{
    (void)w;
    return calloc(1, size);
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    (void)w;
    return first_is_known && after == NULL ? &peers[0] : NULL;
}

static void read_put(struct unpack *u, struct sent *s)
{
    struct message_object_put m;
    ck_assert(message_object_put_unpack(u, &m));
    *s = (struct sent){.token = m.token,
                       .timeout_ms = m.timeout_ms,
                       .version = m.version,
                       .expiry_ms = m.expiry_ms,
                       .form = m.form,
                       .deleted = m.deleted,
                       .value_len = m.value.len};
    slice_copy(m.key, s->key, sizeof s->key);
    slice_copy(m.value, s->value, sizeof s->value);
}

static void read_get(struct unpack *u, struct sent *s)
{
    struct message_object_get m;
    ck_assert(message_object_get_unpack(u, &m));
    *s = (struct sent){.token = m.token, .timeout_ms = m.timeout_ms};
    slice_copy(m.key, s->key, sizeof s->key);
}

static void read_check(struct unpack *u, struct sent *s)
{
    struct message_object_check m;
    ck_assert(message_object_check_unpack(u, &m));
    *s = (struct sent){.token = m.token, .timeout_ms = m.timeout_ms};
}

static void read_cancel(struct unpack *u, struct sent *s)
{
    struct message_object_cancel m;
    ck_assert(message_object_cancel_unpack(u, &m));
    *s = (struct sent){.token = m.token};
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    (void)w;
    struct unpack u = unpack_start(buffer_slice(message));
    struct sent *s = &sent[sent_count];
    uint64_t type = schema_peek_type(u);
    if (send_rc != 0)
        return send_rc;
    ck_assert_uint_lt(sent_count++, SENT_MAX);
    if (type == MESSAGE_OBJECT_PUT)
        read_put(&u, s);
    else if (type == MESSAGE_OBJECT_GET)
        read_get(&u, s);
    else if (type == MESSAGE_OBJECT_CHECK)
        read_check(&u, s);
    else
        read_cancel(&u, s);
    ck_assert(unpack_end(&u));
    s->type = type;
    s->to = to;
    return 0;
}

/* ---- the workers' side ---- */

static bool answer_as(struct worker_peer *from, const struct message_object_answer *m)
{
    struct buffer message = BUFFER_EMPTY;
    message_object_answer_pack(&message, m);
    struct unpack u = unpack_start(buffer_slice(&message));
    bool taken = cache_far_on_message(far, from, MESSAGE_OBJECT_ANSWER, &u);
    buffer_fini(&message);
    return taken;
}

static void answer(const struct sent *s, enum backing_result result)
{
    struct message_object_answer m = {.token = s->token,
                                      .result = result,
                                      .expiry_ms = BACKING_NEVER,
                                      .value = slice_of(""),
                                      .why = slice_of("as told")};
    ck_assert(answer_as(s->to, &m));
}

/* ---- asking ---- */

static void put(const char *key, const char *value, uint64_t timeout_ms, struct backing_got *got)
{
    struct backing_meta meta = {.version = 7, .expiry_ms = 1700000000000, .form = 2};
    *got = (struct backing_got){0};
    ck_assert_int_eq(far->ops->put(far, slice_of(key), slice_of(value), &meta, timeout_ms,
                                   backing_on_got, got, &got->call),
                     0);
    ck_assert_uint_eq(got->calls, 0); /* never from within */
}

static void get(const char *key, uint64_t timeout_ms, struct backing_got *got)
{
    *got = (struct backing_got){0};
    ck_assert_int_eq(far->ops->get(far, slice_of(key), timeout_ms, backing_on_got, got, &got->call),
                     0);
    ck_assert_uint_eq(got->calls, 0);
}

static void up(size_t count)
{
    for (size_t i = 0; i < count; i++)
        cache_far_on_up(far, &peers[i]);
    ck_assert_uint_eq(cache_far_workers(far), count);
}

static void make(void)
{
    struct cache_far_options options = {.workers = "cache/c/backing", .parallel = 2};
    far = cache_far_new(NULL, &options);
    ck_assert_ptr_nonnull(far);
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    make();
}

static void tear_down(void)
{
    backing_end(&loop, far);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    buffer_fini(&composed);
}

/* ---- */

START_TEST(a_put)
{
    struct backing_got got;
    up(1);
    put("k", "value", 10000, &got);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent[0].type, MESSAGE_OBJECT_PUT);
    ck_assert_ptr_eq(sent[0].to, &peers[0]);
    ck_assert_str_eq(sent[0].key, "k");
    ck_assert_str_eq(sent[0].value, "value");
    ck_assert_uint_eq(sent[0].version, 7);
    ck_assert_int_eq(sent[0].expiry_ms, 1700000000000);
    ck_assert_uint_eq(sent[0].form, 2);
    ck_assert_uint_eq(sent[0].deleted, 0);
    ck_assert_uint_lt(sent[0].timeout_ms, 10000); /* its reason is here before our deadline */
    ck_assert_uint_gt(sent[0].timeout_ms, 9000);
    struct message_object_answer m = {.token = sent[0].token,
                                      .result = BACKING_NEWER,
                                      .version = 9,
                                      .why = slice_of("newer"),
                                      .value = slice_of(""),
                                      .retry_after_ms = 1500};
    ck_assert(answer_as(&peers[0], &m));
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 9);
    ck_assert_str_eq(got.why, "newer");
    ck_assert_uint_eq(got.retry_after_ms, 1500);
}
END_TEST

START_TEST(a_get)
{
    struct backing_got got;
    up(1);
    get("k", 1000, &got);
    ck_assert_uint_eq(sent[0].type, MESSAGE_OBJECT_GET);
    struct message_object_answer m = {.token = sent[0].token,
                                      .result = BACKING_DONE,
                                      .version = 5,
                                      .expiry_ms = 1800000000000,
                                      .form = 1,
                                      .why = slice_of(""),
                                      .value = slice_of("bytes")};
    ck_assert(answer_as(&peers[0], &m));
    ck_assert_int_eq(got.result, BACKING_DONE);
    ck_assert_str_eq(got.value, "bytes");
    ck_assert_uint_eq(got.meta.version, 5);
    ck_assert_int_eq(got.meta.expiry_ms, 1800000000000);
    ck_assert_uint_eq(got.meta.form, 1);
    ck_assert(!got.meta.deleted);
    get("k", 1000, &got);
    m = (struct message_object_answer){.token = sent[1].token,
                                       .result = BACKING_ABSENT,
                                       .version = 6,
                                       .deleted = 1,
                                       .why = slice_of(""),
                                       .value = slice_of("")};
    ck_assert(answer_as(&peers[0], &m));
    ck_assert_int_eq(got.result, BACKING_ABSENT);
    ck_assert_uint_eq(got.meta.version, 6);
    ck_assert(got.meta.deleted);
}
END_TEST

START_TEST(a_check)
{
    struct backing_got got = {0};
    up(1);
    ck_assert_int_eq(far->ops->check(far, 1000, backing_on_got, &got, &got.call), 0);
    ck_assert_uint_eq(sent[0].type, MESSAGE_OBJECT_CHECK);
    answer(&sent[0], BACKING_FORBIDDEN);
    ck_assert_int_eq(got.result, BACKING_FORBIDDEN);
    ck_assert_str_eq(got.why, "as told");
}
END_TEST

/* The workers do that by themselves. */
START_TEST(an_erase)
{
    up(1);
    ck_assert(!far->erases);
    struct backing_got got = backing_erase(&loop, far, "k", 5);
    ck_assert_int_eq(got.result, BACKING_DONE);
    ck_assert_uint_eq(sent_count, 0);
}
END_TEST

START_TEST(none_is_there)
{
    struct backing_got got;
    put("k", "v", 60000, &got);
    backing_wait(&loop, &got);
    ck_assert_int_eq(got.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(
        strstr(got.why, "cache/c/backing.1: no backing worker of this cache is running"));
    ck_assert_ptr_nonnull(strstr(got.why, "platoonctl start cache/c/backing.1"));
    put("k", "v", 60000, &got);
    far->ops->cancel(got.call);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

/* Those of whom we were told before there was a store to tell. */
START_TEST(who_was_there_before)
{
    backing_end(&loop, far);
    first_is_known = true;
    make();
    ck_assert_uint_eq(cache_far_workers(far), 1);
    struct worker_peer other = {.name = "cache/c/node.2", .type = "cache-node", .generation = 1};
    cache_far_on_up(far, &other);
    ck_assert_uint_eq(cache_far_workers(far), 1);
    cache_far_on_down(far, &other, slice_of("killed"));
}
END_TEST

/* Whom the key of this number is sent to; the call is over then. */
static struct worker_peer *whom(unsigned number)
{
    struct backing_got got;
    char key[32];
    snprintf(key, sizeof key, "key/%u", number);
    sent_count = 0;
    get(key, 10000, &got);
    ck_assert_uint_eq(sent_count, 1);
    answer(&sent[0], BACKING_DONE);
    return sent[0].to;
}

START_TEST(keys_have_workers)
{
    struct worker_peer *first[600];
    size_t share[WORKERS] = {0};
    up(WORKERS);
    for (unsigned i = 0; i < 600; i++) {
        first[i] = whom(i);
        share[first[i] - peers]++;
    }
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_msg(share[i] > 120, "worker %zu has %zu of 600", i, share[i]);
    cache_far_on_down(far, &peers[1], slice_of("killed"));
    for (unsigned i = 0; i < 600; i++) {
        struct worker_peer *now = whom(i);
        ck_assert(first[i] == &peers[1] ? now != &peers[1] : now == first[i]);
    }
    peers[1].generation++;
    cache_far_on_up(far, &peers[1]);
    for (unsigned i = 0; i < 600; i++)
        ck_assert_ptr_eq(whom(i), first[i]);
}
END_TEST

/* Twice backing.parallel at one worker; more wait, and go in their order. */
START_TEST(its_window)
{
    struct backing_got got[6];
    up(1);
    for (size_t i = 0; i < 6; i++)
        get((const char *[]){"a", "b", "c", "d", "e", "f"}[i], 10000, &got[i]);
    ck_assert_uint_eq(sent_count, 4);
    answer(&sent[1], BACKING_DONE);
    ck_assert_uint_eq(got[1].calls, 1);
    ck_assert_uint_eq(sent_count, 5);
    ck_assert_str_eq(sent[4].key, "e");
    far->ops->cancel(got[0].call); /* that makes room too */
    ck_assert_uint_eq(sent_count, 7);
    ck_assert_uint_eq(sent[5].type, MESSAGE_OBJECT_CANCEL);
    ck_assert_uint_eq(sent[5].token, sent[0].token);
    ck_assert_str_eq(sent[6].key, "f");
    answer(&sent[0], BACKING_DONE);
    ck_assert_uint_eq(got[0].calls, 0);
}
END_TEST

START_TEST(its_window_in_bytes)
{
    static char large[16 << 20];
    struct backing_got got[3];
    up(1);
    memset(large, 'v', sizeof large - 1);
    for (size_t i = 0; i < 3; i++)
        put((const char *[]){"a", "b", "c"}[i], large, 10000, &got[i]);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_uint_eq(sent[0].value_len, sizeof large - 1);
    answer(&sent[0], BACKING_DONE);
    ck_assert_uint_eq(sent_count, 2);
    far->ops->cancel(got[2].call);
    answer(&sent[1], BACKING_DONE);
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_uint_eq(got[1].calls, 1);
    ck_assert_uint_eq(got[2].calls, 0);
}
END_TEST

START_TEST(a_death)
{
    struct backing_got got[6];
    up(1);
    for (size_t i = 0; i < 6; i++)
        put((const char *[]){"a", "b", "c", "d", "e", "f"}[i], "v", 10000, &got[i]);
    cache_far_on_up(far, &peers[1]);
    cache_far_on_down(far, &peers[0], slice_of("signal 9"));
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(got[i].calls, 1);
        ck_assert_int_eq(got[i].result, BACKING_AWAY);
        ck_assert_ptr_nonnull(strstr(got[i].why, "cache/c/backing.1 ended (signal 9)"));
    }
    /* What it was not told yet goes to the other. */
    ck_assert_uint_eq(sent_count, 6);
    ck_assert_ptr_eq(sent[5].to, &peers[1]);
    answer(&sent[5], BACKING_DONE);
    ck_assert_int_eq(got[5].result, BACKING_DONE);
    cache_far_on_down(far, &peers[1], slice_of("signal 9"));
    ck_assert_int_eq(got[4].result, BACKING_AWAY);
    ck_assert(!answer_as(&peers[1], &(struct message_object_answer){.token = 1}));
}
END_TEST

START_TEST(the_death_of_the_last)
{
    struct backing_got got[5];
    up(1);
    for (size_t i = 0; i < 5; i++)
        get((const char *[]){"a", "b", "c", "d", "e"}[i], 10000, &got[i]);
    cache_far_on_down(far, &peers[0], slice_of("exit 1"));
    ck_assert_uint_eq(got[3].calls, 1);
    ck_assert_uint_eq(got[4].calls, 0);
    backing_wait(&loop, &got[4]);
    ck_assert_int_eq(got[4].result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(got[4].why, "no backing worker of this cache is running"));
}
END_TEST

START_TEST(a_deadline)
{
    struct backing_got got, later;
    up(1);
    get("k", 20, &got);
    backing_wait(&loop, &got);
    ck_assert_int_eq(got.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(got.why, "cache/c/backing.1: no answer for 20 ms"));
    ck_assert_uint_eq(sent[1].type, MESSAGE_OBJECT_CANCEL);
    answer(&sent[0], BACKING_DONE); /* too late, and no fault */
    ck_assert_uint_eq(got.calls, 1);
    get("k", 10000, &later);
    ck_assert_uint_ne(sent[2].token, sent[0].token);
    answer(&sent[2], BACKING_DONE);
    ck_assert_uint_eq(later.calls, 1);
}
END_TEST

/* Of one that was never sent the worker hears nothing. */
START_TEST(a_deadline_of_one_that_waits)
{
    struct backing_got got[5];
    up(1);
    for (size_t i = 0; i < 4; i++)
        get((const char *[]){"a", "b", "c", "d"}[i], 10000, &got[i]);
    get("e", 20, &got[4]);
    backing_wait(&loop, &got[4]);
    ck_assert_int_eq(got[4].result, BACKING_AWAY);
    ck_assert_uint_eq(sent_count, 4);
}
END_TEST

START_TEST(what_cannot_be_sent)
{
    static const struct {
        int rc;
        enum backing_result result;
    } cases[] = {{-ENOBUFS, BACKING_AWAY}, {-ENOMEM, BACKING_AWAY}, {-EMSGSIZE, BACKING_REFUSED}};
    struct backing_got got;
    up(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send_rc = cases[i].rc;
        put("k", "v", 10000, &got);
        backing_wait(&loop, &got);
        ck_assert_int_eq(got.result, cases[i].result);
        ck_assert_str_ne(got.why, "");
    }
    send_rc = 0;
    put("k", "v", 10000, &got);
    answer(&sent[0], BACKING_DONE);
    ck_assert_int_eq(got.result, BACKING_DONE);
}
END_TEST

START_TEST(answers_that_are_none)
{
    struct backing_got got;
    struct worker_peer other = {.name = "x", .type = "cache-backing", .generation = 1};
    struct unpack u = unpack_start(slice_of("\x90"));
    up(1);
    get("k", 10000, &got);
    struct message_object_answer m = {
        .token = sent[0].token, .result = 6, .value = slice_of(""), .why = slice_of("")};
    ck_assert(!answer_as(&peers[0], &m));
    m.result = 0;
    m.form = 3;
    ck_assert(!answer_as(&peers[0], &m));
    ck_assert(!answer_as(&other, &m));
    ck_assert(!cache_far_on_message(far, &peers[0], MESSAGE_OBJECT_ANSWER, &u));
    ck_assert(!cache_far_on_message(far, &peers[0], MESSAGE_CALL, &u));
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

/* ---- from within the callback ---- */

static struct backing_got chained[2];

static void on_first(const struct backing_answer *given, void *ctx)
{
    (void)given;
    far->ops->cancel(((struct backing_got *)ctx)->call);
    get("next", 10000, &chained[1]);
}

START_TEST(a_callback_asks_and_cancels)
{
    struct backing_call *call;
    up(1);
    get("other", 10000, &chained[0]);
    ck_assert_int_eq(far->ops->get(far, slice_of("first"), 10000, on_first, &chained[0], &call), 0);
    answer(&sent[1], BACKING_DONE);
    ck_assert_str_eq(sent[3].key, "next");
    answer(&sent[3], BACKING_DONE);
    ck_assert_uint_eq(chained[0].calls, 0);
    ck_assert_uint_eq(chained[1].calls, 1);
}
END_TEST

/* Who puts again at once, as its worker dies. */
static void on_death(const struct backing_answer *given, void *ctx)
{
    (void)given;
    get("again", 10000, ctx);
}

START_TEST(a_callback_of_a_death_asks)
{
    struct backing_call *call;
    up(1);
    ck_assert_int_eq(far->ops->get(far, slice_of("first"), 10000, on_death, &chained[0], &call), 0);
    cache_far_on_down(far, &peers[0], slice_of("killed"));
    backing_wait(&loop, &chained[0]);
    ck_assert_int_eq(chained[0].result, BACKING_AWAY);
}
END_TEST

/* Others have their turn in between. */
static void on_none(const struct backing_answer *given, void *ctx)
{
    struct backing_call *call;
    (void)given;
    (*(unsigned *)ctx)++;
    ck_assert_int_eq(far->ops->get(far, slice_of("again"), 10000, on_none, ctx, &call), 0);
}

START_TEST(who_asks_again_at_once_holds_nobody_up)
{
    struct backing_call *call;
    unsigned count = 0;
    ck_assert_int_eq(far->ops->get(far, slice_of("k"), 10000, on_none, &count, &call), 0);
    while (count < 3)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(count, 3);
}
END_TEST

START_TEST(bounded)
{
    static struct backing_got got;
    struct backing_got last;
    struct backing_call *call;
    up(1);
    for (unsigned i = 0; i < CACHE_FAR_CALLS; i++)
        ck_assert_int_eq(far->ops->get(far, slice_of("k"), 600000, backing_on_got, &got, &call), 0);
    get("k", 600000, &last);
    backing_wait(&loop, &last);
    ck_assert_int_eq(last.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(last.why, "too many requests"));
    ck_assert_uint_eq(got.calls, 0);
    ck_assert_uint_eq(sent_count, 4);
}
END_TEST

SUITE_MAIN_WITH("cache_far", set_up, tear_down, a_put, a_get, a_check, an_erase, none_is_there,
                who_was_there_before, keys_have_workers, its_window, its_window_in_bytes, a_death,
                the_death_of_the_last, a_deadline, a_deadline_of_one_that_waits,
                what_cannot_be_sent, answers_that_are_none, a_callback_asks_and_cancels,
                a_callback_of_a_death_asks, who_asks_again_at_once_holds_nobody_up, bounded)
