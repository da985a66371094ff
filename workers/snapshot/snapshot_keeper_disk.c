/* snapshot_keeper_disk.c: what lies in the repository. See snapshot_keeper.h. */
#include "workers/snapshot/snapshot_keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISK_SHALLOW_MAX (16u * 1024 * 1024)

/* ---- whose it is ---- */

/* The parent of a process; 0: there is none such. */
static long disk_parent_of(long pid)
{
    char path[64];
    long parent = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%*d (%*[^)]) %*c %ld", &parent) != 1)
        parent = 0;
    fclose(f);
    return parent;
}

/*
 * Not by the lock itself: to try it would keep the store from it for that moment. The store that has it is a child of
 * our master, as we are.
 */
bool keeper_is_ours(const struct keeper *k)
{
    char path[PATH_MAX + 32];
    long pid = 0;
    snprintf(path, sizeof path, "%s/" SNAPSHOT_LOCK, k->path);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    if (fscanf(f, "%ld", &pid) != 1)
        pid = 0;
    fclose(f);
    return pid > 0 && disk_parent_of(pid) == (long)getppid();
}

/* ---- what there is ---- */

static bool disk_ends(const char *name, const char *with)
{
    size_t len = strlen(name), tail = strlen(with);
    return len > tail && strcmp(name + len - tail, with) == 0;
}

static void disk_measure_folder(int objects, const char *folder, bool loose,
                                struct keeper_disk *disk)
{
    int fd = openat(objects, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct stat st;
    if (dir == NULL && fd >= 0)
        close(fd);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        disk->bytes += (uint64_t)st.st_blocks * 512;
        disk->loose += loose && strlen(e->d_name) >= 38;
        disk->packs += !loose && disk_ends(e->d_name, ".pack");
    }
    if (dir != NULL)
        closedir(dir);
}

void keeper_measure(struct keeper *k, struct keeper_disk *disk)
{
    char path[PATH_MAX + 16], folder[8];
    *disk = (struct keeper_disk){0};
    snprintf(path, sizeof path, "%s/objects", k->path);
    int objects = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (objects < 0)
        return;
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof folder, "%02x", i);
        disk_measure_folder(objects, folder, true, disk);
    }
    disk_measure_folder(objects, "pack", false, disk);
    close(objects);
}

/* ---- what was left ---- */

static int disk_sweep_lock(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    if (type == FTW_F && disk_ends(path, ".lock"))
        unlink(path); /* one that stays is git's to complain of */
    return 0;
}

/* As git names what it has not yet renamed: of pack-objects, and of repack. */
static int disk_sweep_pack(const char *path, const struct stat *st, int type, struct FTW *at)
{
    const char *name = path + at->base;
    (void)st;
    if (type == FTW_F && (strncmp(name, "tmp_", 4) == 0 || strncmp(name, ".tmp-", 5) == 0))
        unlink(path);
    return 0;
}

/* Only where the store writes nothing: it may be at work. */
void keeper_sweep(const struct keeper *k)
{
    static const char *const locks[] = {"refs/tags", "refs/platoon", "packed-refs.lock"};
    char path[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", k->path, locks[i]);
        nftw(path, disk_sweep_lock, 16, FTW_PHYS);
    }
    snprintf(path, sizeof path, "%s/objects/pack", k->path);
    nftw(path, disk_sweep_pack, 16, FTW_PHYS);
}

/* ---- the file shallow ---- */

int keeper_read_shallow(const struct keeper *k, struct buffer *text)
{
    char path[PATH_MAX + 16];
    ssize_t n = 0;
    snprintf(path, sizeof path, "%s/shallow", k->path);
    buffer_clear(text);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int rc = 0;
    do {
        char *room = buffer_reserve(text, 65536);
        n = room != NULL ? read(fd, room, 65536) : 0;
        if (room == NULL || n < 0)
            rc = room == NULL ? -ENOMEM : -errno;
        if (n > 0)
            text->len += (size_t)n;
    } while (n > 0 && text->len <= DISK_SHALLOW_MAX);
    close(fd);
    return rc;
}

static int disk_write(int fd, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            text = slice_make(text.ptr + n, text.len - (size_t)n);
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/*
 * Whole, or as it was, and on the disk: what it cuts off is deleted next. For everybody to read who may read the
 * repository: so not by whole_file.
 */
int keeper_write_shallow(const struct keeper *k, struct slice text)
{
    char path[PATH_MAX + 16], made[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/shallow", k->path);
    snprintf(made, sizeof made, "%s/shallow.new", k->path);
    if (text.len == 0)
        return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int rc = disk_write(fd, text);
    close(fd);
    if (rc == 0 && rename(made, path) != 0)
        rc = -errno;
    if (rc != 0) {
        unlink(made);
        return rc;
    }
    fd = open(k->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return rc;
}
