/* rotating_file.c: see rotating_file.h. */
#include "common/rotating_file.h"

#include "common/clock.h"
#include "common/hold.h"
#include "common/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROTATING_RETRY_MS 1000

/* A file that was there counts with its age; without statx's birth time, from now on. */
static void rotating_measure(struct rotating_file *f)
{
    struct statx info;
    struct stat st;
    f->bytes = 0;
    f->born_ms = clock_wall_ms();
    if (fstat(f->fd, &st) == 0) {
        f->device = st.st_dev;
        f->inode = st.st_ino;
    }
    if (statx(f->fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BTIME, &info) != 0)
        return;
    f->bytes = info.stx_size;
    if (info.stx_size > 0 && (info.stx_mask & STATX_BTIME))
        f->born_ms = (uint64_t)info.stx_btime.tv_sec * 1000 + info.stx_btime.tv_nsec / 1000000;
}

/*
 * Where others may make something, a second name may be theirs for a file that they may not write (link(2), without
 * fs.protected_hardlinks): what root appends goes there. Postfix refuses it as well. Closed on failure.
 */
static int rotating_check_names(struct rotating_file *f, int fd, const struct trust_path *t)
{
    struct stat st;
    if (!t->open || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink <= 1)
        return fd;
    struct buffer who = BUFFER_EMPTY;
    trust_say_user(st.st_uid, &who);
    snprintf(f->why, sizeof f->why,
             "this file of %s has %lu names, and others may have given it this one to have it "
             "written: remove this name, or have it in a directory that nobody else may write",
             buffer_text(&who) != NULL ? who.data : "somebody's", (unsigned long)st.st_nlink);
    buffer_fini(&who);
    close(fd);
    return -ENOTUNIQ;
}

/*
 * `fd`, or another one of the same file; closed on failure. What is no file of its own (a terminal, /dev/null) is
 * anybody's, and so is all where the file system knows no locks.
 */
static int rotating_hold(struct rotating_file *f, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || hold_lock(fd, 0) != -EWOULDBLOCK)
        return fd;
    int ours = hold_ours(fd);
    bool held = ours < 0 && hold_lock(fd, f->fd < 0 ? f->wait_ms : 0) == -EWOULDBLOCK;
    if (ours < 0 && !held)
        return fd;
    pid_t holder = held ? hold_holder(fd) : 0;
    char who[32] = "";
    if (holder != 0)
        snprintf(who, sizeof who, " (pid %d)", (int)holder);
    if (held)
        snprintf(f->why, sizeof f->why,
                 "another process%s writes it, and each would rotate it away from the other: name "
                 "another file, or end that process",
                 who);
    close(fd);
    return held ? -EWOULDBLOCK : ours;
}

/*
 * Whoever may write a directory may lead us by a link to files that are not theirs. So a link is followed only where
 * nobody but root and we can have made it, or can put another one there meanwhile: an administrator's own, /dev/stdout.
 */
static int rotating_open(struct rotating_file *f)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct trust_path t;
    int rc = trust_walk(f->path, TRUST_NO_LINKS, &t);
    if (rc == 0)
        rc = openat(t.dir, t.name, flags | (t.magic ? 0 : O_NOFOLLOW), 0640);
    if (rc < 0 && t.dir >= 0)
        rc = -errno;
    trust_close(&t);
    f->why[0] = '\0';
    if (rc >= 0)
        rc = rotating_check_names(f, rc, &t);
    if (rc >= 0 && !t.magic)
        rc = rotating_hold(f, rc);
    if (rc >= 0 || f->why[0] != '\0')
        return rc;
    struct buffer why = BUFFER_EMPTY;
    if (rc == -EMLINK)
        trust_say(&t, rc, &why);
    snprintf(f->why, sizeof f->why, "%s",
             why.len > 0 && buffer_text(&why) != NULL ? why.data : strerror(-rc));
    buffer_fini(&why);
    return rc;
}

/* What is open is written on. What has no name any more would be gone with it: from here on it is kept for the next. */
static int rotating_failed(struct rotating_file *f, int rc)
{
    struct stat st;
    f->error = rc;
    f->retry_ms = clock_mono_ms() + ROTATING_RETRY_MS;
    if (!f->strays && fstat(f->fd, &st) == 0 && st.st_nlink == 0) {
        f->strays = true;
        f->stray_at = st.st_size;
    }
    return rc;
}

/* Not for writing alone was it opened; without /proc it is lost, as before. 0, or a negative errno: the rest later. */
static int rotating_carry(struct rotating_file *f, int to)
{
    char name[64], part[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", f->fd);
    int from = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0)
        return errno == ENOENT ? 0 : -errno;
    int rc = 0;
    ssize_t n;
    while (rc == 0 && (n = pread(from, part, sizeof part, f->stray_at)) > 0) {
        ssize_t done = write(to, part, (size_t)n);
        f->stray_at += done > 0 ? done : 0;
        rc = done < 0 ? -errno : done < n ? -ENOSPC : 0;
    }
    close(from);
    return rc;
}

int rotating_file_open(struct rotating_file *f)
{
    int fd = rotating_open(f);
    int rc = fd < 0 ? fd : f->strays ? rotating_carry(f, fd) : 0;
    if (rc != 0 && fd >= 0) {
        snprintf(f->why, sizeof f->why, "%s", strerror(-rc));
        close(fd);
    }
    if (rc != 0)
        return f->fd >= 0 ? rotating_failed(f, rc) : rc;
    rotating_file_close(f);
    f->fd = fd;
    rotating_measure(f);
    return 0;
}

void rotating_file_close(struct rotating_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->error = 0;
    f->retry_ms = 0;
    f->strays = false;
}

/*
 * The directory of f->path, whose last component may be a link: it is that which is renamed. Negative errno: it cannot
 * be had.
 */
static int rotating_dir(const struct rotating_file *f, char name[NAME_MAX + 1])
{
    struct trust_path t;
    int rc = trust_walk(f->path, TRUST_NO_FOLLOW, &t);
    if (rc != 0)
        return rc;
    memcpy(name, t.name, sizeof t.name);
    return t.dir;
}

/* FILE.4 -> FILE.5, …, FILE -> FILE.1; to FILE.0 when none is kept, so that it is still there if that was in vain. */
static int rotating_shift(const struct rotating_file *f, int dir, const char *name, char *last)
{
    char from[NAME_MAX + 24], to[NAME_MAX + 24];
    for (uint64_t i = f->keep; i > 1; i--) {
        snprintf(to, sizeof to, "%s.%llu", name, (unsigned long long)i);
        snprintf(from, sizeof from, "%s.%llu", name, (unsigned long long)i - 1);
        renameat(dir, from, dir, to); /* most are not there yet */
    }
    snprintf(last, NAME_MAX + 24, "%s.%d", name, f->keep > 0);
    return renameat(dir, name, dir, last) == 0 ? 0 : -errno;
}

static void rotating_rotate(struct rotating_file *f)
{
    char name[NAME_MAX + 1], last[NAME_MAX + 24];
    int dir = rotating_dir(f, name);
    int rc = dir < 0 ? dir : rotating_shift(f, dir, name, last);
    if (rc != 0) {
        snprintf(f->why, sizeof f->why, "%s", strerror(-rc));
        rotating_failed(f, rc);
    } else if (rotating_file_open(f) == 0 && f->keep == 0) {
        unlinkat(dir, last, 0);
    } else if (f->error != 0 && f->keep == 0) {
        renameat2(dir, last, dir, name, RENAME_NOREPLACE);
    }
    if (dir >= 0)
        close(dir);
}

static bool rotating_is_full(const struct rotating_file *f, size_t more)
{
    uint64_t age = clock_wall_ms() - f->born_ms;
    bool old =
        f->max_ms > 0 && age >= f->max_ms && age < UINT64_MAX / 2; /* a clock set back is no age */
    return f->bytes > 0 && (old || (f->max_bytes > 0 && f->bytes + more > f->max_bytes));
}

bool rotating_file_is_moved(const struct rotating_file *f)
{
    struct stat st;
    if (f->fd < 0)
        return false;
    if (stat(f->path, &st) != 0)
        return errno == ENOENT;
    return st.st_dev != f->device || st.st_ino != f->inode;
}

/*
 * Half a line is taken back when nobody has written behind it since. Its end, and not what was counted, says where it
 * begins: others may append, too, or have cut the file (copytruncate).
 */
static void rotating_take_back(const struct rotating_file *f, off_t n)
{
    struct stat st;
    off_t end = lseek(f->fd, 0, SEEK_CUR);
    bool last = end >= n && fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == end;
    if (last && ftruncate(f->fd, end - n) != 0)
        return; /* it stays, without its end */
}

/* As long as the file is by now, whoever has made it so; what is no file has no end, and is counted. */
static void rotating_count(struct rotating_file *f, size_t n)
{
    off_t end = lseek(f->fd, 0, SEEK_END);
    f->bytes = end >= 0 ? (uint64_t)end : f->bytes + n;
}

/* What was moved is not rotated: others' files would be shifted for it. */
static void rotating_renew(struct rotating_file *f, size_t more)
{
    if (f->retry_ms != 0 && clock_mono_ms() < f->retry_ms)
        return;
    f->error = 0;
    f->retry_ms = 0;
    if (rotating_file_is_moved(f) && rotating_file_open(f) != 0)
        return;
    if (rotating_is_full(f, more))
        rotating_rotate(f);
}

void rotating_file_tick(struct rotating_file *f)
{
    if (f->fd >= 0 && f->error != 0)
        rotating_renew(f, 0);
}

bool rotating_file_write(struct rotating_file *f, struct slice text)
{
    rotating_renew(f, text.len);
    uint64_t most = f->error != 0 ? f->max_bytes * (f->keep + 1) : 0;
    if (most != 0 && f->bytes + text.len > most) {
        errno = -f->error;
        return false;
    }
    ssize_t n;
    do
        n = write(f->fd, text.ptr, text.len);
    while (n < 0 && errno == EINTR);
    int error = n < 0 ? errno : ENOSPC;
    if (n > 0 && (size_t)n < text.len)
        rotating_take_back(f, n);
    rotating_count(f, n > 0 ? (size_t)n : 0);
    errno = error;
    return n == (ssize_t)text.len;
}
