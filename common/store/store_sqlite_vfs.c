/*
 * store_sqlite_vfs.c: how SQLite opens its files here: along a path that is walked, and not by its name. See
 * store_sqlite.h.
 *
 * A look at the path before the opening, and one after it, leave moments in which whoever may write a directory above
 * puts a link there, and what root makes or writes is somebody else's choice. So SQLite's open(2) is replaced by one
 * that opens what the walk has arrived at (trust.h); that holds for the database, its WAL, its index and what else
 * SQLite may open. It sees no links itself (lstat), because it would follow them before it opens anything; names it is
 * given are without any. Its SQLITE_OPEN_NOFOLLOW was rejected: it refuses /var/run as well.
 */
#include "common/store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The walk asks the user database, which is not for two threads at once. */
static pthread_mutex_t vfs_walking = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t vfs_once = PTHREAD_ONCE_INIT;

int store_sqlite_walk(const char *path, enum trust_rule rule, struct trust_path *t)
{
    pthread_mutex_lock(&vfs_walking);
    int rc = trust_walk(path, rule, t);
    pthread_mutex_unlock(&vfs_walking);
    return rc;
}

static int vfs_open(const char *path, enum trust_rule rule, int flags, int mode)
{
    struct trust_path t;
    if (path[0] != '/')
        return open(path, flags, mode);
    int rc = store_sqlite_walk(path, rule, &t);
    if (rc == 0)
        rc = openat(t.dir, t.name, flags | (t.magic ? 0 : O_NOFOLLOW), mode);
    else
        errno = -rc;
    int error = errno;
    trust_close(&t);
    errno = error;
    return rc < 0 ? -1 : rc;
}

int store_sqlite_open_file(const char *path, int flags, int mode)
{
    return vfs_open(path, TRUST_NO_LINKS, flags, mode);
}

/*
 * Whoever has put a link in the place of the file meanwhile, be it an administrator: SQLite would find the WAL beside
 * the link, and another process that beside the file.
 */
static int vfs_open_named(const char *path, int flags, int mode)
{
    return vfs_open(path, TRUST_NO_FOLLOW, flags, mode);
}

bool store_sqlite_real(const char *path, char real[PATH_MAX])
{
    struct trust_path t;
    if (store_sqlite_walk(path, TRUST_NO_LINKS, &t) != 0)
        return false;
    bool there = trust_real(&t, real) == 0 && faccessat(t.dir, t.name, F_OK, 0) == 0;
    trust_close(&t);
    return there;
}

static void vfs_replace(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    if (vfs == NULL || vfs->iVersion < 3 || vfs->xSetSystemCall == NULL)
        return;
    vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)vfs_open_named);
    vfs->xSetSystemCall(vfs, "lstat", (sqlite3_syscall_ptr)stat);
}

void store_sqlite_open_safely(void)
{
    pthread_once(&vfs_once, vfs_replace);
}
