/*
 * test_sanjer_worker.c: a sanjer as RQ's clients see it: its names, how often it says that it is there, and its end.
 *
 * The file is compiled into this one, over a worker, a Redis and a clock that only pretend.
 */
#define worker_name         fake_name
#define worker_setting_text fake_setting_text
#define worker_stopping     fake_stopping
#define worker_finished     fake_finished
#define job_redis_call      fake_call
#define redis_conn_ready    fake_ready
#define clock_mono_ms       fake_now
#define uv_timer_start      fake_timer_start
#define gethostname         fake_gethostname
#include "workers/jobs/sanjer_worker.c"

#include "test/unit/suite.h"

#include <errno.h>

static struct sanjer s;
static const char *name, *host;
static bool stopping, ready;
static int refusal; /* of the next calls */
static uint64_t now;
static unsigned calls, finished;
static char told[7][320];
static redis_reply_fn answer;
static uv_timer_cb late;

const char *fake_name(const struct worker *w)
{
    (void)w;
    return name;
}

const char *fake_setting_text(const struct worker *w, const char *key)
{
    (void)w;
    return strcmp(key, "jobs.queue") == 0  ? "q-{id}"
           : strcmp(key, "jobs.name") == 0 ? "et las"
                                           : "1f:2e";
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
    ck_assert_ptr_eq(r, &s.redis);
    ck_assert_ptr_eq(ctx, &s);
    ck_assert_int_eq(script, JOB_SCRIPT_JOBS_WORKER);
    ck_assert_uint_eq(count, 7);
    for (size_t i = 0; i < 7; i++)
        ck_assert(slice_copy(args[i], told[i], sizeof told[i]));
    answer = fn;
    calls++;
    return refusal;
}

bool fake_ready(const struct redis_conn *c)
{
    (void)c;
    return ready;
}

uint64_t fake_now(void)
{
    return now;
}

int fake_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    ck_assert_ptr_eq(timer, &s.stop);
    ck_assert_uint_le(timeout, 1000);
    ck_assert_uint_eq(repeat, 0);
    late = cb;
    return 0;
}

int fake_gethostname(char *text, size_t size)
{
    snprintf(text, size, "%s", host);
    return 0;
}

static void set_up(void)
{
    memset(&s, 0, sizeof s);
    strcpy(s.redis.owners, "i:jobs/etlas/sanjer.3:");
    s.stop.data = &s;
    name = "jobs/etlas/sanjer.3";
    host = "box";
    stopping = false;
    ready = true;
    refusal = 0;
    now = 1000;
    calls = finished = 0;
    late = NULL;
}

static void tear_down(void)
{
}

static void say(const char *text)
{
    redisReply reply = {
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)text, .len = strlen(text)};
    answer(NULL, &reply, &s);
}

START_TEST(names)
{
    sanjer_name(&s, false);
    ck_assert_str_eq(s.worker, "box.sanjer3");
    sanjer_name(&s, true);
    ck_assert_str_eq(s.worker, "box.1f_2e.et_las.sanjer3");
    host = "b o:x*\xc3\xa4.de";
    sanjer_name(&s, false);
    ck_assert_str_eq(s.worker, "b_o_x___.de.sanjer3");
    host = "hosts-may-have-names-as-long-as-sixty-four-bytes-and-this-has-them";
    sanjer_name(&s, true);
    ck_assert_ptr_nonnull(strstr(s.worker, ".1f_2e.et_las.sanjer3"));
}
END_TEST

START_TEST(it_says_what_it_is_each_20_s)
{
    sanjer_name(&s, false);
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 1);
    ck_assert_str_eq(told[0], "box.sanjer3");
    ck_assert_str_eq(told[1], "i:jobs/etlas/sanjer.3:");
    ck_assert_str_eq(told[2], "q-*");
    ck_assert_int_eq(atoi(told[3]), (int)getpid());
    ck_assert_str_eq(told[4], "box");
    ck_assert_str_eq(told[6], "0");
    say("shown");
    now += SANJER_SHOW_MS - 1;
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 1);
    now++;
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 2);
}
END_TEST

/* Nothing is said while Redis is away or it goes; what could not be said is said as soon as it can. */
START_TEST(it_says_it_as_soon_as_it_can)
{
    ready = false;
    sanjer_show(&s);
    stopping = ready = true;
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 0);
    stopping = false;
    refusal = -ENOMEM;
    sanjer_show(&s);
    refusal = 0;
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 2);
    answer(NULL, NULL, &s); /* the connection broke */
    sanjer_show(&s);
    ck_assert_uint_eq(calls, 2);
    ck_assert(!s.longer);
}
END_TEST

/* Another has its name: it takes the longer one at once, and stays with that one whatever is said of it. */
START_TEST(a_name_that_is_taken)
{
    sanjer_name(&s, false);
    sanjer_show(&s);
    say("taken");
    ck_assert_uint_eq(calls, 2);
    ck_assert_str_eq(told[0], "box.1f_2e.et_las.sanjer3");
    say("taken");
    ck_assert_uint_eq(calls, 2);
    now += SANJER_SHOW_MS;
    sanjer_show(&s);
    ck_assert_str_eq(told[0], "box.1f_2e.et_las.sanjer3");
}
END_TEST

START_TEST(it_goes)
{
    sanjer_leave(&s);
    ck_assert_uint_eq(calls, 1);
    ck_assert_str_eq(told[6], "1");
    ck_assert_uint_eq(finished, 0);
    sanjer_leave(&s);
    ck_assert_uint_eq(calls, 1);
    say("left");
    ck_assert_uint_eq(finished, 1);
    late(&s.stop);
    say("left");
    ck_assert_uint_eq(finished, 1);
}
END_TEST

/* A Redis that says nothing keeps it no longer than the timer. */
START_TEST(it_goes_without_redis)
{
    sanjer_leave(&s);
    answer(NULL, NULL, &s);
    ck_assert_uint_eq(finished, 0);
    late(&s.stop);
    ck_assert_uint_eq(finished, 1);
    say("left");
    ck_assert_uint_eq(finished, 1);
}
END_TEST

START_TEST(it_goes_at_once_when_nobody_can_be_told)
{
    ready = false;
    sanjer_leave(&s);
    ck_assert_uint_eq(calls, 0);
    ck_assert_uint_eq(finished, 1);
    ready = true;
    refusal = -ENOMEM;
    sanjer_leave(&s);
    ck_assert_uint_eq(calls, 1);
    ck_assert_uint_eq(finished, 2);
    ck_assert(late == NULL);
}
END_TEST

SUITE_MAIN_WITH("sanjer-worker", set_up, tear_down, names, it_says_what_it_is_each_20_s,
                it_says_it_as_soon_as_it_can, a_name_that_is_taken, it_goes, it_goes_without_redis,
                it_goes_at_once_when_nobody_can_be_told)
