/*
 * test_sanjer_end.c: the policy of a job's end, by what its run has left: how it has ended and why, whether it is tried
 * again, and when.
 */
#include "test/unit/jobs/sanjer_end_world.h"

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

SUITE_MAIN_WITH("sanjer-end", set_up, tear_down, what_has_become_of_it, pauses)
