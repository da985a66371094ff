/* job_user.c: see job_user.h. */
#include "workers/jobs/job_user.h"

#include "workers/skeleton/worker_limits.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER_GROUPS_MAX 256
#define USER_VARIABLES  3

struct job_user {
    struct worker_limits is;
    gid_t groups[USER_GROUPS_MAX];
    int count;
    char variables[USER_VARIABLES][1100];
    char **environment; /* ours, but for these; its strings are not its own */
};

extern char **environ;

/*
 * Behind the fork: what it needs was looked up before. Whoever is that user already has no groups to lose. The kernel's
 * own calls: those of the library have all threads do the same, and would wait for those that only our parent has.
 */
static int user_enter(void *ctx)
{
    const struct job_user *u = ctx;
    if (u->is.uid == geteuid() && geteuid() != 0)
        return 0;
    gid_t gid = u->is.gid;
    uid_t uid = u->is.uid;
    if (syscall(SYS_setgroups, (size_t)u->count, u->groups) != 0 ||
        syscall(SYS_setresgid, gid, gid, gid) != 0 || syscall(SYS_setresuid, uid, uid, uid) != 0)
        return errno;
    return 0;
}

static bool user_names(const struct job_user *u, const char *variable)
{
    size_t len = strcspn(variable, "=") + 1;
    for (size_t i = 0; i < USER_VARIABLES; i++)
        if (strncmp(u->variables[i], variable, len) == 0)
            return true;
    return false;
}

static bool user_environment(struct job_user *u)
{
    size_t count = 0, used = 0;
    snprintf(u->variables[0], sizeof u->variables[0], "HOME=%s", u->is.home);
    snprintf(u->variables[1], sizeof u->variables[1], "USER=%s", u->is.user);
    snprintf(u->variables[2], sizeof u->variables[2], "LOGNAME=%s", u->is.user);
    while (environ[count] != NULL)
        count++;
    u->environment = calloc(count + USER_VARIABLES + 1, sizeof *u->environment);
    if (u->environment == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!user_names(u, environ[i]))
            u->environment[used++] = environ[i];
    for (size_t i = 0; i < USER_VARIABLES; i++)
        u->environment[used++] = u->variables[i];
    return true;
}

struct job_user *job_user_new(struct worker *w)
{
    static const char key[] = "jobs.sanjer.user";
    char section[sizeof key];
    const char *name = worker_setting(w, key);
    snprintf(section, sizeof section, "%.*s", (int)(strrchr(key, '.') - key), key);
    if (name == NULL || name[0] == '\0')
        return NULL;
    struct job_user *u = calloc(1, sizeof *u);
    if (u == NULL) {
        worker_exit(w, CONTRACT_EXIT_SHORT, "memory is short for the user of jobs");
        return NULL;
    }
    worker_limits_read(w, section, &u->is); /* of which the user alone counts */
    u->count = USER_GROUPS_MAX;
    if (getgrouplist(u->is.user, u->is.gid, u->groups, &u->count) < 0)
        worker_exit(w, CONTRACT_EXIT_CONFIG, "sanjer.user = %s: it is in more than %d groups",
                    u->is.user, USER_GROUPS_MAX);
    if (!user_environment(u))
        worker_exit(w, CONTRACT_EXIT_SHORT, "memory is short for the user of jobs");
    return u;
}

void job_user_free(struct job_user *u)
{
    if (u == NULL)
        return;
    free(u->environment);
    free(u);
}

void job_user_apply(struct job_user *u, struct child_options *o)
{
    if (u == NULL)
        return;
    o->environment = u->environment;
    o->enter = user_enter;
    o->ctx = u;
}
