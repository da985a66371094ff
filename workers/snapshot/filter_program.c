/*
 * filter_program.c: the command as its section has it. See filter_run.h.
 *
 * Between fork and exec nothing may be asked of memory or of the user database, for the mailbox has a thread: words,
 * variables and the user's groups are made when the worker starts.
 */
#include "workers/snapshot/filter_run.h"

#include "common/exec_fault.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

#define FILTER_GROUPS_MAX 65536
#define FILTER_RUN_VARS   1 /* PLATOON_COMMIT */

static void program_words(struct worker *w, const char *prefix, const char **list, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.argv.%zu", prefix, i);
        list[i] = worker_setting(w, name);
        if (list[i] == NULL)
            return;
    }
}

/* ---- variables ---- */

static bool variable_replace(struct filter_program *p, char *text)
{
    size_t len = strcspn(text, "=") + 1;
    for (size_t i = 0; i < p->variables; i++)
        if (strncmp(p->environment[i], text, len) == 0) {
            free(p->environment[i]);
            p->environment[i] = text;
            return true;
        }
    return false;
}

static bool variable_add(struct filter_program *p, char *text)
{
    char **grown = realloc(p->environment, (p->variables + FILTER_RUN_VARS + 2) * sizeof *grown);
    if (grown == NULL)
        return false;
    p->environment = grown;
    grown[p->variables++] = text;
    grown[p->variables] = NULL;
    return true;
}

/* In place of one of the same name. The string is taken over; NULL: memory was short. */
static void variable_put(struct filter_program *p, struct worker *w, char *text)
{
    bool good = text != NULL && (variable_replace(p, text) || variable_add(p, text));
    if (!good)
        worker_exit_for(w, ENOMEM, NULL, "cannot make the environment of the command");
}

static void variable_set(struct filter_program *p, struct worker *w, const char *name,
                         const char *value)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "%s=%s", name, value);
    variable_put(p, w, buffer_text(&text) != NULL ? buffer_take(&text, NULL) : NULL);
}

struct variables {
    struct filter_program *p;
    struct worker *w;
};

static void variable_own(const char *name, const char *value, void *ctx)
{
    struct variables *v = ctx;
    (void)name;
    variable_put(v->p, v->w, strdup(value));
}

static void program_variables(struct filter_program *p, struct worker *w, const char *prefix)
{
    struct variables own = {p, w};
    char name[64];
    snprintf(name, sizeof name, "%s.env.", prefix);
    for (char **at = environ; *at != NULL; at++)
        variable_put(p, w, strdup(*at));
    if (p->limits.user[0] != '\0') {
        variable_set(p, w, "HOME", p->limits.home);
        variable_set(p, w, "USER", p->limits.user);
        variable_set(p, w, "LOGNAME", p->limits.user);
    }
    worker_setting_each(w, name, variable_own, &own);
}

/* ---- rights ---- */

/* Only who may change its user has groups to lose. */
static void program_groups(struct filter_program *p, struct worker *w)
{
    struct worker_limits *l = &p->limits;
    int count = 64;
    if (l->user[0] == '\0' || getuid() != 0)
        return;
    for (;;) {
        int room = count;
        gid_t *groups = realloc(p->groups, (size_t)room * sizeof *groups);
        if (groups == NULL)
            worker_exit_for(w, ENOMEM, NULL, "cannot find the groups of %s", l->user);
        p->groups = groups;
        if (getgrouplist(l->user, l->gid, groups, &count) >= 0)
            break;
        if (count <= room || count > FILTER_GROUPS_MAX)
            worker_exit(w, CONTRACT_EXIT_CONFIG, "user = %s: it has more than %d groups", l->user,
                        FILTER_GROUPS_MAX);
    }
    p->group_count = (size_t)count;
}

void filter_program_read(struct filter_program *p, struct worker *w, const char *prefix,
                         const char *resource, bool whatif)
{
    char dir[64];
    snprintf(dir, sizeof dir, "%s.dir", prefix);
    program_words(w, prefix, p->argv, FILTER_WORDS_MAX);
    p->dir = worker_setting(w, dir);
    worker_limits_read(w, prefix, &p->limits);
    program_groups(p, w);
    program_variables(p, w, prefix);
    variable_set(p, w, "PLATOON_RESOURCE", resource);
    if (whatif)
        variable_set(p, w, "PLATOON_WHATIF", "1");
    p->limits.user[0] =
        '\0'; /* its groups are known: nobody is to be asked for them behind the fork */
}

void filter_program_free(struct filter_program *p)
{
    for (size_t i = 0; i < p->variables; i++)
        free(p->environment[i]);
    free(p->environment);
    free(p->groups);
}

/* ---- a start ---- */

/* In the child. */
static int program_enter(void *ctx)
{
    const struct filter_program *p = ctx;
    const char *what;
    if (p->groups != NULL && setgroups(p->group_count, p->groups) != 0)
        return errno;
    return worker_limits_apply(&p->limits, &what);
}

static void program_say(const struct filter_program *p, int error, struct buffer *why)
{
    const char *file = p->argv[0];
    buffer_printf(why, "cannot start %s: ", file);
    if (contract_is_shortage(error))
        buffer_printf(why, "%s: %s", strerror(error), contract_shortage_remedy(error));
    else if (error == EPERM)
        buffer_printf(why,
                      "its user, group, nice or a limit: %s: run platoon as root, or take it out",
                      strerror(error));
    else if (p->dir != NULL && p->dir[0] != '\0' && access(p->dir, X_OK) != 0)
        buffer_printf(why, "directory %s: %s: make it, or correct `directory`", p->dir,
                      strerror(errno));
    else if (strchr(file, '/') == NULL && error == ENOENT)
        buffer_append_text(why,
                           "it is in no directory of PATH: is it installed? Or write its path");
    else
        exec_fault_say(
            file, error,
            error == ENOENT ? "is it installed? Or correct `command`" : "correct `command`", why);
}

int filter_program_start(struct filter_program *p, const char *commit, struct child_process *child,
                         struct buffer *why)
{
    char variable[80];
    snprintf(variable, sizeof variable, "PLATOON_COMMIT=%s", commit);
    p->environment[p->variables] = variable;
    p->environment[p->variables + 1] = NULL;
    const struct child_options options = {.argv = p->argv,
                                          .folder =
                                              p->dir != NULL && p->dir[0] != '\0' ? p->dir : NULL,
                                          .environment = p->environment,
                                          .enter = program_enter,
                                          .ctx = p};
    int rc = child_process_start(&options, child);
    p->environment[p->variables] = NULL;
    if (rc != 0)
        program_say(p, -rc, why);
    return rc;
}
