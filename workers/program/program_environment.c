/*
 * program_environment.c: what the program finds in its environment: ours, without what is between the master and its
 * service manager, and with what its section, its user and its way to get ready say. See program_run.h.
 *
 * As a list beside ours, which stays as it is: the program's first step is taken in our memory (program_start.c), and
 * setenv would make pages of the C library our own that a thousand helpers share.
 */
#include "workers/program/program_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

#define ENVIRONMENT_OWN_MAX 8

/* Without a value: the program shall not have it. */
struct environment_variable {
    const char *name, *value;
};

struct environment_own {
    struct environment_variable list[ENVIRONMENT_OWN_MAX];
    size_t count;
    char notify_fd[16];
};

static void environment_say(struct environment_own *own, const char *name, const char *value)
{
    own->list[own->count++] = (struct environment_variable){name, value};
}

/* NOTIFY_SOCKET and WATCHDOG_USEC of ours are the master's affair; of a temporary child only that child is told. */
static void environment_collect(struct worker *w, const struct program_spec *program,
                                struct environment_own *own)
{
    own->count = 0;
    environment_say(own, "WATCHDOG_USEC", NULL);
    environment_say(own, "NOTIFY_SOCKET", program != NULL ? program->notify_socket : NULL);
    environment_say(own, CONTRACT_ENV_OWNER, worker_setting(w, "child.owner"));
    environment_say(own, CONTRACT_ENV_ARGUMENT, worker_setting(w, "child.argument"));
    if (program == NULL)
        return;
    if (program->notify_fd >= 0) {
        snprintf(own->notify_fd, sizeof own->notify_fd, "%d", program->notify_fd);
        environment_say(own, "NOTIFY_FD", own->notify_fd);
    }
    if (program->limits->user[0] != '\0') {
        environment_say(own, "HOME", program->limits->home);
        environment_say(own, "USER", program->limits->user);
        environment_say(own, "LOGNAME", program->limits->user);
    }
}

static size_t environment_count(char *const *list)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL)
        count++;
    return count;
}

static size_t environment_name_len(const char *variable)
{
    return strcspn(variable, "=");
}

/* Among those of the section, of which a later one wins. */
static bool environment_has(char *const *list, const char *name, size_t len)
{
    for (; list != NULL && *list != NULL; list++)
        if (environment_name_len(*list) == len && memcmp(*list, name, len) == 0)
            return true;
    return false;
}

static bool environment_owns(const struct environment_own *own, const char *name, size_t len)
{
    for (size_t i = 0; i < own->count; i++)
        if (strlen(own->list[i].name) == len && memcmp(own->list[i].name, name, len) == 0)
            return true;
    return false;
}

static size_t environment_text_size(const struct environment_own *own)
{
    size_t size = 0;
    for (size_t i = 0; i < own->count; i++)
        if (own->list[i].value != NULL)
            size += strlen(own->list[i].name) + strlen(own->list[i].value) + 2;
    return size;
}

char **program_environment_new(struct worker *w, const struct program_spec *program)
{
    struct environment_own own;
    char *const *section = program != NULL ? (char *const *)(uintptr_t)program->env : NULL;
    environment_collect(w, program, &own);
    size_t room = environment_count(environ) + own.count + environment_count(section) + 1;
    char **list = calloc(1, room * sizeof *list + environment_text_size(&own));
    if (list == NULL)
        return NULL;
    char *text = (char *)(list + room);
    size_t n = 0;
    for (char *const *at = environ; at != NULL && *at != NULL; at++) {
        size_t len = environment_name_len(*at);
        if (!environment_owns(&own, *at, len) && !environment_has(section, *at, len))
            list[n++] = *at;
    }
    for (size_t i = 0; i < own.count; i++) {
        const struct environment_variable *v = &own.list[i];
        if (v->value == NULL || environment_has(section, v->name, strlen(v->name)))
            continue;
        list[n++] = text;
        text = stpcpy(stpcpy(stpcpy(text, v->name), "="), v->value) + 1;
    }
    for (char *const *at = section; at != NULL && *at != NULL; at++)
        if (!environment_has(at + 1, *at, environment_name_len(*at)))
            list[n++] = *at;
    return list;
}

const char *program_environment_find(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}
