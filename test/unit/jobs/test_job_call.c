/*
 * test_job_call.c: the life of a call: one answer of Redis or two, waiting for the catalogue, and every way to end
 * before: each is answered once.
 *
 * The file is compiled into this one, over a worker and a Redis that only pretend.
 */
#include <stdlib.h>

void *fake_calloc(size_t n, size_t size);

#define worker_stopping    fake_stopping
#define worker_finished    fake_finished
#define job_redis_call     fake_call
#define job_redis_failed   fake_failed
#define redis_conn_command fake_command
#define redis_conn_trouble fake_conn_trouble
#define calloc             fake_calloc
#include "workers/jobs/job_call.c"
#undef calloc

#include "test/unit/suite.h"

static struct job_calls calls;
static bool stopping, no_memory;
static unsigned finished, asked, ended;
static int call_rc;
static const char *trouble;
static redis_reply_fn answer;
static struct job_call *call_now;
static enum job_call_status first, second, end_status;
static char end_text[300];

void *fake_calloc(size_t n, size_t size)
{
    return no_memory ? NULL : calloc(n, size);
}

bool fake_stopping(const struct worker *w)
{
    (void)w;
    return stopping;
}

void fake_finished(struct worker *w)
{
    (void)w;
    finished++;
}

int fake_call(struct job_redis *r, enum job_script script, size_t count, const struct slice *args,
              redis_reply_fn fn, void *ctx)
{
    (void)r;
    (void)script;
    (void)count;
    (void)args;
    answer = fn;
    call_now = ctx;
    asked++;
    return call_rc;
}

int fake_command(struct redis_conn *c, size_t count, const struct slice *words, redis_reply_fn fn,
                 void *ctx)
{
    (void)c;
    return fake_call(NULL, JOB_SCRIPT_COUNT, count, words, fn, ctx);
}

const char *fake_conn_trouble(const struct redis_conn *c)
{
    (void)c;
    return trouble;
}

void fake_failed(const redisReply *reply, char *text, size_t size)
{
    bool bad = reply == NULL || reply->type == REDIS_REPLY_ERROR;
    snprintf(text, size, "%s", bad ? "broken" : "");
}

/* ---- verbs ---- */

static enum job_call_status ask_once(struct job_call *call)
{
    return first == JOB_CALL_OK ? job_call_script(call, JOB_SCRIPT_JOBS_LIST, 0, NULL) : first;
}

static enum job_call_status then_ask(struct job_call *call, const redisReply *reply)
{
    ck_assert_int_eq(reply->integer, 1);
    return second == JOB_CALL_OK ? job_call_script(call, JOB_SCRIPT_JOBS_LIST, 0, NULL) : second;
}

static enum job_call_status ask_twice(struct job_call *call)
{
    call->read = then_ask;
    return ask_once(call);
}

static enum job_call_status take(struct job_call *call, const redisReply *reply)
{
    if (reply->integer != 2)
        return job_call_refuse(call, JOB_CALL_NO_JOB, "it was not %s", "2");
    pack_text(&call->body, "done");
    return JOB_CALL_OK;
}

static const struct job_call_verb once = {"once", "A B", 2, ask_once, take},
                                  twice = {"twice", "A B", 2, ask_twice, take};

static void done(struct job_call *call, enum job_call_status status, void *owner)
{
    ck_assert_ptr_eq(owner, &ended);
    ck_assert_str_eq(call->args[1].len > 0 ? "b" : "", "b");
    ended++;
    end_status = status;
    snprintf(end_text, sizeof end_text, "%s", call->why);
}

static void start(const struct job_call_verb *verb)
{
    const struct slice args[] = {slice_of(""), slice_of("b")};
    ck_assert_int_eq(job_call_start(&calls, verb, args, done, &ended), 0);
}

static void says(int number)
{
    redisReply reply = {.type = REDIS_REPLY_INTEGER, .integer = number};
    answer(NULL, &reply, call_now);
}

static void set_up(void)
{
    memset(&calls, 0, sizeof calls);
    stopping = no_memory = false;
    finished = asked = ended = 0;
    call_rc = 0;
    trouble = "";
    first = second = JOB_CALL_OK;
}

static void tear_down(void)
{
    ck_assert_uint_eq(calls.count, 0);
    ck_assert_ptr_null(calls.waiting);
}

START_TEST(one_answer)
{
    start(&once);
    ck_assert_uint_eq(ended, 0);
    says(2);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(end_status, JOB_CALL_OK);
    start(&once);
    says(1);
    ck_assert_int_eq(end_status, JOB_CALL_NO_JOB);
    ck_assert_str_eq(end_text, "it was not 2");
    first = JOB_CALL_NOW;
    start(&once);
    ck_assert_int_eq(end_status, JOB_CALL_OK);
    ck_assert_uint_eq(ended, 3);
}
END_TEST

START_TEST(two_answers)
{
    start(&twice);
    says(1);
    ck_assert_uint_eq(asked, 2);
    ck_assert_uint_eq(ended, 0);
    says(2);
    ck_assert_uint_eq(ended, 1);
    ck_assert_int_eq(end_status, JOB_CALL_OK);
    second = JOB_CALL_INVALID;
    start(&twice);
    says(1);
    ck_assert_uint_eq(ended, 2);
    ck_assert_int_eq(end_status, JOB_CALL_INVALID);
}
END_TEST

/* Redis goes before the first answer, between them, before the second: each is said. */
START_TEST(redis_goes)
{
    start(&twice);
    answer(NULL, NULL, call_now);
    ck_assert_int_eq(end_status, JOB_CALL_AWAY);
    ck_assert_str_eq(end_text, "broken");
    start(&twice);
    call_rc = -ENOTCONN;
    says(1);
    ck_assert_int_eq(end_status, JOB_CALL_AWAY);
    ck_assert_str_eq(end_text, "not connected to Redis");
    call_rc = 0;
    start(&twice);
    says(1);
    answer(NULL, NULL, call_now);
    ck_assert_int_eq(end_status, JOB_CALL_AWAY);
    ck_assert_uint_eq(ended, 3);
    call_rc = -ENOTCONN;
    start(&once);
    ck_assert_uint_eq(ended, 4);
    ck_assert_int_eq(end_status, JOB_CALL_AWAY);
}
END_TEST

/* It asks again from the start, in the order in which they came, and of two answers both. */
START_TEST(the_catalogue_is_not_there)
{
    first = JOB_CALL_WAITS;
    start(&once);
    start(&once);
    first = JOB_CALL_OK;
    second = JOB_CALL_WAITS;
    start(&twice);
    says(1);
    ck_assert_uint_eq(ended, 0);
    ck_assert_uint_eq(calls.count, 3);
    ck_assert_ptr_eq(calls.waiting->verb, &once);
    asked = 0;
    second = JOB_CALL_OK;
    first = JOB_CALL_BROKEN;
    struct job_call *last = calls.waiting->next->next;
    calls.waiting->next->next = NULL;
    job_calls_on_catalog(&calls);
    ck_assert_uint_eq(ended, 2);
    ck_assert_int_eq(end_status, JOB_CALL_BROKEN);
    first = JOB_CALL_OK;
    calls.waiting = last;
    job_calls_on_catalog(&calls);
    says(1);
    ck_assert_uint_eq(ended, 2);
    says(2);
    ck_assert_uint_eq(ended, 3);
    ck_assert_int_eq(end_status, JOB_CALL_OK);
    ck_assert_uint_eq(asked, 2);
}
END_TEST

/* Those that wait are told; the last that ends ends the worker. */
START_TEST(the_collector_ends)
{
    first = JOB_CALL_WAITS;
    start(&once);
    start(&twice);
    stopping = true;
    job_calls_end(&calls);
    ck_assert_uint_eq(ended, 2);
    ck_assert_int_eq(end_status, JOB_CALL_AWAY);
    ck_assert_str_eq(end_text, "the collector ends: try again");
    ck_assert_uint_eq(finished, 1);
}
END_TEST

START_TEST(memory_is_short)
{
    const struct slice args[] = {slice_of(""), slice_of("b")};
    no_memory = true;
    ck_assert_int_eq(job_call_start(&calls, &once, args, done, &ended), -ENOMEM);
    ck_assert_uint_eq(ended, 0);
}
END_TEST

START_TEST(names_of_jobs)
{
    struct job_call call = {.calls = &calls};
    char long_name[JOB_CALL_ID_SIZE + 1];
    memset(long_name, 'a', JOB_CALL_ID_SIZE);
    long_name[JOB_CALL_ID_SIZE] = '\0';
    ck_assert_int_eq(job_call_job(&call, slice_of("")), JOB_CALL_NO_JOB);
    ck_assert_int_eq(job_call_job(&call, slice_of(long_name)), JOB_CALL_NO_JOB);
    ck_assert_int_eq(job_call_job(&call, slice_of("a\xff")), JOB_CALL_OK);
    ck_assert_int_eq(job_call_unknown(&call), JOB_CALL_NO_JOB);
    ck_assert(utf8_valid(slice_of(call.why))); /* what people are told is text */
}
END_TEST

SUITE_MAIN_WITH("job-call", set_up, tear_down, one_answer, two_answers, redis_goes,
                the_catalogue_is_not_there, the_collector_ends, memory_is_short, names_of_jobs)
