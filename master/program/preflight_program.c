/*
 * preflight_program.c: what a program section names outside of the file: its program, its directory, its user. See
 * systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check. All of it may come later, and its
 * worker tries again: so it is a warning. What the worker finds is told by program_fault.c there, of the process.
 */
#include "master/program/preflight_program.h"

#include "master/program/config_check_program.h"
#include "master/systems_tree.h"

#include "common/words.h"
#include "master/config/config_check_key.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its first process' stands for all. */
#define PREFLIGHT_NUMBER 1

static const char preflight_again[] = "it is tried again until it is there";

/* A PATH of the program's own is not ours to search. */
static bool preflight_has_path(const struct config_section *s)
{
    struct buffer words = BUFFER_EMPTY;
    bool has = false;
    if (words_split(slice_of(config_get(s, "environment")), CONFIG_WORDS_MAX, &words) > 0)
        for (const char *w = words_next(&words, 0, NULL); w != NULL; w = words_next(&words, 0, w))
            has = has || config_check_starts(w, "PATH=");
    buffer_fini(&words);
    return has;
}

static void preflight_words(const struct config_section *s, struct preflight_findings *f, int count,
                            const struct buffer *words)
{
    struct stat st;
    const char *program = count > 0 ? words_next(words, 0, NULL) : NULL;
    bool path = program != NULL && strchr(program, '/') != NULL;
    int rc =
        program == NULL || (!path && preflight_has_path(s)) ? 0 : preflight_find_program(program);
    if (rc == 0 && path && stat(program, &st) == 0 && S_ISDIR(st.st_mode))
        preflight_found(f, PREFLIGHT_PASSING, s, "command", "command: %s: is a directory", program);
    else if (rc != 0 && !path)
        preflight_found(f, PREFLIGHT_PASSING, s, "command",
                        "command: %s: is in no directory of PATH: install it: %s", program,
                        preflight_again);
    else if (rc != 0)
        preflight_found(f, PREFLIGHT_PASSING, s, "command", "command: %s: %s: %s", program,
                        strerror(-rc), preflight_again);
}

static void preflight_command(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer words = BUFFER_EMPTY;
    bool worker = config_get_u64(s, "worker") != 0; /* preflight.c looks for it, and refuses */
    int count = worker ? 0 : config_program_command(f->c, s, PREFLIGHT_NUMBER, &words);
    preflight_words(s, f, count, &words);
    buffer_fini(&words);
}

static void preflight_directory(const struct config_section *s, const char *key, const char *path,
                                struct preflight_findings *f)
{
    struct stat st;
    int error = path[0] == '\0' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) ? 0 : errno;
    if (path[0] != '\0' && error == 0 && !S_ISDIR(st.st_mode))
        error = ENOTDIR;
    if (error != 0)
        preflight_found(f, PREFLIGHT_PASSING, s, key, "%s: %s: %s: make it: %s", key, path,
                        strerror(error), preflight_again);
}

static void preflight_log_dir(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer path = BUFFER_EMPTY;
    words_expand_number(config_get(s, "log_file"), PREFLIGHT_NUMBER, &path);
    char *slash = buffer_text(&path) != NULL ? strrchr(path.data, '/') : NULL;
    if (slash != NULL && slash > path.data) {
        *slash = '\0';
        preflight_directory(s, "log_file", path.data, f);
    }
    buffer_fini(&path);
}

/* Digits are numbers, which need no name. */
static bool preflight_is_number(const char *name)
{
    return name[strspn(name, "0123456789")] == '\0';
}

static void preflight_user(const struct config_section *s, struct preflight_findings *f)
{
    const char *user = config_get(s, "user"), *group = config_get(s, "group");
    if (!preflight_is_number(user) && getpwnam(user) == NULL)
        preflight_found(f, PREFLIGHT_PASSING, s, "user",
                        "user: %s: there is no such user on this host: make it: %s", user,
                        preflight_again);
    if (!preflight_is_number(group) && getgrnam(group) == NULL)
        preflight_found(f, PREFLIGHT_PASSING, s, "group",
                        "group: %s: there is no such group on this host: make it: %s", group,
                        preflight_again);
}

void preflight_program(const struct config_section *s, struct preflight_findings *f)
{
    preflight_command(s, f);
    preflight_directory(s, "directory", config_get(s, "directory"), f);
    preflight_log_dir(s, f);
    preflight_user(s, f);
}

void preflight_program_foreign(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer words = BUFFER_EMPTY;
    int count = config_program_words(f->c, slice_of(config_get(s, "command")), &words);
    preflight_words(s, f, count, &words);
    preflight_directory(s, "directory", config_get(s, "directory"), f);
    preflight_user(s, f);
    buffer_fini(&words);
}
