/* test_erlang_cache.c: what is called for at a cache's nodes, which answer, come and go when the test says so. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/erlang/erlang_world.h"
#include "workers/erlang/erlang_cache.h"

#include <errno.h>

#define TIMEOUT_MS 5000
#define GRACE_MS   60000 /* longer the node's own refusal is waited for */
#define SENT_MAX   2048

static struct erlang_cache cache;
static struct worker_peer nodes[] = {{.name = "cache/sessions/node.1", .generation = 1},
                                     {.name = "cache/sessions/node.2", .generation = 1}};
static struct worker_peer *live[4]; /* that the skeleton knows */
static struct buffer composed;
static int send_rc;
static unsigned monitored;

/* What was called for. */
static struct sent {
    const struct worker_peer *to;
    uint64_t token;
    char text[256];
} sent[SENT_MAX];
static size_t sent_count;

/* What the gate was told. */
static char told[4096];
static unsigned over[8]; /* of each lane */

/* ---- the skeleton ---- */

struct buffer *worker_compose(struct worker *w)
{
    (void)w;
    buffer_clear(&composed);
    return &composed;
}

int worker_send(struct worker *w, struct worker_peer *to, const struct buffer *message)
{
    struct message_call call;
    struct unpack u = unpack_start(buffer_slice(message));
    (void)w;
    ck_assert(message_call_unpack(&u, &call));
    if (send_rc != 0)
        return send_rc;
    ck_assert_uint_lt(sent_count, SENT_MAX);
    sent[sent_count].to = to;
    sent[sent_count].token = call.token;
    slice_copy(call.text, sent[sent_count].text, sizeof sent[0].text);
    sent_count++;
    return 0;
}

struct worker_peer *worker_peer_next(struct worker *w, struct worker_peer *after)
{
    size_t i = 0;
    (void)w;
    while (after != NULL && live[i] != after)
        i++;
    return live[after == NULL ? 0 : i + 1];
}

void worker_monitor(struct worker *w, struct slice name)
{
    char expected[CONTRACT_NAME_MAX];
    (void)w;
    monitored++;
    snprintf(expected, sizeof expected, "cache/sessions/node.%u", monitored);
    ck_assert(slice_is(name, expected));
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    (void)w;
    ck_assert_str_eq(name, "cache.timeout");
    return TIMEOUT_MS;
}

/* ---- the gate ---- */

static void on_got(void *ctx, const struct erlang_caller *caller, bool found, struct slice value,
                   enum erlang_form form)
{
    size_t len = strlen(told);
    ck_assert_ptr_eq(ctx, over);
    snprintf(told + len, sizeof told - len, "%.*s %.*s %s %s;", (int)caller->node.len,
             caller->node.ptr, (int)caller->pid.len, caller->pid.ptr,
             found ? erlang_form_name(form) : "ko", found ? "" : "-");
    if (found)
        slice_copy(value, told + strlen(told) - 1, 100);
}

static void on_over(void *ctx, uint32_t lane)
{
    ck_assert_ptr_eq(ctx, over);
    over[lane]++;
}

static struct erlang_caller caller(uint32_t lane)
{
    return (struct erlang_caller){.lane = lane, .node = slice_of("n@h"), .pid = slice_of("pid")};
}

#define KEY BYTES("m\0\0\0\1k")

static void get(uint32_t lane)
{
    struct erlang_caller c = caller(lane);
    erlang_cache_get(&cache, &c, KEY, true);
}

static void set(uint32_t lane)
{
    struct erlang_caller c = caller(lane);
    erlang_cache_set(&cache, &c, KEY, BYTES("m\0\0\0\1v"));
}

/* ---- the nodes ---- */

static void up(size_t i)
{
    live[live[0] != NULL] = &nodes[i];
    erlang_cache_on_up(&cache, &nodes[i]);
}

static void down(size_t i)
{
    if (live[0] == &nodes[i])
        live[0] = live[1];
    live[1] = NULL;
    erlang_cache_on_down(&cache, &nodes[i]);
}

static void answer_by(struct worker_peer *from, uint64_t token, bool failed, const char *text)
{
    struct buffer packed = BUFFER_EMPTY;
    struct message_answer m = {.token = token, .failed = failed, .text = slice_of(text)};
    message_answer_pack(&packed, &m);
    struct unpack u = unpack_start(buffer_slice(&packed));
    ck_assert(erlang_cache_on_message(&cache, from, MESSAGE_ANSWER, &u));
    buffer_fini(&packed);
}

static void answer(size_t i, const char *text)
{
    answer_by(&nodes[0], sent[i].token, false, text);
}

static uint64_t unanswered(void)
{
    return world_counts[COUNTER_ERLANG_UNANSWERED];
}

static void set_up(void)
{
    static const struct erlang_cache_events events = {.on_got = on_got, .on_over = on_over};
    erlang_cache_open(&cache, NULL, "sessions", &events, over);
}

static void tear_down(void)
{
    erlang_cache_fini(&cache);
    buffer_fini(&composed);
}

/* ---- what is called for ---- */

START_TEST(what_is_said)
{
    struct erlang_caller c = caller(1);
    up(0);
    erlang_cache_set(&cache, &c, KEY, BYTES("m\0\0\0\1v"));
    erlang_cache_set(&cache, &c, BYTES("w\1k"), BYTES("k\0\1v"));
    erlang_cache_set(&cache, &c, KEY, BYTES("w\2ok"));
    erlang_cache_get(&cache, &c, KEY, true);
    erlang_cache_get(&cache, &c, KEY, false);
    erlang_cache_persist(&cache, &c, KEY);
    static const char *const texts[] = {
        "{\"set\":\"k\",\"value\":\"v\"}",
        "{\"set\":\"k\",\"value\":\"v\",\"form\":\"string\"}",
        "{\"set\":\"k\",\"value\":{\"base64\":\"g3cCb2s=\"},\"form\":\"term\"}",
        "{\"get\":\"k\",\"consistency\":true}",
        "{\"get\":\"k\",\"consistency\":false}",
        "{\"dump\":\"k\"}"};
    ck_assert_uint_eq(sent_count, 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_str_eq(sent[i].text, texts[i]);
        ck_assert_ptr_eq(sent[i].to, &nodes[0]);
    }
}
END_TEST

/* What the node keeps in order is what has one lane; no token comes twice. */
START_TEST(lanes_are_in_tokens)
{
    up(0);
    set(1);
    set(7);
    get(1);
    ck_assert_uint_eq(sent[0].token >> 32, 1);
    ck_assert_uint_eq(sent[1].token >> 32, 7);
    ck_assert_uint_eq(sent[2].token >> 32, 1);
    ck_assert_uint_ne(sent[0].token, sent[2].token);
}
END_TEST

/* The nodes that there may be are asked for, and no others are called. */
START_TEST(whom_it_calls)
{
    static struct worker_peer others[] = {{.name = "cache/other/node.1"},
                                          {.name = "cache/sessions/node.01"},
                                          {.name = "cache/sessions/node.65"},
                                          {.name = "cache/sessions/node.x"},
                                          {.name = "cache/sessions/manager"}};
    erlang_cache_start(&cache);
    ck_assert_uint_eq(monitored, 64);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        erlang_cache_on_up(&cache, &others[i]);
    get(1);
    ck_assert_uint_eq(sent_count, 0);
    up(1);
    ck_assert_uint_eq(sent_count, 1);
    ck_assert_ptr_eq(sent[0].to, &nodes[1]);
    up(0); /* one that comes later changes nothing */
    get(1);
    ck_assert_ptr_eq(sent[1].to, &nodes[1]);
}
END_TEST

/* ---- answers ---- */

START_TEST(what_was_read)
{
    up(0);
    get(1);
    get(2);
    get(1);
    answer(1, "{\"ko\":true}");
    answer(0, "{\"ok\":\"walrus\"}");
    answer(2, "{\"ok\":{\"base64\":\"g3cCb2s=\"},\"form\":\"term\"}");
    ck_assert_str_eq(told, "n@h pid ko -;n@h pid bytes walrusn@h pid term \x83w\2ok");
    ck_assert(over[1] == 2 && over[2] == 1);
    ck_assert_uint_eq(unanswered(), 0);
    ck_assert_uint_eq(cache.out_count, 0);
}
END_TEST

START_TEST(what_was_written)
{
    struct erlang_caller c = caller(3);
    up(0);
    set(3);
    erlang_cache_persist(&cache, &c, KEY);
    answer(0, "{\"ok\":true}");
    answer(1, "{\"ok\":true}");
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(over[3], 2);
}
END_TEST

/* Never a ko: nothing, and the log says why. */
START_TEST(what_cannot_be_said)
{
    up(0);
    for (uint32_t lane = 1; lane <= 4; lane++)
        get(lane);
    answer_by(&nodes[0], sent[0].token, true, "\"TRYAGAIN the ring does not answer\"");
    answer(1, "{\"ok\":\"v\",\"form\":\"none\"}");
    answer(2, "{}");
    answer(3, "garbage");
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(unanswered(), 4);
    ck_assert(over[1] == 1 && over[2] == 1 && over[3] == 1 && over[4] == 1);
}
END_TEST

/* Each call has one answer; and of no other node. */
START_TEST(answers_to_nothing)
{
    struct unpack u = unpack_start(slice_of(""));
    up(0);
    up(1);
    get(1);
    answer_by(&nodes[1], sent[0].token, false, "{\"ok\":\"forged\"}");
    answer_by(&nodes[0], sent[0].token + 1, false, "{\"ok\":\"unasked\"}");
    ck_assert(told[0] == '\0' && over[1] == 0);
    answer(0, "{\"ok\":\"v\"}");
    answer(0, "{\"ok\":\"twice\"}");
    ck_assert_str_eq(told, "n@h pid bytes v");
    ck_assert_uint_eq(over[1], 1);
    ck_assert(!erlang_cache_on_message(&cache, &nodes[0], MESSAGE_JSON, &u));
    ck_assert(!erlang_cache_on_message(&cache, &nodes[0], MESSAGE_ANSWER, &u));
}
END_TEST

START_TEST(what_cannot_be_sent)
{
    up(0);
    send_rc = -EMSGSIZE;
    set(1);
    ck_assert(strstr(cache.why, "longer than a call may be") != NULL);
    send_rc = -ENOBUFS;
    get(1);
    ck_assert(strstr(cache.why, "cache/sessions/node.1 cannot be called") != NULL);
    ck_assert(unanswered() == 2 && over[1] == 2 && told[0] == '\0');
    send_rc = 0;
    get(1);
    ck_assert_uint_eq(sent_count, 1);
}
END_TEST

/* A node that is there and says nothing: its own refusal is waited for, then it is over; what it says later is none. */
START_TEST(no_answer)
{
    up(0);
    get(1);
    world_later_ms = TIMEOUT_MS + GRACE_MS - 1000;
    erlang_cache_tick(&cache);
    ck_assert_uint_eq(over[1], 0);
    world_later_ms = TIMEOUT_MS + GRACE_MS;
    erlang_cache_tick(&cache);
    ck_assert(over[1] == 1 && unanswered() == 1);
    answer(0, "{\"ok\":\"late\"}");
    ck_assert(told[0] == '\0' && over[1] == 1);
}
END_TEST

/* ---- nodes that come and go ---- */

START_TEST(while_none_is_up)
{
    get(1);
    set(2);
    ck_assert(sent_count == 0 && erlang_cache_is_full(&cache));
    ck_assert_ptr_null(erlang_cache_trouble(&cache)); /* it may be just starting */
    up(0);
    ck_assert(sent_count == 2 && !erlang_cache_is_full(&cache));
    ck_assert(strstr(sent[0].text, "get") != NULL && strstr(sent[1].text, "set") != NULL);
}
END_TEST

START_TEST(none_comes)
{
    get(1);
    world_later_ms = TIMEOUT_MS - 1000;
    erlang_cache_tick(&cache);
    ck_assert_uint_eq(over[1], 0);
    world_later_ms = TIMEOUT_MS + 1;
    erlang_cache_tick(&cache);
    ck_assert(over[1] == 1 && unanswered() == 1 && !erlang_cache_is_full(&cache));
    ck_assert_ptr_nonnull(erlang_cache_trouble(&cache));
    get(1); /* by now nothing waits any more */
    ck_assert(over[1] == 2 && unanswered() == 2);
    up(0);
    ck_assert_ptr_null(erlang_cache_trouble(&cache));
    ck_assert_uint_eq(sent_count, 0);
}
END_TEST

/* What it had is not called for again: it may have been done, and written over since. */
START_TEST(a_node_dies)
{
    up(0);
    up(1);
    set(1);
    get(2);
    down(0);
    ck_assert(over[1] == 1 && over[2] == 1 && unanswered() == 2);
    ck_assert(strstr(cache.why, "cache/sessions/node.1 died") != NULL);
    ck_assert_uint_eq(sent_count, 2);
    get(1);
    ck_assert_ptr_eq(sent[2].to, &nodes[1]);
    answer_by(&nodes[0], sent[2].token, false, "{\"ok\":\"of the dead\"}");
    ck_assert_str_eq(told, "");
    down(1);
    ck_assert_uint_eq(unanswered(), 3);
    get(1); /* waits for a successor */
    nodes[0].generation++;
    up(0);
    ck_assert_ptr_eq(sent[3].to, &nodes[0]);
    answer_by(&nodes[0], sent[3].token, false, "{\"ok\":\"v\"}");
    ck_assert_str_eq(told, "n@h pid bytes v");
}
END_TEST

/* One that is not called may go as it likes. */
START_TEST(another_dies)
{
    up(0);
    up(1);
    get(1);
    down(1);
    ck_assert_uint_eq(over[1], 0);
    answer(0, "{\"ok\":\"v\"}");
    ck_assert_str_eq(told, "n@h pid bytes v");
}
END_TEST

/* ---- how much at once ---- */

START_TEST(so_many_calls)
{
    up(0);
    for (unsigned i = 0; i < 1025; i++)
        set(1);
    ck_assert(sent_count == 1024 && erlang_cache_is_full(&cache));
    answer(5, "{\"ok\":true}");
    ck_assert(sent_count == 1025 && !erlang_cache_is_full(&cache));
}
END_TEST

/* Of gets as many as the node's queue for us has room for answers, going by the largest of late; 1 always. */
START_TEST(so_many_gets)
{
    static char large[3 << 20];
    up(0);
    for (unsigned i = 0; i < 65; i++)
        get(1);
    ck_assert(sent_count == 64 && erlang_cache_is_full(&cache));
    memset(large, 'x', sizeof large);
    memcpy(large, "{\"ok\":\"", 7);
    memcpy(large + sizeof large - 3, "\"}", 3);
    for (unsigned i = 0; i < 64; i++)
        answer(i, i == 0 ? large : "{\"ko\":true}");
    ck_assert(sent_count == 65 && cache.out_count == 1);
    answer(64, large);
    for (unsigned i = 0; i < 20; i++)
        get(1);
    ck_assert(cache.out_count == 10 && cache.wait_count == 10);
    set(2); /* behind them: one order for all */
    ck_assert_uint_eq(cache.wait_count, 11);
}
END_TEST

/* Bytes of what is sent, likewise. */
START_TEST(so_many_bytes)
{
    static char term[(10 << 20) + 5] = {'m', 0, (char)0xa0, 0, 0};
    struct erlang_caller c = caller(1);
    memset(term + 5, 'x', sizeof term - 5);
    up(0);
    for (unsigned i = 0; i < 4; i++)
        erlang_cache_set(&cache, &c, KEY, slice_make(term, sizeof term));
    ck_assert(sent_count == 3 && erlang_cache_is_full(&cache));
    answer(0, "{\"ok\":true}");
    ck_assert_uint_eq(sent_count, 4);
}
END_TEST

SUITE_MAIN_WITH("erlang_cache", set_up, tear_down, what_is_said, lanes_are_in_tokens, whom_it_calls,
                what_was_read, what_was_written, what_cannot_be_said, answers_to_nothing,
                what_cannot_be_sent, no_answer, while_none_is_up, none_comes, a_node_dies,
                another_dies, so_many_calls, so_many_gets, so_many_bytes)
