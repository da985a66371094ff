/*
 * test_sanjer_end.c: what has become of a job by what its run has left: how it has ended and why, whether it is tried
 * again and when, what Redis is told of it, and what is done with the answer.
 *
 * The file is compiled into this one, over a worker, a Redis and a dice that only pretend.
 */
#define worker_count       fake_count
#define worker_observe     fake_observe
#define worker_stopping    fake_stopping
#define worker_trouble     fake_trouble
#define job_redis_call     fake_call
#define uv_timer_start     fake_timer_start
#define getrandom          fake_random
#define sanjer_say_kept    fake_kept
#define sanjer_run_hang_up fake_hang_up
#define sanjer_done        fake_done
#include "workers/jobs/sanjer_end.c"

#include "test/unit/suite.h"

#include <stdarg.h>

#define EXITED(code)   ((code) << 8)
#define KILLED(signal) (signal)

static struct sanjer s;
static struct sanjer_run run;
static char run_id[] = "a", run_queue[] = "q";
static bool stopping;
static int refusal; /* of the next calls */
static uint64_t dice;
static bool dice_gone;
static unsigned calls, hung_up;
static uint64_t counted[COUNTER_COUNT], observed;
static char trouble[384];
static redis_reply_fn answer;
static uv_timer_cb late;
static const redisReply *claimed;
static unsigned done;

/* What was told last: heap copies. */
static char *told[JOB_ARGS_MAX];
static size_t told_count;

void fake_count(struct worker *w, enum counter counter, uint64_t more)
{
    (void)w;
    counted[counter] += more;
}

void fake_observe(struct worker *w, enum counter histogram, uint64_t ms)
{
    (void)w;
    ck_assert_int_eq(histogram, COUNTER_JOB_RUN);
    observed += ms;
}

bool fake_stopping(const struct worker *w)
{
    (void)w;
    return stopping;
}

void fake_trouble(struct worker *w, const char *format, ...)
{
    va_list args;
    (void)w;
    va_start(args, format);
    vsnprintf(trouble, sizeof trouble, format, args);
    va_end(args);
}

static void forget(void)
{
    for (size_t i = 0; i < told_count; i++)
        free(told[i]);
    told_count = 0;
}

int fake_call(struct job_redis *r, enum job_script script, size_t count, const struct slice *args,
              redis_reply_fn fn, void *ctx)
{
    ck_assert_ptr_eq(r, &s.redis);
    ck_assert_ptr_eq(ctx, &s);
    ck_assert_int_eq(script, JOB_SCRIPT_JOBS_FINISH);
    ck_assert_uint_le(count, JOB_ARGS_MAX);
    forget();
    for (size_t i = 0; i < count; i++)
        told[i] = strndup(args[i].len > 0 ? args[i].ptr : "", args[i].len);
    told_count = count;
    answer = fn;
    calls++;
    return refusal;
}

int fake_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    ck_assert_ptr_eq(timer, &run.timer);
    ck_assert_uint_gt(timeout, 0);
    ck_assert_uint_gt(repeat, 0);
    late = cb;
    return 0;
}

ssize_t fake_random(void *to, size_t size, unsigned flags)
{
    (void)flags;
    ck_assert_uint_eq(size, sizeof dice);
    memcpy(to, &dice, size);
    return dice_gone ? -1 : (ssize_t)size;
}

struct slice fake_kept(const struct sanjer_run *of)
{
    return buffer_slice(&of->output);
}

void fake_hang_up(struct sanjer_run *of)
{
    ck_assert_ptr_eq(of, &run);
    hung_up++;
}

void fake_done(struct sanjer *of, const redisReply *next)
{
    ck_assert_ptr_eq(of, &s);
    claimed = next;
    done++;
}

static void set_up(void)
{
    memset(&s, 0, sizeof s);
    memset(&run, 0, sizeof run);
    strcpy(s.redis.owner, "i:jobs/etlas/sanjer.1:7");
    strcpy(s.worker, "box.sanjer1");
    strcpy(s.lease, "60000");
    s.retry_min_ms = 1000;
    s.retry_max_ms = 10000;
    s.adopted = true;
    s.run = &run;
    run.s = &s;
    run.id = run_id;
    run.queue = run_queue;
    run.attempt = 3;
    run.blamed = 1;
    run.timeout_ms = 30000;
    run.progress = -1;
    run.started_ms = 1000;
    run.ended_ms = 2500;
    run.cpu_ms = 40;
    run.rss = 4096;
    run.timer.data = &run;
    stopping = dice_gone = false;
    refusal = 0;
    dice = 0;
    calls = hung_up = done = 0;
    observed = 0;
    memset(counted, 0, sizeof counted);
    strcpy(trouble, "-");
    late = NULL;
    claimed = NULL;
}

static void tear_down(void)
{
    forget();
    buffer_fini(&run.output);
    json_decref(run.meta);
    json_decref(run.result);
}

/* ---- what was told ---- */

/* A field of the hash; NULL: nothing is said of it. Of ours without its prefix. */
static const char *field(const char *name)
{
    const char *value = NULL;
    size_t count = strtoul(told[8], NULL, 10);
    ck_assert_uint_le(9 + 2 * count, told_count);
    for (size_t i = 9; i < 9 + 2 * count; i += 2) {
        size_t skip = strncmp(told[i], JOB_FIELD_PREFIX, strlen(JOB_FIELD_PREFIX)) == 0
                          ? strlen(JOB_FIELD_PREFIX)
                          : 0;
        if (strcmp(told[i], name) == 0 || (skip > 0 && strcmp(told[i] + skip, name) == 0)) {
            ck_assert_msg(value == NULL || skip == 0, "%s is told twice", name);
            value = told[i + 1];
        }
    }
    return value;
}

#define ck_field(name, expected)                                                                   \
    do {                                                                                           \
        const char *got_ = field(name);                                                            \
        ck_assert_msg(got_ != NULL && strcmp(got_, expected) == 0, "%s: %s, not %s", name,         \
                      got_ != NULL ? got_ : "nothing", expected);                                  \
    } while (0)

/* How it has ended, after what pause, and what rq:results has of it. */
#define ck_told(how, after, result_name)                                                           \
    do {                                                                                           \
        ck_assert_str_eq(told[4], how);                                                            \
        ck_assert_str_eq(told[5], after);                                                          \
        ck_assert_str_eq(told[6], result_name);                                                    \
    } while (0)

static bool claims(void)
{
    size_t from = 9 + 2 * strtoul(told[8], NULL, 10);
    if (told_count == from)
        return false;
    ck_assert_uint_eq(told_count, from + 3);
    ck_assert_str_eq(told[from], s.redis.owner);
    ck_assert_str_eq(told[from + 1], "box.sanjer1");
    ck_assert_str_eq(told[from + 2], "60000");
    return true;
}

/* Whether these bytes stand in what rq:results has, which nothing is compressed in. */
static bool result_has(const char *bytes, size_t len)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert(base64_append_bytes(&out, slice_of(told[7])));
    bool has = memmem(out.data, out.len, bytes, len) != NULL;
    buffer_fini(&out);
    return has;
}

static void say(const char *what, redisReply *next)
{
    redisReply word = {
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)what, .len = strlen(what)};
    redisReply *both[] = {&word, next};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .element = both, .elements = 2};
    answer(NULL, &reply, &s);
}

/* ---- the policy ---- */

/* In the order in which it is asked: the first that is so says what has become of it, whatever else is. */
static const struct {
    struct sanjer_run of;
    const char *how, *cause, *reason, *oom;
    bool again;
} ends[] = {
    {.of = {.lacks = true, .fault = "platform: gone", .why = SANJER_TIMEOUT},
     .how = "back",
     .cause = "",
     .reason = ""},
    {.of = {.fault = "settings: date: none", .raised = "x"},
     .how = "failed",
     .cause = "settings",
     .reason = "settings: date: none"},
    {.of = {.fault = "platform: gone", .why = SANJER_CANCELED},
     .how = "failed",
     .cause = "platform",
     .reason = "platform: gone"},
    {.of = {.why = SANJER_TIMEOUT, .timeout_ms = 30000, .has_status = true, .status = KILLED(9)},
     .how = "failed",
     .cause = "timeout",
     .reason = "timed out after 30s",
     .again = true},
    {.of = {.why = SANJER_CANCELED, .raised = "raised SystemExit: 1", .has_status = true},
     .how = "stopped",
     .cause = "canceled",
     .reason = "canceled"},
    {.of = {.why = SANJER_BACK, .has_status = true, .status = KILLED(15)},
     .how = "back",
     .cause = "",
     .reason = ""},
    {.of = {.raised = "raised ValueError: x", .storage = "storage: y"},
     .how = "failed",
     .cause = "exception",
     .reason = "raised ValueError: x",
     .again = true},
    {.of = {.raised = "out of memory: x", .memory = true, .has_status = true, .status = EXITED(1)},
     .how = "failed",
     .cause = "memory",
     .reason = "out of memory: x",
     .oom = "1",
     .again = true},
    {.of = {.raised = "returned a Retry", .spent = true},
     .how = "failed",
     .cause = "exception",
     .reason = "returned a Retry"},
    {.of = {.storage = "storage: away"},
     .how = "failed",
     .cause = "storage",
     .reason = "storage: away",
     .again = true},
    {.of = {.storage = "storage: away", .has_status = true, .status = EXITED(0)},
     .how = "failed",
     .cause = "storage",
     .reason = "storage: away",
     .again = true},
    {.of = {.storage = "storage: away", .has_status = true, .status = EXITED(3)},
     .how = "failed",
     .cause = "exit",
     .reason = "exited with code 3",
     .again = true},
    {.of = {.has_status = true, .status = EXITED(78)},
     .how = "failed",
     .cause = "exit",
     .reason = "exited with code 78"},
    {.of = {.has_status = true, .status = EXITED(255), .returned_retries = 1},
     .how = "failed",
     .cause = "exit",
     .reason = "exited with code 255",
     .again = true},
    {.of = {.has_status = true, .status = KILLED(9)},
     .how = "failed",
     .cause = "signal",
     .reason = "killed by signal 9 (SIGKILL)",
     .oom = "0",
     .again = true},
    {.of = {.has_status = true, .status = KILLED(9), .oom_ran = true},
     .how = "failed",
     .cause = "signal",
     .reason = "killed by signal 9 (SIGKILL), while the kernel's OOM killer ran",
     .oom = "1",
     .again = true},
    {.of = {.has_status = true, .status = KILLED(11) | 0x80}, /* with a core */
     .how = "failed",
     .cause = "signal",
     .reason = "killed by signal 11 (SIGSEGV)",
     .again = true},
    {.of = {.has_status = true, .status = KILLED(40)}, /* which has no name */
     .how = "failed",
     .cause = "signal",
     .reason = "killed by signal 40 (SIG?)",
     .again = true},
    {.of = {.has_status = true}, .how = "finished", .cause = "", .reason = ""},
    {.of = {.returned_retries = 2}, .how = "retry", .cause = "", .reason = ""},
    {.of = {.has_status = true, .returned_retries = 2}, .how = "retry", .cause = "", .reason = ""},
    {.of = {.has_status = false}, .how = "finished", .cause = "", .reason = ""},
};

START_TEST(what_has_become_of_it)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct end e;
        end_of(&ends[i].of, &e);
        ck_assert_msg(strcmp(e.how, ends[i].how) == 0 && strcmp(e.cause, ends[i].cause) == 0 &&
                          strcmp(e.reason, ends[i].reason) == 0 && e.again == ends[i].again &&
                          (e.oom == NULL) == (ends[i].oom == NULL) &&
                          (e.oom == NULL || strcmp(e.oom, ends[i].oom) == 0),
                      "%zu: %s, %s, %s, again %d, oom %s", i, e.how, e.cause, e.reason, e.again,
                      e.oom != NULL ? e.oom : "-");
    }
}
END_TEST

/* Between 1 and as much as the pause before doubled, which retry_max bounds; without dice by the clock. */
START_TEST(pauses)
{
    static const struct {
        uint64_t blamed, most;
    } of[] = {{0, 1000}, {1, 1000}, {2, 2000}, {4, 8000}, {5, 10000}, {1000, 10000}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        run.blamed = of[i].blamed;
        dice = of[i].most;
        ck_assert_uint_eq(end_pause(&run), of[i].most + 1);
        dice = of[i].most + 1;
        ck_assert_uint_eq(end_pause(&run), 1);
    }
    dice_gone = true;
    run.started_ms = 20003;
    ck_assert_uint_eq(end_pause(&run), 20003 % 10001 + 1);
    dice_gone = false;
    s.retry_min_ms = 0;
    dice = UINT64_MAX;
    ck_assert_uint_eq(end_pause(&run), 1);
    s.retry_min_ms = 5000;
    s.retry_max_ms = 10;
    run.blamed = 1;
    dice = 10;
    ck_assert_uint_eq(end_pause(&run), 11);
}
END_TEST

/* ---- what is told ---- */

START_TEST(it_has_finished)
{
    run.has_status = true;
    run.result = json_string("seven");
    run.traceback = (char[]){"none of this"};
    buffer_append_text(&run.output, "last");
    run.output_gone = 100;
    run.progress = 0.25;
    sanjer_end(&s);
    ck_assert_str_eq(told[0], "a");
    ck_assert_str_eq(told[1], "q");
    ck_assert_str_eq(told[2], s.redis.owner);
    ck_assert_str_eq(told[3], "3");
    ck_told("finished", "0", "return_value");
    ck_assert(result_has("X\x05\0\0\0seven.", 11));
    ck_assert(claims());
    ck_field("result", "\"seven\"");
    ck_field("output", "last");
    ck_field("output_end", "104");
    ck_field("progress", "0.2500");
    ck_field("exit_code", "0");
    ck_field("run_ms", "1500");
    ck_field("cpu_ms", "40");
    ck_field("max_rss_bytes", "4096");
    static const char *const absent[] = {"cause",     "reason", "signal",       "oom",
                                         "traceback", "lacked", "retries_left", "meta"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert_ptr_null(field(absent[i]));
    ck_assert_uint_eq(counted[COUNTER_JOBS_FINISHED], 1);
    ck_assert_uint_eq(observed, 1500);
    ck_assert_uint_eq(hung_up, 1);
}
END_TEST

/* None is what RQ has of what has said nothing. */
START_TEST(it_has_finished_without_a_word)
{
    sanjer_end(&s);
    ck_told("finished", "0", "return_value");
    ck_assert(result_has("\x80\x02N.", 4));
    ck_assert_ptr_null(field("result"));
    ck_assert_ptr_null(field("progress"));
    ck_assert_ptr_null(field("exit_code"));
    ck_field("output_end", "0");
}
END_TEST

/* What is no pickle breaks what RQ's clients list: they have RQ 2's words instead, and we the value. */
START_TEST(its_result_is_nested_too_deep_for_rq)
{
    run.result = json_array();
    for (unsigned i = 0; i <= JOB_PICKLE_DEPTH; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, run.result);
        run.result = outer;
    }
    sanjer_end(&s);
    ck_told("finished", "0", "return_value");
    ck_assert(result_has("X\x1b\0\0\0Unserializable return value.", 33));
    ck_assert_uint_eq(strlen(field("result")), 2 * (JOB_PICKLE_DEPTH + 2));
}
END_TEST

START_TEST(it_has_failed)
{
    run.has_status = true;
    run.status = KILLED(9);
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
    ck_assert(result_has("killed by signal 9 (SIGKILL)", 28));
    ck_field("cause", "signal");
    ck_field("reason", "killed by signal 9 (SIGKILL)");
    ck_field("signal", "9");
    ck_field("oom", "0");
    ck_assert_ptr_null(field("exit_code"));
    ck_assert_uint_eq(counted[COUNTER_JOBS_FAILED], 1);
}
END_TEST

/* What RQ's clients read is the traceback, where there is one. */
START_TEST(it_has_raised)
{
    strcpy(run.raised, "raised ValueError: x");
    run.traceback = (char[]){"Traceback of x"};
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
    ck_assert(result_has("Traceback of x", 14) && !result_has("raised", 6));
    ck_field("reason", "raised ValueError: x");
    ck_field("traceback", "Traceback of x");
}
END_TEST

/* retries are attempts beyond the first, of those that count. */
START_TEST(it_is_tried_again)
{
    run.retries = 2;
    run.has_status = true;
    run.status = EXITED(3);
    for (run.blamed = 1; run.blamed <= 2; run.blamed++) {
        s.ending = s.telling = false;
        dice = 77;
        sanjer_end(&s);
        ck_told("retry", "78", "");
        ck_assert_str_eq(told[7], "");
        ck_field("cause", "exit");
        ck_field("exit_code", "3");
        ck_assert(claims());
    }
    ck_assert_uint_eq(counted[COUNTER_JOBS_RETRIED], 2);
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
    ck_assert_uint_eq(counted[COUNTER_JOBS_FAILED], 1);
    /* What would fail again is not. */
    run.blamed = 1;
    run.status = EXITED(EXIT_NEVER_AGAIN);
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
}
END_TEST

START_TEST(it_was_stopped)
{
    run.retries = 2;
    run.why = SANJER_CANCELED;
    run.traceback = (char[]){"of its end"};
    sanjer_end(&s);
    ck_assert_str_eq(told[4], "stopped");
    ck_assert_str_eq(told[6], "exc_string");
    ck_field("cause", "canceled");
    ck_assert_ptr_null(field("traceback"));
    ck_assert_uint_eq(counted[COUNTER_JOBS_STOPPED], 1);
}
END_TEST

START_TEST(it_is_handed_back)
{
    stopping = true;
    run.why = SANJER_BACK;
    sanjer_end(&s);
    ck_told("back", "0", "");
    ck_assert_ptr_null(field("cause"));
    ck_assert_ptr_null(field("reason"));
    ck_assert(!claims());
    stopping = false;
    s.ending = s.telling = false;
    run.lacks = true;
    run.lacked_ms = 12345;
    strcpy(run.fault, "platform: none of that name");
    sanjer_end(&s);
    ck_told("back", "2000", "");
    ck_field("lacked", "12345");
    ck_field("reason", "platform: none of that name");
    ck_assert_ptr_null(field("cause"));
    for (int i = 0; i < COUNTER_COUNT; i++)
        ck_assert_uint_eq(counted[i], 0);
}
END_TEST

/* ---- functions of RQ's ---- */

/* Its Retry alone counts, not the section's. */
START_TEST(a_function_is_tried_again)
{
    run.function = json_object();
    run.retries = 5;
    strcpy(run.raised, "raised ValueError: x");
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
    ck_assert_ptr_null(field("retries_left"));
    run.retries = 0;
    run.again_left = 2;
    run.again_ms = 0;
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_told("retry", "0", "");
    ck_field("retries_left", "1");
    ck_assert_ptr_null(field("number_of_retries"));
    run.again_ms = 4000;
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_assert_str_eq(told[5], "4000");
    json_decref(run.function);
}
END_TEST

START_TEST(a_function_returns_a_retry)
{
    run.function = json_object();
    run.returned = (char[]){"UmV0cnk="};
    run.returned_retries = 3;
    run.returned_ms = 7000;
    run.again_left = 9;
    sanjer_end(&s);
    ck_told("retry", "7000", "return_value");
    ck_assert_str_eq(told[7], "UmV0cnk=");
    ck_field("number_of_retries", "3");
    ck_assert_ptr_null(field("retries_left"));
    /* One too many: a failure that has a value with the RQ that knows such. */
    run.returned_retries = 0;
    run.spent = true;
    strcpy(run.raised, "returned a Retry");
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_told("failed", "0", "return_value");
    ck_assert_str_eq(told[7], "UmV0cnk=");
    ck_field("cause", "exception");
    run.returned = NULL;
    s.ending = s.telling = false;
    sanjer_end(&s);
    ck_told("failed", "0", "exc_string");
    json_decref(run.function);
}
END_TEST

/* meta is RQ's clients' to read, unless it is rq's Job's own, which has written it. */
START_TEST(its_meta)
{
    run.meta = json_pack("{s:s}", "stage", "done");
    sanjer_end(&s);
    ck_field("platoon.meta", "{\"stage\":\"done\"}");
    unsigned metas = 0;
    for (size_t i = 9; i < told_count; i++)
        metas += strcmp(told[i], "meta") == 0;
    ck_assert_uint_eq(metas, 1);
    run.function = json_object();
    s.ending = s.telling = false;
    sanjer_end(&s);
    for (size_t i = 9; i < told_count; i++)
        ck_assert_str_ne(told[i], "meta");
    json_decref(run.function);
}
END_TEST

/* ---- until Redis has heard ---- */

START_TEST(redis_has_heard)
{
    redisReply next = {.type = REDIS_REPLY_NIL};
    sanjer_end(&s);
    ck_assert(s.telling && s.ending);
    sanjer_end(&s); /* it is under way */
    ck_assert_uint_eq(calls, 1);
    say("done", &next);
    ck_assert_uint_eq(done, 1);
    ck_assert_ptr_eq(claimed, &next);
    ck_assert(!s.telling && !s.ending && s.adopted);
    ck_assert_str_eq(trouble, "");
    ck_assert_uint_eq(counted[COUNTER_JOBS_CANCELED], 0);
    /* RQ's client was faster. */
    sanjer_end(&s);
    say("canceled", &next);
    ck_assert_uint_eq(counted[COUNTER_JOBS_CANCELED], 1);
    sanjer_end(&s);
    say("lost", &next);
    ck_assert_uint_eq(done, 3);
}
END_TEST

/* It is told again, and counts once; without a claim, for the first may have claimed, which is handed back before. */
START_TEST(redis_has_not_heard)
{
    redisReply next = {.type = REDIS_REPLY_NIL};
    sanjer_end(&s);
    ck_assert(claims());
    answer(NULL, NULL, &s);
    ck_assert(!s.adopted && !s.telling && s.ending);
    ck_assert_uint_eq(done, 0);
    late(&run.timer);
    ck_assert_uint_eq(calls, 2);
    ck_assert(!claims());
    ck_assert_uint_eq(counted[COUNTER_JOBS_FINISHED], 1);
    ck_assert_uint_eq(observed, 1500);
    say("done", &next);
    ck_assert_uint_eq(done, 1);
    ck_assert(!s.adopted);
}
END_TEST

START_TEST(redis_refuses_it)
{
    char words[] = "OOM command not allowed when used memory > 'maxmemory'.";
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = words, .len = strlen(words)};
    sanjer_end(&s);
    answer(NULL, &error, &s);
    ck_assert_ptr_nonnull(strstr(trouble, "the end of a job cannot be told: "));
    ck_assert(s.adopted && s.ending && !s.telling);
    ck_assert_uint_eq(done, 0);
    /* A call that could not be made is no call under way. */
    refusal = -ENOTCONN;
    late(&run.timer);
    ck_assert(!s.telling);
    refusal = 0;
    late(&run.timer);
    ck_assert_uint_eq(calls, 3);
    say("done", NULL);
    ck_assert_str_eq(trouble, "");
    ck_assert_uint_eq(done, 1);
}
END_TEST

/* Whose run has gone meanwhile is told nothing more of it. */
START_TEST(an_answer_that_nobody_waits_for)
{
    sanjer_end(&s);
    s.run = NULL;
    say("done", NULL);
    ck_assert_uint_eq(done, 0);
    ck_assert(!s.telling);
}
END_TEST

SUITE_MAIN_WITH("sanjer-end", set_up, tear_down, what_has_become_of_it, pauses, it_has_finished,
                it_has_finished_without_a_word, its_result_is_nested_too_deep_for_rq, it_has_failed,
                it_has_raised, it_is_tried_again, it_was_stopped, it_is_handed_back,
                a_function_is_tried_again, a_function_returns_a_retry, its_meta, redis_has_heard,
                redis_has_not_heard, redis_refuses_it, an_answer_that_nobody_waits_for)
