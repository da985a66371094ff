/* job_platform.c: the platforms of a jobs section. See job_platform.h. */
#include "workers/jobs/job_platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool platform_has_interpreter(const char *file)
{
    char begin[2] = "";
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, begin, sizeof begin) : -1;
    if (fd >= 0)
        close(fd);
    return n == sizeof begin && begin[0] == '#' && begin[1] == '!';
}

enum job_platform_kind job_platform_kind(const char *file)
{
    struct stat st;
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode))
        return JOB_PLATFORM_NONE;
    size_t len = strlen(file);
    bool runs = access(file, X_OK) == 0, python = len > 3 && strcmp(file + len - 3, ".py") == 0;
    if (python && !(runs && platform_has_interpreter(file)))
        return JOB_PLATFORM_CLASS;
    return runs ? JOB_PLATFORM_PROGRAM : JOB_PLATFORM_NONE;
}

bool job_platform_python(char *folder, size_t size)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 3; up++) { /* PREFIX/libexec/platoon/PROGRAM */
        char *slash = strrchr(exe, '/');
        if (slash == NULL)
            return false;
        *slash = '\0';
    }
    int used = snprintf(folder, size, "%s/share/platoon/python", exe);
    return used > 0 && (size_t)used < size && access(folder, X_OK) == 0;
}

/* only: of one id; NULL: all. */
static bool platform_walk(const char *folder, const struct slice *only,
                          void (*fn)(struct slice id, const char *file, void *ctx), void *ctx)
{
    char file[PATH_MAX];
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        size_t len = strcspn(name, ".");
        if (len == 0 || len > JOB_PLATFORM_MAX || name[0] == '_' ||
            strncmp(name, "base_", strlen("base_")) == 0 ||
            (only != NULL && !slice_equal(slice_make(name, len), *only)))
            continue;
        int used = snprintf(file, sizeof file, "%s/%s", folder, name);
        if (used < (int)sizeof file && job_platform_kind(file) != JOB_PLATFORM_NONE)
            fn(slice_make(name, len), file, ctx);
    }
    closedir(dir);
    return true;
}

bool job_platform_each(const char *folder, void (*fn)(struct slice id, const char *file, void *ctx),
                       void *ctx)
{
    return platform_walk(folder, NULL, fn, ctx);
}

struct platform_search {
    char *file;
    size_t size;
    unsigned found;
};

static void platform_look(struct slice id, const char *file, void *ctx)
{
    struct platform_search *s = ctx;
    (void)id;
    if (s->found++ == 0)
        snprintf(s->file, s->size, "%s", file);
}

int job_platform_find(const char *folder, struct slice id, char *file, size_t size, char *why,
                      size_t why_size)
{
    struct platform_search search = {.file = file, .size = size};
    int len = (int)(id.len < JOB_PLATFORM_MAX ? id.len : JOB_PLATFORM_MAX);
    if (!platform_walk(folder, &id, platform_look, &search)) {
        int rc = -errno;
        snprintf(why, why_size, "platform: %s cannot be read: %s", folder, strerror(-rc));
        return rc;
    }
    if (search.found == 0)
        snprintf(why, why_size, "platform: there is no %.*s in %s that can be run", len, id.ptr,
                 folder);
    else if (search.found > 1)
        snprintf(why, why_size, "platform: %.*s is there %u times in %s: take all but one out", len,
                 id.ptr, search.found, folder);
    return search.found == 1 ? 0 : search.found == 0 ? -ENOENT : -EEXIST;
}
