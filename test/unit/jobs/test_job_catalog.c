/*
 * test_job_catalog.c: platforms of a folder as they are read, by real programs: what is sound, what is broken and why,
 * what changes, and what somebody kills.
 */
#include "test/unit/suite.h"
#include "workers/jobs/job_catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static char folder[64];
static uv_loop_t loop;
static struct job_catalog *catalog;
static unsigned told;

static void on_read(void *ctx)
{
    (void)ctx;
    told++;
}

static void put_file(const char *name, const char *text)
{
    char path[128], next[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(next, sizeof next, "%s/.next", folder);
    FILE *f = fopen(next, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(chmod(next, 0755), 0);
    ck_assert_int_eq(rename(next, path), 0);
}

static void set_up(void)
{
    told = 0;
    strcpy(folder, "/tmp/catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    catalog = job_catalog_new(&loop, folder, "/usr/bin/python3", "", on_read, NULL);
    ck_assert_ptr_nonnull(catalog);
}

static void tear_down(void)
{
    char command[128];
    job_catalog_free(catalog);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* What find says when nothing is read any more. */
static int find(const char *id, struct job_catalog_platform *p, char *why, size_t size)
{
    bool late = false;
    uv_timer_t deadline;
    int rc;
    uv_timer_init(&loop, &deadline);
    deadline.data = &late;
    uv_timer_start(&deadline, on_deadline, 60000, 0);
    while ((rc = job_catalog_find(catalog, slice_of(id), p, why, size)) == -EBUSY && !late)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_msg(!late, "%s is still being read", id);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    return rc;
}

static void is_sound(const char *id, const char *display_name)
{
    struct job_catalog_platform p;
    char why[JOB_SPEC_WHY_SIZE + 128] = "";
    ck_assert_msg(find(id, &p, why, sizeof why) == 0, "%s: %s", id, why);
    ck_assert_str_eq(p.id, id);
    ck_assert_str_eq(p.spec->display_name, display_name);
}

static void is_refused(const char *id, int rc, const char *part)
{
    struct job_catalog_platform p;
    char why[JOB_SPEC_WHY_SIZE + 128] = "";
    ck_assert_int_eq(find(id, &p, why, sizeof why), rc);
    ck_assert_msg(strstr(why, part) != NULL, "%s: %s", id, why);
}

START_TEST(what_is_sound_and_what_is_not)
{
    set_up();
    put_file("good.sh", "#!/bin/sh\necho '{\"display_name\":\"Good\"}'\n");
    put_file("bad.sh", "#!/bin/sh\necho no JSON\n");
    put_file("fails.sh", "#!/bin/sh\necho what is wrong >&2\nexit 3\n");
    put_file("nobody.sh", "#!/no/such/interpreter\n");
    is_sound("good", "Good");
    is_refused("bad", -EINVAL, "platform bad is broken: --spec printed no JSON");
    is_refused("fails", -EINVAL, "--spec exited with code 3: what is wrong");
    is_refused("nobody", -EINVAL, "platform nobody is broken");
    is_refused("other", -ENOENT, "there is no platform other in ");
    is_sound("good", "Good");
    ck_assert_uint_ge(told, 3);
    tear_down();
}
END_TEST

/* It is looked for again when it has another look on the disk, and at once. */
START_TEST(what_changes_is_read_again)
{
    char path[128];
    set_up();
    put_file("one.sh", "#!/bin/sh\necho '{\"display_name\":\"First\"}'\n");
    is_sound("one", "First");
    put_file("one.sh", "#!/bin/sh\necho '{\"display_name\":\"Second\"}'\n");
    is_sound("one", "Second");
    put_file("one.sh", "#!/bin/sh\nexit 1\n");
    is_refused("one", -EINVAL, "exited with code 1");
    snprintf(path, sizeof path, "%s/one.sh", folder);
    unlink(path);
    ck_assert_int_eq(job_catalog_look(catalog), 0);
    is_refused("one", -ENOENT, "there is no platform one");
    tear_down();
}
END_TEST

START_TEST(two_of_one_id)
{
    set_up();
    put_file("twice.sh", "#!/bin/sh\necho '{\"display_name\":\"A\"}'\n");
    put_file("twice", "#!/bin/sh\necho '{\"display_name\":\"B\"}'\n");
    is_refused("twice", -EINVAL, "it is there 2 times");
    tear_down();
}
END_TEST

/* By whom nobody knows: it is asked again, but not for ever. */
START_TEST(what_somebody_kills)
{
    char text[256];
    set_up();
    snprintf(text, sizeof text,
             "#!/bin/sh\necho x >>%s/count\n[ $(wc -l <%s/count) -lt 3 ] && kill -9 $$\n"
             "echo '{\"display_name\":\"Third\"}'\n",
             folder, folder);
    put_file("unlucky.sh", text);
    is_sound("unlucky", "Third");
    put_file("doomed.sh", "#!/bin/sh\nkill -9 $$\n");
    ck_assert_int_eq(job_catalog_look(catalog), -EBUSY);
    is_refused("doomed", -EINVAL, "--spec was killed by signal 9");
    snprintf(text, sizeof text,
             "#!/bin/sh\necho x >>%s/told\n"
             "sh -c '[ $(wc -l <%s/told) -ge 3 ] || kill -9 $$' || exit\n"
             "echo '{\"display_name\":\"Behind a shell\"}'\n",
             folder, folder);
    put_file("shell.sh", text);
    is_sound("shell", "Behind a shell");
    put_file("crashes.sh", "#!/bin/sh\nkill -11 $$\n");
    ck_assert_int_eq(job_catalog_look(catalog), -EBUSY);
    is_refused("crashes", -EINVAL, "--spec was killed by signal 11");
    tear_down();
}
END_TEST

SUITE_MAIN("job_catalog", what_is_sound_and_what_is_not, what_changes_is_read_again, two_of_one_id,
           what_somebody_kills)
