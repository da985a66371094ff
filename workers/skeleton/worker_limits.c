/*
 * worker_limits.c: whom a process runs as, and within which limits. See worker_limits.h.
 *
 * Read where the user database may be asked and errors have words (for a program: before the fork); applied in the
 * order in which each is still allowed: priority and limits, then groups, then the user.
 */
#include "workers/skeleton/worker_limits.h"

#include "common/process_usage.h"
#include "common/text.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its own, "command.user", or what all workers of platoon's own kind have, "platoon.worker_nice". */
static const char *limits_setting(const struct worker *w, const char *prefix, const char *key)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", prefix, key);
    const char *own = worker_setting(w, name);
    if (own != NULL || strcmp(prefix, "limits") != 0)
        return own;
    snprintf(name, sizeof name, "platoon.worker_%s", key);
    own = worker_setting(w, name);
    return own != NULL && own[0] != '\0' ? own : NULL;
}

static bool limits_is_number(const char *name, uint32_t *number)
{
    uint64_t value;
    if (text_parse_u64(slice_of(name), &value) != 0 ||
        value >= UINT32_MAX) /* (uid_t)-1 is no user */
        return false;
    *number = (uint32_t)value;
    return true;
}

/* One without an account has what nobody can do without: its number, and, of `group`, a group. */
static void limits_take_number(struct worker *w, const char *prefix, struct worker_limits *l,
                               const char *user, uid_t uid)
{
    if (limits_setting(w, prefix, "group") == NULL)
        worker_exit(
            w, CONTRACT_EXIT_TEMPORARY,
            "user = %s: no user of this host has that number, and thus no group: give `group`, "
            "or make the user",
            user);
    *l = (struct worker_limits){.change_user = true, .uid = uid, .home = "/"};
    snprintf(l->user, sizeof l->user, "%" PRIu32, uid);
}

static void limits_take_account(struct worker *w, struct worker_limits *l,
                                const struct passwd *account)
{
    *l = (struct worker_limits){
        .change_user = true, .change_group = true, .uid = account->pw_uid, .gid = account->pw_gid};
    if (!slice_copy(slice_of(account->pw_name), l->user, sizeof l->user))
        worker_exit(w, CONTRACT_EXIT_CONFIG, "user: a name of more than %zu bytes",
                    sizeof l->user - 1);
    if (!slice_copy(slice_of(account->pw_dir), l->home, sizeof l->home))
        worker_exit(w, CONTRACT_EXIT_CONFIG, "user = %s: its home is longer than %zu bytes",
                    l->user, sizeof l->home - 1);
}

/* A name, or as everywhere a number, which need not have one. */
static void limits_read_user(struct worker *w, const char *prefix, struct worker_limits *l)
{
    const char *user = limits_setting(w, prefix, "user");
    if (user == NULL)
        return;
    uid_t uid = 0;
    bool is_number = limits_is_number(user, &uid);
    const struct passwd *found = is_number ? getpwuid(uid) : getpwnam(user);
    if (found != NULL)
        limits_take_account(w, l, found);
    else if (is_number)
        limits_take_number(w, prefix, l, user, uid);
    else
        worker_exit(w, CONTRACT_EXIT_TEMPORARY,
                    "user = %s: there is no such user on this host: make it, or correct `user`",
                    user);
}

/* Instead of the user's. */
static void limits_read_group(struct worker *w, const char *prefix, struct worker_limits *l)
{
    const char *group = limits_setting(w, prefix, "group");
    if (group == NULL)
        return;
    const struct group *found = getgrnam(group);
    if (found != NULL)
        l->gid = found->gr_gid;
    else if (!limits_is_number(group, &l->gid))
        worker_exit(w, CONTRACT_EXIT_TEMPORARY,
                    "group = %s: there is no such group on this host: make it, or correct `group`",
                    group);
    l->change_group = true;
}

static void limits_read_rlimit(struct worker *w, const char *prefix, struct worker_limits *l,
                               const char *name, int resource)
{
    uint64_t value;
    const char *text = limits_setting(w, prefix, name);
    if (text == NULL || text_parse_u64(slice_of(text), &value) != 0)
        return;
    l->rlimits[l->rlimit_count++] = (struct worker_rlimit){resource, value};
}

/*
 * memory_max is the group's where the master may make groups: RLIMIT_AS counts what is reserved and never used, and
 * every process by itself.
 */
static void limits_read_memory(struct worker *w, const char *prefix, struct worker_limits *l)
{
    const char *text = limits_setting(w, prefix, "memory_max");
    const char *base = worker_setting(w, "platoon.cgroup");
    if (base == NULL || !cgroup_of_worker(base, worker_name(w), l->cgroup))
        limits_read_rlimit(w, prefix, l, "memory_max", RLIMIT_AS);
    else if (text == NULL || text_parse_u64(slice_of(text), &l->memory_max) != 0)
        l->memory_max = 0;
}

bool worker_limits_own_memory(const struct worker *w)
{
    return worker_setting(w, "command.argv.0") == NULL &&
           limits_setting(w, "limits", "memory_max") != NULL;
}

void worker_limits_read(struct worker *w, const char *prefix, struct worker_limits *l)
{
    *l = (struct worker_limits){0};
    limits_read_user(w, prefix, l);
    limits_read_group(w, prefix, l);
    const char *mask = limits_setting(w, prefix, "umask");
    l->umask = mask != NULL ? (int)strtol(mask, NULL, 8) : -1;
    const char *nice = limits_setting(w, prefix, "nice");
    l->nice = nice != NULL ? atoi(nice) : 0;
    limits_read_memory(w, prefix, l);
    limits_read_rlimit(w, prefix, l, "files_max", RLIMIT_NOFILE);
    limits_read_rlimit(w, prefix, l, "core_max", RLIMIT_CORE);
    const char *privs = limits_setting(w, prefix, "no_new_privs");
    l->no_new_privs = privs != NULL && strcmp(privs, "1") == 0;
}

static int limits_apply_rlimits(const struct worker_limits *l, const char **what)
{
    for (size_t i = 0; i < l->rlimit_count; i++) {
        const struct worker_rlimit *r = &l->rlimits[i];
        struct rlimit limit = {.rlim_cur = r->value, .rlim_max = r->value};
        *what = r->resource == RLIMIT_AS       ? "memory_max"
                : r->resource == RLIMIT_NOFILE ? "files_max"
                                               : "core_max";
        if (setrlimit((__rlimit_resource_t)r->resource, &limit) != 0)
            return errno;
    }
    return 0;
}

static int limits_apply_user(const struct worker_limits *l, const char **what)
{
    *what = l->user[0] != '\0' ? "user" : "group";
    /* Only who may change its user has groups to lose. */
    bool same = !l->change_user || l->uid == getuid();
    if (l->user[0] != '\0' && (!same || getuid() == 0) && initgroups(l->user, l->gid) != 0)
        return errno;
    if (l->change_group && setgid(l->gid) != 0)
        return errno;
    if (l->change_user && setuid(l->uid) != 0)
        return errno;
    return 0;
}

/*
 * HOME, USER and LOGNAME as a login of the user would have them; unchanged without one. Before the environment that
 * the settings name, which may say otherwise.
 */
static int limits_set_environment(const struct worker_limits *l)
{
    if (l->user[0] == '\0')
        return 0;
    if (setenv("HOME", l->home, 1) != 0 || setenv("USER", l->user, 1) != 0 ||
        setenv("LOGNAME", l->user, 1) != 0)
        return errno;
    return 0;
}

int worker_limits_apply(const struct worker_limits *l, const char **what)
{
    if (l->umask >= 0)
        umask((mode_t)l->umask);
    *what = "nice";
    if (l->nice != 0 && setpriority(PRIO_PROCESS, 0, l->nice) != 0)
        return errno;
    *what = "memory_max";
    int rc = l->memory_max != 0 ? -cgroup_enter(l->cgroup, l->memory_max) : 0;
    if (rc == 0)
        rc = limits_apply_rlimits(l, what);
    if (rc == 0)
        rc = limits_apply_user(l, what);
    if (rc != 0)
        return rc;
    *what = "no_new_privs";
    return l->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? errno : 0;
}

/* ---- a worker's own ---- */

static void limits_set_variable(const char *name, const char *value, void *ctx)
{
    (void)name;
    struct worker *w = ctx;
    char *copy = strdup(value);
    if (copy == NULL || putenv(copy) != 0)
        worker_exit_for(w, ENOMEM, NULL, "cannot set the environment");
}

void worker_limits_take(struct worker *w)
{
    struct worker_limits limits;
    const char *what = "", *dir = worker_setting(w, "limits.directory");
    worker_limits_read(w, "limits", &limits);
    if (limits_set_environment(&limits) != 0)
        worker_exit_for(w, ENOMEM, NULL, "cannot set the environment");
    worker_setting_each(w, "limits.env.", limits_set_variable, w);
    int error = worker_limits_apply(&limits, &what);
    worker_crash_watch_parent();
    if (error == 0 && dir != NULL && dir[0] != '\0' && chdir(dir) != 0) {
        what = "directory";
        error = errno;
    }
    if (error != 0)
        worker_exit(
            w, error == EPERM ? CONTRACT_EXIT_CONFIG : contract_exit_for(error), "%s%s%s: %s: %s",
            what, what[0] == 'd' ? " " : "", what[0] == 'd' ? dir : "", strerror(error),
            contract_is_shortage(error) ? contract_shortage_remedy(error) : "may platoon do that?");
}

/*
 * worker_enter.c has done it for one of the user's own, before a line of that one's ran; an older master does not know
 * it. To do it twice changes nothing.
 */
void worker_limits_enter(struct worker *w)
{
    if (worker_setting(w, "command.argv.0") != NULL)
        return; /* they are the program's */
    if (w->ops->mailbox != NULL &&
        (worker_setting(w, "limits.user") != NULL || worker_setting(w, "limits.group") != NULL))
        worker_exit(
            w, CONTRACT_EXIT_CONFIG,
            "user, group: a worker with a mailbox runs as platoon itself does, because only "
            "that user reaches the others' mailboxes: take them out, or run platoon as that user");
    worker_limits_take(w);
    const char *most = limits_setting(w, "limits", "memory_restart");
    if (most == NULL || text_parse_u64(slice_of(most), &w->memory_restart) != 0)
        w->memory_restart = 0;
}

void worker_limits_tick(struct worker *w)
{
    struct process_usage usage;
    char used[TEXT_NUMBER_SIZE], limit[TEXT_NUMBER_SIZE];
    if (w->memory_restart == 0)
        return;
    process_usage_read(getpid(), false, &usage);
    if (usage.rss_bytes > w->memory_restart)
        worker_exit(w, CONTRACT_EXIT_TEMPORARY, "used %s, more than memory_restart = %s",
                    text_format_size_short(usage.rss_bytes, used),
                    text_format_size_short(w->memory_restart, limit));
}
