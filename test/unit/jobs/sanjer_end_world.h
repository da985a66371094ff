/*
 * sanjer_end_world.h: workers/jobs/sanjer_end.c over a worker, a Redis and a dice that only pretend, and what was told.
 *
 * For unit suites of that file, which is compiled into them, so that they see its policy: to be included by the suite
 * itself.
 */
#ifndef TEST_UNIT_SANJER_END_WORLD_H
#define TEST_UNIT_SANJER_END_WORLD_H

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

static inline void forget(void)
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

static inline void set_up(void)
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

static inline void tear_down(void)
{
    forget();
    buffer_fini(&run.output);
    json_decref(run.meta);
    json_decref(run.result);
}

/* ---- what was told ---- */

/* A field of the hash; NULL: nothing is said of it. Of ours without its prefix. */
static inline const char *field(const char *name)
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

static inline bool claims(void)
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
static inline bool result_has(const char *bytes, size_t len)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert(base64_append_bytes(&out, slice_of(told[7])));
    bool has = memmem(out.data, out.len, bytes, len) != NULL;
    buffer_fini(&out);
    return has;
}

static inline void say(const char *what, redisReply *next)
{
    redisReply word = {
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)what, .len = strlen(what)};
    redisReply *both[] = {&word, next};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .element = both, .elements = 2};
    answer(NULL, &reply, &s);
}

#endif
