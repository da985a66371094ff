/* hold.c: see hold.h. */
#include "common/hold.h"

#include "common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define HOLD_LOOK_MS 20

bool hold_is_at(int fd, const char *path)
{
    struct stat ours, there;
    return fd >= 0 && fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* Negative errno, with the file closed. */
static int hold_lose(int fd, int error)
{
    close(fd);
    return -error;
}

static int hold_open(const char *path, mode_t mode)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, mode);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return hold_lose(fd, EINVAL);
    /* Something else that somebody has given this name to (link(2)): it would be written. */
    return st.st_nlink == 1 ? fd : hold_lose(fd, EMLINK);
}

static pid_t hold_read_pid(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? (pid_t)atoi(text) : 0;
}

static int hold_write(int fd, const char *text)
{
    size_t len = strlen(text);
    if (ftruncate(fd, 0) != 0)
        return -errno;
    ssize_t n = pwrite(fd, text, len, 0);
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

static int hold_write_pid(int fd)
{
    char text[32];
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    return hold_write(fd, text);
}

/* -ESTALE: it was removed between our opening and our locking it, so that another may be there now. */
static int hold_try(const char *path, pid_t *holder)
{
    int fd = hold_open(path, 0600);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        *holder = hold_read_pid(fd);
        return hold_lose(fd, error);
    }
    if (!hold_is_at(fd, path))
        return hold_lose(fd, ESTALE);
    int rc = hold_write_pid(fd);
    return rc == 0 ? fd : hold_lose(fd, -rc);
}

static void hold_pause(void)
{
    struct timespec pause = {.tv_nsec = HOLD_LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
}

int hold_take(const char *path, uint64_t within_ms, pid_t *holder)
{
    uint64_t end = clock_mono_ms() + within_ms;
    for (;;) {
        *holder = 0;
        int fd = hold_try(path, holder);
        bool passes = fd == -EWOULDBLOCK || fd == -ESTALE;
        if (!passes || clock_mono_ms() >= end)
            return fd == -ESTALE ? -EWOULDBLOCK : fd;
        hold_pause();
    }
}

/*
 * A lock for writing, which nobody has who may not write it; flock is for whoever can open it, and all it is taken for
 * here is that /proc says whose it is. Who may only read can hold it for reading: that keeps none out.
 */
static int hold_try_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, other = lock;
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        flock(fd, LOCK_EX | LOCK_NB);
        return 0;
    }
    if (errno != EAGAIN && errno != EACCES)
        return -errno;
    bool written = fcntl(fd, F_OFD_GETLK, &other) == 0 && other.l_type == F_WRLCK;
    return written ? -EWOULDBLOCK : 0;
}

int hold_lock(int fd, uint64_t within_ms)
{
    uint64_t end = clock_mono_ms() + within_ms;
    for (;;) {
        int rc = hold_try_lock(fd);
        if (rc != -EWOULDBLOCK || clock_mono_ms() >= end)
            return rc;
        hold_pause();
    }
}

static bool hold_is_same(int fd, int other)
{
    struct stat a, b;
    return fd != other && fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

/* Somebody holds it: so the descriptor that can be locked is the one by which it is held. */
int hold_ours(int fd)
{
    DIR *d = opendir("/proc/self/fd");
    int found = -1;
    if (d == NULL)
        return -1;
    for (struct dirent *e; found < 0 && (e = readdir(d)) != NULL;) {
        int other = atoi(e->d_name);
        if (e->d_name[0] != '.' && hold_is_same(fd, other) && hold_try_lock(other) == 0)
            found = fcntl(other, F_DUPFD_CLOEXEC, 3);
    }
    closedir(d);
    return found;
}

pid_t hold_holder(int fd)
{
    struct stat st;
    char line[256];
    int pid = 0, found = 0;
    FILE *locks = fstat(fd, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (found <= 0 && locks != NULL && fgets(line, sizeof line, locks) != NULL) {
        unsigned major, minor;
        unsigned long long inode;
        bool is =
            sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%llu", &pid, &major, &minor, &inode) == 4 &&
            inode == st.st_ino && major == major(st.st_dev) && minor == minor(st.st_dev);
        found = is ? pid : 0;
    }
    if (locks != NULL)
        fclose(locks);
    return (pid_t)(found > 0 ? found : 0);
}

int hold_who(const char *state_dir, char who[HOLD_WHO_MAX])
{
    struct stat st = {0};
    int rc = stat(state_dir, &st) == 0 ? 0 : -errno;
    int len = snprintf(who, HOLD_WHO_MAX, "state_dir %s, inode %ju of device %ju\n%s/%s", state_dir,
                       (uintmax_t)st.st_ino, (uintmax_t)st.st_dev, state_dir, HOLD_DIR_NAME);
    if (len < 0 || len >= HOLD_WHO_MAX)
        who[strcspn(who, "\n")] = '\0'; /* too long: while a worker has it open, then */
    return rc;
}

static void hold_read_who(int fd, char who[HOLD_WHO_MAX])
{
    ssize_t n = pread(fd, who, HOLD_WHO_MAX - 1, 0);
    who[n > 0 ? n : 0] = '\0';
    if (n > 0 && who[n - 1] == '\n')
        who[n - 1] = '\0';
}

/* By /proc, for to try the lock would be to hold it for a moment. */
static bool hold_is_about(const char *who)
{
    const char *path = strchr(who, '\n');
    int fd = path != NULL
                 ? open(path + 1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
                 : -1;
    bool about = fd >= 0 && hold_holder(fd) != 0;
    if (fd >= 0)
        close(fd);
    return about;
}

/* Of a lock file of which nobody holds a part: it becomes ours. */
static int hold_sign(int fd, mode_t mode, const char *who)
{
    char text[HOLD_WHO_MAX + 1];
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return -errno;
    snprintf(text, sizeof text, "%s\n", who);
    int rc = hold_write(fd, text);
    if (rc == 0 && fchmod(fd, mode) != 0)
        rc = -errno;
    return rc == 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 ? -errno : rc;
}

int hold_share(const char *path, mode_t mode, const char *who, char other[HOLD_WHO_MAX])
{
    int fd = hold_open(path, mode);
    other[0] = '\0';
    if (fd < 0)
        return fd;
    int rc = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : -errno;
    hold_read_who(fd, other);
    if (rc == 0 && strcmp(other, who) != 0)
        rc = hold_is_about(other) ? -EWOULDBLOCK : hold_sign(fd, mode, who);
    other[strcspn(other, "\n")] = '\0';
    return rc == 0 ? fd : hold_lose(fd, -rc);
}

int hold_find(const char *path)
{
    DIR *d = opendir("/proc/self/fd");
    int found = -1;
    if (d == NULL)
        return -1;
    for (struct dirent *e; found < 0 && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && hold_is_at(atoi(e->d_name), path))
            found = atoi(e->d_name);
    closedir(d);
    return found;
}
