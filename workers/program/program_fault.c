/*
 * program_fault.c: why a program could not be started, in words that name the object, the cause and what helps. See
 * program_run.h; of the file itself exec_fault.h speaks.
 */
#include "workers/program/program_run.h"

#include "common/exec_fault.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool program_fault_passes(int error)
{
    return error != E2BIG && error != ENAMETOOLONG && error != EINVAL && error != EPERM;
}

/* What its environment says, ours unless the section has its own. */
static const char *fault_search_path(const struct program_spec *program)
{
    for (size_t i = 0; program->env[i] != NULL; i++)
        if (strncmp(program->env[i], "PATH=", 5) == 0)
            return program->env[i] + 5;
    const char *path = getenv("PATH");
    return path != NULL ? path : "/bin:/usr/bin";
}

/* Where program_start has found it; false when nowhere. */
static bool fault_find(const struct program_spec *program, char file[PATH_MAX])
{
    if (strchr(program->argv[0], '/') != NULL) {
        snprintf(file, PATH_MAX, "%s", program->argv[0]);
        return access(file, F_OK) == 0;
    }
    for (const char *path = fault_search_path(program); *path != '\0';) {
        size_t n = strcspn(path, ":");
        snprintf(file, PATH_MAX, "%.*s/%s", (int)n, path, program->argv[0]);
        if (access(file, F_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static void fault_say_file(const struct program_spec *program, int error, struct buffer *out)
{
    char file[PATH_MAX];
    bool by_name = strchr(program->argv[0], '/') == NULL;
    if (!fault_find(program, file) && by_name && error == ENOENT)
        buffer_printf(
            out, "it is in no directory of PATH: is it installed? Or write its path (PATH is %s)",
            fault_search_path(program)); /* last: it may be longer than a line */
    else
        exec_fault_say(
            file, error,
            error == ENOENT ? "is it installed? Or correct `command`" : "correct `command`", out);
}

static void fault_say_long(const struct program_spec *program, struct buffer *out)
{
    size_t bytes = 0, longest = 0;
    for (int list = 0; list < 2; list++)
        for (const char *const *at = list == 0 ? program->argv : program->env; *at != NULL; at++) {
            size_t n = strlen(*at) + 1;
            bytes += n;
            longest = n > longest ? n : longest;
        }
    buffer_printf(out,
                  "its arguments and variables are too long: %zu bytes, the longest has %zu, and "
                  "the kernel takes 131072 in one and %ld in all: hand it a file instead",
                  bytes, longest, sysconf(_SC_ARG_MAX));
}

/* Its own memory_max is nobody's shortage but its own. */
static const char *fault_make_room(const struct program_spec *program, int error)
{
    return error == ENOMEM && program->limits->memory_max != 0 ? "raise its memory_max"
                                                               : contract_shortage_remedy(error);
}

static void fault_say_itself(const struct program_spec *program, int error, struct buffer *out)
{
    if (error == E2BIG)
        fault_say_long(program, out);
    else if (contract_is_shortage(error))
        buffer_printf(out, "%s: %s", strerror(error), fault_make_room(program, error));
    else
        fault_say_file(program, error, out);
}

void program_fault_say(const struct program_spec *program, int error, const char *what,
                       struct buffer *out)
{
    buffer_printf(out, "cannot start %s: ", program->argv[0]);
    if (what[0] == '\0')
        fault_say_itself(program, error, out);
    else if (strcmp(what, "directory") == 0)
        buffer_printf(out, "directory %s: %s: make it for its user, or correct `directory`",
                      program->dir, strerror(error));
    else if (error == EPERM)
        buffer_printf(out, "%s: %s: only root may do that: run platoon as root, or take it out",
                      what, strerror(error));
    else if (contract_is_shortage(error))
        buffer_printf(out, "%s: %s: %s", what, strerror(error), fault_make_room(program, error));
    else
        buffer_printf(out, "%s: %s: it is tried again", what, strerror(error));
}
