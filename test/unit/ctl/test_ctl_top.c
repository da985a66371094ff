/* test_ctl_top.c: the rows of top: what two looks at the tree become, in which order, and how they are drawn. */
#include "master/ctl/ctl_top.h"

#include "test/unit/suite.h"

#include <stdio.h>

static json_t *before, *now;
static struct top_rows rows;
static struct buffer out;

static json_t *tree(const char *a, const char *b, const char *c)
{
    char text[4096];
    json_error_t error;
    snprintf(text, sizeof text,
             "{\"name\":\"platoon\",\"kind\":\"branch\",\"state\":\"READY\",\"children\":[%s,"
             "{\"name\":\"site\",\"kind\":\"branch\",\"state\":\"READY\",\"children\":[%s,%s]}]}",
             a, b, c);
    json_t *value = json_loads(text, 0, &error);
    ck_assert_msg(value != NULL, "%s", error.text);
    return value;
}

#define WORKER(name, state, generation, cpu, more)                                                 \
    "{\"name\":\"" name "\",\"kind\":\"worker\",\"state\":\"" state                                \
    "\",\"generation\":" generation ",\"cpu_ms\":" cpu "," more "\"children\":[]}"
#define COUNTS                                                                                     \
    "\"rss_bytes\":2097152,\"restarts\":3,\"counters\":{\"mailbox_depth\":7,\"mailbox_wait\":"     \
    "1500},"                                                                                       \
    "\"rates\":{\"messages_in_total\":12.4,\"requests_total\":640.0},"
#define IDLE                                                                                       \
    "\"rss_bytes\":null,\"restarts\":0,\"counters\":{},\"rates\":{},\"doing\":\"idle\","           \
    "\"trouble\":\"\","

static void start(void)
{
    before = tree(WORKER("send.1", "READY", "1", "1000", IDLE),
                  WORKER("site/web.10", "READY", "2", "500", IDLE),
                  WORKER("site/web.9", "READY", "1", "100", COUNTS));
    now = tree(WORKER("send.1", "READY", "1", "1050", IDLE),
               WORKER("site/web.10", "STARTING", "3", "5", IDLE),
               WORKER("site/web.9", "READY", "1", "1900", COUNTS));
}

static void finish(void)
{
    json_decref(before);
    json_decref(now);
    top_rows_fini(&rows);
    buffer_fini(&out);
}

static void make(const char *filter, enum top_sort sort)
{
    top_rows_fini(&rows);
    top_rows_make(&rows, before, now, 2000, filter, sort);
    ck_assert(!rows.failed);
}

START_TEST(processor_time_between_two_looks)
{
    make("", TOP_SORT_CPU);
    ck_assert_uint_eq(rows.count, 3);
    ck_assert_uint_eq(rows.workers, 3);
    ck_assert_uint_eq(rows.ready, 2);
    ck_assert_str_eq(rows.list[0].name, "site/web.9");
    ck_assert_double_eq(rows.list[0].cpu, 90);
    ck_assert_str_eq(rows.list[1].name, "send.1");
    ck_assert_double_eq(rows.list[1].cpu, 2.5);
    ck_assert_msg(!rows.list[2].has_cpu, "another process has come in between");
    ck_assert_uint_eq(rows.list[0].depth, 7);
    ck_assert_uint_eq(rows.list[0].wait_ms, 1500);
    ck_assert_double_eq(rows.list[0].in_rate, 12.4);
    top_rows_fini(&rows);
    top_rows_make(&rows, NULL, now, 0, "", TOP_SORT_CPU);
    ck_assert(!rows.list[0].has_cpu);
}
END_TEST

START_TEST(orders_and_filter)
{
    make("", TOP_SORT_NAME);
    ck_assert_str_eq(rows.list[1].name, "site/web.9");
    ck_assert_str_eq(rows.list[2].name, "site/web.10");
    make("", TOP_SORT_MEMORY);
    ck_assert_str_eq(rows.list[0].name, "site/web.9");
    make("web", TOP_SORT_RESTARTS);
    ck_assert_uint_eq(rows.count, 2);
    ck_assert_str_eq(rows.list[0].name, "site/web.9");
    ck_assert_uint_eq(rows.workers, 3);
    make("nobody", TOP_SORT_IN);
    ck_assert_uint_eq(rows.count, 0);
    ck_assert_int_eq(top_sort_find('m'), TOP_SORT_MEMORY);
    ck_assert_int_eq(top_sort_find('q'), TOP_SORT_COUNT);
}
END_TEST

START_TEST(drawn_in_eighty_columns)
{
    make("", TOP_SORT_CPU);
    top_rows_render(&rows, 0, 2, SIZE_MAX, 80, false, &out);
    ck_assert_str_eq(
        buffer_text(&out),
        "NAME        STATE  CPU%    MEM  QUE    WAIT  IN/s  OUT/s  RST  DOES\n"
        "site/web.9  READY  90.0  2.0MB    7  1500ms    12      -    3  requests 640/s\n"
        "send.1      READY   2.5      -    -       -     -      -    -  idle\n");
    buffer_clear(&out);
    top_rows_render(&rows, 1, 10, 1, 80, false, &out);
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "\n>send.1 "));
    buffer_clear(&out);
    top_rows_render(&rows, 1, 10, 1, 80, true, &out);
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "\x1b[7msend.1\x1b[0m"));
}
END_TEST

START_TEST(as_json_lines)
{
    make("web.9", TOP_SORT_CPU);
    top_rows_json(&rows, &out);
    json_error_t error;
    json_t *line = json_loads(buffer_text(&out), 0, &error);
    ck_assert_ptr_nonnull(line);
    ck_assert_double_eq(json_real_value(json_object_get(line, "cpu_percent")), 90);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "mailbox_wait_ms")), 1500);
    json_decref(line);
}
END_TEST

SUITE_MAIN_WITH("ctl_top", start, finish, processor_time_between_two_looks, orders_and_filter,
                drawn_in_eighty_columns, as_json_lines)
