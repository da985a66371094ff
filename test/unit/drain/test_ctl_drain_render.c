/* test_ctl_drain_render.c: what people see of drains, their dead letters and reports. */
#include "master/ctl/drain/ctl_drain.h"
#include "test/unit/ctl/ctl_render_fixture.h"

/* ---- drains ---- */

START_TEST(drains)
{
    ctl_drain_render(from_json("[{\"name\":\"visits\",\"pending\":1234,\"claimed\":5,\"stored\":0,"
                               "\"redelivered\":0,\"dead\":2,\"oldest_claim_ms\":1500,"
                               "\"rate_per_s\":99.6}]"),
                     80, false, &out);
    ck_assert_str_eq(shown(),
                     "DRAIN   PENDING  CLAIMED  STORED  PER SECOND  REDELIVERED  DEAD  OLDEST\n"
                     "visits    1,234        5       0         100            0     2      1s\n");
}
END_TEST

START_TEST(progress)
{
    struct ctl_progress p = {"visits", 2500, 7500, 1250.4};
    ctl_drain_render_progress(&p, 70, &out);
    ck_assert_str_eq(shown(),
                     "visits ████▊░░░░░░░░░░░░░░  25%   2,500 of 10,000  1,250/s  6s left");
    ck_assert_uint_le(ctl_text_width(buffer_slice(&out)), 70);
    buffer_clear(&out);
    p = (struct ctl_progress){"v", 0, 0, 0};
    ctl_drain_render_progress(&p, 40, &out);
    ck_assert_str_eq(shown(), "v ██████████ 100%  0 of 0  0/s");
    buffer_clear(&out);
    p = (struct ctl_progress){"v", 0, 10, 0};
    ctl_drain_render_progress(&p, 10, &out);
    ck_assert_str_eq(shown(), "v ░░░░░░░░░░   0%   0 of 10  0/s");
}
END_TEST

#define LETTER                                                                                     \
    "\"seq\":18,\"member\":{\"base64\":\"/w==\"},\"reason\":\"no hash\",\"attempts\":5,"           \
    "\"at_ms\":1767225600000"

START_TEST(dead_letters)
{
    ctl_dead_render(from_json("[{" LETTER "}]"), 80, false, &out);
    ck_assert_str_eq(shown(), "SEQ  SINCE (UTC)          TRIES  MEMBER       REASON\n"
                              " 18  2026-01-01T00:00:00      5  base64:/w==  no hash\n");
    buffer_clear(&out);
    ctl_dead_render_data(from_json("[{" LETTER ",\"fields\":[[\"app\",\"a\\u001bb\"]]},"
                                   "{\"seq\":19,\"member\":\"m\",\"at_ms\":0,\"value\":\"v\"}]"),
                         false, &out);
    ck_assert_str_eq(shown(), "18  base64:/w==\n  2026-01-01T00:00:00.000Z, 5 tries: no hash\n"
                              "    app = a\\x1bb\n"
                              "19  m\n  1970-01-01T00:00:00.000Z, 0 tries: \n    v\n");
    buffer_clear(&out);
    ctl_dead_render_data(
        from_json("[{" LETTER ",\"member_bytes\":1048576,\"fields\":[[\"a\",\"xx\",2048],"
                  "[\"b\",null,419430400]],\"fields_total\":1000000},"
                  "{\"seq\":19,\"member\":\"m\",\"at_ms\":0,\"value\":null,\"value_bytes\":0}]"),
        false, &out);
    ck_assert_str_eq(shown(), "18  base64:/w==… (1.0MB in all)\n"
                              "  2026-01-01T00:00:00.000Z, 5 tries: no hash\n"
                              "    a = xx… (2.0KB in all)\n"
                              "    b = (400MB, too much to be shown)\n"
                              "    … of 1,000,000 fields\n"
                              "19  m\n  1970-01-01T00:00:00.000Z, 0 tries: \n"
                              "    (its size is not known, too much to be shown)\n");
}
END_TEST

/* ---- reports ---- */

#define REPORT                                                                                     \
    "{\"total\":1001,\"by\":\"status\",\"values\":[[\"200\",900],[\"4\\\"4\",100],[null,1]],"      \
    "\"every_ms\":3600000,\"times\":[[1767225600000,0],[1767229200000,10]]}"

START_TEST(report_tables)
{
    ctl_report_render(from_json(REPORT), 40, false, &out);
    ck_assert_str_eq(shown(), "1,001 records\n"
                              "\nstatus     SHARE  COUNT\n"
                              "200        89.9%    900  █████████████\n"
                              "4\"4        10.0%    100  █▌\n"
                              "(without)   0.1%      1  ▏\n"
                              "\nTIME (UTC)        COUNT\n"
                              "2026-01-01 00:00      0\n"
                              "2026-01-01 01:00     10  █████████████\n");
    buffer_clear(&out);
    ctl_report_render(from_json("{\"total\":1,\"by\":\"\",\"values\":[],\"times\":[]}"), 80, false,
                      &out);
    ck_assert_str_eq(shown(), "1 record\n");
    buffer_clear(&out);
    ctl_report_render(from_json("{\"total\":10,\"by\":\"b\",\"values\":[[\"x\",4]]}"), 20, false,
                      &out);
    ck_assert_str_eq(shown(), "10 records\n\nb         SHARE  COUNT\n"
                              "x         40.0%      4  ██████████\n"
                              "(others)  60.0%      6\n");
}
END_TEST

START_TEST(report_csv)
{
    ctl_report_render_csv(from_json(REPORT), &out);
    ck_assert_str_eq(shown(), "what,value,count\r\n"
                              "\"status\",\"200\",900\r\n"
                              "\"status\",\"4\"\"4\",100\r\n"
                              "\"status\",,1\r\n"
                              "time,2026-01-01T00:00:00.000Z,0\r\n"
                              "time,2026-01-01T01:00:00.000Z,10\r\n");
    buffer_clear(&out);
    ctl_report_render_csv(from_json("{\"total\":7}"), &out);
    ck_assert_str_eq(shown(), "what,value,count\r\ntotal,,7\r\n");
}
END_TEST

SUITE_MAIN_WITH("ctl_drain_render", NULL, teardown, drains, progress, dead_letters, report_tables,
                report_csv)
