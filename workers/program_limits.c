/*
 * program_limits.c: whom a program runs as, and within which limits. See program.h.
 *
 * Read before the fork, where the user database may be asked and errors have words; applied after it, in the order in which each is still allowed:
 * priority and limits, then groups, then the user.
 */
#include "common/text.h"
#include "workers/program.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void program_read_user(struct worker *w, struct program_limits *l)
{
    const char *user = worker_setting(w, "command.user");
    if (user == NULL)
        return;
    const struct passwd *found = getpwnam(user);
    if (found != NULL)
        *l = (struct program_limits){.change_user = true,
                                     .change_group = true,
                                     .uid = found->pw_uid,
                                     .gid = found->pw_gid,
                                     .user = user};
    else
        worker_exit(w, CONTRACT_EXIT_CONFIG, "user = %s: there is no such user on this host", user);
}

/* Instead of the user's. */
static void program_read_group(struct worker *w, struct program_limits *l)
{
    const char *group = worker_setting(w, "command.group");
    if (group == NULL)
        return;
    const struct group *found = getgrnam(group);
    if (found == NULL)
        worker_exit(w, CONTRACT_EXIT_CONFIG, "group = %s: there is no such group on this host",
                    group);
    else
        l->gid = found->gr_gid;
    l->change_group = true;
}

static void program_read_rlimit(struct worker *w, struct program_limits *l, const char *name,
                                int resource)
{
    uint64_t value;
    const char *text = worker_setting(w, name);
    if (text == NULL || text_parse_u64(slice_of(text), &value) != 0)
        return;
    l->rlimits[l->rlimit_count++] = (struct program_rlimit){resource, value};
}

void program_limits_read(struct worker *w, struct program_limits *l)
{
    *l = (struct program_limits){0};
    program_read_user(w, l);
    program_read_group(w, l);
    const char *mask = worker_setting(w, "command.umask");
    l->umask = mask != NULL ? (int)strtol(mask, NULL, 8) : -1;
    const char *nice = worker_setting(w, "command.nice");
    l->nice = nice != NULL ? atoi(nice) : 0;
    program_read_rlimit(w, l, "command.memory_max", RLIMIT_AS);
    program_read_rlimit(w, l, "command.files_max", RLIMIT_NOFILE);
    program_read_rlimit(w, l, "command.core_max", RLIMIT_CORE);
    const char *privs = worker_setting(w, "command.no_new_privs");
    l->no_new_privs = privs != NULL && strcmp(privs, "1") == 0;
}

static int program_apply_rlimits(const struct program_limits *l, const char **what)
{
    for (size_t i = 0; i < l->rlimit_count; i++) {
        const struct program_rlimit *r = &l->rlimits[i];
        struct rlimit limit = {.rlim_cur = r->value, .rlim_max = r->value};
        *what = r->resource == RLIMIT_AS       ? "memory_max"
                : r->resource == RLIMIT_NOFILE ? "files_max"
                                               : "core_max";
        if (setrlimit((__rlimit_resource_t)r->resource, &limit) != 0)
            return errno;
    }
    return 0;
}

static int program_apply_user(const struct program_limits *l, const char **what)
{
    *what = l->user != NULL ? "user" : "group";
    /* Only who may change its user has groups to lose. */
    bool same = !l->change_user || l->uid == getuid();
    if (l->user != NULL && (!same || getuid() == 0) && initgroups(l->user, l->gid) != 0)
        return errno;
    if (l->change_group && setgid(l->gid) != 0)
        return errno;
    if (l->change_user && setuid(l->uid) != 0)
        return errno;
    return 0;
}

int program_limits_apply(const struct program_limits *l, const char **what)
{
    if (l->umask >= 0)
        umask((mode_t)l->umask);
    *what = "nice";
    if (l->nice != 0 && setpriority(PRIO_PROCESS, 0, l->nice) != 0)
        return errno;
    int rc = program_apply_rlimits(l, what);
    if (rc == 0)
        rc = program_apply_user(l, what);
    if (rc != 0)
        return rc;
    *what = "no_new_privs";
    return l->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? errno : 0;
}
