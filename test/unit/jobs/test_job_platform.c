/* test_job_platform.c: which files of a folder are platforms, of which kind, and what is said of a missing one. */
#include "workers/jobs/job_platform.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct one {
    const char *name, *text;
    mode_t mode;
    enum job_platform_kind kind;
} files[] = {
    {"shell.sh", "#!/bin/sh\n", 0755, JOB_PLATFORM_PROGRAM},
    {"plain.sh", "#!/bin/sh\n", 0644, JOB_PLATFORM_NONE},
    {"script.py", "#!/usr/bin/python3\n", 0755, JOB_PLATFORM_PROGRAM},
    {"coin_is.py", "class CoinIs:\n", 0644, JOB_PLATFORM_CLASS},
    {"copied.py", "class Copied:\n", 0755, JOB_PLATFORM_CLASS},
    {"noted.py", "#!/usr/bin/python3\n", 0644, JOB_PLATFORM_CLASS},
    {"empty.py", "", 0755, JOB_PLATFORM_CLASS},
    {"twice.py", "", 0644, JOB_PLATFORM_CLASS},
    {"twice.sh", "#!/bin/sh\n", 0755, JOB_PLATFORM_PROGRAM},
    {"base_one.py", "", 0644, JOB_PLATFORM_CLASS},
};
enum { FILES = sizeof files / sizeof files[0] };

static char folder[64];

static const char *path_of(const struct one *f)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, f->name);
    return path;
}

static void set_up(void)
{
    strcpy(folder, "/tmp/platforms-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (size_t i = 0; i < FILES; i++) {
        FILE *f = fopen(path_of(&files[i]), "w");
        ck_assert_ptr_nonnull(f);
        fputs(files[i].text, f);
        fclose(f);
        ck_assert_int_eq(chmod(path_of(&files[i]), files[i].mode), 0);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < FILES; i++)
        unlink(path_of(&files[i]));
    rmdir(folder);
}

START_TEST(what_a_file_is)
{
    set_up();
    for (size_t i = 0; i < FILES; i++)
        ck_assert_msg(job_platform_kind(path_of(&files[i])) == files[i].kind, "%s", files[i].name);
    ck_assert_int_eq(job_platform_kind(folder), JOB_PLATFORM_NONE);
    ck_assert_int_eq(job_platform_kind("/nonexistent.py"), JOB_PLATFORM_NONE);
    tear_down();
}
END_TEST

START_TEST(it_is_found_by_its_id)
{
    static const struct {
        const char *id, *says;
        int rc;
    } cases[] = {
        {"coin_is", "", 0},
        {"shell", "", 0},
        {"plain", "platform: there is no plain in ", -ENOENT},
        {"base_one", "platform: there is no ", -ENOENT},
        {"twice", "platform: twice is there 2 times in ", -EEXIST},
    };
    set_up();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char file[256] = "", why[256] = "";
        int rc =
            job_platform_find(folder, slice_of(cases[i].id), file, sizeof file, why, sizeof why);
        ck_assert_msg(rc == cases[i].rc, "%s: %d: %s", cases[i].id, rc, why);
        ck_assert_msg(strncmp(why, cases[i].says, strlen(cases[i].says)) == 0, "%s", why);
        ck_assert(rc != 0 ||
                  strncmp(strrchr(file, '/') + 1, cases[i].id, strlen(cases[i].id)) == 0);
    }
    tear_down();
}
END_TEST

START_TEST(what_runs_in_python_is_beside_the_programs)
{
    char python[256];
    ck_assert(!job_platform_python(python, 3));
    /* build/test/unit/SUITE lies as deep as PREFIX/libexec/platoon/PROGRAM. */
    ck_assert(job_platform_python(python, sizeof python));
    strcat(python, "/platoon_jobs.py");
    ck_assert_int_eq(access(python, R_OK), 0);
}
END_TEST

SUITE_MAIN("job_platform", what_a_file_is, it_is_found_by_its_id,
           what_runs_in_python_is_beside_the_programs)
