/*
 * preflight_core.c: what the runtime's own sections need from outside of the file: the place of the log, a limit that
 * can be kept, a store's directory and credentials. See systems_tree.h.
 *
 * Runs in the master and in the tool, before a start, a reload, or for a check.
 */
#include "master/systems_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* A start without its log is refused (reload_log), which a check must know; a running master goes on as before. */
void preflight_log(const struct config_section *s, struct preflight_findings *f)
{
    char path[PATH_MAX];
    const char *to = config_get(s, "log_to");
    bool fits = preflight_log_path(f->c, f->p->state_dir, path, sizeof path);
    bool given = config_get(s, "log_path")[0] != '\0';
    if (strcmp(to, "stderr") == 0 || (fits && !given && strcmp(to, "file") == 0))
        return; /* state_dir is made, and looked at, by itself */
    char *slash = strrchr(path, '/');
    bool there = fits && access(path, W_OK) == 0;
    int error = !fits ? ENAMETOOLONG : there ? 0 : errno;
    if (error == ENOENT && strcmp(to, "file") == 0 && slash != NULL && slash > path) {
        *slash = '\0';
        error = access(path, W_OK | X_OK) == 0 ? 0 : errno;
        *slash = '/';
    }
    if (error != 0)
        preflight_found(f, f->when == PREFLIGHT_RUNNING ? PREFLIGHT_PASSING : PREFLIGHT_CONFIG, s,
                        given ? "log_path" : "log_to", "log_path: %s: %s: log_to = %s needs it",
                        path, strerror(error), to);
}

/* What a worker of ours reserves, mostly for the stacks of its threads, and does not use. */
#define PREFLIGHT_RESERVES "500 MB"
#define PREFLIGHT_LEAST    (UINT64_C(512) << 20)

void preflight_worker_memory(const struct config_section *s, struct preflight_findings *f)
{
    uint64_t most =
        config_get(s, "worker_memory_max")[0] != '\0' ? config_get_u64(s, "worker_memory_max") : 0;
    if (most != 0 && most < PREFLIGHT_LEAST && f->p->cgroup[0] == '\0')
        preflight_found(f, PREFLIGHT_PASSING, s, "worker_memory_max",
                        "worker_memory_max: %" PRIu64
                        "MB cannot work where platoon was not given its cgroup: "
                        "it counts address space there, of which a worker reserves up "
                        "to " PREFLIGHT_RESERVES ": 1GB, or worker_memory_restart, or none",
                        most >> 20);
}

/* ---- stores ---- */

static void preflight_store_directory(const struct config_section *s, struct preflight_findings *f)
{
    struct stat st;
    const char *path = config_get(s, "path");
    int error = stat(path, &st) != 0                    ? errno
                : !S_ISDIR(st.st_mode)                  ? ENOTDIR
                : access(path, R_OK | W_OK | X_OK) != 0 ? errno
                                                        : 0;
    if (error != 0)
        preflight_found(f, PREFLIGHT_PASSING, s, "path",
                        "path: %s: %s: nothing is stored or loaded until it is a directory that "
                        "platoon may write",
                        path, strerror(error));
}

/* Never what stands in it. That it cannot be read is said of all files that are named (preflight.c). */
static void preflight_store_credentials(const struct config_section *s,
                                        struct preflight_findings *f)
{
    struct stat st;
    const char *path = config_get(s, "credentials_file");
    if (access(path, R_OK) != 0 || stat(path, &st) != 0)
        return;
    if (!S_ISREG(st.st_mode))
        preflight_found(f, PREFLIGHT_PASSING, s, "credentials_file",
                        "credentials_file: %s: no regular file: nothing is stored or loaded until "
                        "it is one that platoon may read",
                        path);
    else if ((st.st_mode & 077) != 0)
        preflight_found(f, PREFLIGHT_PASSING, s, "credentials_file",
                        "credentials_file: %s can be read by others: chmod 600 %s", path, path);
}

/* Nothing is refused for it: it may come, and its worker says the same until then. */
void preflight_store(const struct config_section *s, struct preflight_findings *f)
{
    if (strcmp(config_get(s, "type"), "file") == 0)
        preflight_store_directory(s, f);
    else if (strcmp(config_get(s, "type"), "s3") == 0)
        preflight_store_credentials(s, f);
}
