/* http_static.c: see http_static.h. */
#include "common/http/http_static.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATIC_PATH_MAX 1024

const char *http_static_type(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".htm", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".csv", "text/csv; charset=utf-8"},
        {".tsv", "text/tab-separated-values; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".ico", "image/x-icon"},
        {".webp", "image/webp"},
        {".woff2", "font/woff2"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
    };
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcasecmp(ending, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* No empty part, and none that begins with a dot: `..` is one of these. */
static bool static_is_clean(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/'))
        if (at[1] == '.' || at[1] == '/')
            return false;
    return true;
}

static int static_open_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
    if (fd >= 0)
        return fd;
    bool none = errno == EXDEV || errno == ENOTDIR || errno == EACCES || errno == ELOOP ||
                errno == ENAMETOOLONG || errno == ENXIO;
    return none ? -ENOENT : -errno;
}

int http_static_open(const char *folder, const char *path, struct http_static *out)
{
    char name[STATIC_PATH_MAX];
    size_t len = strlen(path);
    struct stat st;
    if (!static_is_clean(path))
        return -ENOENT;
    int n = snprintf(name, sizeof name, "%s%s", path + 1, path[len - 1] == '/' ? "index.html" : "");
    if (n >= (int)sizeof name)
        return -ENOENT;
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    int fd = static_open_beneath(at, name);
    close(at);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -ENOENT;
    }
    *out = (struct http_static){fd, (uint64_t)st.st_size, http_static_type(name)};
    return 0;
}
