/*
 * test_cgroup.c: what is written into a group and read from it, beside a directory that stands for one; where a process
 * is. What the kernel makes of it is test/e2e/kernel/cgroup.py's.
 */
#include "common/cgroup.h"

#include "master/start/delegation.h"
#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct place place;

static void start(void)
{
    place_make(&place);
}

static void finish(void)
{
    place_remove(&place);
}

/* The kernel's files of a new group. */
static const char *group_with(const char *name)
{
    static char path[CGROUP_PATH_SIZE];
    static const char *const files[] = {"memory.max", "memory.oom.group", "memory.swap.max",
                                        "cgroup.procs"};
    snprintf(path, sizeof path, "%s/%s", place.dir, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s/%s", name, files[i]);
        place_write(&place, file, "", 0600);
    }
    return path;
}

START_TEST(enters_with_its_limit)
{
    const char *group = group_with("g");
    ck_assert_int_eq(cgroup_enter(group, 64 << 20), 0);
    ck_assert_str_eq(place_read(&place, "g/memory.max"), "67108864");
    ck_assert_str_eq(place_read(&place, "g/memory.oom.group"), "1");
    ck_assert_str_eq(place_read(&place, "g/memory.swap.max"), "0");
    ck_assert_str_eq(place_read(&place, "g/cgroup.procs"), "0");
    ck_assert_uint_eq(cgroup_memory_max(group), 64 << 20);
}
END_TEST

START_TEST(a_kernel_without_swap)
{
    const char *group = group_with("g");
    unlink(place_path(&place, "g/memory.swap.max"));
    ck_assert_int_eq(cgroup_enter(group, 64 << 20), 0);
    ck_assert_str_eq(place_read(&place, "g/cgroup.procs"), "0");
}
END_TEST

/* Nobody enters a group that does not limit. */
START_TEST(no_limit_no_entry)
{
    const char *group = group_with("g");
    unlink(place_path(&place, "g/memory.max"));
    ck_assert_int_eq(cgroup_enter(group, 64 << 20), -ENOENT);
    ck_assert_str_eq(place_read(&place, "g/cgroup.procs"), "");
    group = group_with("h");
    unlink(place_path(&place, "h/memory.oom.group"));
    ck_assert_int_eq(cgroup_enter(group, 64 << 20), -ENOENT);
    ck_assert_str_eq(place_read(&place, "h/cgroup.procs"), "");
    ck_assert_int_eq(cgroup_enter("/proc/nowhere/g", 1), -ENOENT);
}
END_TEST

START_TEST(names_of_groups)
{
    char path[CGROUP_PATH_SIZE], base[CGROUP_PATH_SIZE];
    ck_assert(cgroup_of_worker("/sys/fs/cgroup/a/b", "site/web/api.1", path));
    ck_assert_str_eq(path, "/sys/fs/cgroup/a/b/worker.site,web,api.1");
    memset(base, 'x', sizeof base);
    base[sizeof base - sizeof "/worker.w"] = '\0';
    ck_assert(cgroup_of_worker(base, "w", path));
    ck_assert(!cgroup_of_worker(base, "w2", path));
}
END_TEST

START_TEST(kills)
{
    const char *group = group_with("g");
    ck_assert_uint_eq(cgroup_oom_kills(group), 0);
    place_write(&place, "g/memory.events",
                "low 0\nhigh 0\nmax 70\noom 2\noom_kill 3\noom_group_kill 1\n", 0600);
    ck_assert_uint_eq(cgroup_oom_kills(group), 3);
    ck_assert_uint_eq(cgroup_renew(group), 3); /* its files are still there, so it is too */
    ck_assert_uint_eq(cgroup_renew("/proc/nowhere/g"), 0);
}
END_TEST

START_TEST(limits_read)
{
    const char *group = group_with("g");
    ck_assert_uint_eq(cgroup_memory_max(group), 0);
    place_write(&place, "g/memory.max", "max\n", 0600);
    ck_assert_uint_eq(cgroup_memory_max(group), 0);
    place_write(&place, "g/memory.max", "4096\n", 0600);
    ck_assert_uint_eq(cgroup_memory_max(group), 4096);
    ck_assert_uint_eq(cgroup_memory_max("/proc/nowhere/g"), 0);
}
END_TEST

START_TEST(groups_below_go_first)
{
    static const char *const dirs[] = {"g", "g/a", "g/a/b", "g/c"};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        ck_assert_int_eq(mkdir(place_path(&place, dirs[i]), 0700), 0);
    cgroup_remove(place_path(&place, "g"));
    ck_assert_int_ne(access(place_path(&place, "g"), F_OK), 0);
}
END_TEST

START_TEST(text_is_cut)
{
    char text[4];
    group_with("g");
    place_write(&place, "g/memory.max", "123456", 0600);
    ck_assert_int_eq(cgroup_read(place_path(&place, "g"), "memory.max", text, sizeof text), 0);
    ck_assert_str_eq(text, "123");
    ck_assert_int_eq(cgroup_read(place_path(&place, "g"), "nothing", text, sizeof text), -ENOENT);
    ck_assert_int_eq(cgroup_write(place_path(&place, "g"), "nothing", "1"), -ENOENT);
}
END_TEST

START_TEST(where_a_process_is)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"0::/system.slice/platoon.service\n", "/system.slice/platoon.service"},
        {"0::/\n", "/"},
        {"9:name=systemd:/\n4:memory:/a/b\n0::/c\n", "/c"}, /* v1 beside v2 */
        {"4:memory:/a/b\n", NULL},
        {"0::/../../x\n", NULL}, /* outside of our namespace */
        {"10::/a\n", NULL},
        {"0:cpu:/a\n", NULL},
        {"0::", NULL},
        {"0::/a", "/a"},
        {"", NULL},
        {"\n\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[CGROUP_PATH_SIZE] = "";
        ck_assert_int_eq(delegation_path(cases[i].text, path), cases[i].path != NULL);
        if (cases[i].path != NULL)
            ck_assert_str_eq(path, cases[i].path);
    }
}
END_TEST

SUITE_MAIN_WITH("cgroup", start, finish, enters_with_its_limit, a_kernel_without_swap,
                no_limit_no_entry, names_of_groups, kills, limits_read, groups_below_go_first,
                text_is_cut, where_a_process_is)
