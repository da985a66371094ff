/*
 * test_sanjer_told.c: what Redis is told of a job's end, field by field, and what is done with the answer, or without
 * one. Beside test_sanjer_end.c.
 */
#include "test/unit/jobs/sanjer_end_world.h"

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

SUITE_MAIN_WITH("sanjer-told", set_up, tear_down, it_has_finished, it_has_finished_without_a_word,
                its_result_is_nested_too_deep_for_rq, it_has_failed, it_has_raised,
                it_is_tried_again, it_was_stopped, it_is_handed_back, a_function_is_tried_again,
                a_function_returns_a_retry, its_meta, redis_has_heard, redis_has_not_heard,
                redis_refuses_it, an_answer_that_nobody_waits_for)
