/* test_log_form.c: one line in each of the forms, and what of it becomes a field. */
#include "master/logs/log_form.h"

#include "test/unit/suite.h"

#include <stdio.h>
#include <unistd.h>

static struct buffer out;

static const char *form(enum log_form kind, const char *text, bool object)
{
    struct log_line line = {.wall_ms = 1763732346789,
                            .level = LOG_LEVEL_WARN,
                            .worker = "redis/send.1",
                            .text = slice_of(text),
                            .object = object};
    buffer_clear(&out);
    log_form(&out, kind, &line);
    return buffer_text(&out);
}

START_TEST(as_text)
{
    ck_assert_str_eq(form(LOG_FORM_TEXT, "claim-expired id=7", false),
                     "2025-11-21T13:39:06.789Z warn  redis/send.1 claim-expired id=7\n");
    ck_assert_str_eq(form(LOG_FORM_TEXT, "{\"a\":1}", true),
                     "2025-11-21T13:39:06.789Z warn  redis/send.1 {\"a\":1}\n");
}
END_TEST

START_TEST(as_json)
{
    ck_assert_str_eq(
        form(LOG_FORM_JSON,
             "worker-exit name=a/b.1 how=\"exit 1: \\\"no\\\\way\\\"\" and more A=b x=", false),
        "{\"ts\":\"2025-11-21T13:39:06.789Z\",\"level\":\"warn\",\"worker\":\"redis/send.1\","
        "\"event\":\"worker-exit\",\"name\":\"a/b.1\",\"how\":\"exit 1: \\\"no\\\\way\\\"\","
        "\"x\":\"\",\"text\":\"and more A=b\"}\n");
    ck_assert_str_eq(
        form(LOG_FORM_JSON, "e \x01=2 k=\x02", false),
        "{\"ts\":\"2025-11-21T13:39:06.789Z\",\"level\":\"warn\",\"worker\":"
        "\"redis/send.1\",\"event\":\"e\",\"k\":\"\\u0002\",\"text\":\"\\u0001=2\"}\n");
}
END_TEST

#define OURS "{\"ts\":\"2025-11-21T13:39:06.789Z\",\"level\":\"warn\",\"worker\":\"redis/send.1\""

/* Who says it, and when, is not the speaker's to say. */
START_TEST(an_object_stands_as_it_is_in_ours)
{
    ck_assert_str_eq(form(LOG_FORM_JSON, "{ \"worker\" : \"platoon\",  \"a\":1 }", true), OURS
                     ",\"event\":\"output\",\"object\":{ \"worker\" : \"platoon\",  \"a\":1 }}\n");
}
END_TEST

START_TEST(a_field_of_our_name_stays_text)
{
    ck_assert_str_eq(form(LOG_FORM_JSON, "output worker=platoon a=1 ts=0", false),
                     OURS ",\"event\":\"output\",\"a\":\"1\",\"text\":\"worker=platoon ts=0\"}\n");
}
END_TEST

START_TEST(for_syslog)
{
    char expected[128];
    snprintf(expected, sizeof expected, "<28>platoon[%d]: redis/send.1 event k=v", (int)getpid());
    ck_assert_str_eq(form(LOG_FORM_SYSLOG, "event k=v", false), expected);
}
END_TEST

START_TEST(for_the_journal)
{
    ck_assert_str_eq(form(LOG_FORM_JOURNAL, "event k=v q=\"two words\" loose", false),
                     "PRIORITY=4\nSYSLOG_IDENTIFIER=platoon\nPLATOON_WORKER=redis/send.1\n"
                     "PLATOON_EVENT=event\nPLATOON_K=v\nPLATOON_Q=two words\n"
                     "MESSAGE=redis/send.1 event k=v q=\"two words\" loose\n");
    ck_assert_str_eq(form(LOG_FORM_JOURNAL, "{\"a\":1}", true),
                     "PRIORITY=4\nSYSLOG_IDENTIFIER=platoon\nPLATOON_WORKER=redis/send.1\n"
                     "MESSAGE=redis/send.1 {\"a\":1}\n");
    ck_assert_str_eq(
        form(LOG_FORM_JOURNAL, "worker-exit worker=platoon event=x ts=0 level=\"error\" k=v",
             false),
        "PRIORITY=4\nSYSLOG_IDENTIFIER=platoon\nPLATOON_WORKER=redis/send.1\n"
        "PLATOON_EVENT=worker-exit\nPLATOON_K=v\n"
        "MESSAGE=redis/send.1 worker-exit worker=platoon event=x ts=0 level=\"error\" k=v\n");
    const char *text = form(
        LOG_FORM_JOURNAL, "e k123456789012345678901234567890123456789012345678901234567=1", false);
    ck_assert_ptr_null(strstr(text, "PLATOON_K"));
}
END_TEST

static void finish(void)
{
    buffer_fini(&out);
}

SUITE_MAIN_WITH("log_form", NULL, finish, as_text, as_json, an_object_stands_as_it_is_in_ours,
                a_field_of_our_name_stays_text, for_syslog, for_the_journal)
