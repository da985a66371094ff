/* places.c: see places.h. */
#include "master/start/places.h"

#include "master/config/config_check_key.h"
#include "master/start/preflight.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Appends the next component of *rest, as mkdir -p would come to it. False: it has no room. */
static bool places_enter(char real[PATH_MAX], const char **rest)
{
    *rest += strspn(*rest, "/");
    size_t n = strcspn(*rest, "/"), len = strlen(real);
    const char *name = *rest;
    *rest += n;
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        char *slash = strrchr(real, '/');
        *(slash != NULL ? slash : real) = '\0';
    } else if (n > 0 && !(n == 1 && name[0] == '.')) {
        if (len + 1 + n >= PATH_MAX)
            return false;
        real[len] = '/';
        memcpy(real + len + 1, name, n);
        real[len + 1 + n] = '\0';
    }
    return true;
}

/* What it is called without links; what is not there yet keeps its words. "" is the root. */
static bool places_resolve(const char *path, char real[PATH_MAX])
{
    char there[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof there)
        return false;
    memcpy(there, path, len + 1);
    while (len > 0 && realpath(there, real) == NULL) {
        char *slash = strrchr(there, '/');
        len = slash != NULL ? (size_t)(slash - there) : 0;
        there[len] = '\0';
    }
    if (len == 0 || strcmp(real, "/") == 0)
        real[0] = '\0';
    for (const char *rest = path + len; *rest != '\0';)
        if (!places_enter(real, &rest))
            return false;
    return true;
}

bool places_same(const char *a, const char *b)
{
    char one[PATH_MAX], other[PATH_MAX];
    struct stat at_a, at_b;
    if (stat(a, &at_a) == 0 && stat(b, &at_b) == 0)
        return at_a.st_dev == at_b.st_dev && at_a.st_ino == at_b.st_ino;
    return places_resolve(a, one) && places_resolve(b, other) && strcmp(one, other) == 0;
}

int places_check(const struct config *c, struct buffer *error)
{
    char mbox[PATH_MAX];
    const struct config_section *s = config_platoon(c);
    const char *runtime = config_get(s, "runtime_dir"), *state = config_get(s, "state_dir");
    snprintf(mbox, sizeof mbox, "%s/mbox", runtime);
    bool is_mbox = places_same(mbox, state); /* a start removes all that is there */
    if (!is_mbox && !places_same(runtime, state))
        return 0;
    config_say(c, s, "state_dir", error,
               "state_dir %s: is %s, and what is kept must not stand among what a start removes: "
               "choose another",
               state, is_mbox ? "where the mailboxes of runtime_dir are" : "runtime_dir as well");
    return PREFLIGHT_CONFIG;
}
