/* backing_file_store.c: see backing_file_store.h. */
#include "workers/cache/backing/backing_file_store.h"

#include "common/clock.h"
#include "common/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define STORE_ATTRIBUTE  "user.platoon"
#define STORE_TEMPORARY  BACKING_MARK_TEMPORARY
#define STORE_NAME_SIZE  32
#define STORE_LOCK       ".lock"
#define STORE_LOCK_STEPS 50 /* ms, longest pause between two tries */

/* What an object's file lies in, and is called there. */
struct store_place {
    int root, dir; /* -1: not open */
    int lock;
    const char *name;
    char temporary[STORE_NAME_SIZE]; /* in root; "": none */
};

/* ---- what an error means ---- */

struct store_error {
    int error;
    enum backing_result result;
    const char *remedy;
};

static const struct store_error store_errors[] = {
    {ENOSPC, BACKING_FORBIDDEN, "make room on its file system"},
    {EDQUOT, BACKING_FORBIDDEN, "raise the quota of platoon's user, or make room"},
    {EIO, BACKING_FORBIDDEN, "its disk fails: see the kernel's log, replace it"},
    {EROFS, BACKING_FORBIDDEN, "mount its file system for writing"},
    {EACCES, BACKING_FORBIDDEN, "give the directory and all in it to platoon's user (chown -R)"},
    {EPERM, BACKING_FORBIDDEN, "give the directory and all in it to platoon's user (chown -R)"},
    {ENOENT, BACKING_FORBIDDEN, "make the directory that path names, or mount what belongs there"},
    {ENOTDIR, BACKING_FORBIDDEN, "path must name a directory, and nothing else may lie in it"},
    {EOPNOTSUPP, BACKING_FORBIDDEN,
     "path must lie on a file system with locks and user attributes: ext4, xfs, btrfs, zfs, tmpfs "
     "since "
     "Linux 6.6"},
    {ENOLCK, BACKING_FORBIDDEN, "let its server give locks (NFS: rpc.statd, lockd)"},
    {EXDEV, BACKING_FORBIDDEN, "all directories in path must lie on path's own file system"},
    {ENAMETOOLONG, BACKING_REFUSED, "path is too long, or its file system takes short names only"},
    {ELOOP, BACKING_REFUSED, "it is a link: take it away"},
    {EISDIR, BACKING_REFUSED, "it is a directory: take it away"},
    {EFBIG, BACKING_REFUSED, "the file system, or a limit on platoon, takes no file of that size"},
};

static void store_fail(struct backing_file_job *job, const char *object, int rc)
{
    const struct store_error *known = NULL;
    for (size_t i = 0; i < sizeof store_errors / sizeof *store_errors; i++)
        if (store_errors[i].error == -rc)
            known = &store_errors[i];
    job->result = known != NULL ? known->result : BACKING_AWAY;
    snprintf(job->why, sizeof job->why, "%.250s%s%.250s: %s%s%s", job->path,
             object[0] != '\0' ? "/" : "", object, strerror(-rc), known != NULL ? ": " : "",
             known != NULL ? known->remedy : "");
}

static void store_say(struct backing_file_job *job, enum backing_result result, const char *text)
{
    job->result = result;
    snprintf(job->why, sizeof job->why, "%.250s/%.250s: %s", job->path, job->name, text);
}

/* ---- files ---- */

static int store_sync(int fd)
{
    while (fsync(fd) != 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int store_open(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    return fd >= 0 ? fd : -errno;
}

static int store_write(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        n = n < 0 ? 0 : n;
        bytes = slice_make(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return 0;
}

/* The attribute of an open file. 0, *meta BACKING_META_NONE where there is none; -EBADMSG; another negative errno. */
static int store_read_meta(int fd, struct backing_meta *meta)
{
    char text[BACKING_META_SIZE];
    ssize_t n = fgetxattr(fd, STORE_ATTRIBUTE, text, sizeof text);
    *meta = BACKING_META_NONE;
    if (n < 0)
        return errno == ENODATA ? 0 : errno == ERANGE ? -EBADMSG : -errno;
    return backing_meta_read(slice_make(text, (size_t)n), meta) ? 0 : -EBADMSG;
}

/* Opens an object's file: its descriptor, -ENOENT, or a negative errno. */
static int store_open_object(const struct store_place *p, struct stat *stat,
                             struct backing_meta *meta)
{
    int fd = store_open(p->dir, p->name, O_RDONLY);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, stat) != 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(stat->st_mode))
        rc = S_ISDIR(stat->st_mode) ? -EISDIR : -ENXIO; /* as of a socket, which open refuses */
    if (rc == 0)
        rc = store_read_meta(fd, meta);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static void store_fail_object(struct backing_file_job *job, int rc)
{
    if (rc == -EBADMSG)
        store_say(job, BACKING_REFUSED,
                  "its attribute user.platoon is damaged: without it (setfattr -x user.platoon "
                  "FILE) the file is an object of the oldest version");
    else if (rc == -ENXIO)
        store_say(job, BACKING_REFUSED, "it is a pipe, a socket or a device: take it away");
    else
        store_fail(job, job->name, rc);
}

/* ---- waiting for another process ---- */

static bool store_is_late(const struct backing_file_job *job)
{
    return atomic_load(job->given_up) || clock_mono_ms() >= job->deadline_ms;
}

/*
 * Before what another has is tried again. A thread that waits in flock could not be ended: a process that was stopped
 * while it held the lock would keep ours from ending too. False: the request's time is over.
 */
static bool store_wait(const struct backing_file_job *job, unsigned *ms)
{
    if (store_is_late(job))
        return false;
    nanosleep(&(struct timespec){.tv_nsec = (long)*ms * 1000000}, NULL);
    *ms = *ms * 2 < STORE_LOCK_STEPS ? *ms * 2 : STORE_LOCK_STEPS;
    return true;
}

/* ---- the place ---- */

static void store_close(struct store_place *p)
{
    if (p->temporary[0] != '\0')
        unlinkat(p->root, p->temporary, 0);
    if (p->lock >= 0)
        close(p->lock);
    if (p->dir >= 0)
        close(p->dir);
    if (p->root >= 0)
        close(p->root);
}

static int store_make_dir(const struct store_place *p, const char *hh)
{
    if (mkdirat(p->root, hh, 0700) != 0 && errno != EEXIST)
        return -errno;
    return store_sync(p->root);
}

static int store_look(struct backing_file_job *job, int root)
{
    int rc;
    unsigned ms = 1;
    do
        rc = backing_file_mark_look(job->mark, root, job->why, sizeof job->why);
    while (rc == -EAGAIN && store_wait(job, &ms));
    return rc;
}

/* PATH's descriptor, once it is known to be the store; -1: told in the job. */
static int store_open_root(struct backing_file_job *job)
{
    int root = open(job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = root < 0 ? -errno : store_look(job, root);
    if (rc == 0)
        return root;
    if (rc == -ESTALE && job->why[0] != '\0')
        job->result = BACKING_FORBIDDEN;
    else
        store_fail(job, root < 0 ? "" : BACKING_MARK, rc);
    if (root >= 0)
        close(root);
    return -1;
}

/* Opens PATH and PATH/hh; with `make`, it is made. 0; -ENOENT: only hh is not there; false: told in the job. */
static bool store_open_place(struct backing_file_job *job, struct store_place *p, bool make)
{
    char hh[3] = {job->name[0], job->name[1], '\0'};
    *p = (struct store_place){.root = -1, .dir = -1, .lock = -1, .name = job->name + 3};
    p->root = store_open_root(job);
    if (p->root < 0)
        return false;
    p->dir = store_open(p->root, hh, O_RDONLY | O_DIRECTORY);
    if (p->dir == -ENOENT && make) {
        int rc = store_make_dir(p, hh);
        p->dir = rc == 0 ? store_open(p->root, hh, O_RDONLY | O_DIRECTORY) : rc;
    }
    if (p->dir >= 0)
        return true;
    if (p->dir == -ENOENT && !make)
        job->result = job->kind == BACKING_FILE_GET ? BACKING_ABSENT : BACKING_DONE;
    else
        store_fail(job, hh, p->dir);
    store_close(p);
    return false;
}

static int store_lock(const struct backing_file_job *job, struct store_place *p)
{
    p->lock = store_open(p->dir, STORE_LOCK, O_RDWR | O_CREAT);
    if (p->lock < 0)
        return p->lock;
    for (unsigned ms = 1; flock(p->lock, LOCK_EX | LOCK_NB) != 0;) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (!store_wait(job, &ms))
            return -ETIMEDOUT;
    }
    return store_is_late(job) ? -ETIMEDOUT : 0;
}

/* ---- temporary files ---- */

/* Locked for as long as it is open: by that the sweep knows that it has an owner. */
static int store_make_temporary(struct store_place *p)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EAGAIN;
    snprintf(p->temporary, sizeof p->temporary, STORE_TEMPORARY "%016" PRIx64, random);
    int fd = store_open(p->root, p->temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        p->temporary[0] = '\0';
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = -errno; /* the sweep has it, or there are no locks there */
        close(fd);
        return rc;
    }
    return fd;
}

static int store_fill_temporary(const struct backing_file_job *job, int fd)
{
    char text[BACKING_META_SIZE];
    backing_meta_write(&job->meta, text);
    if (fsetxattr(fd, STORE_ATTRIBUTE, text, strlen(text), 0) != 0)
        return -errno;
    int rc = store_write(fd, buffer_slice(&job->value));
    return rc == 0 ? store_sync(fd) : rc;
}

/* Who takes its name away, when its owner is just about to lock it, costs that owner one more try. */
static void store_sweep(const struct store_place *p)
{
    int fd = openat(p->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strncmp(entry->d_name, STORE_TEMPORARY, strlen(STORE_TEMPORARY)) != 0)
            continue;
        int left = store_open(p->root, entry->d_name, O_RDONLY);
        if (left >= 0 && flock(left, LOCK_EX | LOCK_NB) == 0)
            unlinkat(p->root, entry->d_name, 0);
        if (left >= 0)
            close(left);
    }
    closedir(dir);
}

/* ---- put ---- */

/* What is there: true when ours may take its place, else the job's result is set. */
static bool store_may_replace(struct backing_file_job *job, const struct store_place *p)
{
    struct stat stat;
    struct backing_meta there = BACKING_META_NONE;
    int fd = store_open_object(p, &stat, &there);
    if (fd == -ENOENT)
        return true;
    if (fd < 0) {
        store_fail_object(job, fd);
        return false;
    }
    close(fd);
    if (there.version < job->meta.version)
        return true;
    job->result = there.version == job->meta.version ? BACKING_DONE : BACKING_NEWER;
    job->meta.version = there.version;
    return false;
}

/* Under the lock. */
static int store_replace(struct backing_file_job *job, struct store_place *p)
{
    /* A version that is there already may have been renamed by one who died before the directory was synced. */
    if (store_may_replace(job, p)) {
        if (FAULT_POINT("backing.written", slice_of(job->name)))
            return -EIO;
        if (renameat(p->root, p->temporary, p->dir, p->name) != 0)
            return errno == ENOENT ? -EAGAIN : -errno;
        p->temporary[0] = '\0';
        job->result = BACKING_DONE;
        if (FAULT_POINT("backing.renamed", slice_of(job->name)))
            return -EIO;
    }
    return job->result == BACKING_DONE ? store_sync(p->dir) : 0;
}

/* The bytes are on the disk before the lock is taken: it is held for a rename and a sync of the directory. */
static int store_write_new(struct backing_file_job *job, struct store_place *p)
{
    int fd = store_make_temporary(p);
    int rc = fd < 0 ? fd : store_fill_temporary(job, fd);
    if (rc == 0)
        rc = store_lock(job, p);
    if (rc == 0)
        rc = store_replace(job, p);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* What is older than what is there is not even written. */
static void store_put(struct backing_file_job *job)
{
    struct store_place p;
    int rc = 0;
    if (!store_open_place(job, &p, true))
        return;
    if (store_may_replace(job, &p))
        rc = store_write_new(job, &p);
    else if (job->result == BACKING_DONE)
        rc = store_sync(p.dir);
    if (rc != 0)
        store_fail(job, job->name, rc);
    store_close(&p);
}

/* ---- get, erase, check ---- */

static int store_read(struct backing_file_job *job, int fd, size_t size)
{
    /* A file that grows meanwhile is a person's, who writes in its place: what it was is right as well. */
    while (job->value.len < size) {
        char *to = buffer_reserve(&job->value, size - job->value.len);
        if (to == NULL)
            return -ENOMEM;
        ssize_t n = read(fd, to, size - job->value.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        job->value.len += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void store_get(struct backing_file_job *job)
{
    struct store_place p;
    struct stat stat;
    if (!store_open_place(job, &p, false))
        return;
    int fd = store_open_object(&p, &stat, &job->meta);
    int rc = 0;
    if (fd == -ENOENT) {
        job->result = BACKING_ABSENT;
    } else if (fd < 0) {
        store_fail_object(job, fd);
    } else if (job->meta.deleted) {
        job->result = BACKING_ABSENT;
    } else if ((uint64_t)stat.st_size > job->value_max) {
        store_say(job, BACKING_REFUSED, "it is larger than object_max: take it away");
    } else {
        job->result = BACKING_DONE;
        rc = store_read(job, fd, (size_t)stat.st_size);
    }
    if (rc != 0)
        store_fail(job, job->name, rc);
    if (fd >= 0)
        close(fd);
    store_close(&p);
}

/* Under the lock. */
static int store_unlink(struct backing_file_job *job, const struct store_place *p)
{
    struct stat stat;
    struct backing_meta there;
    int fd = store_open_object(p, &stat, &there);
    job->result = BACKING_DONE;
    if (fd < 0)
        return fd == -ENOENT ? store_sync(p->dir) : fd;
    close(fd);
    if (there.version != job->meta.version || !there.deleted) {
        job->result = BACKING_NEWER;
        job->meta.version = there.version;
        return 0;
    }
    return unlinkat(p->dir, p->name, 0) != 0 ? -errno : store_sync(p->dir);
}

static void store_erase(struct backing_file_job *job)
{
    struct store_place p;
    if (!store_open_place(job, &p, false))
        return;
    int rc = store_lock(job, &p);
    if (rc == 0)
        rc = store_unlink(job, &p);
    if (rc != 0)
        store_fail_object(job, rc);
    store_close(&p);
}

/* Whether files can be made, carry the attribute and can be synced there; and takes away what was left. */
static void store_check(struct backing_file_job *job)
{
    struct store_place p = {.root = store_open_root(job), .dir = -1, .lock = -1};
    if (p.root < 0)
        return;
    store_sweep(&p);
    job->meta.version = 1;
    int fd = store_make_temporary(&p);
    int rc = fd < 0 ? fd : store_fill_temporary(job, fd);
    if (rc == 0)
        rc = store_sync(p.root);
    job->result = BACKING_DONE;
    if (rc != 0)
        store_fail(job, "", rc);
    if (rc == -EOPNOTSUPP)
        job->result = BACKING_REFUSED;
    if (fd >= 0)
        close(fd);
    store_close(&p);
    if (rc == 0)
        job->not_remembered = backing_file_mark_remember(job->mark);
}

void backing_file_run(struct backing_file_job *job)
{
    static void (*const runs[])(struct backing_file_job * job) = {
        [BACKING_FILE_CHECK] = store_check,
        [BACKING_FILE_PUT] = store_put,
        [BACKING_FILE_GET] = store_get,
        [BACKING_FILE_ERASE] = store_erase,
    };
    job->result = BACKING_AWAY;
    if (!atomic_load(job->given_up))
        runs[job->kind](job);
}
