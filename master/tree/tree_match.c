/* tree_match.c: see tree_match.h. */
#include "master/tree/tree_match.h"

#include <fnmatch.h>
#include <string.h>

bool tree_name_matches(const char *worker, const char *name)
{
    size_t len = strlen(name);
    return len == 0 ||
           (strncmp(worker, name, len) == 0 && (worker[len] == '\0' || worker[len] == '/')) ||
           (strpbrk(name, "*?") != NULL && fnmatch(name, worker, 0) == 0);
}
