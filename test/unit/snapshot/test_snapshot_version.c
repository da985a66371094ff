/* test_snapshot_version.c: how people name a version (workers/snapshot/snapshot_version.h). */
#include "workers/snapshot/snapshot_version.h"

#include "test/unit/suite.h"

#define NOW 1764324000 /* 2025-11-28T10:00:00Z */

static struct snapshot_version read_good(const char *text)
{
    struct snapshot_version v;
    ck_assert_msg(snapshot_version_read(slice_of(text), NOW, &v), "%s", text);
    return v;
}

START_TEST(commits)
{
    ck_assert_int_eq(read_good("").kind, SNAPSHOT_NEWEST);
    struct snapshot_version v = read_good("3FA90c1");
    ck_assert_int_eq(v.kind, SNAPSHOT_COMMIT);
    ck_assert_str_eq(v.commit, "3fa90c1");
    v = read_good("0123456789012345678901234567890123456789");
    ck_assert_int_eq(v.kind, SNAPSHOT_COMMIT);
    ck_assert_uint_eq(strlen(v.commit), 40);
}
END_TEST

START_TEST(times)
{
    static const struct {
        const char *text;
        int64_t time_s;
    } cases[] = {{"2025-11-28", NOW - 36000},
                 {"2025-11-28T10:00", NOW},
                 {"2025-11-28 10:00", NOW},
                 {"2025-11-28T10:00Z", NOW},
                 {"2025-11-28T10:00:05Z", NOW + 5},
                 {"2025-11-28T10:00:05+01:00", NOW + 5 - 3600},
                 {"2025-11-28T10:00:05-05:30", NOW + 5 + 19800},
                 {"1970-01-01", 0},
                 {"0s", NOW},
                 {"2h", NOW - 7200},
                 {"90m", NOW - 5400},
                 {"1500ms", NOW - 1}};
    char text[SNAPSHOT_TIME_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snapshot_version v = read_good(cases[i].text);
        ck_assert_int_eq(v.kind, SNAPSHOT_TIME);
        ck_assert_msg(v.time_s == cases[i].time_s, "%s: %lld", cases[i].text, (long long)v.time_s);
    }
    snapshot_time_write(NOW + 5, text);
    ck_assert_str_eq(text, "2025-11-28T10:00:05Z");
    ck_assert_int_eq(read_good(text).time_s, NOW + 5);
}
END_TEST

START_TEST(none)
{
    static const char *const texts[] = {"3fa90c",
                                        "3fa90g1",
                                        "yesterday",
                                        "2025-13-01",
                                        "2025-02-29",
                                        "2025-1-1",
                                        "2025-11-28T",
                                        "2025-11-28T25:00",
                                        "2025-11-28T10:60",
                                        "2025-11-28T10:00+15:00",
                                        "2025-11-28x",
                                        "2h ",
                                        "-2h",
                                        "2025-11-28T10:00:05+1",
                                        "99999999h",
                                        "01234567890123456789012345678901234567890"};
    struct snapshot_version v;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(!snapshot_version_read(slice_of(texts[i]), NOW, &v), "%s", texts[i]);
    ck_assert(!snapshot_version_read(slice_make("2025-11-28\0x", 12), NOW, &v));
}
END_TEST

SUITE_MAIN("snapshot_version", commits, times, none)
