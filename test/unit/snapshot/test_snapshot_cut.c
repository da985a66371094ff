/* test_snapshot_cut.c: which commits of a snapshot are kept (workers/snapshot/snapshot_cut.h). */
#include "workers/snapshot/snapshot_cut.h"

#include "test/unit/suite.h"

#include <stdio.h>
#include <string.h>

#define DAY 86400
#define NOW (20000 * (int64_t)DAY + 5000) /* 2024-10-04 01:23:20 */

struct made {
    struct snapshot_cut *cut;
    struct buffer refs, shallow;
};

static struct made begin(int64_t keep_s, int64_t daily_s, const char *shallow)
{
    struct snapshot_cut_options o = {
        .now_s = NOW, .keep_s = keep_s, .daily_s = daily_s, .shallow = slice_of(shallow)};
    struct made m = {.cut = snapshot_cut_new(&o)};
    ck_assert_ptr_nonnull(m.cut);
    return m;
}

static void commit(struct made *m, const char *id, int64_t age_s, const char *resource)
{
    ck_assert(snapshot_cut_commit(m->cut, slice_of(id), NOW - age_s, slice_of(resource)));
}

static void ref(struct made *m, const char *name, const char *id)
{
    ck_assert(snapshot_cut_ref(m->cut, slice_of(name), slice_of(id)));
}

static void end(struct made *m, const char *refs, const char *shallow)
{
    ck_assert(snapshot_cut_end(m->cut, &m->refs, &m->shallow));
    ck_assert_str_eq(buffer_text(&m->refs), refs);
    ck_assert_str_eq(buffer_text(&m->shallow), shallow);
    buffer_fini(&m->refs);
    buffer_fini(&m->shallow);
    snapshot_cut_free(m->cut);
}

START_TEST(nothing_is_cut)
{
    struct made m = begin(0, 0, "");
    commit(&m, "c3", 1, "app");
    commit(&m, "c2", 900 * DAY, "raw");
    commit(&m, "c1", 999 * DAY, "app");
    end(&m, "update refs/platoon/newest/app c3\nupdate refs/platoon/newest/raw c2\n", "");
    m = begin(10 * DAY, 0, "");
    commit(&m, "c1", 9 * DAY, "app");
    end(&m, "update refs/platoon/newest/app c1\n", "");
    m = begin(10 * DAY, 10 * DAY, "");
    end(&m, "", "");
}
END_TEST

static struct made begin_mirrored(const char *mirrored)
{
    struct snapshot_cut_options o = {.now_s = NOW,
                                     .keep_s = 10 * DAY,
                                     .shallow = slice_of(""),
                                     .mirrors = true,
                                     .mirrored = slice_of(mirrored)};
    struct made m = {.cut = snapshot_cut_new(&o)};
    ck_assert_ptr_nonnull(m.cut);
    commit(&m, "c5", 1, "app");
    commit(&m, "c4", 9 * DAY, "app");
    commit(&m, "c3", 11 * DAY, "app");
    commit(&m, "c2", 12 * DAY, "app");
    commit(&m, "c1", 13 * DAY, "app");
    return m;
}

START_TEST(what_the_mirror_lacks_stays)
{
    static const struct {
        const char *mirrored;
        bool waits;
        const char *shallow;
    } cases[] = {{"", true, ""},       {"c1", true, ""},      {"c2", true, "c2\n"},
                 {"c3", true, "c3\n"}, {"c4", false, "c4\n"}, {"c5", false, "c4\n"},
                 {"c9", true, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = begin_mirrored(cases[i].mirrored);
        ck_assert_msg(snapshot_cut_waits(m.cut) == cases[i].waits, "%s", cases[i].mirrored);
        end(&m, "update refs/platoon/newest/app c5\n", cases[i].shallow);
    }
}
END_TEST

/* The oldest that is young enough has no parents any more; a resource that is older than all of them is an island. */
START_TEST(cut_with_islands)
{
    struct made m = begin(10 * DAY, 0, "");
    commit(&m, "c5", 1, "app");
    commit(&m, "c4", 9 * DAY, "app");
    commit(&m, "c3", 11 * DAY, "app");
    commit(&m, "c2", 12 * DAY, "holidays");
    commit(&m, "c1", 13 * DAY, "holidays");
    ref(&m, "refs/platoon/newest/app", "c4");
    ref(&m, "refs/heads/main", "c5");
    end(&m, "update refs/platoon/newest/app c5\nupdate refs/platoon/newest/holidays c2\n",
        "c4\nc2\n");
}
END_TEST

/* The branch keeps its newest commit, however old. */
START_TEST(all_are_old)
{
    struct made m = begin(10 * DAY, 0, "");
    commit(&m, "c2", 20 * DAY, "app");
    commit(&m, "c1", 30 * DAY, "app");
    end(&m, "update refs/platoon/newest/app c2\n", "c2\n");
}
END_TEST

/* What was cut before is met no more: the file and the references say what there is. */
START_TEST(cut_again)
{
    struct made m = begin(10 * DAY, 0, "c4\nc2\n");
    commit(&m, "c5", 1, "app");
    commit(&m, "c4", 9 * DAY, "app");
    ref(&m, "refs/platoon/newest/app", "c5");
    ref(&m, "refs/platoon/newest/holidays", "c2");
    end(&m, "", "c4\nc2\n");
    m = begin(10 * DAY, 0, "c4\nc2\n");
    commit(&m, "c6", 1, "holidays");
    commit(&m, "c5", 9 * DAY, "app");
    commit(&m, "c4", 11 * DAY, "app");
    ref(&m, "refs/platoon/newest/app", "c5");
    ref(&m, "refs/platoon/newest/holidays", "c2");
    end(&m, "update refs/platoon/newest/holidays c6\n", "c5\n");
}
END_TEST

/* A day's last commit, but of today, which is not over. */
START_TEST(daily)
{
    struct made m = begin(2 * DAY, 4 * DAY, "");
    commit(&m, "c9", 100, "app");
    commit(&m, "c8", 6000, "app");           /* yesterday */
    commit(&m, "c7", 7000, "app");           /* and before it */
    commit(&m, "c6", 3 * DAY, "app");        /* three days ago */
    commit(&m, "c5", 4 * DAY + 4000, "app"); /* on the first day that is kept */
    commit(&m, "c4", 6 * DAY, "app");
    ref(&m, "refs/tags/daily/2024-10-03", "c8");
    ref(&m, "refs/tags/daily/2024-09-29", "c3");
    ref(&m, "refs/tags/daily/2024-09-30", "c5");
    ref(&m, "refs/tags/daily/walrus", "c1");
    end(&m,
        "delete refs/tags/daily/2024-09-29\ndelete refs/tags/daily/walrus\n"
        "update refs/platoon/newest/app c9\nupdate refs/tags/daily/2024-10-01 c6\n",
        "c7\nc6\nc5\n");
}
END_TEST

/* Of a day that an older cut has left alone with. */
START_TEST(daily_island)
{
    struct made m = begin(DAY, 4 * DAY, "c7\nc5\n");
    commit(&m, "c8", 100, "app");
    commit(&m, "c7", 200, "app");
    ref(&m, "refs/platoon/newest/app", "c8");
    ref(&m, "refs/tags/daily/2024-10-01", "c5");
    end(&m, "", "c7\nc5\n");
    m = begin(DAY, 0, "c7\nc5\n");
    commit(&m, "c8", 100, "app");
    commit(&m, "c7", 200, "app");
    ref(&m, "refs/platoon/newest/app", "c8");
    ref(&m, "refs/tags/daily/2024-10-01", "c5");
    end(&m, "delete refs/tags/daily/2024-10-01\n", "c7\n");
}
END_TEST

SUITE_MAIN("snapshot_cut", nothing_is_cut, what_the_mirror_lacks_stays, cut_with_islands,
           all_are_old, cut_again, daily, daily_island)
