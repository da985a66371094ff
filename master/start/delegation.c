/* delegation.c: the part of the cgroup v2 hierarchy that was given to this platoon. See delegation.h. */
#include "master/start/delegation.h"

#include "common/slice.h"
#include "common/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DELEGATION_MAIN "/platoon.main"

bool delegation_path(const char *proc_cgroup, char path[CGROUP_PATH_SIZE])
{
    for (const char *line = proc_cgroup; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (strncmp(line, "0::/", 4) == 0 && strncmp(line, "0::/..", 6) != 0)
            return slice_copy(slice_make(line + 3, n - 3), path, CGROUP_PATH_SIZE);
        line += n + (line[n] == '\n');
    }
    return false;
}

static bool delegation_mount(char *dir, size_t size)
{
    FILE *file = setmntent("/proc/self/mounts", "re");
    bool found = false;
    if (file == NULL)
        return false;
    for (struct mntent *m; !found && (m = getmntent(file)) != NULL;)
        found = strcmp(m->mnt_type, "cgroup2") == 0 && slice_copy(slice_of(m->mnt_dir), dir, size);
    endmntent(file);
    return found;
}

/* The directory of the group this process is in. */
static bool delegation_own(char own[CGROUP_PATH_SIZE])
{
    char text[4096], path[CGROUP_PATH_SIZE], mount[CGROUP_PATH_SIZE];
    if (cgroup_read("/proc/self", "cgroup", text, sizeof text) != 0 ||
        !delegation_path(text, path) || !delegation_mount(mount, sizeof mount))
        return false;
    int len = snprintf(own, CGROUP_PATH_SIZE, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    return len > 0 && len < CGROUP_PATH_SIZE;
}

/* This process, and no other. A longer list does not fit, and is not ours alone either. */
static bool delegation_is_alone(const char *own)
{
    char procs[64];
    if (cgroup_read(own, "cgroup.procs", procs, sizeof procs) != 0)
        return false;
    return strtol(procs, NULL, 10) == getpid() && strcspn(procs, "\n") + 1 == strlen(procs);
}

static bool delegation_has_memory(const char *own)
{
    char text[256];
    if (cgroup_read(own, "cgroup.controllers", text, sizeof text) != 0)
        return false;
    for (const char *word = strtok(text, " \n"); word != NULL; word = strtok(NULL, " \n"))
        if (strcmp(word, "memory") == 0)
            return true;
    return false;
}

/*
 * systemd marks what it gives away; only root can read the first. Whoever was not started by systemd
 * has no marks to look for.
 */
static bool delegation_is_ours_to_manage(const char *own)
{
    char mark;
    return getenv("INVOCATION_ID") == NULL ||
           (getxattr(own, "trusted.delegate", &mark, 1) == 1 && mark == '1') ||
           (getxattr(own, "user.delegate", &mark, 1) == 1 && mark == '1');
}

static int delegation_enter_main(const char *own)
{
    char path[CGROUP_PATH_SIZE + sizeof DELEGATION_MAIN];
    snprintf(path, sizeof path, "%s" DELEGATION_MAIN, own);
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return -errno;
    int rc = cgroup_write(path, "cgroup.procs", "0");
    if (rc == 0)
        rc = cgroup_write(own, "cgroup.subtree_control", "+memory");
    if (rc != 0)
        cgroup_write(own, "cgroup.procs", "0");
    if (rc != 0)
        rmdir(path);
    return rc;
}

bool delegation_take(char base[CGROUP_PATH_SIZE], char why[DELEGATION_WHY_SIZE])
{
    char own[CGROUP_PATH_SIZE];
    base[0] = '\0';
    const char *missing = NULL;
    if (!delegation_own(own))
        missing = "this process is in no group of cgroup v2";
    else if (!delegation_has_memory(own))
        missing = "its group of cgroup v2 has no memory controller";
    else if (!delegation_is_ours_to_manage(own))
        missing = "systemd keeps its group to itself: Delegate=memory gives it away";
    else if (!delegation_is_alone(own))
        missing = "other processes are in its group too";
    int rc = missing == NULL ? delegation_enter_main(own) : 0;
    if (missing == NULL && rc == 0) {
        memcpy(base, own, sizeof own);
        return true;
    }
    if (missing != NULL)
        snprintf(why, DELEGATION_WHY_SIZE, "%s", missing);
    else
        snprintf(why, DELEGATION_WHY_SIZE, "%.*s: %s", (int)utf8_cut(slice_of(own), 200), own,
                 strerror(-rc));
    return false;
}

void delegation_resume(char base[CGROUP_PATH_SIZE])
{
    char *last = delegation_own(base) ? strrchr(base, '/') : NULL;
    if (last == NULL || strcmp(last, DELEGATION_MAIN) != 0)
        last = base;
    *last = '\0';
}

void delegation_return(const char *base)
{
    char path[CGROUP_PATH_SIZE + 256];
    DIR *dir = base[0] != '\0' ? opendir(base) : NULL;
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        if (strncmp(e->d_name, "worker.", strlen("worker.")) == 0)
            cgroup_remove(path);
    }
    closedir(dir);
    cgroup_write(base, "cgroup.subtree_control", "-memory");
    cgroup_write(base, "cgroup.procs", "0");
    snprintf(path, sizeof path, "%s" DELEGATION_MAIN, base);
    rmdir(path);
}
