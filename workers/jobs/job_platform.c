/* job_platform.c: the platforms of a jobs section. See job_platform.h. */
#include "workers/jobs/job_platform.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool platform_is(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0;
}

bool job_platform_each(const char *folder, void (*fn)(struct slice id, const char *file, void *ctx),
                       void *ctx)
{
    char file[PATH_MAX];
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        size_t len = strcspn(name, ".");
        if (len == 0 || len > JOB_PLATFORM_MAX || name[0] == '_' ||
            strncmp(name, "base_", strlen("base_")) == 0)
            continue;
        int used = snprintf(file, sizeof file, "%s/%s", folder, name);
        if (used < (int)sizeof file && platform_is(file))
            fn(slice_make(name, len), file, ctx);
    }
    closedir(dir);
    return true;
}

struct platform_search {
    struct slice id;
    char *file;
    size_t size;
    unsigned found;
};

static void platform_look(struct slice id, const char *file, void *ctx)
{
    struct platform_search *s = ctx;
    if (slice_equal(id, s->id) && s->found++ == 0)
        snprintf(s->file, s->size, "%s", file);
}

bool job_platform_find(const char *folder, struct slice id, char *file, size_t size, char *why,
                       size_t why_size)
{
    struct platform_search search = {.id = id, .file = file, .size = size};
    int len = (int)(id.len < JOB_PLATFORM_MAX ? id.len : JOB_PLATFORM_MAX);
    if (!job_platform_each(folder, platform_look, &search))
        snprintf(why, why_size, "platform: %s cannot be read: %s", folder, strerror(errno));
    else if (search.found == 0)
        snprintf(why, why_size, "platform: there is no executable %.*s in %s", len, id.ptr, folder);
    else if (search.found > 1)
        snprintf(why, why_size, "platform: %.*s is there %u times in %s: take all but one out", len,
                 id.ptr, search.found, folder);
    else
        return true;
    return false;
}
