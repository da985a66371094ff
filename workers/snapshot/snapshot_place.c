/* snapshot_place.c: see snapshot_place.h. */
#include "workers/snapshot/snapshot_place.h"

#include <stdio.h>

void snapshot_place(const struct worker *w, char path[PATH_MAX])
{
    const char *given = worker_setting(w, "snapshot.path");
    if (given != NULL && given[0] != '\0')
        snprintf(path, PATH_MAX, "%s", given);
    else
        snprintf(path, PATH_MAX, "%s/%s.git", worker_setting_text(w, "platoon.state_dir"),
                 worker_setting_text(w, "snapshot.name"));
}
