/*
 * test_job_timetable.c: what the keeper does about schedules: whom it asks, one after the other, what it writes of it,
 * and what a collector, a Redis or memory that fails makes of that.
 *
 * The file is compiled into this one, over a worker, a Redis and clocks that only pretend.
 */
#define worker_setting      fake_setting
#define worker_setting_item fake_setting_item
#define worker_stopping     fake_stopping
#define worker_peer_next    fake_peer_next
#define worker_ask          fake_ask
#define worker_trouble      fake_trouble
#define job_redis_call      fake_call
#define job_redis_failed    fake_failed
#define clock_mono_ms       fake_now
#define time                fake_time
#include "workers/jobs/job_timetable.c"
#undef time

#include "test/unit/suite.h"

#include <errno.h>
#include <stdarg.h>

static struct job_timetable t;
static struct worker_peer collector = {.name = "jobs/t/collector", .type = "job-collector"},
                          other = {.name = "jobs/t/sanjer.1", .type = "sanjer"};
static bool has_collector, stopping;
static const char *zone;
static int ask_rc, call_rc;
static uint64_t mono, wall;
static unsigned asks, calls, troubles;
static char asked[128], told[256];
static redis_reply_fn answer;
static const char *(*items)[7]; /* name platform settings cron every missed overlap */
static size_t item_count;

const char *fake_setting(const struct worker *w, const char *key)
{
    (void)w;
    ck_assert_str_eq(key, "jobs.timezone");
    return zone;
}

const char *fake_setting_item(const struct worker *w, const char *list, size_t i, const char *what)
{
    static const char *const names[] = {"name",  "platform", "settings", "cron",
                                        "every", "missed",   "overlap"};
    (void)w;
    ck_assert_str_eq(list, "schedules");
    for (size_t n = 0; i < item_count && n < 7; n++)
        if (strcmp(names[n], what) == 0)
            return items[i][n];
    return NULL;
}

bool fake_stopping(const struct worker *w)
{
    (void)w;
    return stopping;
}

struct worker_peer *fake_peer_next(struct worker *w, struct worker_peer *after)
{
    (void)w;
    return after == NULL ? &other : after == &other && has_collector ? &collector : NULL;
}

int fake_ask(struct worker *w, struct worker_peer *to, uint64_t token, uint64_t deadline_ms,
             const char *verb, size_t count, const struct slice *args)
{
    (void)w;
    (void)deadline_ms;
    ck_assert_ptr_eq(to, &collector);
    ck_assert_uint_eq(token, t.token);
    ck_assert_str_eq(verb, "job-due");
    size_t used = 0;
    asked[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(asked + used, sizeof asked - used, "%s%.*s", i > 0 ? " " : "",
                                 (int)args[i].len, args[i].ptr);
    asks++;
    return ask_rc;
}

void fake_trouble(struct worker *w, const char *format, ...)
{
    (void)w;
    (void)format;
    troubles++;
}

int fake_call(struct job_redis *r, enum job_script script, size_t count, const struct slice *args,
              redis_reply_fn fn, void *ctx)
{
    (void)r;
    ck_assert_int_eq(script, JOB_SCRIPT_JOBS_SCHEDULE);
    ck_assert_ptr_eq(ctx, &t);
    size_t used = 0;
    told[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(told + used, sizeof told - used, "%s[%.*s]", i > 0 ? " " : "",
                                 (int)args[i].len, args[i].ptr);
    ck_assert_uint_lt(used, sizeof told);
    answer = fn;
    calls++;
    return call_rc;
}

void fake_failed(const redisReply *reply, char *text, size_t size)
{
    bool bad = reply == NULL || reply->type == REDIS_REPLY_ERROR;
    snprintf(text, size, "%s", bad ? "broken" : "");
}

uint64_t fake_now(void)
{
    return mono;
}

time_t fake_time(time_t *out)
{
    (void)out;
    return (time_t)wall;
}

static void set_up(void)
{
    memset(&t, 0, sizeof t);
    has_collector = true;
    stopping = false;
    zone = "UTC";
    ask_rc = call_rc = 0;
    mono = 1000;
    wall = 1000000;
    asks = calls = troubles = 0;
    item_count = 0;
    ck_assert_int_eq(job_timetable_open(&t, NULL, NULL), 0);
    t.synced = true;
}

static void tear_down(void)
{
    job_timetable_close(&t);
}

/* ---- what Redis says ---- */

#define EVERY_MINUTE                                                                               \
    "v{\"platform\":\"p\",\"settings\":\"{\\\"pin\\\":\\\"hush\\\"}\",\"cron\":\"\","              \
    "\"every\":60000,\"missed\":\"once\",\"overlap\":\"skip\"}"

/* [name, definition, last, state, job, its status, why, now, version] */
static void look_says(size_t count, const char *const (*rows)[9])
{
    redisReply cells[4][9], lists[4], all, *cell_at[4][9], *list_at[4];
    ck_assert_uint_le(count, 4);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 0; n < 9; n++) {
            cells[i][n] = (redisReply){.type = REDIS_REPLY_STRING,
                                       .str = (char *)(uintptr_t)rows[i][n],
                                       .len = strlen(rows[i][n])};
            cell_at[i][n] = &cells[i][n];
        }
        lists[i] = (redisReply){.type = REDIS_REPLY_ARRAY, .elements = 9, .element = cell_at[i]};
        list_at[i] = &lists[i];
    }
    all = (redisReply){.type = REDIS_REPLY_ARRAY, .elements = count, .element = list_at};
    job_timetable_tick(&t);
    ck_assert_str_eq(told, "[look]");
    answer(NULL, &all, &t);
}

static const char *const due[][9] = {{"a", EVERY_MINUTE, "999900", "", "", "", "", "", "v1"},
                                     {"b", EVERY_MINUTE, "999900", "", "", "", "", "", "v2"}};

static void said(uint64_t token, enum control_status status, struct slice body)
{
    struct buffer b = BUFFER_EMPTY;
    message_said_pack(
        &b, &(struct message_said){.token = token, .status = (uint64_t)status, .body = body});
    struct unpack u = unpack_start(buffer_slice(&b));
    ck_assert(job_timetable_said(&t, &u));
    buffer_fini(&b);
}

/* The collector has made it, or says why not. */
static void said_job(uint64_t token, const char *job)
{
    struct buffer b = BUFFER_EMPTY;
    pack_map(&b, 2);
    pack_text(&b, "job_id");
    pack_text(&b, job);
    pack_text(&b, "replayed");
    pack_bool(&b, false);
    said(token, CONTROL_OK, buffer_slice(&b));
    buffer_fini(&b);
}

static void said_why(uint64_t token, enum control_status status, const char *why)
{
    struct buffer b = BUFFER_EMPTY;
    pack_text(&b, why);
    said(token, status, buffer_slice(&b));
    buffer_fini(&b);
}

/* ---- tests ---- */

START_TEST(what_is_due_is_asked_for_by_its_name)
{
    look_says(1, due);
    ck_assert_str_eq(asked, "a 999960 v1"); /* and nothing of what it is made of */
    said_job(t.token, "a-job");
    ck_assert_str_eq(told, "[ran] [a] [999960] [a-job] []");
    answer(NULL, NULL, &t); /* not heard: it is looked after again */
    ck_assert_str_eq(t.name, "");
}
END_TEST

START_TEST(one_after_the_other)
{
    look_says(2, due);
    ck_assert_uint_eq(asks, 1);
    const char first = asked[0];
    calls = 0;
    job_timetable_tick(&t); /* while one is asked for nothing is looked at */
    ck_assert_uint_eq(calls, 0);
    said_why(t.token, CONTROL_ERROR, "away");
    look_says(2, due); /* the first is due still, and keeps the second from nothing */
    ck_assert_uint_eq(asks, 2);
    ck_assert_int_ne(asked[0], first);
}
END_TEST

/* What is wrong with the schedule is not tried again for that time; what is wrong with the moment is. */
START_TEST(what_cannot_be_made)
{
    look_says(1, due);
    said_why(t.token, CONTROL_USAGE, "Unknown parameters in request: x");
    ck_assert_str_eq(told, "[ran] [a] [999960] [] [Unknown parameters in request: x]");
    look_says(1, due);
    said_why(t.token, CONTROL_ERROR, "changed meanwhile");
    ck_assert_str_eq(told, "[ran] [a] [] [] [changed meanwhile]");
    look_says(1, due);
    said(t.token, CONTROL_OK, slice_of("")); /* an answer that says no job */
    ck_assert_str_eq(told, "[ran] [a] [999960] [] []");
}
END_TEST

/* An answer to another question, or that cannot be read, ends nothing. */
START_TEST(answers_of_others)
{
    look_says(1, due);
    calls = 0;
    said_job(t.token - 1, "late");
    ck_assert_uint_eq(calls, 0);
    ck_assert_str_eq(t.name, "a");
    struct unpack u = unpack_start(slice_of("no message"));
    ck_assert(!job_timetable_said(&t, &u));
    said_job(t.token, "a-job");
    ck_assert_uint_eq(calls, 1);
    said_job(t.token, "again");
    ck_assert_uint_eq(calls, 1);
}
END_TEST

/* There is none, it is not reached, or it dies over it: the schedule is due still. */
START_TEST(a_collector_that_does_not_answer)
{
    has_collector = false;
    look_says(1, due);
    ck_assert_uint_eq(asks, 0);
    ck_assert_str_eq(t.name, "");
    has_collector = true;
    ask_rc = -ENOTCONN;
    look_says(1, due);
    ck_assert_str_eq(t.name, "");
    ask_rc = 0;
    look_says(1, due);
    ck_assert_str_eq(t.name, "a");
    mono += 2 * TIMETABLE_ASK_MS;
    job_timetable_tick(&t);
    ck_assert_str_eq(t.name, "a");
    mono++;
    look_says(1, due);
    ck_assert_uint_eq(asks, 3);
}
END_TEST

START_TEST(paused_at_once_and_not_overtaken)
{
    const char *const paused[][9] = {{"a", EVERY_MINUTE, "999900", "paused", "", "", "", "", ""}};
    const char *const at_once[][9] = {
        {"a", EVERY_MINUTE, "999999", "paused", "j", "started", "", "1", "v"}};
    const char *const runs[][9] = {{"a", EVERY_MINUTE, "999900", "", "j", "queued", "", "", ""}};
    look_says(1, paused);
    ck_assert_uint_eq(asks, 0);
    look_says(1, at_once); /* somebody wants it: whatever else there is */
    ck_assert_str_eq(asked, "a 1000000 v");
    said_job(t.token, "a-job");
    look_says(1, runs);
    ck_assert_uint_eq(asks, 1);
    ck_assert_str_eq(told, "[ran] [a] [999960] [] [none was made: the job before has not ended]");
}
END_TEST

/* Nor by a row that is none of ours, or an answer that is none. */
START_TEST(what_is_in_redis_harms_nobody)
{
    const char *const rows[][9] = {
        {"", "", "", "", "", "", "", "", ""},
        {"x", "v{", "999900", "", "", "", "", "", ""},
        {"y", EVERY_MINUTE, "never", "", "", "", "", "", ""},
        {"a", EVERY_MINUTE, "999900", "", "", "", "", "", ""},
    };
    look_says(4, rows);
    ck_assert_str_eq(asked, "a 999960 ");
    said_job(t.token, "a-job");
    redisReply bad = {.type = REDIS_REPLY_ERROR, .str = (char[]){"ERR"}, .len = 3};
    job_timetable_tick(&t);
    answer(NULL, &bad, &t);
    job_timetable_tick(&t);
    answer(NULL, NULL, &t);
    job_timetable_tick(&t);
    ck_assert_str_eq(told, "[look]");
    ck_assert_uint_eq(asks, 1);
}
END_TEST

START_TEST(nothing_is_begun_at_the_end)
{
    job_timetable_tick(&t);
    stopping = true;
    calls = 0;
    look_says(0, NULL); /* asked for before; nothing new is */
    ck_assert_uint_eq(calls, 0);
    ck_assert_uint_eq(asks, 0);
}
END_TEST

/* Each time that Redis is there, and until it has heard. One that cannot be is left out. */
START_TEST(those_of_the_file_are_written)
{
    static const char *rows[][7] = {
        {"a", "p", "{}", "", "60000", "once", "skip"},
        {"bad", "p", "{}", "61 * * * *", "0", "once", "skip"},
        {"b", "p", "{}", "@daily", "0", "all", "allow"},
    };
    items = rows;
    item_count = 3;
    job_timetable_on_redis(&t);
    call_rc = -ENOTCONN;
    job_timetable_tick(&t);
    call_rc = 0;
    job_timetable_tick(&t);
    ck_assert_uint_eq(calls, 2);
    ck_assert_ptr_nonnull(strstr(told, "[sync] [1000000] [a] [f{"));
    ck_assert_ptr_nonnull(strstr(told, "] [b] [f{"));
    ck_assert_ptr_null(strstr(told, "bad"));
    answer(NULL, NULL, &t);
    ck_assert(!t.synced);
    job_timetable_tick(&t);
    redisReply two = {.type = REDIS_REPLY_INTEGER, .integer = 2};
    answer(NULL, &two, &t);
    ck_assert(t.synced);
}
END_TEST

START_TEST(a_zone_that_there_is_not)
{
    struct job_timetable none = {0};
    zone = "Nowhere/Land";
    ck_assert_int_eq(job_timetable_open(&none, NULL, NULL), CONTRACT_EXIT_CONFIG);
    ck_assert_uint_eq(troubles, 1);
    job_timetable_close(&none);
}
END_TEST

SUITE_MAIN_WITH("job-timetable", set_up, tear_down, what_is_due_is_asked_for_by_its_name,
                one_after_the_other, what_cannot_be_made, answers_of_others,
                a_collector_that_does_not_answer, paused_at_once_and_not_overtaken,
                what_is_in_redis_harms_nobody, nothing_is_begun_at_the_end,
                those_of_the_file_are_written, a_zone_that_there_is_not)
