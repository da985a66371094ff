/*
 * test_job_orders.c: orders of RQ's clients: whom they reach, what is refused, and what is no order at all.
 *
 * The file is compiled into this one, over a connection that only pretends: what its channel hears is the test's.
 */
#include <stdlib.h>

void *fake_calloc(size_t n, size_t size);

#define redis_conn_new        fake_conn_new
#define redis_conn_free       fake_conn_free
#define redis_conn_psubscribe fake_psubscribe
#define redis_settings_read   fake_settings_read
#define redis_options_fini    fake_options_fini
#define job_redis_call        fake_call
#define worker_loop           fake_loop
#define calloc                fake_calloc
#include "workers/jobs/job_orders.c"
#undef calloc

#include "test/unit/suite.h"

#include <errno.h>

static struct redis_conn *const conn = (struct redis_conn *)(uintptr_t)8;
static struct redis_conn_events events;
static void *owner;
static unsigned opened, closed, options_read, calls;
static bool no_memory, no_conn, no_channel;
static char pattern[128], told[2][128];
static redis_reply_fn heard;
static void *heard_ctx;

void *fake_calloc(size_t n, size_t size)
{
    return no_memory ? NULL : calloc(n, size);
}

uv_loop_t *fake_loop(struct worker *w)
{
    (void)w;
    return NULL;
}

void fake_settings_read(struct worker *w, struct redis_options *options)
{
    (void)w;
    (void)options;
    options_read++;
}

void fake_options_fini(struct redis_options *options)
{
    ck_assert(options->primary); /* orders are heard where jobs are written */
    options_read--;
}

struct redis_conn *fake_conn_new(uv_loop_t *loop, const struct redis_options *options,
                                 const struct redis_conn_events *e, void *ctx, char *why,
                                 size_t why_size)
{
    (void)loop;
    (void)options;
    (void)why;
    (void)why_size;
    if (no_conn)
        return NULL;
    events = *e;
    owner = ctx;
    opened++;
    return conn;
}

void fake_conn_free(struct redis_conn *c)
{
    ck_assert(c == conn || c == NULL);
    closed += c != NULL;
}

int fake_psubscribe(struct redis_conn *c, const char *text)
{
    ck_assert_ptr_eq(c, conn);
    snprintf(pattern, sizeof pattern, "%s", text);
    return no_channel ? -ENOMEM : 0;
}

int fake_call(struct job_redis *r, enum job_script script, size_t count, const struct slice *args,
              redis_reply_fn fn, void *ctx)
{
    (void)r;
    ck_assert_int_eq(script, JOB_SCRIPT_JOBS_CANCEL);
    ck_assert_uint_eq(count, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert(slice_copy(args[i], told[i], sizeof told[i]));
    heard = fn;
    heard_ctx = ctx;
    calls++;
    return 0;
}

static void set_up(void)
{
    opened = closed = options_read = calls = 0;
    no_memory = no_conn = no_channel = false;
}

static void tear_down(void)
{
    ck_assert_uint_eq(opened, closed);
    ck_assert_uint_eq(options_read, 0);
}

static void hear(const char *channel, const char *payload)
{
    events.on_matched(conn, slice_of(pattern), slice_of(channel), slice_of(payload), owner);
}

START_TEST(workers_of_this_host_are_listened_for)
{
    char host[64] = "", want[128];
    struct job_orders *o = job_orders_new(NULL, NULL);
    ck_assert_ptr_nonnull(o);
    gethostname(host, sizeof host - 1);
    snprintf(want, sizeof want, "rq:pubsub:%s.*", host);
    ck_assert_str_eq(pattern, want);
    events.on_ready(conn, owner);
    events.on_lost(conn, "away", owner); /* it comes back by itself */
    job_orders_free(o);
    job_orders_free(NULL);
}
END_TEST

START_TEST(a_job_is_to_be_stopped)
{
    struct job_orders *o = job_orders_new(NULL, NULL);
    hear("rq:pubsub:h.sanjer1", "{\"command\":\"stop-job\",\"job_id\":\"a-job\"}");
    ck_assert_uint_eq(calls, 1);
    ck_assert_str_eq(told[0], "a-job");
    ck_assert_str_eq(told[1], "h.sanjer1"); /* only what runs there */
    redisReply what = {.type = REDIS_REPLY_STRING, .str = (char[]){"stopping"}, .len = 8},
               *one[] = {&what};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = one};
    heard(conn, &reply, heard_ctx);
    redisReply none = {.type = REDIS_REPLY_NIL};
    heard(conn, &none, heard_ctx);
    heard(conn, NULL, heard_ctx); /* Redis broke: whoever has ordered it may again */
    job_orders_free(o);
}
END_TEST

START_TEST(what_is_no_such_order_does_nothing)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "7",
        "\"stop-job\"",
        "{}",
        "{\"command\":\"stop-job\"}",
        "{\"command\":\"stop-job\",\"job_id\":7}",
        "{\"command\":7,\"job_id\":\"a\"}",
        "{\"command\":\"shutdown\"}",
        "{\"command\":\"kill-horse\",\"job_id\":\"a\"}",
        "{\"command\":\"a\\nb=\\\"c\\\"\"}",
        "{\"command\":\"stop-job\",\"job_id\":\"a\\u0000b\"}",
        "{\"command\":\"stop-job\",\"job_id\":\"a\"} and more",
        "\xff",
    };
    struct job_orders *o = job_orders_new(NULL, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        hear("rq:pubsub:h.sanjer1", texts[i]);
    hear("rq:pubsub:", "{\"command\":\"stop-job\",\"job_id\":\"a\"}"); /* of nobody */
    hear("rq", "{\"command\":\"stop-job\",\"job_id\":\"a\"}");
    ck_assert_uint_eq(calls, 0);
    job_orders_free(o);
}
END_TEST

START_TEST(memory_is_short_at_each_step)
{
    bool *const steps[] = {&no_memory, &no_conn, &no_channel};
    for (size_t i = 0; i < 3; i++) {
        *steps[i] = true;
        ck_assert_ptr_null(job_orders_new(NULL, NULL));
        ck_assert_uint_eq(opened, closed);
        ck_assert_uint_eq(options_read, 0);
        *steps[i] = false;
    }
}
END_TEST

SUITE_MAIN_WITH("job-orders", set_up, tear_down, workers_of_this_host_are_listened_for,
                a_job_is_to_be_stopped, what_is_no_such_order_does_nothing,
                memory_is_short_at_each_step)
