/*
 * test_job_user.c: the user that jobs run as: what a process that is started by it has, and is.
 *
 * The file is compiled into this one, over a worker that only pretends: settings and the user database are the test's.
 */
#define worker_setting     fake_setting
#define worker_limits_read fake_limits_read
#define worker_exit        fake_exit
#include "workers/jobs/job_user.c"

#include "test/unit/suite.h"

#include <pwd.h>
#include <stdarg.h>
#include <sys/wait.h>

static const char *set;           /* the setting; NULL: it is not there */
static struct worker_limits user; /* of that name */

const char *fake_setting(const struct worker *w, const char *key)
{
    (void)w;
    ck_assert_str_eq(key, "jobs.sanjer.user");
    return set;
}

void fake_limits_read(struct worker *w, const char *prefix, struct worker_limits *limits)
{
    (void)w;
    ck_assert_str_eq(prefix, "jobs.sanjer");
    *limits = user;
}

_Noreturn void fake_exit(struct worker *w, enum contract_exit code, const char *format, ...)
{
    (void)w;
    (void)format;
    _exit((int)code);
}

static void be(const char *name)
{
    const struct passwd *p = getpwnam(name);
    ck_assert_ptr_nonnull(p);
    set = name;
    user = (struct worker_limits){.change_user = true, .uid = p->pw_uid, .gid = p->pw_gid};
    snprintf(user.user, sizeof user.user, "%s", name);
    snprintf(user.home, sizeof user.home, "/home of %s", name);
}

START_TEST(nobody_is_named)
{
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        struct child_options o = {.folder = "/"};
        set = none[i];
        ck_assert_ptr_null(job_user_new(NULL));
        job_user_apply(NULL, &o);
        ck_assert_ptr_null(o.environment);
        ck_assert(o.enter == NULL);
        job_user_free(NULL);
    }
}
END_TEST

static size_t how_often(char *const *environment, const char *variable)
{
    size_t count = 0;
    for (size_t i = 0; environment[i] != NULL; i++)
        count += strcmp(environment[i], variable) == 0;
    return count;
}

static size_t how_many(char *const *environment, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; environment[i] != NULL; i++)
        count += strncmp(environment[i], name, strlen(name)) == 0;
    return count;
}

START_TEST(its_environment)
{
    struct child_options o = {.folder = "/"};
    setenv("HOME", "/root", 1);
    setenv("USER", "root", 1);
    setenv("HOMES", "stay", 1);
    unsetenv("LOGNAME");
    be("nobody");
    struct job_user *u = job_user_new(NULL);
    job_user_apply(u, &o);
    ck_assert_uint_eq(how_often(o.environment, "HOME=/home of nobody"), 1);
    ck_assert_uint_eq(how_often(o.environment, "USER=nobody"), 1);
    ck_assert_uint_eq(how_often(o.environment, "LOGNAME=nobody"), 1);
    ck_assert_uint_eq(how_often(o.environment, "HOMES=stay"), 1);
    ck_assert_uint_eq(how_many(o.environment, "HOME="), 1);
    ck_assert_uint_eq(how_many(o.environment, "PATH="), how_many(environ, "PATH="));
    job_user_free(u);
}
END_TEST

/* Root becomes it, with its groups and no way back; anybody else can be nobody but himself. */
START_TEST(a_process_is_it)
{
    struct child_options o = {.folder = "/"};
    be(geteuid() == 0 ? "nobody" : getpwuid(geteuid())->pw_name);
    struct job_user *u = job_user_new(NULL);
    job_user_apply(u, &o);
    pid_t pid = suite_fork();
    if (pid == 0) {
        gid_t groups[USER_GROUPS_MAX];
        bool root = geteuid() == 0;
        int rc = o.enter(o.ctx), count = getgroups(USER_GROUPS_MAX, groups);
        bool is = rc == 0 && getuid() == user.uid && geteuid() == user.uid;
        bool whole = !root || (getgid() == user.gid && count == u->count);
        _exit(is && whole && setuid(0) != 0 ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    job_user_free(u);
}
END_TEST

SUITE_MAIN("job-user", nobody_is_named, its_environment, a_process_is_it)
