/*
 * snapshot_keeper_watch.c: the folder in which a change of the branch is heard of. See snapshot_keeper.h.
 *
 * It is the one that the branch's file is in, which is replaced, not written; or, while that is not there, the nearest
 * above it, in which it will be made. A branch with a folder's name has none before its first version, and none again
 * when git has packed the refs (pack-refs, gc): it removes what is empty then. inotify knows a folder by its inode, not
 * by its path, so of one that is made anew it hears nothing.
 *
 * It is held open, so that one made anew cannot have the number of the one that was removed. That has a price: while it
 * is held the kernel does not tell that it was removed. So whoever watches asks, whenever it looks, and now and then.
 */
#include "workers/snapshot/snapshot_keeper.h"

#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_PATH_SIZE (PATH_MAX + 300)

/* The nearest that there is, never one above the repository; or a negative errno. */
static int watch_open(const struct keeper *k, char folder[WATCH_PATH_SIZE])
{
    int fd = -ENOENT;
    char *end;
    snprintf(folder, WATCH_PATH_SIZE, "%s/%s", k->path, k->branch);
    while (fd == -ENOENT && (end = strrchr(folder, '/')) != NULL &&
           (size_t)(end - folder) >= strlen(k->path)) {
        *end = '\0';
        fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            fd = errno == ENOTDIR ? -ENOENT : -errno;
    }
    return fd;
}

int keeper_watch_start(struct keeper *k, uv_fs_event_cb on_change)
{
    char folder[WATCH_PATH_SIZE];
    int fd = watch_open(k, folder);
    if (fd < 0)
        return fd;
    int rc = FAULT_POINT("snapshot.keeper-watch", slice_of(""))
                 ? UV_EMFILE
                 : uv_fs_event_start(&k->event, on_change, folder, 0);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    k->folder = fd;
    k->is_watched = true;
    return 0;
}

bool keeper_watch_is_right(const struct keeper *k)
{
    char folder[WATCH_PATH_SIZE];
    struct stat held, there;
    int fd = watch_open(k, folder);
    if (fd < 0)
        return false;
    bool same = fstat(k->folder, &held) == 0 && fstat(fd, &there) == 0 &&
                held.st_dev == there.st_dev && held.st_ino == there.st_ino;
    close(fd);
    return same;
}

void keeper_watch_stop(struct keeper *k)
{
    if (!k->is_watched)
        return;
    uv_fs_event_stop(&k->event);
    close(k->folder);
    k->is_watched = false;
}
